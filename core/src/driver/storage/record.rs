//! The arbiter's disk: one record, of which only the newest matters.

use std::sync::mpsc;

use async_channel::Sender;

use crate::engine::{ArbiterStore, StoreError};
use crate::storage::ArbiterRecord;

use super::{Completion, Fate, Submission, send};

pub(super) type RecordRequest = Submission<Box<ArbiterRecord>>;

/// Owns the store.
pub(super) struct RecordThread {
    store: Box<dyn ArbiterStore>,
    report: Sender<Completion>,
    fate: Fate,
}

impl RecordThread {
    pub(super) fn new(
        store: Box<dyn ArbiterStore>,
        report: Sender<Completion>,
        fate: Fate,
    ) -> Self {
        Self {
            store,
            report,
            fate,
        }
    }

    pub(super) fn run(
        mut self,
        requests: &mpsc::Receiver<Vec<RecordRequest>>,
    ) -> Result<(), StoreError> {
        // Writes of generations up to this found no room.
        let mut failed = None;
        while let Ok(mut waiting) = requests.recv() {
            waiting.extend(requests.try_iter().flatten());
            waiting.retain(|request| failed < Some(request.generation));
            if self.fate.is_abandoned() {
                break;
            }
            // Each record replaces the one before it, so that the last one makes all of them durable.
            let Some(newest) = waiting.last() else {
                continue;
            };
            match self.store.save(&newest.write) {
                Ok(()) => {
                    let tickets = waiting.iter().map(|request| request.ticket).collect();
                    send(&self.report, Completion::Persisted(tickets));
                }
                Err(StoreError::NoRoom { .. }) => {
                    failed = Some(newest.generation);
                    send(&self.report, Completion::DiskFull);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
