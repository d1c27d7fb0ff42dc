//! What a search came across, so that one that saw nothing interesting is found out.

use super::model::{Action, Model};
use super::state::State;
use super::time::LEASE;

/// How many first arrivals there were at states in which something interesting happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reached {
    /// A write was acknowledged.
    pub commits: usize,
    /// A primary was replaced.
    pub failovers: usize,
    /// A write was acknowledged in a later epoch than the first.
    pub later_commits: usize,
    /// A primary holds its lease in a later epoch than the first.
    pub later_leases: usize,
    /// A secondary answers under a read lease.
    pub read_leases: usize,
    /// A removed node still answers under its read lease.
    pub draining_reads: usize,
    /// A node was removed.
    pub removals: usize,
    /// A node was added.
    pub additions: usize,
    /// A node started again.
    pub restarts: usize,
    /// A primary handed over, and was replaced.
    pub hand_overs: usize,
    /// A node left.
    pub leaves: usize,
}

impl Reached {
    pub(super) fn note(&mut self, model: &Model, before: &State, action: Action, after: &State) {
        let config = &after.arbiter.config;
        let former = &before.arbiter.config;
        let primary = &after.nodes[usize::from(config.primary)];
        self.later_leases += usize::from(
            primary.tenure.epoch > 1 && model.holds_lease(config.primary.into(), primary),
        );
        match action {
            Action::Commit(a) => {
                self.commits += 1;
                self.later_commits += usize::from(after.nodes[usize::from(a)].tenure.epoch > 1);
            }
            Action::Arbitrate(a) => {
                if config.epoch > former.epoch {
                    self.failovers += 1;
                    let deposed = &before.nodes[usize::from(former.primary)];
                    self.hand_overs += usize::from(deposed.tenure.stopped);
                } else if !config.in_sync.minus(former.in_sync).is_empty() {
                    self.additions += 1;
                } else if !config.draining.minus(former.draining).is_empty() {
                    self.removals += 1;
                } else if after.nodes[usize::from(a)].left {
                    self.leaves += 1;
                }
            }
            Action::TakeBeacon(a, _) | Action::Exchange(_, a) | Action::Reach(_, a)
                if after.nodes[usize::from(a)].lease < LEASE =>
            {
                self.read_leases += 1;
                self.draining_reads += usize::from(config.draining.has(a.into()));
            }
            Action::Restart(_) => self.restarts += 1,
            Action::Tick(_)
            | Action::SendBeacon(..)
            | Action::TakeBeacon(..)
            | Action::TakeBeaconAck(..)
            | Action::Exchange(..)
            | Action::Reach(..)
            | Action::Write(_)
            | Action::TakeLog(..)
            | Action::TakeSnapshotAck(..)
            | Action::TakeCommitted(..)
            | Action::ProposeRemove(..)
            | Action::ProposeAdd(..)
            | Action::ProposeDrained(..)
            | Action::ProposeReplace(_)
            | Action::Leave(_)
            | Action::Join(_)
            | Action::Learn(_)
            | Action::Crash(_)
            | Action::HandOver(..)
            | Action::Hold(_)
            | Action::GiveUpAddition(_) => {}
        }
    }

    /// The counts, each with what it counts.
    pub fn counts(&self) -> [(&'static str, usize); 11] {
        [
            ("commits", self.commits),
            ("failovers", self.failovers),
            ("commits in a later epoch", self.later_commits),
            ("primary's leases in a later epoch", self.later_leases),
            ("read leases", self.read_leases),
            ("read leases of removed nodes", self.draining_reads),
            ("removals", self.removals),
            ("additions", self.additions),
            ("restarts", self.restarts),
            ("hand-overs", self.hand_overs),
            ("leaves", self.leaves),
        ]
    }
}
