//! Which arbiters there are, and how many of them make a majority.
//!
//! A majority of one set and a majority of another may have nobody in common. So a change from one to the other goes by a
//! value with both, which needs a majority of each: whoever decides by the old set alone, and whoever decides by the new one
//! alone, meets somebody who has accepted that.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::config::ArbiterId;

/// The arbiters that count. Never none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Arbiters {
    present: BTreeSet<ArbiterId>,
    next: Option<BTreeSet<ArbiterId>>,
}

impl Arbiters {
    /// These; `None` if there are none.
    pub fn new(present: BTreeSet<ArbiterId>) -> Option<Self> {
        let next = None;
        (!present.is_empty()).then_some(Self { present, next })
    }

    /// One alone.
    pub fn lone(arbiter: ArbiterId) -> Self {
        Self {
            present: BTreeSet::from([arbiter]),
            next: None,
        }
    }

    /// Those of which a majority is needed.
    pub fn present(&self) -> &BTreeSet<ArbiterId> {
        &self.present
    }

    /// Those that take their place, of which a majority is needed, too; `None` while no change is under way.
    pub fn next(&self) -> Option<&BTreeSet<ArbiterId>> {
        self.next.as_ref()
    }

    /// All of them, each once.
    pub fn all(&self) -> BTreeSet<ArbiterId> {
        self.present
            .iter()
            .chain(self.next.iter().flatten())
            .copied()
            .collect()
    }

    /// Is it one of them?
    pub fn has(&self, arbiter: ArbiterId) -> bool {
        let next = self.next.as_ref();
        self.present.contains(&arbiter) || next.is_some_and(|next| next.contains(&arbiter))
    }

    /// Does its answer count? Not that of a stranger, such as a keeper whose directory was emptied: it has forgotten what it
    /// promised, and may answer what was meant for the one that it was.
    pub(super) fn counts(&self, arbiter: ArbiterId) -> bool {
        planted!(StrangersCount => true, self.has(arbiter))
    }

    /// Are those a majority?
    pub fn is_majority(&self, those: &BTreeSet<ArbiterId>) -> bool {
        let of = |set: &BTreeSet<ArbiterId>| {
            let count = planted!(StrangersCount => those.len(), set.intersection(those).count());
            2 * count > set.len()
        };
        let next = self.next.as_ref();
        planted!(MajorityOfEitherSet => of(&self.present) || next.is_some_and(of),
            of(&self.present) && next.is_none_or(of))
    }

    /// The first half of a change: from here on both count.
    pub(super) fn towards(&self, next: Self) -> Self {
        if planted!(SetChangedInOneStep) {
            return next;
        }
        let present = planted!(SecondSetChangeAtOnce => self.next.as_ref().unwrap_or(&self.present), &self.present);
        Self {
            present: present.clone(),
            next: Some(next.present),
        }
    }

    /// The second half; `None` if no change is under way.
    pub(super) fn settled(&self) -> Option<Self> {
        let next = self.next.clone()?;
        Self::new(next)
    }
}
