//! The primary: gives writes their place, has them stored everywhere, commits, answers; and keeps the in-sync set true.

mod changes;
mod hand_over;
mod lease;
mod rejected;
mod writes;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Epoch, NodeId, Position, Seq};
use crate::message::{Peer, PeerMessage, PeerStatus, Propose};
use crate::process::Effect;
use crate::storage::{Answer, Ticket};
use crate::time::Instant;

use self::hand_over::Resignation;
use self::rejected::Rejected;
use self::writes::{Pending, answer_unconfirmed};
use super::context::Context;
use super::replicator::Replicator;
use super::timer::Timer;

/// One tenure of this replica as primary.
///
/// - `deadlines` has that of each request in `pending`.
/// - `replicators` and `resting` have every member of the configuration but this replica.
/// - The effective ack set is this replica, every Replicator whose standing counts, and everybody who rests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Primary {
    epoch: Epoch,
    /// Where the log ended when the tenure began. Nobody is added before it is committed up to here.
    inherited: Position,
    /// Who waits for the fate of which entry.
    pending: BTreeMap<Seq, Pending>,
    deadlines: BTreeSet<(Instant, Seq)>,
    rejected: Rejected,
    replicators: BTreeMap<NodeId, Replicator>,
    /// Who has stopped in good order, and up to where each has the log at least: nothing commits beyond that.
    resting: BTreeMap<NodeId, Position>,
    next_sync: u64,
    /// The proposal that is open: repeated until a newer version is known.
    proposal: Option<Propose>,
    retained: Position,
    /// Read leases that the predecessor granted may last until then; nothing is committed while that matters.
    sole_at: Instant,
    /// None of them is left, so nobody else answers reads by one.
    is_sole: bool,
    resignation: Resignation,
    /// When it had its lease last, as far as it has looked; first, as if it had been promised it when the tenure began.
    leased_at: Instant,
    /// The arbiter has answered since a replica was found to be silent or hanging.
    is_answered: bool,
    /// It has been without its lease for long, and sends Beacons only now and then.
    is_paused: bool,
}

impl Primary {
    /// Opens the tenure of the present configuration.
    pub(super) fn open(cx: &mut Context<'_>, epoch: Epoch) -> Self {
        let mut primary = Self {
            epoch,
            inherited: cx.core.log.end(),
            pending: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            rejected: Rejected::default(),
            replicators: BTreeMap::new(),
            resting: BTreeMap::new(),
            next_sync: 1,
            proposal: None,
            retained: Position(u64::MAX),
            sole_at: cx.now.time
                + planted!(SoleWithoutDrift => cx.timing().lease, cx.terms().lease_elsewhere()),
            is_sole: planted!(SoleUnheard | InheritsNoLease),
            resignation: Resignation::None,
            leased_at: cx.now.time + cx.timing().lease,
            is_answered: false,
            is_paused: false,
        };
        cx.core.timers.arm(Timer::Sole, primary.sole_at);
        primary.on_config(cx);
        cx.arm(Timer::Beacon, cx.timing().beacon);
        primary
    }

    /// Ends the tenure: what was not confirmed never will be.
    pub(super) fn close(&mut self, cx: &mut Context<'_>) {
        self.deadlines.clear();
        for (seq, pending) in std::mem::take(&mut self.pending) {
            if !planted!(TenureEndsSilently) {
                answer_unconfirmed(cx, seq, &pending);
            }
        }
        for replicator in self.replicators.values() {
            replicator.stop(cx);
        }
        for timer in [
            Timer::Deadline,
            Timer::Beacon,
            Timer::Propose,
            Timer::Sole,
            Timer::HandOver,
        ] {
            cx.core.timers.disarm(timer);
        }
        cx.out.push(Effect::Retain(Position(u64::MAX)));
    }

    pub(super) fn peers(&self) -> Vec<PeerStatus> {
        self.replicators.values().map(Replicator::status).collect()
    }

    /// Bytes kept for other replicas, besides the log's.
    pub(super) fn bytes(&self) -> usize {
        self.replicators.values().map(Replicator::bytes).sum()
    }

    /// Another replica speaks, in this epoch.
    pub(super) fn on_peer(&mut self, cx: &mut Context<'_>, peer: Peer) {
        let node = peer.sender;
        let Some(replicator) = self.replicators.get_mut(&node) else {
            return;
        };
        replicator.on_heard(cx);
        let enters = !replicator.has_entered;
        if enters {
            replicator.has_entered = true;
            replicator.leases.on_given_up();
        }
        match peer.body {
            PeerMessage::SyncReply(reply) if replicator.answers_anew(&reply) => {
                self.restart(cx, node);
            }
            PeerMessage::SyncReply(reply) => replicator.on_sync_reply(cx, &reply),
            PeerMessage::SnapshotAck(ack) => replicator.on_ack(cx, ack.sync, ack.persisted),
            PeerMessage::StateAck(ack) => replicator.on_state_ack(cx, ack.sync, ack.next),
            PeerMessage::BeaconAck(ack) => self.on_beacon_ack(cx, node, &ack),
            PeerMessage::SyncStart(_)
            | PeerMessage::SyncEnd(_)
            | PeerMessage::Snapshots(_)
            | PeerMessage::StateChunk(_)
            | PeerMessage::Beacon(_)
            | PeerMessage::CommittedAnswer(_) => cx.stale(peer.sender),
            PeerMessage::CommittedQuery(query) => {
                self.on_committed_query(cx, node, &query);
                if !enters {
                    return;
                }
            }
        }
        if enters {
            self.ask_promise(cx, node);
        }
        self.advance(cx);
    }

    /// The round is over: what there is for others goes to them, and who has it may be another question for the arbiter.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>) {
        for replicator in self.replicators.values_mut() {
            replicator.pump(cx);
        }
        self.review(cx);
    }

    /// Keeps the storage from trimming what another replica still needs.
    fn retain(&mut self, cx: &mut Context<'_>) {
        let needed = self
            .replicators
            .values()
            .filter_map(Replicator::needs_from)
            .min();
        let needed = needed.unwrap_or(Position(u64::MAX));
        if needed != self.retained {
            self.retained = needed;
            cx.out.push(Effect::Retain(needed));
        }
    }

    /// The log was trimmed: who needs what is gone starts over, and gets the full state.
    pub(super) fn on_trimmed(&mut self, cx: &mut Context<'_>) {
        let start = cx.core.log.start();
        let cut_off = self
            .replicators
            .iter()
            .filter(|(_, replicator)| replicator.is_cut_off(start));
        let nodes: Vec<NodeId> = cut_off.map(|(node, _)| *node).collect();
        for node in nodes {
            self.restart(cx, node);
        }
    }

    /// The storage answered a question. False if it was not of this tenure.
    pub(super) fn on_answered(
        &mut self,
        cx: &mut Context<'_>,
        ticket: Ticket,
        answer: &Answer,
    ) -> bool {
        let is_taken = self
            .replicators
            .values_mut()
            .any(|replicator| replicator.on_answered(cx, ticket, answer));
        if is_taken {
            self.retain(cx);
            self.advance(cx);
        }
        is_taken
    }

    /// Nothing was acknowledged for a while.
    pub(super) fn on_resend(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if let Some(replicator) = self.replicators.get_mut(&node) {
            replicator.on_resend(cx);
            // What was on its way when the log was trimmed may have been lost.
            if replicator.is_cut_off(cx.core.log.start()) {
                self.restart(cx, node);
            }
        }
    }

    /// The replica is silent, or keeps its acknowledgements back.
    pub(super) fn on_overdue(&mut self, cx: &mut Context<'_>, node: NodeId, timer: Timer) {
        if self.is_no_judge(cx) {
            cx.arm(timer, cx.timing().overdue);
        } else if let Some(replicator) = self.replicators.get_mut(&node)
            && !replicator.is_suspect
        {
            replicator.suspect(cx.now.time);
            self.is_answered = false;
            cx.query_config();
        }
        // Writes need not wait any longer for one that was counted in.
        self.count_in(cx);
        self.advance(cx);
    }

    /// Asserts what the struct promises.
    pub(super) fn check(&self, cx_end: Position) {
        assert_eq!(
            self.pending.len(),
            self.deadlines.len(),
            "pending writes are miscounted"
        );
        for replicator in self.replicators.values() {
            assert!(
                replicator.acked() <= cx_end,
                "acknowledged what is not in the log"
            );
        }
    }
}
