//! What the log has done since it was opened: told by the scheduler's thread, read by whoever wants to know.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::storage::scheduler::Counts;

/// Numbers at a moment, shared between threads.
#[derive(Debug, Default)]
pub(super) struct Counters {
    entries: AtomicU64,
    entry_bytes: AtomicU64,
    syncs: AtomicU64,
}

impl Counters {
    /// As of now.
    pub(super) fn set(&self, counts: Counts) {
        self.entries.store(counts.entries, Ordering::Relaxed);
        self.entry_bytes
            .store(counts.entry_bytes, Ordering::Relaxed);
        self.syncs.store(counts.syncs, Ordering::Relaxed);
    }

    /// What was told last.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            entries: self.entries.load(Ordering::Relaxed),
            entry_bytes: self.entry_bytes.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
        }
    }
}
