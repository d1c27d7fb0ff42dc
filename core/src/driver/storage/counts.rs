//! What the log has done since it was opened: counted by its thread, read by whoever wants to know.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(in crate::driver) struct Counts {
    /// Entries made durable.
    pub(in crate::driver) entries: u64,
    /// Bytes of their keys and values.
    pub(in crate::driver) entry_bytes: u64,
    /// Syncs.
    pub(in crate::driver) syncs: u64,
}

/// Counts on.
#[derive(Debug, Default)]
pub(super) struct Counters {
    entries: AtomicU64,
    entry_bytes: AtomicU64,
    syncs: AtomicU64,
}

impl Counters {
    /// The log was synced, and with it these entries.
    pub(super) fn synced(&self, entries: usize, bytes: usize) {
        self.entries.fetch_add(entries as u64, Ordering::Relaxed);
        self.entry_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted.
    pub(super) fn counts(&self) -> Counts {
        Counts {
            entries: self.entries.load(Ordering::Relaxed),
            entry_bytes: self.entry_bytes.load(Ordering::Relaxed),
            syncs: self.syncs.load(Ordering::Relaxed),
        }
    }
}
