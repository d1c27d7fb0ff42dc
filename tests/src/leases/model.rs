//! What may happen next: the rules of the lease argument, as actions on a state.
//!
//! Every action may wait for as long as it likes, so a process that is paused, a message that is late and a timer that
//! fires long after it was due need no actions of their own.

use super::omissions::Omission;
use super::scope::Scope;
use super::state::{Beat, Node, Nodes, State};
use super::time::{LEASE, PROMISE};
use super::{membership, proposals, writes};

/// One step of the model. The first node is the one that acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Time passes; the clocks of these nodes stand still.
    Tick(Nodes),
    SendBeacon(u8, u8),
    TakeBeacon(u8, u8),
    TakeBeaconAck(u8, u8),
    /// A Beacon and its answer, at once.
    Exchange(u8, u8),
    /// A Beacon that arrives at once, and whose answer is lost.
    Reach(u8, u8),
    Write(u8),
    /// A secondary takes the primary's log, and acknowledges it.
    TakeLog(u8, u8),
    TakeSnapshotAck(u8, u8),
    Commit(u8),
    /// A secondary learns what is committed.
    TakeCommitted(u8, u8),
    ProposeRemove(u8, u8),
    ProposeAdd(u8, u8),
    ProposeDrained(u8, u8),
    ProposeReplace(u8),
    Leave(u8),
    /// The proposal of a node reaches the arbiter.
    Arbitrate(u8),
    /// A node that has started, or was removed, joins, and the Join arrives.
    Join(u8),
    /// A node learns the arbiter's config.
    Learn(u8),
    Crash(u8),
    Restart(u8),
    HandOver(u8, u8),
    /// An omission: reads the time, and is paused before it takes its next input.
    Hold(u8),
    /// An omission: takes an open addition for failed.
    GiveUpAddition(u8),
}

/// The rules, in a scope, with one of them left out or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    pub(super) scope: Scope,
    pub(super) omission: Option<Omission>,
}

impl Model {
    pub(super) fn omits(&self, omission: Omission) -> bool {
        self.omission == Some(omission)
    }

    /// Everything that may be tried in a state; most of it is not possible in most states.
    pub(super) fn actions(&self) -> Vec<Action> {
        use Action::*;
        let scope = &self.scope;
        let mut actions = Vec::new();
        let mut lagging = vec![Nodes::NONE];
        for node in scope.laggards.iter() {
            for i in 0..lagging.len() {
                lagging.push(lagging[i].with(node));
            }
        }
        actions.extend(lagging.into_iter().map(Tick));
        for node in scope.members().iter() {
            let a = node as u8;
            for other in scope.members().without(node).iter() {
                let b = other as u8;
                if scope.prompt {
                    actions.extend([Exchange(a, b), Reach(a, b)]);
                } else {
                    actions.extend([SendBeacon(a, b), TakeBeacon(a, b), TakeBeaconAck(a, b)]);
                }
                actions.extend([TakeLog(a, b), TakeCommitted(a, b)]);
                if !scope.prompt {
                    actions.push(TakeSnapshotAck(a, b));
                }
                if scope.removable.has(other) {
                    actions.extend([ProposeRemove(a, b), ProposeDrained(a, b)]);
                }
                if scope.additions {
                    actions.push(ProposeAdd(a, b));
                }
                if scope.hand_overs && scope.candidates.has(other) {
                    actions.push(HandOver(a, b));
                }
            }
            actions.extend([Write(a), Commit(a), Arbitrate(a), Join(a), Learn(a)]);
            if scope.candidates.has(node) {
                actions.push(ProposeReplace(a));
            }
            if scope.leavers.has(node) {
                actions.push(Leave(a));
            }
            if scope.mortal.has(node) {
                actions.extend([Crash(a), Restart(a)]);
            }
            if self.omits(Omission::TimeBeforeInput) {
                actions.push(Hold(a));
            }
            if self.omits(Omission::RefusalClosesAddition) {
                actions.push(GiveUpAddition(a));
            }
        }
        actions
    }

    /// The state after `action`, if it is possible.
    pub(super) fn apply(&self, state: &State, action: Action) -> Option<State> {
        if !self.may_try(state, action) {
            return None;
        }
        let mut next = *state;
        let done = match action {
            Action::Tick(lagging) => self.tick(&mut next, lagging),
            Action::SendBeacon(a, b) => self.send_beacon(&mut next, a.into(), b.into()),
            Action::TakeBeacon(a, b) => self.on_beacon(&mut next, a.into(), b.into()),
            Action::TakeBeaconAck(a, b) => self.on_beacon_ack(&mut next, a.into(), b.into()),
            Action::Exchange(a, b) => self.exchange(&mut next, a.into(), b.into()),
            Action::Reach(a, b) => self.reach(&mut next, a.into(), b.into()),
            Action::Write(a) => writes::write(&mut next, a.into()),
            Action::TakeLog(a, b) => self.take_log(&mut next, a.into(), b.into()),
            Action::TakeSnapshotAck(a, b) => writes::on_snapshot_ack(&mut next, a.into(), b.into()),
            Action::Commit(a) => self.commit(&mut next, a.into()),
            Action::TakeCommitted(a, b) => writes::take_committed(&mut next, a.into(), b.into()),
            Action::ProposeRemove(a, b) => self.propose_remove(&mut next, a.into(), b),
            Action::ProposeAdd(a, b) => self.propose_add(&mut next, a.into(), b),
            Action::ProposeDrained(a, b) => self.propose_drained(&mut next, a.into(), b),
            Action::ProposeReplace(a) => self.propose_replace(&mut next, a.into()),
            Action::Leave(a) => self.leave(&mut next, a.into()),
            Action::Arbitrate(a) => self.arbitrate(&mut next, a.into()),
            Action::Join(a) => self.join(&mut next, a.into()),
            Action::Learn(a) => self.learn(&mut next, a.into()),
            Action::Crash(a) => membership::crash(&mut next, a.into()),
            Action::Restart(a) => self.restart(&mut next, a.into()),
            Action::HandOver(a, b) => self.hand_over(&mut next, a.into(), b),
            Action::Hold(a) => self.hold(&mut next, a.into()),
            Action::GiveUpAddition(a) => proposals::give_up_addition(&mut next, a.into()),
        };
        done?;
        self.conclude(&mut next);
        (next != *state).then_some(next)
    }

    /// Whether it is worth copying the state to try `action`.
    fn may_try(&self, state: &State, action: Action) -> bool {
        let network = &state.network;
        let is_primary = |a: u8| state.nodes[usize::from(a)].tenure.epoch != 0;
        match action {
            Action::SendBeacon(a, _)
            | Action::Exchange(a, _)
            | Action::Reach(a, _)
            | Action::Write(a)
            | Action::Commit(a)
            | Action::ProposeRemove(a, _)
            | Action::ProposeAdd(a, _)
            | Action::ProposeDrained(a, _)
            | Action::HandOver(a, _)
            | Action::GiveUpAddition(a) => is_primary(a),
            Action::TakeBeacon(a, b) => {
                network.beacons[usize::from(b)][usize::from(a)].epoch != 0 && !is_primary(a)
            }
            Action::TakeBeaconAck(a, b) => {
                network.acks[usize::from(b)][usize::from(a)].epoch != 0 && is_primary(a)
            }
            Action::TakeLog(a, b) | Action::TakeCommitted(a, b) => is_primary(b) && !is_primary(a),
            Action::TakeSnapshotAck(a, b) => {
                network.snapshot_acks[usize::from(b)].0 != 0 && is_primary(a)
            }
            Action::ProposeReplace(a) | Action::Leave(a) => !is_primary(a),
            Action::Arbitrate(a) => network.proposals[usize::from(a)].is_some(),
            Action::Learn(a) => {
                let node = &state.nodes[usize::from(a)];
                node.config.version < state.arbiter.config.version || !node.joined
            }
            Action::Join(a) => {
                let config = &state.arbiter.config;
                let is_inside = config.in_sync.has(a.into()) || config.joining.has(a.into());
                !is_inside || !state.nodes[usize::from(a)].joined
            }
            Action::Crash(_) => state.crashes > 0,
            Action::Restart(a) => !state.nodes[usize::from(a)].up,
            Action::Tick(_) | Action::Hold(_) => true,
        }
    }

    /// What follows without anybody's doing.
    fn conclude(&self, state: &mut State) {
        for id in 0..state.nodes.len() {
            let node = &mut state.nodes[id];
            let tenure = &mut node.tenure;
            if tenure.epoch != 0 && !tenure.waited {
                let wait = if self.omits(Omission::WaitIgnoresRho) {
                    LEASE
                } else {
                    PROMISE
                };
                let others = node.config.in_sync.without(id);
                let nobody_drains = node.config.draining.is_empty()
                    || self.omits(Omission::ShortenedWaitIgnoresDraining);
                tenure.waited =
                    tenure.age >= wait || others.minus(tenure.answered).is_empty() && nobody_drains;
            }
            // What makes no difference any more is always the same.
            if tenure.waited {
                tenure.age = PROMISE;
            }
            if tenure.epoch != 0 {
                node.given_up = LEASE;
            }
            if tenure.epoch != 0 || !self.scope.candidates.has(id) {
                node.promise = PROMISE;
            }
        }
        // What a receiver would ignore is as good as lost.
        if !self.omits(Omission::StampsSurviveRestart)
            && !self.omits(Omission::StampsSurviveEpochAtPrimary)
        {
            state.forget_former_stamps();
        }
        let network = &mut state.network;
        for (from, node) in state.nodes.iter().enumerate() {
            if network.proposals[from].is_some_and(|(at, _)| at < state.arbiter.config.version) {
                network.proposals[from] = None;
            }
            for other in 0..state.nodes.len() {
                if !self.takes_former_beacons()
                    && network.beacons[other][from].epoch < node.config.epoch
                {
                    network.beacons[other][from] = Beat::NONE;
                }
                if !self.omits(Omission::StampsSurviveEpochAtPrimary)
                    && network.acks[other][from].epoch < node.config.epoch
                {
                    network.acks[other][from] = Beat::NONE;
                }
            }
        }
    }

    fn tick(&self, state: &mut State, lagging: Nodes) -> Option<()> {
        let count = lagging.iter().count();
        let may_lag = |node: usize| state.nodes[node].up && !state.nodes[node].lagged;
        if count > usize::from(state.lags) || !lagging.iter().all(may_lag) {
            return None;
        }
        state.tick(lagging);
        Some(())
    }

    fn hold(&self, state: &mut State, id: usize) -> Option<()> {
        self.answer(state, id)?;
        state.nodes[id].held = true;
        Some(())
    }
}

/// The node, if it acts as a primary.
pub(super) fn primary(state: &State, id: usize) -> Option<&Node> {
    let node = &state.nodes[id];
    (is_member(node) && node.tenure.epoch != 0).then_some(node)
}

/// Whether a node takes part: it is up, the arbiter has answered it, and it does not leave.
pub(super) fn is_member(node: &Node) -> bool {
    node.up && node.joined && !node.left && !node.held
}
