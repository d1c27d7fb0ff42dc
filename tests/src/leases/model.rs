//! What may happen next: the rules of the lease argument, as actions on a state.
//!
//! Every action may wait for as long as it likes, so a process that is paused, a message that is late and a timer that
//! fires long after it was due need no actions of their own.

use super::omissions::Omission;
use super::scope::Scope;
use super::state::{Beat, Change, Config, Node, Nodes, State, Tenure};
use super::time::{LEASE, PROMISE, Stamp};

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
    TakeOver(u8),
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
            if scope.hand_overs {
                actions.push(TakeOver(a));
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
            Action::Write(a) => write(&mut next, a.into()),
            Action::TakeLog(a, b) => self.take_log(&mut next, a.into(), b.into()),
            Action::TakeSnapshotAck(a, b) => on_snapshot_ack(&mut next, a.into(), b.into()),
            Action::Commit(a) => self.commit(&mut next, a.into()),
            Action::TakeCommitted(a, b) => take_committed(&mut next, a.into(), b.into()),
            Action::ProposeRemove(a, b) => self.propose_remove(&mut next, a.into(), b),
            Action::ProposeAdd(a, b) => self.propose_add(&mut next, a.into(), b),
            Action::ProposeDrained(a, b) => self.propose_drained(&mut next, a.into(), b),
            Action::ProposeReplace(a) => self.propose_replace(&mut next, a.into()),
            Action::Leave(a) => self.leave(&mut next, a.into()),
            Action::Arbitrate(a) => self.arbitrate(&mut next, a.into()),
            Action::Join(a) => self.join(&mut next, a.into()),
            Action::Learn(a) => self.learn(&mut next, a.into()),
            Action::Crash(a) => crash(&mut next, a.into()),
            Action::Restart(a) => self.restart(&mut next, a.into()),
            Action::HandOver(a, b) => hand_over(&mut next, a.into(), b.into()),
            Action::TakeOver(a) => take_over(&mut next, a.into()),
            Action::Hold(a) => self.hold(&mut next, a.into()),
            Action::GiveUpAddition(a) => give_up_addition(&mut next, a.into()),
        };
        done?;
        self.settle(&mut next);
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
            Action::TakeOver(a) => network.take_overs[usize::from(a)] != 0,
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
    fn settle(&self, state: &mut State) {
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
            if network.take_overs[from] < node.config.epoch {
                network.take_overs[from] = 0;
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

    /// Whether a primary holds its own lease.
    pub(super) fn holds_lease(&self, id: usize, node: &Node) -> bool {
        let tenure = &node.tenure;
        let mut others = node.config.in_sync.without(id);
        if !self.omits(Omission::PrimaryLeaseWithoutAdditions) {
            others = others.and(tenure.counted);
        }
        let holds = |other: usize| tenure.peers[other].lease < LEASE;
        if self.omits(Omission::PrimaryLeaseOfOne) {
            others.is_empty() || others.iter().any(holds)
        } else {
            others.iter().all(holds)
        }
    }

    fn may_grant(&self, id: usize, node: &Node, other: usize) -> bool {
        let tenure = &node.tenure;
        (self.holds_lease(id, node) || self.omits(Omission::GrantsWithoutLease))
            && (node.config.in_sync.has(other) || self.omits(Omission::GrantsToJoining))
            && (!tenure.stopped || self.omits(Omission::GrantsAfterTakeOver))
            && tenure.answered.has(other)
    }

    fn send_beacon(&self, state: &mut State, id: usize, to: usize) -> Option<()> {
        let node = primary(state, id)?;
        let echo = if self.may_grant(id, node, to) {
            node.tenure.peers[to].stamp
        } else {
            Stamp::NONE
        };
        state.network.beacons[id][to] = Beat {
            epoch: node.tenure.epoch,
            stamp: Stamp {
                age: 0,
                incarnation: node.incarnation,
            },
            echo,
        };
        Some(())
    }

    fn takes_former_beacons(&self) -> bool {
        self.omits(Omission::StampsSurviveEpochAtSecondary)
            || self.omits(Omission::StampsSurviveEpochUnheeded)
    }

    fn on_beacon(&self, state: &mut State, id: usize, from: usize) -> Option<()> {
        let beacon = state.network.beacons[from][id];
        let node = &mut state.nodes[id];
        if !is_member(node) || beacon.epoch == 0 || node.tenure.epoch != 0 {
            return None;
        }
        let is_former = beacon.epoch < node.config.epoch;
        if beacon.epoch > node.config.epoch || is_former && !self.takes_former_beacons() {
            return None;
        }
        let mut echo = beacon.echo;
        let is_unheeded = self.omits(Omission::GiveUpForgetsTime)
            || self.omits(Omission::GiveUpUnheeded)
            || is_former && self.omits(Omission::StampsSurviveEpochUnheeded);
        let mut is_mine = echo.is_useful() && echo.incarnation == node.incarnation;
        if echo.is_useful() && !is_mine && self.omits(Omission::StampsSurviveRestart) {
            // The clock began anew, so an old reading may be anything.
            echo.age = 0;
            is_mine = true;
        } else if !is_unheeded {
            is_mine &= echo.age < node.given_up;
        }
        let has_role = node.config.in_sync.has(id)
            || self.omits(Omission::JoiningTakesLease)
            || self.omits(Omission::GiveUpUnheeded);
        if is_mine && has_role {
            if self.omits(Omission::ReadLeaseFromReceipt) {
                node.lease = 0;
            }
            node.lease = node.lease.min(echo.age);
        }
        if is_former || node.proposed != 0 && !self.omits(Omission::AnswersAfterProposing) {
            return Some(());
        }
        if self.omits(Omission::PromiseFromEcho) {
            if echo.is_useful() {
                node.promise = node.promise.min(echo.age);
            }
        } else {
            node.promise = 0;
        }
        state.network.acks[id][from] = Beat {
            epoch: beacon.epoch,
            stamp: Stamp {
                age: 0,
                incarnation: node.incarnation,
            },
            echo: beacon.stamp,
        };
        Some(())
    }

    fn on_beacon_ack(&self, state: &mut State, id: usize, from: usize) -> Option<()> {
        let ack = state.network.acks[from][id];
        let node = primary(state, id)?;
        let epoch = node.tenure.epoch;
        let incarnation = node.incarnation;
        let is_former = ack.epoch < epoch;
        if ack.epoch == 0 || is_former && !self.omits(Omission::StampsSurviveEpochAtPrimary) {
            return None;
        }
        let peer = &mut state.nodes[id].tenure.peers[from];
        if ack.echo.is_useful() {
            let age = if ack.echo.incarnation != incarnation
                || self.omits(Omission::PrimaryLeaseFromReceipt)
            {
                0
            } else {
                ack.echo.age
            };
            peer.lease = peer.lease.min(age);
        }
        let is_newer = (ack.stamp.incarnation, LEASE - ack.stamp.age)
            > (peer.stamp.incarnation, LEASE - peer.stamp.age);
        if ack.stamp.is_useful() && is_newer && !is_former {
            peer.stamp = ack.stamp;
            peer.received = 0;
        }
        Some(())
    }

    /// A Beacon that arrives at once, and its answer too.
    fn exchange(&self, state: &mut State, id: usize, to: usize) -> Option<()> {
        self.send_beacon(state, id, to)?;
        self.on_beacon(state, to, id)?;
        self.on_beacon_ack(state, id, to)?;
        state.network.beacons[id][to] = Beat::NONE;
        state.network.acks[to][id] = Beat::NONE;
        Some(())
    }

    /// A Beacon that arrives at once, and whose answer is lost.
    fn reach(&self, state: &mut State, id: usize, to: usize) -> Option<()> {
        self.send_beacon(state, id, to)?;
        self.on_beacon(state, to, id)?;
        state.network.beacons[id][to] = Beat::NONE;
        state.network.acks[to][id] = Beat::NONE;
        Some(())
    }

    fn take_log(&self, state: &mut State, id: usize, from: usize) -> Option<()> {
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

    fn is_over(&self, node: &Node, other: usize) -> bool {
        let length = if self.omits(Omission::RemovedLeaseIgnoresRho) {
            LEASE
        } else {
            PROMISE
        };
        node.tenure.peers[other].received >= length
    }

    fn commit(&self, state: &mut State, id: usize) -> Option<()> {
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
        if !may_commit || node.committed && tenure.settled {
            return None;
        }
        let log = node.log;
        let node = &mut state.nodes[id];
        node.committed = true;
        node.tenure.settled = true;
        if state.acknowledged == 0 {
            state.acknowledged = log;
        }
        Some(())
    }

    fn propose_remove(&self, state: &mut State, id: usize, other: u8) -> Option<()> {
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

    fn propose_add(&self, state: &mut State, id: usize, b: u8) -> Option<()> {
        let node = primary(state, id)?;
        let other = usize::from(b);
        let tenure = &node.tenure;
        let is_caught_up = tenure.matched.has(other)
            || tenure.answered.has(other) && tenure.settled && !node.committed;
        let may_add = node.config.joining.has(other)
            && tenure.settled
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

    fn propose_drained(&self, state: &mut State, id: usize, b: u8) -> Option<()> {
        let node = primary(state, id)?;
        let other = usize::from(b);
        let is_over = node.tenure.waited && self.is_over(node, other)
            || self.omits(Omission::DrainedTooEarly);
        if !node.config.draining.has(other) || !is_over {
            return None;
        }
        self.propose(state, id, Change::Drained(b))
    }

    fn propose_replace(&self, state: &mut State, id: usize) -> Option<()> {
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

    fn leave(&self, state: &mut State, id: usize) -> Option<()> {
        let node = &mut state.nodes[id];
        if !is_member(node) || node.config.is_primary(id) || !node.config.in_sync.has(id) {
            return None;
        }
        if !self.omits(Omission::LeavesWithLease) {
            node.left = true;
            node.lease = LEASE;
        }
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

    fn arbitrate(&self, state: &mut State, id: usize) -> Option<()> {
        let (version, change) = state.network.proposals[id]?;
        state.arbiter.on_propose(id, version, change);
        Some(())
    }

    fn join(&self, state: &mut State, id: usize) -> Option<()> {
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

    fn learn(&self, state: &mut State, id: usize) -> Option<()> {
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
            settled: node.log == 0,
            waited: self.omits(omission),
            ..Tenure::NONE
        };
        node.lease = LEASE;
    }

    fn restart(&self, state: &mut State, id: usize) -> Option<()> {
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

    fn hold(&self, state: &mut State, id: usize) -> Option<()> {
        if self.answer(state, id).is_none() {
            return None;
        }
        state.nodes[id].held = true;
        Some(())
    }
}

/// The node, if it acts as a primary.
fn primary(state: &State, id: usize) -> Option<&Node> {
    let node = &state.nodes[id];
    (is_member(node) && node.tenure.epoch != 0).then_some(node)
}

/// Whether a node takes part: it is up, the arbiter has answered it, and it does not leave.
pub(super) fn is_member(node: &Node) -> bool {
    node.up && node.joined && !node.left && !node.held
}

fn write(state: &mut State, id: usize) -> Option<()> {
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

fn on_snapshot_ack(state: &mut State, id: usize, from: usize) -> Option<()> {
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

fn take_committed(state: &mut State, id: usize, from: usize) -> Option<()> {
    let sender = primary(state, from)?;
    let knows = sender.committed && sender.tenure.settled;
    let (epoch, log) = (sender.tenure.epoch, sender.log);
    let node = &mut state.nodes[id];
    let is_synced = state.network.snapshot_acks[id] == (epoch, log);
    if !is_member(node) || node.config.epoch != epoch || !knows || !is_synced {
        return None;
    }
    node.committed = true;
    Some(())
}

fn crash(state: &mut State, id: usize) -> Option<()> {
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

fn hand_over(state: &mut State, id: usize, to: usize) -> Option<()> {
    let node = primary(state, id)?;
    let epoch = node.tenure.epoch;
    if !node.config.in_sync.has(to) {
        return None;
    }
    state.nodes[id].tenure.stopped = true;
    state.network.take_overs[to] = epoch;
    Some(())
}

fn take_over(state: &mut State, id: usize) -> Option<()> {
    let epoch = state.network.take_overs[id];
    let node = &mut state.nodes[id];
    if epoch == 0 || !is_member(node) || node.config.epoch != epoch {
        return None;
    }
    node.promise = PROMISE;
    Some(())
}

fn give_up_addition(state: &mut State, id: usize) -> Option<()> {
    primary(state, id)?;
    let tenure = &mut state.nodes[id].tenure;
    tenure.counted = Nodes::NONE;
    tenure.proposed = 0;
    Some(())
}
