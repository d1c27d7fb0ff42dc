//! The primary: gives writes their place, has them stored everywhere, commits, answers; and keeps the in-sync set true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{Epoch, NodeId, Position, Seq};
use crate::event::Event;
use crate::limits::{self, Limits};
use crate::message::{
    Beacon, BeaconAck, Change, Peer, PeerMessage, PeerStatus, Propose, ReplyBody, ToArbiter,
};
use crate::operation::{Entry, Operation, Origin, Rejection, Resolution};
use crate::process::Effect;
use crate::sessions::{Done, Lookup};
use crate::storage::{Answer, Ticket};
use crate::time::Instant;

use super::Timer;
use super::context::Context;
use super::reads::Asker;
use super::replicator::{Replicator, Standing};

/// One tenure of this replica as primary.
///
/// - `deadlines` has that of each request in `pending`.
/// - `replicators` has every member of the configuration but this replica.
/// - The effective ack set is this replica and every Replicator that does not stand as `Joining`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Primary {
    epoch: Epoch,
    /// Where the log ended when the tenure began. Nobody is added before it is committed up to here.
    inherited: Position,
    /// Who waits for the fate of which entry.
    pending: BTreeMap<Seq, Pending>,
    deadlines: BTreeSet<(Instant, Seq)>,
    replicators: BTreeMap<NodeId, Replicator>,
    next_sync: u64,
    /// The proposal that is open: repeated until a newer version is known.
    proposal: Option<Propose>,
    retained: Position,
    is_leaving: bool,
}

/// A request that was not answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pending {
    asker: Asker,
    wants: Wants,
    is_cancel: bool,
    deadline: Instant,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Wants {
    /// That something is done.
    Execution,
    /// To know what was done.
    Resolution,
}

impl Primary {
    /// Opens the tenure of the present configuration.
    pub(super) fn open(cx: &mut Context<'_>, epoch: Epoch) -> Self {
        let mut primary = Self {
            epoch,
            inherited: cx.core.log.end(),
            pending: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            replicators: BTreeMap::new(),
            next_sync: 1,
            proposal: None,
            retained: Position(u64::MAX),
            is_leaving: false,
        };
        primary.on_config(cx);
        primary.on_beacon_due(cx);
        primary
    }

    /// Ends the tenure: what was not confirmed never will be.
    pub(super) fn close(&mut self, cx: &mut Context<'_>) {
        self.deadlines.clear();
        for (seq, pending) in std::mem::take(&mut self.pending) {
            fail(cx, seq, &pending);
        }
        for replicator in self.replicators.values() {
            replicator.stop(cx);
        }
        for timer in [Timer::Deadline, Timer::Beacon, Timer::Propose] {
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

    // ---------------------------------------------------------------------------------------------- writes

    /// A client wants something changed, or to know whether it was.
    pub(super) fn on_write(&mut self, cx: &mut Context<'_>, asker: Asker, operation: Operation) {
        let wants = match &operation {
            Operation::Insert { .. } | Operation::Remove { .. } => Wants::Execution,
            Operation::Cancel { .. } => Wants::Resolution,
        };
        // The same request once more waits for the fate of its first copy, or is told of it.
        if let Some(first) = cx.core.uncommitted.get(&(asker.client, asker.id)) {
            let (seq, is_cancel) = (first.seq, first.is_cancel);
            return self.wait(cx, seq, asker, wants, is_cancel);
        }
        match cx
            .core
            .sessions
            .lookup(asker.client, asker.id, asker.session)
        {
            Lookup::Done(done) => return cx.reply(&asker, answer(wants, done)),
            Lookup::Expired => return cx.reject(&asker, Rejection::SessionExpired),
            Lookup::New => {}
        }
        let origin = asker.origin();
        if let Some(reason) = self.obstacle(cx, &operation) {
            return cx.reject(&asker, reason);
        }
        let seq = cx.core.log.end().next_seq();
        let entry = Entry {
            epoch: self.epoch,
            seq,
            operation,
            origin,
        };
        cx.append(vec![Arc::new(entry)]);
        self.wait(cx, seq, asker, wants, wants == Wants::Resolution);
        for replicator in self.replicators.values_mut() {
            replicator.pump(cx);
        }
    }

    /// Lets a request wait for the fate of an entry, for a second. If one waits already, it is the same once more: the
    /// answer goes to where it was asked from last, and when it was due.
    fn wait(
        &mut self,
        cx: &mut Context<'_>,
        seq: Seq,
        asker: Asker,
        wants: Wants,
        is_cancel: bool,
    ) {
        if let Some(pending) = self.pending.get_mut(&seq) {
            (pending.asker, pending.wants) = (asker, wants);
            return;
        }
        let deadline = cx.now + limits::OPERATION_DEADLINE;
        let pending = Pending {
            asker,
            wants,
            is_cancel,
            deadline,
        };
        self.pending.insert(seq, pending);
        self.deadlines.insert((deadline, seq));
        cx.core.timers.arm_if_idle(Timer::Deadline, deadline);
    }

    /// Why the write cannot be executed now, or ever.
    fn obstacle(&self, cx: &Context<'_>, operation: &Operation) -> Option<Rejection> {
        let limits = &cx.core.options.limits;
        let in_sync = cx
            .core
            .config
            .as_ref()
            .map_or(0, |config| config.in_sync.len()) as u32;
        if self.is_leaving {
            Some(Rejection::NotReady)
        } else if let Some(too_large) = too_large(limits, operation) {
            Some(too_large)
        } else if in_sync < limits.min_in_sync {
            Some(Rejection::TooFewReplicas {
                in_sync,
                required: limits.min_in_sync,
            })
        } else if cx.core.disk.is_full() {
            Some(Rejection::DiskFull)
        } else if cx.core.log.unapplied_bytes() >= limits.uncommitted_bytes_max {
            Some(Rejection::Overloaded)
        } else {
            None
        }
    }

    /// The log is durable further than before, here or elsewhere.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>) {
        let counted = self
            .replicators
            .values()
            .filter(|replicator| replicator.standing != Standing::Joining);
        let position = counted
            .map(Replicator::acked)
            .fold(cx.core.log.persisted(), Position::min);
        cx.commit(position);
        while let Some(first) = self.pending.first_entry()
            && cx.core.log.committed().covers(*first.key())
        {
            let (seq, pending) = first.remove_entry();
            self.deadlines.remove(&(pending.deadline, seq));
            cx.out.notify(Event::Acknowledged(seq));
            let done = Done {
                seq,
                is_cancelled: pending.is_cancel,
            };
            cx.reply(&pending.asker, answer(pending.wants, done));
        }
        self.rearm_deadline(cx);
        self.review(cx);
    }

    /// The second of the oldest write is over.
    pub(super) fn on_deadline(&mut self, cx: &mut Context<'_>) {
        let Some((first, _)) = self.deadlines.first() else {
            return;
        };
        let due = cx.now.max(*first);
        while let Some((deadline, seq)) = self.deadlines.first().copied()
            && deadline <= due
        {
            self.deadlines.remove(&(deadline, seq));
            if let Some(pending) = self.pending.remove(&seq) {
                fail(cx, seq, &pending);
            }
        }
        self.rearm_deadline(cx);
    }

    fn rearm_deadline(&mut self, cx: &mut Context<'_>) {
        match self.deadlines.first() {
            Some((first, _)) => cx.core.timers.arm(Timer::Deadline, *first),
            None => cx.core.timers.disarm(Timer::Deadline),
        }
    }

    /// The operator wants this replica to stop: it takes no more writes and answers those it has.
    pub(super) fn on_leave(&mut self) {
        self.is_leaving = true;
    }

    /// Has it answered everything, and takes nothing more?
    pub(super) fn is_drained(&self) -> bool {
        self.is_leaving && self.pending.is_empty()
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    // --------------------------------------------------------------------------------------- configuration

    /// A newer configuration of the same tenure, or the first one of it.
    pub(super) fn on_config(&mut self, cx: &mut Context<'_>) {
        let Some(config) = cx.core.config.clone() else {
            return;
        };
        if self
            .proposal
            .as_ref()
            .is_some_and(|proposal| proposal.version < config.version)
        {
            self.proposal = None;
            cx.core.timers.disarm(Timer::Propose);
        }
        let me = cx.core.meta.node;
        let gone: Vec<NodeId> = self
            .replicators
            .keys()
            .copied()
            .filter(|node| !config.is_member(*node))
            .collect();
        for node in gone {
            if let Some(replicator) = self.replicators.remove(&node) {
                replicator.stop(cx);
            }
        }
        for (node, member) in config.members.iter().filter(|(node, _)| **node != me) {
            // A node that the arbiter does not have in sync is counted no more, unless its addition is still open.
            let standing = if config.in_sync.contains(node) {
                Standing::InSync
            } else {
                Standing::Joining
            };
            match self.replicators.get_mut(node) {
                None => {
                    let sync = self.next_sync();
                    let replicator = Replicator::start(cx, *node, standing, sync);
                    self.replicators
                        .extend(replicator.map(|replicator| (*node, replicator)));
                }
                Some(replicator) => {
                    let is_open = self
                        .proposal
                        .as_ref()
                        .is_some_and(|open| open.change == Change::AddInSync(*node));
                    if !is_open {
                        replicator.stand(cx, standing);
                    }
                    if replicator.incarnation() != member.incarnation {
                        self.restart(cx, *node);
                    }
                }
            }
        }
        self.advance(cx);
    }

    fn next_sync(&mut self) -> u64 {
        let sync = self.next_sync;
        self.next_sync += 1;
        sync
    }

    fn restart(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let sync = self.next_sync();
        if let Some(replicator) = self.replicators.get_mut(&node) {
            replicator.restart(cx, sync);
        }
    }

    /// Looks for a change the configuration needs, and proposes it. One at a time: its outcome may change the next.
    fn review(&mut self, cx: &mut Context<'_>) {
        self.count_in(cx);
        if self.proposal.is_some() {
            return;
        }
        let Some(config) = &cx.core.config else {
            return;
        };
        let Some(change) = self.next_change(cx) else {
            return;
        };
        let proposal = Propose {
            node: cx.core.meta.node,
            version: config.version,
            change,
        };
        cx.out.notify(Event::Proposed {
            version: proposal.version,
            change,
        });
        self.proposal = Some(proposal);
        self.propose(cx);
    }

    /// Counts joining replicas that have, or are being sent, everything: from then on nothing commits without them, so
    /// that they have all that is committed by the time they are proposed. One that stops keeping up is not held on to.
    fn count_in(&mut self, cx: &mut Context<'_>) {
        let may_add = cx.core.arbiter_heard && cx.core.log.committed() >= self.inherited;
        let end = cx.core.log.end();
        let open = self.proposal.as_ref().map(|proposal| proposal.change);
        for (node, replicator) in &mut self.replicators {
            match replicator.standing {
                Standing::Joining
                    if may_add && replicator.is_current(end) && !replicator.is_suspect =>
                {
                    replicator.stand(cx, Standing::Counted);
                }
                Standing::Counted
                    if replicator.is_suspect && open != Some(Change::AddInSync(*node)) =>
                {
                    replicator.stand(cx, Standing::Joining);
                }
                Standing::Joining | Standing::Counted | Standing::InSync => {}
            }
        }
    }

    fn next_change(&self, cx: &Context<'_>) -> Option<Change> {
        let suspect = self.replicators.iter().find(|(_, replicator)| {
            replicator.is_suspect && replicator.standing != Standing::Counted
        });
        if let Some((node, _)) = suspect {
            return Some(Change::RemoveInSync(*node));
        }
        let log = &cx.core.log;
        let caught_up = self.replicators.iter().find(|(_, replicator)| {
            replicator.standing == Standing::Counted
                && replicator.acked() >= log.committed()
                && replicator.acked() >= self.inherited
        });
        caught_up
            .filter(|_| cx.core.arbiter_heard)
            .map(|(node, _)| Change::AddInSync(*node))
    }

    /// Sends the open proposal, for the first time or again.
    pub(super) fn propose(&mut self, cx: &mut Context<'_>) {
        if let Some(proposal) = self.proposal.clone() {
            cx.send_to_arbiter(ToArbiter::Propose(proposal));
            cx.arm(Timer::Propose, limits::RETRY_INTERVAL);
        }
    }

    // ------------------------------------------------------------------------------------------ the others

    /// Another replica speaks, in this epoch.
    pub(super) fn on_peer(&mut self, cx: &mut Context<'_>, peer: Peer) {
        let node = peer.sender;
        let Some(replicator) = self.replicators.get_mut(&node) else {
            return;
        };
        replicator.on_heard(cx);
        match peer.body {
            PeerMessage::SyncReply(reply) => replicator.on_sync_reply(cx, &reply),
            PeerMessage::SnapshotAck(ack) => replicator.on_ack(cx, ack.sync, ack.persisted),
            PeerMessage::StateAck(ack) => replicator.on_state_ack(cx, ack.sync, ack.next),
            PeerMessage::BeaconAck(ack) => self.on_beacon_ack(cx, node, &ack),
            PeerMessage::SyncStart(_)
            | PeerMessage::SyncEnd(_)
            | PeerMessage::Snapshots(_)
            | PeerMessage::StateChunk(_)
            | PeerMessage::Beacon(_)
            | PeerMessage::CommittedAnswer(_)
            | PeerMessage::TakeOver
            | PeerMessage::CommittedQuery(_) => cx.stale(peer.sender),
        }
        self.advance(cx);
    }

    fn on_beacon_ack(&mut self, cx: &mut Context<'_>, node: NodeId, ack: &BeaconAck) {
        let Some(replicator) = self.replicators.get(&node) else {
            return;
        };
        let Some((sync, since)) = replicator.answered() else {
            return;
        };
        // It has lost the handshake. What it said before it took it up does not count.
        let is_later = ack.echo.incarnation == cx.core.meta.incarnation && ack.echo.at >= since;
        if is_later && ack.sync != sync {
            self.restart(cx, node);
        }
    }

    /// A Beacon to everybody.
    pub(super) fn on_beacon_due(&mut self, cx: &mut Context<'_>) {
        let Some(config) = &cx.core.config else {
            return;
        };
        let beacon = Beacon {
            sent: cx.timestamp(),
            committed: cx.core.log.committed(),
            version: config.version,
            grant: None,
        };
        for replicator in self.replicators.values() {
            replicator.say(cx, PeerMessage::Beacon(beacon.clone()));
        }
        cx.arm(Timer::Beacon, cx.core.options.limits.timing.beacon);
        self.retain(cx);
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
        }
    }

    /// The replica is silent, or keeps its acknowledgements back.
    pub(super) fn on_overdue(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if let Some(replicator) = self.replicators.get_mut(&node) {
            replicator.is_suspect = true;
        }
        self.review(cx);
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

/// The answer to a request whose first copy has a committed entry.
fn answer(wants: Wants, done: Done) -> ReplyBody {
    let seq = done.seq;
    match (wants, done.is_cancelled) {
        (Wants::Execution, false) => ReplyBody::OperationAck { seq },
        (Wants::Execution, true) => ReplyBody::OperationRejected {
            reason: Rejection::Cancelled,
        },
        (Wants::Resolution, false) => ReplyBody::Resolved(Resolution::Executed { seq }),
        (Wants::Resolution, true) => ReplyBody::Resolved(Resolution::NeverExecuted),
    }
}

fn fail(cx: &mut Context<'_>, seq: Seq, pending: &Pending) {
    cx.out.notify(Event::Failed(seq));
    cx.reply(&pending.asker, ReplyBody::OperationFailed);
}

/// Why no cluster of these limits takes the operation.
fn too_large(limits: &Limits, operation: &Operation) -> Option<Rejection> {
    let key = operation.key().0.len();
    let value = operation.value().map_or(0, |value| value.0.len());
    let (what, size, limit) = if key == 0 || key > limits.key_bytes_max {
        ("key", key, limits.key_bytes_max)
    } else if value > limits.value_bytes_max {
        ("value", value, limits.value_bytes_max)
    } else {
        return None;
    };
    Some(Rejection::TooLarge {
        what: what.to_owned(),
        size: size as u64,
        limit: limit as u64,
    })
}

impl Asker {
    fn origin(&self) -> Origin {
        Origin {
            client: self.client,
            id: self.id,
            session: self.session,
        }
    }
}
