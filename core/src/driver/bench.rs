//! A transport whose other end is the test.

use std::sync::Arc;

use async_channel::{Receiver, Sender};
use async_trait::async_trait;
use bytes::Bytes;

use crate::config::Address;
use crate::runtime::Runtime;
use crate::transport::{Lane, Received, Transport, TransportError};

/// One end of a network, the rest of which is the test.
pub(super) struct Bench {
    pub(super) local: Address,
    pub(super) arriving: Receiver<Received>,
    pub(super) done: Sender<Done>,
    pub(super) runtime: Option<Arc<dyn Runtime>>,
}

/// What the process's end was told to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    Sent(Address, Lane, Vec<Bytes>),
    Disconnected(Address, String),
    Closed,
}

#[async_trait]
impl Transport for Bench {
    fn local(&self) -> &Address {
        &self.local
    }

    fn frame_bytes_max(&self) -> usize {
        1000
    }

    async fn send(
        &self,
        to: &Address,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<(), TransportError> {
        self.done
            .try_send(Done::Sent(to.clone(), lane, frames))
            .unwrap();
        Ok(())
    }

    async fn recv(&self) -> Result<Received, TransportError> {
        self.arriving
            .recv()
            .await
            .map_err(|_| TransportError::Closed)
    }

    async fn disconnect(&self, peer: &Address, reason: &str) {
        let done = Done::Disconnected(peer.clone(), reason.to_owned());
        self.done.try_send(done).unwrap();
    }

    async fn close(&self) {
        self.done.try_send(Done::Closed).unwrap();
    }

    fn runtime(&self) -> Option<Arc<dyn Runtime>> {
        self.runtime.clone()
    }

    fn last_failure(&self, peer: &Address) -> Option<String> {
        (peer.as_str() == "gone").then(|| "no answer".to_owned())
    }
}

pub(super) fn bench() -> (Bench, Sender<Received>, Receiver<Done>) {
    let (arrive, arriving) = async_channel::unbounded();
    let (done, dones) = async_channel::unbounded();
    let local = Address::new("puppet");
    let bench = Bench {
        local,
        arriving,
        done,
        runtime: None,
    };
    (bench, arrive, dones)
}
