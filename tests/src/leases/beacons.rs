//! Beacons and their answers: promises, the primary's lease, read leases.

use super::model::{Model, is_member, primary};
use super::omissions::Omission;
use super::state::{Beat, Node, State};
use super::time::{LEASE, Stamp};

impl Model {
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
            && (!tenure.stopped || self.omits(Omission::GrantsAfterHandOver))
            && tenure.answered.has(other)
    }

    pub(super) fn send_beacon(&self, state: &mut State, id: usize, to: usize) -> Option<()> {
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

    pub(super) fn takes_former_beacons(&self) -> bool {
        self.omits(Omission::StampsSurviveEpochAtSecondary)
            || self.omits(Omission::StampsSurviveEpochUnheeded)
    }

    pub(super) fn on_beacon(&self, state: &mut State, id: usize, from: usize) -> Option<()> {
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

    pub(super) fn on_beacon_ack(&self, state: &mut State, id: usize, from: usize) -> Option<()> {
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
    pub(super) fn exchange(&self, state: &mut State, id: usize, to: usize) -> Option<()> {
        self.send_beacon(state, id, to)?;
        self.on_beacon(state, to, id)?;
        self.on_beacon_ack(state, id, to)?;
        state.network.beacons[id][to] = Beat::NONE;
        state.network.acks[to][id] = Beat::NONE;
        Some(())
    }

    /// A Beacon that arrives at once, and whose answer is lost.
    pub(super) fn reach(&self, state: &mut State, id: usize, to: usize) -> Option<()> {
        self.send_beacon(state, id, to)?;
        self.on_beacon(state, to, id)?;
        state.network.beacons[id][to] = Beat::NONE;
        state.network.acks[to][id] = Beat::NONE;
        Some(())
    }
}
