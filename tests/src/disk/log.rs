//! A model of the durable log: what is appended, and what of it a loss of power leaves.

use std::path::Path;
use std::sync::Arc;

use super::medium::Medium;
use super::parts::DiskLog;
use lockstep_core::config::{Epoch, Incarnation, NodeId, Position, Token};
use lockstep_core::engine::{LogStore, StoreError};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::operation::Entry;
use lockstep_core::storage::Meta;

/// The log of one data directory, and what the node knows about itself.
///
/// - `durable` survives a loss of power, and of what `present` has beyond it any beginning may.
/// - A truncation, a beginning anew and the node's meta data are durable once they are done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelLog {
    meta: Meta,
    present: DiskLog,
    durable: DiskLog,
    /// It says that it syncs, and does not.
    pub(super) lies: bool,
}

impl ModelLog {
    /// The empty log of a node that has never been started.
    pub fn new(node: NodeId) -> Self {
        Self {
            meta: Meta {
                node,
                cluster: None,
                incarnation: Incarnation::ZERO,
                token: Token(0),
                epoch: Epoch::ZERO,
                starts: Vec::new(),
                arbiters: Vec::new(),
            },
            present: DiskLog::default(),
            durable: DiskLog::default(),
            lies: false,
        }
    }

    /// What is appended, durable or not.
    pub(super) fn present(&self) -> &DiskLog {
        &self.present
    }

    /// It holds this, and all of it is durable.
    pub(super) fn set(&mut self, found: DiskLog) {
        self.durable = found.clone();
        self.present = found;
    }

    /// It holds this, and what of it was durable is.
    pub(super) fn set_present(&mut self, found: DiskLog) {
        let durable = self.durable.end().max(found.start());
        let hint = self.durable.hint.max(found.start());
        self.durable = found.clone();
        if self.durable.end() > durable {
            self.durable.truncate(durable);
        }
        // What is found may have come with entries that are not durable.
        self.durable.hint = hint.min(self.durable.hint);
        self.present = found;
    }

    pub(super) fn set_meta(&mut self, meta: &Meta) {
        self.meta = meta.clone();
    }

    /// It begins here.
    pub(super) fn trim_to(&mut self, start: Position) {
        while self.present.start < start {
            self.trim_one();
        }
    }

    fn trim_one(&mut self) {
        self.present.trim_one();
        self.durable.trim_one();
    }

    /// Entries that are appended and may be lost.
    pub fn unsynced(&self) -> usize {
        (self.present.end().0 - self.durable.end().0) as usize
    }

    /// Power is lost, and of what was not synced `kept` entries are left.
    pub fn crash(&mut self, kept: usize) {
        let end = Position(self.durable.end().0 + kept as u64);
        if end < self.present.end() {
            self.present.truncate(end);
            // It came with an entry that is lost, or with none.
            self.present.hint = self.durable.hint;
        }
        self.durable = self.present.clone();
    }

    fn make_durable(&mut self) {
        for entry in self.present.read(self.durable.end(), usize::MAX) {
            self.durable.push(entry);
        }
        self.durable.hint = self.present.hint;
    }
}

impl Medium for ModelLog {
    fn durable(&self) -> &DiskLog {
        &self.durable
    }

    fn open(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn close(&mut self) {}
}

impl LogStore for ModelLog {
    fn append(&mut self, entries: &[Arc<Entry>], committed: Position) -> Result<(), StoreError> {
        for entry in entries {
            assert_eq!(
                Position::before(entry.seq),
                self.present.end(),
                "entries are appended without gaps"
            );
            assert!(
                entry.epoch >= self.present.history.last_epoch(),
                "no epoch is appended behind a later one"
            );
            self.present.push(entry.clone());
        }
        let committed = committed.min(self.present.end());
        self.present.hint = committed.max(self.present.hint);
        Ok(())
    }

    fn truncate(&mut self, end: Position) -> Result<(), StoreError> {
        assert!(
            self.present.start <= end,
            "a log is not truncated before its beginning"
        );
        self.sync()?;
        self.present.truncate(end);
        if !self.lies {
            self.durable.truncate(end);
        }
        Ok(())
    }

    fn reset(&mut self, start: Position, history: &EpochHistory) -> Result<(), StoreError> {
        self.present = DiskLog {
            start,
            history: history.clone(),
            hint: start,
            ..DiskLog::default()
        };
        self.durable = self.present.clone();
        Ok(())
    }

    fn trim(&mut self, before: Position, bytes_max: u64) -> Result<Position, StoreError> {
        while self.present.bytes > bytes_max && self.present.start < before {
            self.trim_one();
        }
        Ok(self.present.start)
    }

    fn save_meta(&mut self, meta: &Meta) -> Result<(), StoreError> {
        self.meta = meta.clone();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if !self.lies {
            self.make_durable();
        }
        Ok(())
    }

    fn read(&mut self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Entry>>, StoreError> {
        Ok(self.present.read(from, bytes_max))
    }

    fn start(&self) -> Position {
        self.present.start
    }

    fn end(&self) -> Position {
        self.present.end()
    }

    fn history(&self) -> &EpochHistory {
        &self.present.history
    }

    fn committed_hint(&self) -> Position {
        self.durable.hint
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn path(&self) -> &Path {
        Path::new("(simulated)")
    }
}
