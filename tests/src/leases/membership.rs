//! Which config a node is in, and in which role: joining, learning, ending and starting again.

use super::model::Model;
use super::omissions::Omission;
use super::state::{Config, Node, Nodes, State, Tenure};
use super::time::{LEASE, PROMISE};

impl Model {
    pub(super) fn join(&self, state: &mut State, id: usize) -> Option<()> {
        let node = &state.nodes[id];
        let config = &state.arbiter.config;
        let is_new = node.incarnation > state.arbiter.incarnations[id];
        let is_outside = !config.in_sync.has(id) && !config.joining.has(id);
        let knows = !node.config.in_sync.has(id) || self.omits(Omission::DrainingJoinsUninformed);
        let may_join = node.up
            && !node.left
            && (is_new || self.scope.additions && is_outside && knows)
            && config.version < self.scope.versions;
        if !may_join || config.is_primary(id) && config.epoch >= self.scope.epochs {
            return None;
        }
        let (incarnation, version) = (node.incarnation, node.config.version);
        state
            .arbiter
            .on_join(id, incarnation, version, self.omission);
        Some(())
    }

    pub(super) fn learn(&self, state: &mut State, id: usize) -> Option<()> {
        let config = state.arbiter.config;
        let node = &mut state.nodes[id];
        let is_answered = state.arbiter.incarnations[id] == node.incarnation;
        let is_news = config.version > node.config.version || !node.joined;
        if !node.up || !is_answered || !is_news || node.left {
            return None;
        }
        let has_restarted = !node.joined;
        node.joined = true;
        self.enter(id, node, config, has_restarted);
        Some(())
    }

    /// A node enters a newer config.
    fn enter(&self, id: usize, node: &mut Node, config: Config, has_restarted: bool) {
        let former = node.config;
        node.config = config;
        node.proposed = 0;
        let is_removed = former.in_sync.has(id) && !config.in_sync.has(id);
        if config.epoch > former.epoch {
            if !self.omits(Omission::EpochIsNoPromise) {
                node.promise = 0;
            }
            if !self.omits(Omission::LeaseSurvivesEpoch) {
                node.lease = LEASE;
                node.given_up = 0;
            }
            node.tenure = Tenure::NONE;
            if config.is_primary(id) {
                self.start_tenure(node, has_restarted);
            }
        } else if is_removed {
            node.lease = LEASE;
            node.given_up = 0;
        }
        let tenure = &mut node.tenure;
        if tenure.epoch != 0 {
            let removed = former.in_sync.minus(config.in_sync);
            let draining = tenure.draining.and(removed);
            tenure.draining = draining.minus(draining.minus(config.draining));
            tenure.dropped = Nodes::NONE;
            tenure.stopped = false;
            if config.version > tenure.proposed {
                tenure.counted = Nodes::NONE;
                tenure.proposed = 0;
            }
        }
    }

    fn start_tenure(&self, node: &mut Node, has_restarted: bool) {
        let omission = if has_restarted {
            Omission::RestartedPrimaryDoesNotWait
        } else {
            Omission::NewPrimaryDoesNotWait
        };
        node.tenure = Tenure {
            epoch: node.config.epoch,
            recommitted: node.log == 0,
            waited: self.omits(omission),
            ..Tenure::NONE
        };
        node.lease = LEASE;
    }

    pub(super) fn restart(&self, state: &mut State, id: usize) -> Option<()> {
        let node = &mut state.nodes[id];
        if node.up {
            return None;
        }
        node.up = true;
        node.incarnation += 1;
        node.promise = if self.omits(Omission::RestartForgetsPromise) {
            PROMISE
        } else if self.omits(Omission::RestartIgnoresRho) {
            PROMISE - LEASE
        } else {
            0
        };
        node.given_up = 0;
        Some(())
    }
}

pub(super) fn crash(state: &mut State, id: usize) -> Option<()> {
    let node = &mut state.nodes[id];
    if !node.up || state.crashes == 0 {
        return None;
    }
    state.crashes -= 1;
    node.up = false;
    node.held = false;
    node.joined = false;
    node.left = false;
    node.config = Config::unknown(node.config.epoch);
    node.committed = false;
    node.promise = 0;
    node.lease = LEASE;
    node.given_up = 0;
    node.proposed = 0;
    node.tenure = Tenure::NONE;
    Some(())
}
