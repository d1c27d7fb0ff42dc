//! A client's end of the network that counts what the client does not tell: answers that a write has failed, after which
//! it tries again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::message::{Message, ReplyBody};
use lockstep_core::transport::{Lane, Received, Transport, TransportError};
use lockstep_core::wire;
use lockstep_transport_quic::QuicTransport;

/// Passes everything on, and counts each `OperationFailed` that arrives.
pub(super) struct Tap {
    transport: QuicTransport,
    failed: Arc<AtomicU64>,
}

impl Tap {
    pub(super) fn new(transport: QuicTransport, failed: Arc<AtomicU64>) -> Self {
        Self { transport, failed }
    }
}

fn is_failed(frame: &Bytes) -> bool {
    match wire::decode(frame) {
        Ok(Message::Reply(reply)) => matches!(reply.body, ReplyBody::OperationFailed),
        Ok(_) | Err(_) => false,
    }
}

#[async_trait]
impl Transport for Tap {
    fn local(&self) -> &Address {
        self.transport.local()
    }

    fn frame_bytes_max(&self) -> usize {
        self.transport.frame_bytes_max()
    }

    async fn send(
        &self,
        to: &Address,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<(), TransportError> {
        self.transport.send(to, lane, frames).await
    }

    async fn recv(&self) -> Result<Received, TransportError> {
        let received = self.transport.recv().await?;
        let failed = received.frames.iter().filter(|frame| is_failed(frame));
        self.failed
            .fetch_add(failed.count() as u64, Ordering::Relaxed);
        Ok(received)
    }

    async fn disconnect(&self, peer: &Address, reason: &str) {
        self.transport.disconnect(peer, reason).await;
    }

    async fn close(&self) {
        self.transport.close().await;
    }
}
