//! What nodes ask of the arbiter, and when they may.

use super::model::{Model, is_member, primary};
use super::omissions::Omission;
use super::state::{Change, Nodes, State};
use super::time::{LEASE, PROMISE};

impl Model {
    pub(super) fn propose_remove(&self, state: &mut State, id: usize, other: u8) -> Option<()> {
        let node = primary(state, id)?;
        if !node.config.in_sync.has(other.into()) {
            return None;
        }
        let omits = self.omits(Omission::ShrinksBeforeConfirmation);
        self.propose(state, id, Change::RemoveInSync(other))?;
        if omits {
            let tenure = &mut state.nodes[id].tenure;
            tenure.dropped = tenure.dropped.with(other.into());
        }
        Some(())
    }

    pub(super) fn propose_add(&self, state: &mut State, id: usize, b: u8) -> Option<()> {
        let node = primary(state, id)?;
        let other = usize::from(b);
        let tenure = &node.tenure;
        let is_caught_up = tenure.matched.has(other)
            || tenure.answered.has(other) && tenure.recommitted && !node.committed;
        let may_add = node.config.joining.has(other)
            && tenure.recommitted
            && (is_caught_up || self.omits(Omission::AddedBeforeCaughtUp))
            && (tenure.peers[other].lease < LEASE || self.omits(Omission::AddedWithoutPromise));
        if !may_add && !tenure.counted.has(other) {
            return None;
        }
        let version = node.config.version;
        self.propose(state, id, Change::AddInSync(b))?;
        if !self.omits(Omission::CountedAfterConfirmation) {
            let tenure = &mut state.nodes[id].tenure;
            tenure.counted = tenure.counted.with(other);
            tenure.proposed = version;
        }
        Some(())
    }

    pub(super) fn propose_drained(&self, state: &mut State, id: usize, b: u8) -> Option<()> {
        let node = primary(state, id)?;
        let other = usize::from(b);
        let is_over = node.tenure.waited && self.is_over(node, other)
            || self.omits(Omission::DrainedTooEarly);
        if !node.config.draining.has(other) || !is_over {
            return None;
        }
        self.propose(state, id, Change::Drained(b))
    }

    pub(super) fn propose_replace(&self, state: &mut State, id: usize) -> Option<()> {
        let node = &state.nodes[id];
        let promise = if self.omits(Omission::ReplacesWithoutWaiting) {
            0
        } else if self.omits(Omission::PromiseIgnoresRho) {
            LEASE
        } else {
            PROMISE
        };
        let may_propose = is_member(node)
            && node.config.in_sync.has(id)
            && !node.config.is_primary(id)
            && node.promise >= promise;
        if !may_propose || node.config.epoch >= self.scope.epochs {
            return None;
        }
        let version = node.config.version;
        self.propose(state, id, Change::ReplacePrimary)?;
        state.nodes[id].proposed = version;
        Some(())
    }

    pub(super) fn hand_over(&self, state: &mut State, id: usize, to: u8) -> Option<()> {
        let node = primary(state, id)?;
        if !node.config.in_sync.has(to.into()) || node.config.epoch >= self.scope.epochs {
            return None;
        }
        self.propose(state, id, Change::HandOver(to))?;
        state.nodes[id].tenure.stopped = true;
        Some(())
    }

    pub(super) fn leave(&self, state: &mut State, id: usize) -> Option<()> {
        let node = &mut state.nodes[id];
        let knows = node.config.draining.has(id);
        if !is_member(node) || node.config.is_primary(id) || !node.config.in_sync.has(id) && !knows
        {
            return None;
        }
        node.left = knows;
        let incarnation = node.incarnation;
        self.propose(state, id, Change::Leave(incarnation))
    }

    fn propose(&self, state: &mut State, id: usize, change: Change) -> Option<()> {
        let version = state.nodes[id].config.version;
        // A proposal that comes too late is refused, and closes nothing: it need not be sent.
        let is_stale = version < state.arbiter.config.version;
        if version >= self.scope.versions {
            return None;
        }
        if !is_stale {
            state.network.proposals[id] = Some((version, change));
        }
        Some(())
    }

    pub(super) fn arbitrate(&self, state: &mut State, id: usize) -> Option<()> {
        let (version, change) = state.network.proposals[id]?;
        state.arbiter.on_propose(id, version, change, self.omission);
        Some(())
    }
}

pub(super) fn give_up_addition(state: &mut State, id: usize) -> Option<()> {
    primary(state, id)?;
    let tenure = &mut state.nodes[id].tenure;
    tenure.counted = Nodes::NONE;
    tenure.proposed = 0;
    Some(())
}
