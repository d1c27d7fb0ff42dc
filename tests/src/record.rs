//! The simulated disk of the arbiter: one record, replaced as a whole.

use std::collections::VecDeque;

use lockstep_core::process::Input;
use lockstep_core::storage::{ArbiterRecord, Ticket, Write};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The disk of one arbiter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordDisk {
    record: ArbiterRecord,
    queue: VecDeque<(Ticket, Write)>,
    batch: VecDeque<(Ticket, Write)>,
    accepted: Option<Ticket>,
    breaches: Vec<String>,
}

impl RecordDisk {
    /// A disk that holds `record`.
    pub fn new(record: ArbiterRecord) -> Self {
        Self {
            record,
            queue: VecDeque::new(),
            batch: VecDeque::new(),
            accepted: None,
            breaches: Vec::new(),
        }
    }

    /// The record as it survives a loss of power.
    pub fn record(&self) -> &ArbiterRecord {
        &self.record
    }

    /// Breaches of the storage contract since the last call.
    pub fn take_breaches(&mut self) -> Vec<String> {
        std::mem::take(&mut self.breaches)
    }

    /// Takes a write in.
    pub fn ask(&mut self, ticket: Ticket, write: Write) {
        if self.accepted.is_some_and(|accepted| ticket <= accepted) {
            return;
        }
        self.accepted = Some(ticket);
        self.queue.push_back((ticket, write));
    }

    /// Begins to write what waits, if there is anything and nothing is under way.
    pub fn begin(&mut self) -> bool {
        if !self.batch.is_empty() || self.queue.is_empty() {
            return false;
        }
        self.batch = std::mem::take(&mut self.queue);
        true
    }

    /// The batch is written and synced.
    pub fn finish<T>(&mut self, reports: &mut Vec<Input<T>>) {
        while let Some((ticket, write)) = self.batch.pop_front() {
            self.carry_out(write);
            reports.push(Input::Persisted(ticket));
        }
    }

    /// Power is lost: of what is under way any beginning survives.
    pub fn crash(&mut self, rng: &mut ChaCha8Rng) {
        let survivors = rng.random_range(0..=self.batch.len());
        for (_, write) in std::mem::take(&mut self.batch).into_iter().take(survivors) {
            self.carry_out(write);
        }
        self.queue.clear();
        self.accepted = None;
    }

    fn carry_out(&mut self, write: Write) {
        match write {
            Write::Arbiter(record) => self.record = *record,
            Write::Append { .. }
            | Write::Truncate { .. }
            | Write::Meta(_)
            | Write::StageBegin
            | Write::Stage { .. }
            | Write::Install { .. } => {
                self.breaches
                    .push("a write of a replica on the arbiter's disk".to_owned());
            }
        }
    }
}
