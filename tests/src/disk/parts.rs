//! What a disk has of a log and of a state.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use lockstep_core::config::{Position, Seq};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::operation::{Entry, Key, Record, Revision};
use lockstep_core::sessions::{SessionChanges, SessionRows};

/// Keys and their records.
pub type Records = BTreeMap<Key, Record>;

/// Has `entry` change the records.
pub fn apply(records: &mut Records, entry: &Entry) {
    for change in &entry.changes {
        match &change.record {
            Some(record) => records.insert(change.key.clone(), record.clone()),
            None => records.remove(&change.key),
        };
    }
}

/// The log as it is on the platter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct DiskLog {
    pub(super) start: Position,
    pub(super) entries: VecDeque<Arc<Entry>>,
    pub(super) bytes: u64,
    pub(super) history: EpochHistory,
    /// The highest committed position that was written with entries.
    pub(super) hint: Position,
}

impl DiskLog {
    /// These entries, from `start` on.
    pub(crate) fn found(
        start: Position,
        entries: Vec<Arc<Entry>>,
        history: EpochHistory,
        hint: Position,
    ) -> Self {
        Self {
            start,
            bytes: entries.iter().map(|entry| entry.size() as u64).sum(),
            entries: entries.into(),
            history,
            hint,
        }
    }

    /// The epochs of the entries before its end.
    pub(crate) fn history(&self) -> &EpochHistory {
        &self.history
    }

    /// Where it begins.
    pub fn start(&self) -> Position {
        self.start
    }

    /// Where it ends.
    pub fn end(&self) -> Position {
        Position(self.start.0 + self.entries.len() as u64)
    }

    /// The entry at `seq`, if the log has it.
    pub fn entry(&self, seq: Seq) -> Option<&Arc<Entry>> {
        let index = seq.0.checked_sub(self.start.0)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// The entries, ascending.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    /// The committed position last written with entries.
    pub fn hint(&self) -> Position {
        self.hint
    }

    /// Entries from `from` on, as `LogStore::read` gives them.
    pub(super) fn read(&self, from: Position, bytes_max: usize) -> Vec<Arc<Entry>> {
        let mut bytes = 0;
        let mut entries = Vec::new();
        let mut next = from.next_seq();
        while let Some(entry) = self.entry(next) {
            bytes += entry.size();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
            next = next.next();
        }
        entries
    }

    pub(super) fn push(&mut self, entry: Arc<Entry>) {
        self.history.append(entry.epoch, entry.seq);
        self.bytes += entry.size() as u64;
        self.entries.push_back(entry);
    }

    pub(super) fn truncate(&mut self, end: Position) {
        while self.end() > end {
            let cut = self.entries.pop_back().expect("end is behind start");
            self.bytes -= cut.size() as u64;
        }
        self.history.truncate(end);
        self.hint = self.hint.min(end);
    }

    pub(super) fn trim_one(&mut self) {
        let dropped = self
            .entries
            .pop_front()
            .expect("only trimmed before its end");
        self.bytes -= dropped.size() as u64;
        self.start = self.start.next();
    }
}

/// The outcome of the entries `0..applied`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct DiskState {
    /// The keys.
    pub records: Records,
    /// What is remembered of requests.
    pub sessions: SessionRows,
    /// Up to where the log is in them.
    pub applied: Position,
    /// That of the store there.
    pub revision: Revision,
}

impl DiskState {
    pub(super) fn apply(&mut self, entry: &Entry) {
        apply(&mut self.records, entry);
        self.applied = Position::behind(entry.seq);
        self.revision = entry.revision;
    }

    pub(super) fn change(&mut self, sessions: &SessionChanges) {
        self.sessions.change(sessions);
    }
}
