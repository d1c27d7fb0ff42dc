//! What the arbiters have chosen, as their disks say: known as soon as a majority of them has accepted it.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::config::{ArbiterId, Config, Step};
use lockstep_core::register::{Arbiters, Held, Mark};
use lockstep_core::storage::{ArbiterKeeper, ArbiterRecord};

use crate::faults::Path;

/// The newest record that is chosen, and who has accepted a newer one.
#[derive(Debug)]
pub(super) struct Chosen {
    held: Held<ArbiterRecord>,
    accepted: BTreeMap<Mark, BTreeSet<ArbiterId>>,
}

impl Chosen {
    /// Chosen from the beginning.
    pub(super) fn new(held: Held<ArbiterRecord>) -> Self {
        Self {
            held,
            accepted: BTreeMap::new(),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.held.value.config
    }

    /// Who keeps it.
    pub(super) fn arbiters(&self) -> &Arbiters {
        &self.held.arbiters
    }

    pub(super) fn mark(&self) -> Mark {
        self.held.mark
    }

    /// An arbiter has this on its disk. Returns what is rare about what that makes chosen.
    ///
    /// # Errors
    /// If it contradicts what was chosen.
    pub(super) fn on_saved(&mut self, keeper: &ArbiterKeeper) -> Result<Vec<Path>, String> {
        let Some(held) = keeper.held() else {
            return Ok(Vec::new());
        };
        // Who is alone may have got an older copy of its directory.
        if held.mark <= self.held.mark && held.arbiters.all().len() > 1 {
            return Ok(Vec::new());
        }
        let by = self.accepted.entry(held.mark).or_default();
        by.insert(keeper.id());
        if !held.arbiters.is_majority(by) {
            return Ok(Vec::new());
        }
        let (former, next) = (&self.held.value, &held.value);
        let is_next = next == former || next.config.version > former.config.version;
        let is_alone = held.arbiters.all().len() == 1;
        if !is_next && !is_alone {
            return Err(format!(
                "what was chosen is {former:?}, and then is {next:?}"
            ));
        }
        let mut passed = Vec::new();
        if held.mark.ballot.arbiter != self.held.mark.ballot.arbiter {
            passed.push(Path::ChairTakenOver);
        }
        if held.mark.step == Step::ZERO && next != former {
            passed.push(Path::MinorityChosen);
        }
        if held.arbiters.next().is_some() {
            passed.push(Path::JointSet);
        }
        let (former, present) = (self.held.arbiters.present(), held.arbiters.present());
        if former.len() == present.len() && former != present {
            passed.push(Path::ArbiterReplaced);
        }
        self.held = held.clone();
        self.accepted = self.accepted.split_off(&held.mark);
        self.accepted.remove(&held.mark);
        Ok(passed)
    }
}
