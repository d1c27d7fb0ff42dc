//! The names in one simulated directory.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::fault::{Mishap, Mishaps};
use super::survival::{Stamp, Survival};

/// Tells files and directories apart, whatever they are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Inode(pub(super) u64);

/// What a change makes of names: what each is from then on the name of. Atomic.
pub(super) type Change = Vec<(OsString, Option<Inode>)>;

/// What is in a directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    durable: BTreeMap<OsString, Inode>,
    present: BTreeMap<OsString, Inode>,
    unsynced: Vec<(Stamp, Change)>,
}

impl Names {
    pub(super) fn find(&self, name: &OsStr) -> Option<Inode> {
        self.present.get(name).copied()
    }

    /// All names, in their order.
    pub(super) fn list(&self) -> Vec<OsString> {
        self.present.keys().cloned().collect()
    }

    /// What has a name.
    pub(super) fn present(&self) -> Vec<Inode> {
        self.present.values().copied().collect()
    }

    /// What has a name, or may have one after a loss of power.
    pub(super) fn every(&self) -> Vec<Inode> {
        let unsynced = self.unsynced.iter().flat_map(|(_, change)| change);
        let unsynced = unsynced.filter_map(|(_, inode)| *inode);
        let names = self.present.values().chain(self.durable.values());
        names.copied().chain(unsynced).collect()
    }

    pub(super) fn change(&mut self, stamp: Stamp, change: Change) {
        apply(&mut self.present, &change);
        self.unsynced.push((stamp, change));
    }

    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
        self.durable.clone_from(&self.present);
    }

    /// Some of the changes are durable, in their order; the others remain to be made so.
    pub(super) fn fail_sync(&mut self, rng: &mut ChaCha8Rng) {
        let count = rng.random_range(0..=self.unsynced.len());
        for (_, change) in self.unsynced.drain(..count) {
            apply(&mut self.durable, &change);
        }
    }

    /// Power is lost.
    pub(super) fn crash(
        &mut self,
        survival: Survival,
        rng: &mut ChaCha8Rng,
        mishaps: &mut Mishaps,
    ) {
        for (stamp, change) in std::mem::take(&mut self.unsynced) {
            let mishap = if survival.keeps(stamp, rng) {
                apply(&mut self.durable, &change);
                Mishap::NameKept
            } else {
                Mishap::NameUndone
            };
            *mishaps.entry(mishap).or_default() += 1;
        }
        self.present.clone_from(&self.durable);
    }

    pub(super) fn is_durable(&self) -> bool {
        self.unsynced.is_empty()
    }
}

fn apply(names: &mut BTreeMap<OsString, Inode>, change: &Change) {
    for (name, inode) in change {
        match inode {
            Some(inode) => names.insert(name.clone(), *inode),
            None => names.remove(name),
        };
    }
}
