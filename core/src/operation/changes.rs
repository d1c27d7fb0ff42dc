//! What stands at a place of the log: what was decided of a request, and what that changes.
//!
//! The primary turns a request into this when it gives it its place. Whoever is behind the primary, on other replicas or on a
//! disk, sees changes and knows no operations.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::config::{Epoch, Owner, Seq};

use super::{Author, Key, Origin, Record, Revision, Value};
#[cfg(test)]
use super::{ClientId, RequestId};

/// What becomes of one key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// What it has from then on; `None` when it is removed, whether or not it was there.
    pub record: Option<Record>,
}

impl Change {
    /// A life of the key begins with `value`.
    pub fn insert(key: Key, value: Value, revision: Revision) -> Self {
        let record = Some(Record::first(value, revision));
        Self { key, record }
    }

    /// The key is removed.
    pub fn remove(key: Key) -> Self {
        Self { key, record: None }
    }

    /// The value it sets.
    pub fn value(&self) -> Option<&Value> {
        self.record.as_ref().map(|record| &record.value)
    }

    /// Is there a cluster that takes such a key and value, whatever its limits are? No store need be able to keep others.
    pub fn is_possible(&self) -> bool {
        let is_value_possible = self.value().is_none_or(Value::is_possible);
        self.key.is_possible() && is_value_possible
    }

    /// Bytes of key and value.
    pub fn size(&self) -> usize {
        self.key.0.len() + self.value().map_or(0, |value| value.0.len())
    }
}

/// What one entry changes, each key once. Mostly it is one key, and that takes no memory of its own.
pub type Changes = SmallVec<[Change; 1]>;

impl Revision {
    /// That of a store of this revision once it has `changes`.
    #[must_use]
    pub fn after(self, changes: &[Change]) -> Self {
        match changes {
            [] => self,
            [..] => self.next(),
        }
    }
}

/// What was decided of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// It is executed.
    Executed,
    /// It is not, and never will be: its entry only takes its place.
    Cancelled,
}

/// The entry of a request, as far as its client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decided {
    /// Its place.
    pub seq: Seq,
    /// That of the store once it has it.
    pub revision: Revision,
    /// What was decided.
    pub verdict: Verdict,
}

/// One place of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The epoch it was made in; it keeps that epoch for ever.
    pub epoch: Epoch,
    /// Its place.
    pub seq: Seq,
    /// That of the store once it has this: one more than before if it changes something, else the same.
    pub revision: Revision,
    /// What it changes; nothing, if the request is cancelled. What it sets is modified with its revision.
    pub changes: Changes,
    /// What was decided.
    pub verdict: Verdict,
    /// Who asked for it.
    pub author: Author,
}

impl Entry {
    /// The request that led to it; `None` if no client asked.
    pub fn origin(&self) -> Option<&Origin> {
        match &self.author {
            Author::Client(origin, _) => Some(origin),
            Author::Cluster => None,
        }
    }

    /// Who owns the client that led to it.
    pub fn owner(&self) -> Owner {
        match &self.author {
            Author::Client(_, owner) => *owner,
            Author::Cluster => Owner::CLUSTER,
        }
    }

    /// What it says of its request.
    pub fn decided(&self) -> Decided {
        Decided {
            seq: self.seq,
            revision: self.revision,
            verdict: self.verdict,
        }
    }

    /// What becomes of the key; `None` if it leaves that as it is.
    pub fn change_of(&self, key: &Key) -> Option<&Change> {
        self.changes.iter().find(|change| change.key == *key)
    }

    /// Bytes this keeps in memory, about: itself, and keys and values.
    pub fn size(&self) -> usize {
        let elsewhere = match self.changes.spilled() {
            true => self.changes.len() * size_of::<Change>(),
            false => 0,
        };
        let bytes: usize = self.changes.iter().map(Change::size).sum();
        size_of::<Self>() + elsewhere + bytes
    }

    /// Bytes that entries keep in memory together.
    pub fn size_of_all(entries: &[Arc<Self>]) -> usize {
        entries.iter().map(|entry| entry.size()).sum()
    }
}

#[cfg(test)]
impl Entry {
    /// An entry that sets the key to the value, or removes it, for the request of client 1 that has its seq for a number;
    /// in a log whose entries all change something.
    pub(crate) fn of(epoch: u64, seq: u64, key: impl Into<Key>, value: Option<Value>) -> Self {
        let revision = Revision(seq + 2);
        let change = match value {
            Some(value) => Change::insert(key.into(), value, revision),
            None => Change::remove(key.into()),
        };
        Self {
            epoch: Epoch(epoch),
            seq: Seq(seq),
            revision,
            changes: [change].into(),
            verdict: Verdict::Executed,
            author: Author::Client(Origin::plain(ClientId(1), RequestId(seq)), Owner(1)),
        }
    }
}
