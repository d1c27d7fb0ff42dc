//! Log, state and arbiter's record in memory: for tests, and for clusters that live as long as their process.
//!
//! They keep the contracts of the traits except that nothing survives the process. The durable ones are in `durable`.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::config::{Epoch, Incarnation, NodeId, Position, Token};
use crate::engine::{
    ArbiterStore, Engine, LogStore, Page, SessionPage, StoreError, View, assert_follows,
};
use crate::epochs::EpochHistory;
use crate::operation::{ClientId, Entry, Key, Keyed, Moment, Record, Revision};
use crate::range::KeyRange;
use crate::sessions::{SessionChanges, SessionRows};
use crate::storage::{ArbiterKeeper, Meta};

/// A log in memory.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    start: Position,
    entries: VecDeque<Arc<Entry>>,
    /// Sum of the sizes of `entries`.
    bytes: u64,
    history: EpochHistory,
    committed: Position,
    /// What `committed` was at the last `sync`.
    committed_synced: Position,
    meta: Meta,
}

impl MemoryLog {
    /// The empty log of a node that has never been started.
    pub fn new(node: NodeId) -> Self {
        Self {
            start: Position::ZERO,
            entries: VecDeque::new(),
            bytes: 0,
            history: EpochHistory::new(),
            committed: Position::ZERO,
            committed_synced: Position::ZERO,
            meta: Meta {
                node,
                cluster: None,
                incarnation: Incarnation::ZERO,
                token: Token(0),
                epoch: Epoch::ZERO,
                starts: Vec::new(),
                arbiters: Vec::new(),
            },
        }
    }

    /// The index in `entries` of the entry behind `position`, which is not before `start`.
    fn index(&self, position: Position) -> usize {
        usize::try_from(position.0 - self.start.0).expect("an index into what is in memory")
    }
}

impl LogStore for MemoryLog {
    fn append(&mut self, entries: &[Arc<Entry>], committed: Position) -> Result<(), StoreError> {
        assert_follows(self.end(), entries);
        for entry in entries {
            self.history.append(entry.epoch, entry.seq);
            self.bytes += entry.size() as u64;
            self.entries.push_back(entry.clone());
        }
        self.committed = self.committed.max(committed.min(self.end()));
        Ok(())
    }

    fn truncate(&mut self, end: Position) -> Result<(), StoreError> {
        assert!(
            self.start <= end,
            "a log is not truncated before its beginning"
        );
        if end < self.end() {
            let kept = self.index(end);
            let cut = self.entries.drain(kept..);
            self.bytes -= cut.map(|entry| entry.size() as u64).sum::<u64>();
            self.history.truncate(end);
            self.committed = self.committed.min(end);
            self.committed_synced = self.committed_synced.min(end);
        }
        Ok(())
    }

    fn reset(&mut self, start: Position, history: &EpochHistory) -> Result<(), StoreError> {
        self.start = start;
        self.entries.clear();
        self.bytes = 0;
        self.history = history.clone();
        self.committed = start;
        Ok(())
    }

    fn trim(&mut self, before: Position, bytes_max: u64) -> Result<Position, StoreError> {
        while self.bytes > bytes_max && self.start < before {
            let Some(dropped) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= dropped.size() as u64;
            self.start = self.start.next();
        }
        Ok(self.start)
    }

    fn save_meta(&mut self, meta: &Meta) -> Result<(), StoreError> {
        self.meta = meta.clone();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.committed_synced = self.committed;
        Ok(())
    }

    fn read(&mut self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Entry>>, StoreError> {
        if from < self.start || from >= self.end() {
            return Ok(Vec::new());
        }
        let mut bytes = 0;
        let mut read = Vec::new();
        for entry in self.entries.range(self.index(from)..) {
            bytes += entry.size();
            if bytes > bytes_max && !read.is_empty() {
                break;
            }
            read.push(entry.clone());
        }
        Ok(read)
    }

    fn start(&self) -> Position {
        self.start
    }

    fn end(&self) -> Position {
        Position(self.start.0 + self.entries.len() as u64)
    }

    fn history(&self) -> &EpochHistory {
        &self.history
    }

    fn committed_hint(&self) -> Position {
        self.committed_synced
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn path(&self) -> &Path {
        Path::new("(memory)")
    }
}

/// A state in memory.
///
/// A view shares the records with the engine; the first change while one is open copies the tree, not the values.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    present: Arc<Records>,
    staged: Records,
    installed: Option<(Position, EpochHistory)>,
}

#[derive(Clone, Debug, Default)]
struct Records {
    reached: Moment,
    records: BTreeMap<Key, Record>,
    sessions: SessionRows,
}

impl MemoryEngine {
    /// The state before the first entry.
    pub fn new() -> Self {
        Self::default()
    }

    fn shared(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("no holder of the lock panics")
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("no holder of the lock panics")
    }
}

impl Engine for MemoryEngine {
    fn applied(&self) -> Position {
        self.shared().present.reached.position
    }

    fn revision(&self) -> Revision {
        self.shared().present.reached.revision
    }

    fn apply(&self, entries: &[Arc<Entry>], sessions: &SessionChanges) -> Result<(), StoreError> {
        assert_follows(self.applied(), entries);
        let mut state = self.exclusive();
        let present = Arc::make_mut(&mut state.present);
        for entry in entries {
            for change in &entry.changes {
                match &change.record {
                    Some(record) => present.records.insert(change.key.clone(), record.clone()),
                    None => present.records.remove(&change.key),
                };
            }
            present.reached = Moment {
                position: Position::behind(entry.seq),
                revision: entry.revision,
            };
        }
        present.sessions.change(sessions);
        Ok(())
    }

    fn checkpoint(&self) -> Result<Position, StoreError> {
        Ok(self.applied())
    }

    fn applies_at_once(&self) -> bool {
        true
    }

    fn peek(&self, key: &Key) -> Option<Option<Record>> {
        Some(self.shared().present.records.get(key).cloned())
    }

    fn read(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        Ok(self.shared().present.records.get(key).cloned())
    }

    fn scan(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Result<Page, StoreError> {
        // Whoever applies waits, and need not copy the tree because a view is open.
        self.shared().present.page(range, limit)
    }

    fn sessions(&self) -> Result<SessionRows, StoreError> {
        Ok(self.shared().present.sessions.clone())
    }

    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(MemoryView(self.shared().present.clone())))
    }

    fn stage_begin(&self) -> Result<(), StoreError> {
        self.exclusive().staged = Records::default();
        Ok(())
    }

    fn stage(&self, records: &[Keyed], sessions: &SessionRows) -> Result<(), StoreError> {
        let mut state = self.exclusive();
        let records = records.iter().cloned();
        let records = records.map(|Keyed { key, record }| (key, record));
        state.staged.records.extend(records);
        state.staged.sessions.extend(sessions.clone());
        Ok(())
    }

    fn install(&self, at: Moment, history: &EpochHistory) -> Result<(), StoreError> {
        let mut state = self.exclusive();
        let staged = std::mem::take(&mut state.staged);
        state.present = Arc::new(Records {
            reached: at,
            ..staged
        });
        state.installed = Some((at.position, history.clone()));
        Ok(())
    }

    fn installed(&self) -> Option<(Position, EpochHistory)> {
        self.shared().installed.clone()
    }
}

struct MemoryView(Arc<Records>);

impl View for MemoryView {
    fn at(&self) -> Moment {
        self.0.reached
    }

    fn records(&self) -> u64 {
        self.0.records.len() as u64
    }

    fn scan(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Result<Page, StoreError> {
        self.0.page(range, limit)
    }

    fn sessions(&self, after: Option<ClientId>) -> Result<SessionPage, StoreError> {
        let behind = (
            after.map_or(Bound::Unbounded, Bound::Excluded),
            Bound::Unbounded,
        );
        let sessions = &self.0.sessions;
        let rows = sessions.rows.range(behind);
        SessionPage::collect(
            rows.map(|(client, row)| Ok((*client, row.clone()))),
            sessions.forgotten,
        )
    }
}

impl Records {
    fn page(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Result<Page, StoreError> {
        let records = range.of(&self.records);
        let records = records.map(|(key, record)| Ok((key.clone(), record.clone()).into()));
        Page::collect(records, limit)
    }
}

/// The arbiter's record in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryArbiter {
    record: Option<ArbiterKeeper>,
}

impl MemoryArbiter {
    /// Without a record.
    pub fn new() -> Self {
        Self::default()
    }
}

impl ArbiterStore for MemoryArbiter {
    fn load(&self) -> Option<&ArbiterKeeper> {
        self.record.as_ref()
    }

    fn save(&mut self, record: &ArbiterKeeper) -> Result<(), StoreError> {
        self.record = Some(record.clone());
        Ok(())
    }
}
