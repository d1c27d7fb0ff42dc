//! One end of a network: what a process sends and receives through.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::limits;
use lockstep_core::transport::{Lane, Received, SenderKind, Traffic, Transport, TransportError};

use crate::inbox::Inbox;
use crate::switch::Switch;

/// A process's end of a network in memory. Dropping it closes it.
pub struct MemTransport {
    switch: Switch,
    local: Address,
    kind: SenderKind,
    inbox: Arc<Inbox>,
}

impl MemTransport {
    /// An end at `local`, which is there from now on.
    pub(crate) fn new(switch: Switch, local: Address, kind: SenderKind) -> Self {
        let inbox = switch.register(&local);
        Self {
            switch,
            local,
            kind,
            inbox,
        }
    }
}

#[async_trait]
impl Transport for MemTransport {
    fn local(&self) -> &Address {
        &self.local
    }

    fn frame_bytes_max(&self) -> usize {
        limits::FRAME_BYTES_MAX
    }

    async fn send(
        &self,
        to: &Address,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<(), TransportError> {
        if self.inbox.is_closed() {
            return Err(TransportError::Closed);
        }
        let limit = self.frame_bytes_max();
        if let Some(frame) = frames.iter().find(|frame| frame.len() > limit) {
            return Err(TransportError::TooLarge {
                size: frame.len(),
                limit,
            });
        }
        self.switch.send(&self.local, self.kind, to, lane, frames)
    }

    async fn recv(&self) -> Result<Received, TransportError> {
        self.inbox.pop().await.ok_or(TransportError::Closed)
    }

    /// There are no connections here: what the two have waiting from each other is lost, as it would be with one.
    async fn disconnect(&self, peer: &Address, _reason: &str) {
        self.switch.forget(&self.local, &self.inbox, peer);
    }

    async fn close(&self) {
        self.switch.unregister(&self.local, &self.inbox);
    }

    /// Without what went over links to clients that have gone.
    fn traffic(&self) -> Traffic {
        self.switch.lock().links.traffic(&self.local)
    }
}

impl Drop for MemTransport {
    fn drop(&mut self) {
        self.switch.unregister(&self.local, &self.inbox);
    }
}
