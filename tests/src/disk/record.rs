//! The simulated disk of the arbiter: one record, replaced as a whole.

use std::collections::VecDeque;

use lockstep_core::engine::{ArbiterStore, StoreError};
use lockstep_core::storage::desk::Desk;
use lockstep_core::storage::writer::{Job, Order, Report, Told, Writer};
use lockstep_core::storage::{self, ArbiterRecord};
use lockstep_core::time::Instant;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Drive, no_room};

/// The disk of one arbiter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordDisk {
    store: RecordStore,
    /// While a process runs.
    writer: Option<Writer>,
    told: VecDeque<Told>,
}

/// A record that is durable once it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct RecordStore {
    record: ArbiterRecord,
    is_full: bool,
}

impl ArbiterStore for RecordStore {
    fn load(&self) -> Option<&ArbiterRecord> {
        Some(&self.record)
    }

    fn save(&mut self, record: &ArbiterRecord) -> Result<(), StoreError> {
        if self.is_full {
            return Err(no_room());
        }
        self.record = record.clone();
        Ok(())
    }
}

impl RecordDisk {
    /// A disk that holds `record`.
    pub fn new(record: ArbiterRecord) -> Self {
        Self {
            store: RecordStore {
                record,
                is_full: false,
            },
            writer: None,
            told: VecDeque::new(),
        }
    }

    /// The record as it survives a loss of power.
    pub fn record(&self) -> &ArbiterRecord {
        &self.store.record
    }

    /// Makes the disk full, or makes room.
    pub fn set_full(&mut self, is_full: bool) {
        self.store.is_full = is_full;
    }

    /// A process starts: what it finds, and its side of the disk.
    pub fn start(&mut self) -> (ArbiterRecord, Desk) {
        self.writer = Some(Writer::arbiter());
        (self.store.record.clone(), Desk::arbiter())
    }

    /// Lets the writer work until it has nothing to do.
    ///
    /// # Errors
    /// What ends the process.
    pub fn write_all(&mut self, now: Instant) -> Result<Vec<Report>, StoreError> {
        let mut orders = Vec::new();
        loop {
            self.advance(now, &mut orders);
            if self.job().is_none() {
                break;
            }
            self.finish_job(now, &mut orders)?;
        }
        let reports = orders.into_iter().filter_map(|order| match order {
            Order::Report(report) => Some(report),
            Order::Apply(_) | Order::Checkpoint => None,
        });
        Ok(reports.collect())
    }

    /// Power is lost: what is being saved is there, or what was there before.
    pub fn crash(&mut self, rng: &mut ChaCha8Rng) {
        if let Some(job) = self.job().cloned()
            && rng.random_bool(0.5)
        {
            // What fails leaves everything as it was.
            let _ = storage::carry_out_for_arbiter(&job, &mut self.store);
        }
        self.writer = None;
        self.told.clear();
    }
}

impl Drive for RecordDisk {
    fn tell(&mut self, told: Told) {
        self.told.push_back(told);
    }

    fn advance(&mut self, now: Instant, orders: &mut Vec<Order>) {
        if let Some(writer) = &mut self.writer {
            for told in self.told.drain(..) {
                writer.tell(now, told, orders);
            }
            writer.advance(now, orders);
        }
    }

    fn job(&self) -> Option<&Job> {
        self.writer.as_ref()?.job()
    }

    fn finish_job(&mut self, now: Instant, orders: &mut Vec<Order>) -> Result<(), StoreError> {
        let Some(writer) = &mut self.writer else {
            return Ok(());
        };
        if let Some(job) = writer.job() {
            let outcome = storage::carry_out_for_arbiter(job, &mut self.store)?;
            writer.done(now, outcome, orders);
        }
        Ok(())
    }

    fn due(&self) -> Option<Instant> {
        self.writer.as_ref()?.due()
    }
}
