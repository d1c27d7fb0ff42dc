//! A replica's log as the protocol sees it: how far it is appended, persisted, committed and applied, and in which epochs.
//!
//! The bytes are the storage's. This file says which entries exist and which must stay in memory; `tail` has those, and
//! what a read sees of them before the state has it.

mod tail;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::tail::Tail;
use crate::config::{Epoch, Position, Seq};
use crate::epochs::EpochHistory;
use crate::operation::{Entry, Key, Moment, Record, Revision};
use crate::range::KeyRange;
use crate::shares::Shares;
use crate::storage::Recovered;

/// The log of one replica.
///
/// - `start <= applied <= committed <= end()`, and `persisted <= end()`.
/// - `tail` reaches to the end, and has forgotten nothing behind `applied`: what is not applied is in memory.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log {
    start: Position,
    persisted: Position,
    committed: Position,
    applied: Position,
    /// Bytes of the entries that are not applied.
    unapplied: Shares,
    history: EpochHistory,
    tail: Tail,
}

impl Log {
    /// The log that a start found on disk. It is durable, and committed as far as it is applied; of the rest nobody
    /// here knows.
    pub fn open(recovered: &Recovered, tail_bytes_max: usize) -> Self {
        let state = Moment {
            position: recovered.applied,
            revision: planted!(RevisionNotRecovered => Revision::FIRST, recovered.revision),
        };
        let mut log = Self {
            start: recovered.log_start,
            persisted: recovered.log_end,
            committed: recovered.applied,
            applied: recovered.applied,
            unapplied: Shares::default(),
            history: recovered.history.up_to(recovered.applied),
            tail: Tail::behind(state, tail_bytes_max),
        };
        for entry in &recovered.tail {
            log.append(Arc::clone(entry));
        }
        assert_eq!(
            log.end(),
            recovered.log_end,
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
        self.tail.end()
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
        self.tail.revision()
    }

    /// That of the store after the entries before `position`, which is in memory: not before `applied()`, nor behind `end()`.
    pub fn revision_at(&self, position: Position) -> Revision {
        self.tail.revision_at(position)
    }

    /// Bytes of the entries that are not applied, which therefore have to be in memory, by the owners of the clients that led to
    /// them.
    pub fn unapplied(&self) -> &Shares {
        &self.unapplied
    }

    /// Bytes of all entries in memory.
    pub fn tail_bytes(&self) -> usize {
        self.tail.bytes()
    }

    /// Appends the entry that follows the last one.
    ///
    /// # Panics
    /// If it does not follow it.
    pub fn append(&mut self, entry: Arc<Entry>) {
        assert_eq!(entry.seq, self.end().next_seq(), "the log has no gaps");
        self.history.append(entry.epoch, entry.seq);
        let owner = entry.owner();
        self.unapplied.take(owner, self.tail.append(entry));
    }

    /// Takes up that the log is durable up to `position`.
    pub fn advance_persisted(&mut self, position: Position) {
        self.persisted = self.persisted.max(position.min(self.end()));
    }

    /// Takes up that the log is committed up to `position`, or its end if that comes earlier, and returns the entries
    /// that are committed thereby.
    pub fn advance_committed(&mut self, position: Position) -> Vec<Arc<Entry>> {
        let position = planted!(CommitsBeyondLog => position, position.min(self.end()));
        if position <= self.committed {
            return Vec::new();
        }
        let committed = self.tail.between(self.committed, position);
        self.committed = position;
        committed
    }

    /// Takes up that the state has the entries before `position`. They stay visible to reads until `forget`.
    pub fn advance_applied(&mut self, position: Position) {
        let position = position.min(self.committed);
        while self.applied < position {
            let entry = self.tail.entry(self.applied);
            self.unapplied.give_back(entry.owner(), entry.size());
            self.applied = self.applied.next();
        }
    }

    /// Leaves reads of what was written before `position`, which is applied, to the state.
    pub fn forget(&mut self, position: Position) {
        self.tail.forget(position.min(self.applied));
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
        let keep = keep.min(self.end());
        for entry in self.tail.truncate(keep) {
            self.unapplied.give_back(entry.owner(), entry.size());
        }
        self.persisted = self.persisted.min(keep);
        self.history.truncate(keep);
    }

    /// Begins anew behind a full state of that moment.
    pub fn reset(&mut self, at: Moment, history: EpochHistory) {
        let position = at.position;
        assert!(
            position >= self.committed,
            "a full state older than what is committed"
        );
        *self = Self {
            start: position,
            persisted: position,
            committed: position,
            applied: position,
            unapplied: Shares::default(),
            history,
            tail: Tail::behind(at, self.tail.bytes_max()),
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
        self.tail.entries(from, bytes_max, entries_max)
    }

    /// The epoch of the entry `seq`; `None` if it is not in the log, or too old to be known.
    pub fn epoch_of(&self, seq: Seq) -> Option<Epoch> {
        self.end().covers(seq).then(|| self.history.epoch_of(seq))?
    }

    /// The record the key has after all entries received, where one of them that is not left to the state changes it:
    /// `Some(None)` when it was removed.
    pub fn newest(&self, key: &Key) -> Option<Option<&Record>> {
        self.tail.newest(key)
    }

    /// The record the key has after all entries known to be committed, where one of them that is not left to the state
    /// changes it: `Some(None)` when it was removed.
    pub fn newest_committed(&self, key: &Key) -> Option<Option<&Record>> {
        self.tail.newest_before(self.committed, key)
    }

    /// Where the log has to be committed up to for everything that it changes of the key to be; `None` if it is.
    pub fn dirty_until(&self, key: &Key) -> Option<Position> {
        let last = self.tail.last_change(key)?;
        (!self.committed.covers(last)).then(|| Position::behind(last))
    }

    /// What `newest` tells of all keys of the range, in their order.
    pub fn newest_of<'a>(
        &'a self,
        range: &KeyRange,
    ) -> impl Iterator<Item = (&'a Key, Option<&'a Record>)> {
        self.tail.newest_of(range)
    }

    /// Asserts what the struct promises.
    pub fn check(&self) {
        assert!(
            self.start <= self.applied,
            "the state lacks what is trimmed"
        );
        assert!(
            self.tail.forgotten() <= self.applied,
            "reads left to a state that has not got the entry"
        );
        assert!(
            self.applied <= self.committed,
            "the state has what is not committed"
        );
        assert!(
            self.committed <= self.end(),
            "committed what is not in the log"
        );
        assert!(
            self.persisted <= self.end(),
            "persisted what is not in the log"
        );
        self.tail.check();
    }
}
