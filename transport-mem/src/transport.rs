//! One end of a [`Network`]: what a process sends and receives through.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::limits;
use lockstep_core::transport::{Lane, Received, SenderKind, Traffic, Transport, TransportError};

use crate::inbox::Inbox;
use crate::network::Network;

/// A process's end of a network in memory. Dropping it closes it.
pub struct MemTransport {
    network: Network,
    local: Address,
    kind: SenderKind,
    inbox: Arc<Inbox>,
}

impl MemTransport {
    pub(crate) fn new(
        network: Network,
        local: Address,
        kind: SenderKind,
        inbox: Arc<Inbox>,
    ) -> Self {
        Self {
            network,
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
        self.network.send(&self.local, self.kind, to, lane, frames)
    }

    async fn recv(&self) -> Result<Received, TransportError> {
        self.inbox.pop().await.ok_or(TransportError::Closed)
    }

    /// There are no connections here: what the two have waiting from each other is lost, as it would be with one.
    async fn disconnect(&self, peer: &Address, _reason: &str) {
        self.network.forget(&self.inbox, &self.local, peer);
    }

    async fn close(&self) {
        self.network.unregister(&self.local, &self.inbox);
    }

    /// Without what went over links to clients that have gone.
    fn traffic(&self) -> Traffic {
        self.network.traffic(&self.local)
    }
}

impl Drop for MemTransport {
    fn drop(&mut self) {
        self.network.unregister(&self.local, &self.inbox);
    }
}
