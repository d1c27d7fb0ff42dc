//! A replica's log as the protocol sees it: how far it is appended, persisted, committed and applied, and its newest
//! entries in memory.
//!
//! The bytes are the storage's; this file says which entries exist, which must stay in memory, and which of them a
//! `Local` read sees before they are applied.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::config::{Epoch, Position, Seq};
use crate::epochs::EpochHistory;
use crate::operation::{Entry, Key, Moment, Record, Revision};
use crate::range::KeyRange;
use crate::storage::Recovered;

/// The log of one replica.
///
/// - `start <= applied <= committed <= end`, `persisted <= end`, and `forgotten <= applied`.
/// - `tail` has the entries `tail_start..end`, and `tail_start <= forgotten`: what is not applied is in memory.
/// - `newest` has exactly the keys of the entries `forgotten..end`, each with the last entry that changes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log {
    start: Position,
    end: Position,
    persisted: Position,
    committed: Position,
    applied: Position,
    forgotten: Position,
    history: EpochHistory,
    tail: VecDeque<Slot>,
    tail_start: Position,
    /// That of the store after the entries before `tail_start`.
    tail_base: Revision,
    tail_bytes: usize,
    tail_bytes_max: usize,
    unapplied_bytes: usize,
    newest: BTreeMap<Key, Seq>,
}

/// An entry in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Slot {
    entry: Arc<Entry>,
    /// For each of its changes, the entry that changed the same key before, unless that was forgotten already.
    previous: SmallVec<[Option<Seq>; 1]>,
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

impl Log {
    /// The log that a start found on disk. It is durable, and committed as far as it is applied; of the rest nobody
    /// here knows.
    pub fn open(recovered: &Recovered, tail_bytes_max: usize) -> Self {
        let mut log = Self {
            start: recovered.log_start,
            end: recovered.applied,
            persisted: recovered.log_end,
            committed: recovered.applied,
            applied: recovered.applied,
            forgotten: recovered.applied,
            history: recovered.history.up_to(recovered.applied),
            tail: VecDeque::new(),
            tail_start: recovered.applied,
            tail_base: planted!(RevisionNotRecovered => Revision::FIRST, recovered.revision),
            tail_bytes: 0,
            tail_bytes_max,
            unapplied_bytes: 0,
            newest: BTreeMap::new(),
        };
        for entry in &recovered.tail {
            log.append(Arc::clone(entry));
        }
        assert_eq!(
            log.end, recovered.log_end,
            "the storage recovered the whole tail"
        );
        log
    }

    /// Where it begins; earlier entries are trimmed.
    pub fn start(&self) -> Position {
        self.start
    }

    /// Where it ends.
    pub fn end(&self) -> Position {
        self.end
    }

    /// Durable up to here.
    pub fn persisted(&self) -> Position {
        self.persisted
    }

    /// Known to be committed up to here.
    pub fn committed(&self) -> Position {
        self.committed
    }

    /// The state has the entries before this.
    pub fn applied(&self) -> Position {
        self.applied
    }

    /// The epochs of the entries before `end()`.
    pub fn history(&self) -> &EpochHistory {
        &self.history
    }

    /// That of the store after all entries.
    pub fn revision(&self) -> Revision {
        let last = self.tail.back();
        last.map_or(self.tail_base, |slot| slot.entry.revision)
    }

    /// That of the store after the entries before `position`, which is in memory: not before `applied()`, nor behind `end()`.
    pub fn revision_at(&self, position: Position) -> Revision {
        let index = self
            .index(position)
            .expect("what is not applied is in memory");
        match index.checked_sub(1) {
            Some(last) => self.tail[last].entry.revision,
            None => self.tail_base,
        }
    }

    /// Bytes of the entries that are not applied, which therefore have to be in memory.
    pub fn unapplied_bytes(&self) -> usize {
        self.unapplied_bytes
    }

    /// Bytes of all entries in memory.
    pub fn tail_bytes(&self) -> usize {
        self.tail_bytes
    }

    /// Appends the entry that follows the last one.
    ///
    /// # Panics
    /// If it does not follow it.
    pub fn append(&mut self, entry: Arc<Entry>) {
        assert_eq!(entry.seq, self.end.next_seq(), "the log has no gaps");
        self.history.append(entry.epoch, entry.seq);
        self.end = Position::behind(entry.seq);
        let size = entry.size();
        self.tail_bytes += size;
        self.unapplied_bytes += size;
        let changes = entry.changes.iter();
        let previous = changes
            .map(|change| self.newest.insert(change.key.clone(), entry.seq))
            .collect();
        self.tail.push_back(Slot { entry, previous });
        self.shorten_tail();
    }

    /// Takes up that the log is durable up to `position`.
    pub fn advance_persisted(&mut self, position: Position) {
        self.persisted = self.persisted.max(position.min(self.end));
    }

    /// Takes up that the log is committed up to `position`, or its end if that comes earlier, and returns the entries
    /// that are committed thereby.
    pub fn advance_committed(&mut self, position: Position) -> Vec<Arc<Entry>> {
        let position = planted!(CommitsBeyondLog => position, position.min(self.end));
        if position <= self.committed {
            return Vec::new();
        }
        let from = self
            .index(self.committed)
            .expect("what is not committed is in memory");
        let to = self
            .index(position)
            .expect("what is not committed is in memory");
        self.committed = position;
        let committed = self.tail.range(from..to);
        committed.map(|slot| Arc::clone(&slot.entry)).collect()
    }

    /// Takes up that the state has the entries before `position`. They stay visible to reads until `forget`.
    pub fn advance_applied(&mut self, position: Position) {
        let position = position.min(self.committed);
        while self.applied < position {
            let index = self
                .index(self.applied)
                .expect("what is not applied is in memory");
            self.unapplied_bytes -= self.tail[index].entry.size();
            self.applied = self.applied.next();
        }
    }

    /// Leaves reads of what was written before `position`, which is applied, to the state.
    pub fn forget(&mut self, position: Position) {
        let position = position.min(self.applied);
        while self.forgotten < position {
            let index = self
                .index(self.forgotten)
                .expect("what is not forgotten is in memory");
            let entry = &self.tail[index].entry;
            for change in &entry.changes {
                if self.newest.get(&change.key) == Some(&entry.seq) {
                    self.newest.remove(&change.key);
                }
            }
            self.forgotten = self.forgotten.next();
        }
        self.shorten_tail();
    }

    /// Takes up that the storage trimmed what lies before `position`.
    pub fn advance_start(&mut self, position: Position) {
        self.start = self.start.max(position.min(self.applied));
    }

    /// Cuts off what lies behind `keep`.
    ///
    /// # Panics
    /// If that is committed: then the protocol itself is broken, and going on would spread the damage.
    pub fn truncate(&mut self, keep: Position) {
        assert!(keep >= self.committed, "truncating what is committed");
        let Some(index) = self.index(keep) else {
            return;
        };
        for Slot { entry, previous } in self.tail.drain(index..).rev() {
            let size = entry.size();
            self.tail_bytes -= size;
            self.unapplied_bytes -= size;
            for (change, previous) in entry.changes.iter().zip(previous) {
                match previous.filter(|seq| !self.forgotten.covers(*seq)) {
                    Some(previous) => self.newest.insert(change.key.clone(), previous),
                    None => self.newest.remove(&change.key),
                };
            }
        }
        self.end = keep.min(self.end);
        self.persisted = self.persisted.min(self.end);
        self.history.truncate(self.end);
    }

    /// Begins anew behind a full state of that moment.
    pub fn reset(&mut self, at: Moment, history: EpochHistory) {
        let Moment {
            position: at,
            revision,
        } = at;
        assert!(
            at >= self.committed,
            "a full state older than what is committed"
        );
        *self = Self {
            start: at,
            end: at,
            persisted: at,
            committed: at,
            applied: at,
            forgotten: at,
            history,
            tail: VecDeque::new(),
            tail_start: at,
            tail_base: revision,
            tail_bytes: 0,
            tail_bytes_max: self.tail_bytes_max,
            unapplied_bytes: 0,
            newest: BTreeMap::new(),
        };
    }

    /// Entries from `from` on, as many as `bytes_max` and `entries_max` allow but at least one if there is any; `None`
    /// if they are not in memory.
    pub fn entries(
        &self,
        from: Position,
        bytes_max: usize,
        entries_max: usize,
    ) -> Option<Vec<Arc<Entry>>> {
        let index = self.index(from)?;
        let mut bytes = 0;
        let mut entries = Vec::new();
        for Slot { entry, .. } in self.tail.range(index..).take(entries_max) {
            bytes += entry.size();
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            entries.push(Arc::clone(entry));
        }
        Some(entries)
    }

    /// The epoch of the entry `seq`; `None` if it is not in the log, or too old to be known.
    pub fn epoch_of(&self, seq: Seq) -> Option<Epoch> {
        self.end.covers(seq).then(|| self.history.epoch_of(seq))?
    }

    /// The record the key has after all entries received, where one of them that is not left to the state changes it:
    /// `Some(None)` when it was removed.
    pub fn newest(&self, key: &Key) -> Option<Option<&Record>> {
        self.newest.get(key).map(|seq| self.slot(*seq).record(key))
    }

    /// The record the key has after all entries known to be committed, where one of them that is not left to the state
    /// changes it: `Some(None)` when it was removed.
    pub fn newest_committed(&self, key: &Key) -> Option<Option<&Record>> {
        let mut version = self.newest.get(key).copied();
        while let Some(seq) = version.filter(|seq| !self.forgotten.covers(*seq)) {
            if self.committed.covers(seq) {
                return Some(self.slot(seq).record(key));
            }
            version = self.slot(seq).previous(key);
        }
        None
    }

    /// Where the log has to be committed up to for everything that it changes of the key to be; `None` if it is.
    pub fn dirty_until(&self, key: &Key) -> Option<Position> {
        let newest = self.newest.get(key)?;
        (!self.committed.covers(*newest)).then(|| Position::behind(*newest))
    }

    /// What `newest` tells of all keys of the range, in their order.
    pub fn newest_of<'a>(
        &'a self,
        range: &KeyRange,
    ) -> impl Iterator<Item = (&'a Key, Option<&'a Record>)> {
        let changed = range.of(&self.newest);
        changed.map(|(key, seq)| (key, self.slot(*seq).record(key)))
    }

    fn slot(&self, seq: Seq) -> &Slot {
        let index = self
            .index(Position::before(seq))
            .expect("what is not forgotten is in memory");
        &self.tail[index]
    }

    /// Where in `tail` the entry behind `position` is, or would be appended.
    fn index(&self, position: Position) -> Option<usize> {
        if position > self.end {
            return None;
        }
        position
            .0
            .checked_sub(self.tail_start.0)
            .map(|index| index as usize)
    }

    fn shorten_tail(&mut self) {
        while self.tail_bytes > self.tail_bytes_max && self.tail_start < self.forgotten {
            let slot = self
                .tail
                .pop_front()
                .expect("there is a forgotten entry in memory");
            self.tail_bytes -= slot.entry.size();
            self.tail_start = self.tail_start.next();
            self.tail_base = slot.entry.revision;
        }
    }

    /// Asserts what the struct promises.
    pub fn check(&self) {
        assert!(
            self.start <= self.applied,
            "the state lacks what is trimmed"
        );
        assert!(
            self.forgotten <= self.applied,
            "reads left to a state that has not got the entry"
        );
        assert!(
            self.applied <= self.committed,
            "the state has what is not committed"
        );
        assert!(
            self.committed <= self.end,
            "committed what is not in the log"
        );
        assert!(
            self.persisted <= self.end,
            "persisted what is not in the log"
        );
        assert!(
            self.tail_start <= self.forgotten,
            "an entry that is needed is not in memory"
        );
        assert_eq!(
            self.tail_start.0 + self.tail.len() as u64,
            self.end.0,
            "the tail has gaps"
        );
        let bytes: usize = self.tail.iter().map(|slot| slot.entry.size()).sum();
        assert_eq!(self.tail_bytes, bytes, "the tail is miscounted");
    }
}
