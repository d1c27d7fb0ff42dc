//! The newest entries of a log, in memory: to be sent and applied, and what they lay over the state.
//!
//! The log says how far they may be forgotten; those that are go when there are more bytes than there is room for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::config::{Position, Seq};
use crate::operation::{Entry, Key, Moment, Record, Revision};
use crate::range::KeyRange;

/// The entries `start..end()` of a log.
///
/// - `start <= forgotten <= end()`: reads find in the state what lies before `forgotten`, so that may go.
/// - `newest` has exactly the keys of the entries `forgotten..end()`, each with the last entry that changes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tail {
    start: Position,
    /// That of the store after the entries before `start`.
    base: Revision,
    slots: VecDeque<Slot>,
    bytes: usize,
    bytes_max: usize,
    forgotten: Position,
    newest: BTreeMap<Key, Seq>,
}

/// An entry in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot {
    entry: Arc<Entry>,
    /// For each of its changes, the entry that changed the same key before, unless that was forgotten already.
    previous: SmallVec<[Option<Seq>; 1]>,
}

impl Tail {
    /// One without entries, behind a state of that moment. It keeps entries of `bytes_max`, and what is not forgotten.
    pub(super) fn behind(state: Moment, bytes_max: usize) -> Self {
        Self {
            start: state.position,
            base: state.revision,
            slots: VecDeque::new(),
            bytes: 0,
            bytes_max,
            forgotten: state.position,
            newest: BTreeMap::new(),
        }
    }

    /// Where the log ends.
    pub(super) fn end(&self) -> Position {
        Position(self.start.0 + self.slots.len() as u64)
    }

    /// What lies before it is left to the state.
    pub(super) fn forgotten(&self) -> Position {
        self.forgotten
    }

    /// Bytes of all its entries.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of entries that it keeps.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// That of the store after all entries.
    pub(super) fn revision(&self) -> Revision {
        let last = self.slots.back();
        last.map_or(self.base, |slot| slot.entry.revision)
    }

    /// That of the store after the entries before `position`.
    ///
    /// # Panics
    /// If that is not in memory.
    pub(super) fn revision_at(&self, position: Position) -> Revision {
        match self.index(position).checked_sub(1) {
            Some(last) => self.slots[last].entry.revision,
            None => self.base,
        }
    }

    /// Appends the entry, and returns its bytes.
    pub(super) fn append(&mut self, entry: Arc<Entry>) -> usize {
        let size = entry.size();
        self.bytes += size;
        let changes = entry.changes.iter();
        let previous = changes
            .map(|change| self.newest.insert(change.key.clone(), entry.seq))
            .collect();
        self.slots.push_back(Slot { entry, previous });
        self.shorten();
        size
    }

    /// Cuts off what lies behind `keep`, and returns that, the last first.
    ///
    /// # Panics
    /// If the log does not reach that far.
    pub(super) fn truncate(&mut self, keep: Position) -> Vec<Arc<Entry>> {
        let index = self.index(keep);
        let mut cut_off = Vec::new();
        for Slot { entry, previous } in self.slots.drain(index..).rev() {
            self.bytes -= entry.size();
            for (change, previous) in entry.changes.iter().zip(previous) {
                match previous.filter(|seq| !self.forgotten.covers(*seq)) {
                    Some(previous) => self.newest.insert(change.key.clone(), previous),
                    None => self.newest.remove(&change.key),
                };
            }
            cut_off.push(entry);
        }
        cut_off
    }

    /// Leaves to the state what was written before `position`.
    pub(super) fn forget(&mut self, position: Position) {
        while self.forgotten < position {
            let index = self.index(self.forgotten);
            let entry = &self.slots[index].entry;
            for change in &entry.changes {
                if self.newest.get(&change.key) == Some(&entry.seq) {
                    self.newest.remove(&change.key);
                }
            }
            self.forgotten = self.forgotten.next();
        }
        self.shorten();
    }

    /// The entry behind `position`.
    ///
    /// # Panics
    /// If it is not in memory.
    pub(super) fn entry(&self, position: Position) -> &Arc<Entry> {
        &self.slots[self.index(position)].entry
    }

    /// The entries between two positions.
    ///
    /// # Panics
    /// If one of them is not in memory.
    pub(super) fn between(&self, from: Position, to: Position) -> Vec<Arc<Entry>> {
        let slots = self.slots.range(self.index(from)..self.index(to));
        slots.map(|slot| Arc::clone(&slot.entry)).collect()
    }

    /// Entries from `from` on, as many as `bytes_max` and `entries_max` allow but at least one if there is any; `None`
    /// if they are not in memory.
    pub(super) fn entries(
        &self,
        from: Position,
        bytes_max: usize,
        entries_max: usize,
    ) -> Option<Vec<Arc<Entry>>> {
        let index = self.find(from)?;
        let mut bytes = 0;
        let mut entries = Vec::new();
        for Slot { entry, .. } in self.slots.range(index..).take(entries_max) {
            bytes += entry.size();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(Arc::clone(entry));
        }
        Some(entries)
    }

    /// The record the key has after all entries, where one of them that is not forgotten changes it: `Some(None)` when
    /// it was removed.
    pub(super) fn newest(&self, key: &Key) -> Option<Option<&Record>> {
        self.newest.get(key).map(|seq| self.slot(*seq).record(key))
    }

    /// The same after the entries before `position`.
    pub(super) fn newest_before(&self, position: Position, key: &Key) -> Option<Option<&Record>> {
        let mut version = self.newest.get(key).copied();
        while let Some(seq) = version.filter(|seq| !self.forgotten.covers(*seq)) {
            if position.covers(seq) {
                return Some(self.slot(seq).record(key));
            }
            version = self.slot(seq).previous(key);
        }
        None
    }

    /// The last entry that changes the key, unless that is forgotten.
    pub(super) fn last_change(&self, key: &Key) -> Option<Seq> {
        self.newest.get(key).copied()
    }

    /// What `newest` tells of all keys of the range, in their order.
    pub(super) fn newest_of<'a>(
        &'a self,
        range: &KeyRange,
    ) -> impl Iterator<Item = (&'a Key, Option<&'a Record>)> {
        let changed = range.of(&self.newest);
        changed.map(|(key, seq)| (key, self.slot(*seq).record(key)))
    }

    fn slot(&self, seq: Seq) -> &Slot {
        &self.slots[self.index(Position::before(seq))]
    }

    /// Where the entry behind `position` is, or would be appended.
    fn index(&self, position: Position) -> usize {
        self.find(position)
            .expect("what is not forgotten is in memory")
    }

    /// The same; `None` where it went already, or could not be appended.
    fn find(&self, position: Position) -> Option<usize> {
        let index = position.0.checked_sub(self.start.0)? as usize;
        (index <= self.slots.len()).then_some(index)
    }

    fn shorten(&mut self) {
        while self.bytes > self.bytes_max && self.start < self.forgotten {
            let slot = self
                .slots
                .pop_front()
                .expect("there is a forgotten entry in memory");
            self.bytes -= slot.entry.size();
            self.start = self.start.next();
            self.base = slot.entry.revision;
        }
    }

    /// Asserts what the struct promises.
    pub(super) fn check(&self) {
        assert!(
            self.start <= self.forgotten,
            "an entry that is needed is not in memory"
        );
        let bytes: usize = self.slots.iter().map(|slot| slot.entry.size()).sum();
        assert_eq!(self.bytes, bytes, "the tail is miscounted");
    }
}

impl Slot {
    /// What it makes of a key that it changes; `None` where that is removed.
    fn record(&self, key: &Key) -> Option<&Record> {
        self.entry.changes[self.place(key)].record.as_ref()
    }

    /// The entry that changed the key before, unless that was forgotten already.
    fn previous(&self, key: &Key) -> Option<Seq> {
        self.previous[self.place(key)]
    }

    fn place(&self, key: &Key) -> usize {
        match self.entry.changes.as_slice() {
            [_] => 0,
            changes => changes
                .iter()
                .position(|change| change.key == *key)
                .expect("a key leads to the entries that change it"),
        }
    }
}
