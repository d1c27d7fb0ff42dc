//! Writes: the entry reaches the others, and is committed once whoever might answer without it no longer does.

use super::model::{Model, is_member, primary};
use super::omissions::Omission;
use super::state::{Node, Nodes, State};
use super::time::{LEASE, PROMISE};

impl Model {
    pub(super) fn take_log(&self, state: &mut State, id: usize, from: usize) -> Option<()> {
        let sender = primary(state, from)?;
        let (epoch, log) = (sender.tenure.epoch, sender.log);
        let node = &mut state.nodes[id];
        if !is_member(node) || node.config.epoch != epoch || node.tenure.epoch != 0 {
            return None;
        }
        node.committed &= node.log == log;
        node.log = log;
        state.network.snapshot_acks[id] = (epoch, log);
        if self.scope.prompt {
            on_snapshot_ack(state, from, id)?;
        }
        Some(())
    }

    pub(super) fn is_over(&self, node: &Node, other: usize) -> bool {
        let length = if self.omits(Omission::RemovedLeaseIgnoresRho) {
            LEASE
        } else {
            PROMISE
        };
        node.tenure.peers[other].received >= length
    }

    pub(super) fn commit(&self, state: &mut State, id: usize) -> Option<()> {
        let node = primary(state, id)?;
        let tenure = &node.tenure;
        let members = node.config.in_sync.without(id).and(tenure.counted);
        let needed = members.minus(tenure.dropped);
        let draining = tenure.draining.and(tenure.dropped);
        let may_commit = node.log != 0
            && tenure.waited
            && needed.minus(tenure.matched).is_empty()
            && draining.minus(tenure.matched).iter().all(|other| {
                self.is_over(node, other) || self.omits(Omission::RemovedLeaseNotWaitedFor)
            });
        if !may_commit || node.committed && tenure.recommitted {
            return None;
        }
        let log = node.log;
        let node = &mut state.nodes[id];
        node.committed = true;
        node.tenure.recommitted = true;
        if state.acknowledged == 0 {
            state.acknowledged = log;
        }
        Some(())
    }
}

pub(super) fn write(state: &mut State, id: usize) -> Option<()> {
    let node = primary(state, id)?;
    if node.log != 0 {
        return None;
    }
    let epoch = node.tenure.epoch;
    let node = &mut state.nodes[id];
    node.log = epoch;
    node.tenure.matched = Nodes::NONE;
    Some(())
}

pub(super) fn on_snapshot_ack(state: &mut State, id: usize, from: usize) -> Option<()> {
    let (epoch, log) = state.network.snapshot_acks[from];
    let node = primary(state, id)?;
    if node.tenure.epoch != epoch {
        return None;
    }
    let node = &mut state.nodes[id];
    node.tenure.answered = node.tenure.answered.with(from);
    if node.log == log {
        node.tenure.matched = node.tenure.matched.with(from);
    }
    Some(())
}

pub(super) fn take_committed(state: &mut State, id: usize, from: usize) -> Option<()> {
    let sender = primary(state, from)?;
    let knows = sender.committed && sender.tenure.recommitted;
    let (epoch, log) = (sender.tenure.epoch, sender.log);
    let node = &mut state.nodes[id];
    let is_synced = state.network.snapshot_acks[id] == (epoch, log);
    if !is_member(node) || node.config.epoch != epoch || !knows || !is_synced {
        return None;
    }
    node.committed = true;
    Some(())
}
