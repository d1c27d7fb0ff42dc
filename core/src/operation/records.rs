//! What the store keeps, and how its changes are counted.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::Position;

use super::{Key, Value};

/// Counts the changes of the whole store. A new store is at 1, and every entry that changes something raises it by one. It
/// is no place in the log: an entry that changes nothing has a place and raises nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision(pub u64);

impl Revision {
    /// That of a new store.
    pub const FIRST: Self = Self(1);

    /// The one after this. The greatest has none after it, so that no number a peer makes up overflows.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Default for Revision {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How far the store is after the entries before a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Moment {
    /// The position.
    pub position: Position,
    /// The revision they have brought it to.
    pub revision: Revision,
}

/// Names a lease: the records attached to it go when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseId(pub u64);

/// What the store keeps under a key.
///
/// A key lives from when it is set while it is absent until it is removed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The value.
    pub value: Value,
    /// The revision with which the key's life began.
    pub created: Revision,
    /// The revision with which it was set last.
    pub modified: Revision,
    /// How often it was set in this life.
    pub version: u64,
    /// The lease that it is attached to, if it is to one.
    pub lease: Option<LeaseId>,
}

impl Record {
    /// A life of a key begins with `value`.
    pub fn first(value: Value, revision: Revision) -> Self {
        Self {
            value,
            created: revision,
            modified: revision,
            version: 1,
            lease: None,
        }
    }

    /// Is it as it was when the key's life began, and attached to nothing?
    pub(super) fn is_first(&self) -> bool {
        let Self {
            value: _,
            created,
            modified,
            version,
            lease,
        } = self;
        created == modified && *version == 1 && lease.is_none()
    }
}

/// A record and the key it is under.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Keyed {
    /// The key.
    pub key: Key,
    /// The record.
    pub record: Record,
}

impl Keyed {
    /// As [`Change::is_possible`](super::Change::is_possible).
    pub fn is_possible(&self) -> bool {
        self.key.is_possible() && self.record.value.is_possible()
    }

    /// Bytes of key and value.
    pub fn size(&self) -> usize {
        self.key.0.len() + self.record.value.0.len()
    }
}

impl From<(Key, Record)> for Keyed {
    fn from((key, record): (Key, Record)) -> Self {
        Self { key, record }
    }
}

#[cfg(test)]
impl Moment {
    /// Behind so many entries, all of which have changed something.
    pub(crate) fn behind(position: u64) -> Self {
        Self {
            position: Position(position),
            revision: Revision(position + 1),
        }
    }
}

#[cfg(test)]
impl Keyed {
    /// A record that was set once, at the beginning.
    pub(crate) fn of(key: impl Into<Key>, value: impl Into<Value>) -> Self {
        let record = Record::first(value.into(), Revision::FIRST);
        let key = key.into();
        Self { key, record }
    }
}
