//! A disk that refuses now and then and a link that loses now and then, as the cases prescribe them.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use lockstep_core::config::{Address, Position};
use lockstep_core::engine::{LogStore, StoreError};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::operation::Entry;
use lockstep_core::storage::Meta;
use lockstep_core::transport::{Lane, Received, Transport, TransportError};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// After each success it refuses up to three appends.
pub(super) struct FlakyLog<L> {
    log: L,
    refuse: u32,
    rng: ChaCha8Rng,
}

impl<L: LogStore> FlakyLog<L> {
    pub(super) fn new(log: L, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let refuse = rng.random_range(0..=3);
        Self { log, refuse, rng }
    }
}

impl<L: LogStore> LogStore for FlakyLog<L> {
    fn append(&mut self, entries: &[Arc<Entry>], committed: Position) -> Result<(), StoreError> {
        if self.refuse > 0 {
            self.refuse -= 1;
            let path = self.log.path().to_owned();
            return Err(StoreError::NoRoom { path });
        }
        self.refuse = self.rng.random_range(0..=3);
        self.log.append(entries, committed)
    }

    fn truncate(&mut self, end: Position) -> Result<(), StoreError> {
        self.log.truncate(end)
    }

    fn reset(&mut self, start: Position, history: &EpochHistory) -> Result<(), StoreError> {
        self.log.reset(start, history)
    }

    fn trim(&mut self, before: Position, bytes_max: u64) -> Result<Position, StoreError> {
        self.log.trim(before, bytes_max)
    }

    fn save_meta(&mut self, meta: &Meta) -> Result<(), StoreError> {
        self.log.save_meta(meta)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.log.sync()
    }

    fn read(&mut self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Entry>>, StoreError> {
        self.log.read(from, bytes_max)
    }

    fn start(&self) -> Position {
        self.log.start()
    }

    fn end(&self) -> Position {
        self.log.end()
    }

    fn history(&self) -> &EpochHistory {
        self.log.history()
    }

    fn committed_hint(&self) -> Position {
        self.log.committed_hint()
    }

    fn meta(&self) -> &Meta {
        self.log.meta()
    }

    fn path(&self) -> &Path {
        self.log.path()
    }
}

/// Loses every tenth frame that arrives from other replicas, but not more than three in a row.
pub(super) struct LossyTransport<T> {
    transport: T,
    lossy: Vec<Address>,
    loss: Mutex<Loss>,
}

struct Loss {
    in_a_row: u32,
    rng: ChaCha8Rng,
}

impl<T: Transport> LossyTransport<T> {
    /// Loses frames from the addresses in `lossy`.
    pub(super) fn new(transport: T, lossy: Vec<Address>, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        let loss = Mutex::new(Loss { in_a_row: 0, rng });
        Self {
            transport,
            lossy,
            loss,
        }
    }

    fn arrives(&self) -> bool {
        let mut loss = self
            .loss
            .lock()
            .expect("nothing panics while it holds this");
        let is_lost = loss.in_a_row < 3 && loss.rng.random_bool(0.1);
        loss.in_a_row = if is_lost { loss.in_a_row + 1 } else { 0 };
        !is_lost
    }
}

#[async_trait]
impl<T: Transport> Transport for LossyTransport<T> {
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
        loop {
            let mut received = self.transport.recv().await?;
            if self.lossy.contains(&received.from) {
                received.frames.retain(|_| self.arrives());
            }
            if !received.frames.is_empty() {
                return Ok(received);
            }
        }
    }

    async fn disconnect(&self, peer: &Address, reason: &str) {
        self.transport.disconnect(peer, reason).await;
    }

    async fn close(&self) {
        self.transport.close().await;
    }
}
