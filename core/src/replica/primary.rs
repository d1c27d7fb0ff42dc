//! The primary: gives writes their place, has them stored everywhere, commits, answers; and keeps the in-sync set true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::{Epoch, NodeId, Position, Seq};
use crate::event::Event;
use crate::limits::{self, Limits};
use crate::message::{
    Beacon, BeaconAck, Change, CommittedAnswer, Drain, Peer, PeerMessage, PeerStatus, Propose,
    ReplyBody, ToArbiter,
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
/// - The effective ack set is this replica and every Replicator whose standing counts.
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
    /// Read leases that the predecessor granted may last until then; nothing is committed while that matters.
    settles_at: Instant,
    is_settled: bool,
    resignation: Resignation,
    /// None of the in-sync replicas is heard: perhaps it is this one that hears nobody.
    is_deaf: bool,
}

/// How far a primary is in handing its role over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Resignation {
    /// It goes on.
    None,
    /// It takes no more writes and answers those it has.
    Finishing(Drain),
    /// It has given up its lease and asks this replica to take its place.
    Resigned(Drain, NodeId),
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
            settles_at: cx.now + cx.timing().lease_elsewhere(),
            is_settled: false,
            resignation: Resignation::None,
            is_deaf: false,
        };
        cx.core.timers.arm(Timer::Settled, primary.settles_at);
        primary.on_config(cx);
        cx.arm(Timer::Beacon, cx.timing().beacon);
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
        for timer in [
            Timer::Deadline,
            Timer::Beacon,
            Timer::Propose,
            Timer::Settled,
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
        if self.resignation != Resignation::None {
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
        self.settle(cx);
        if self.is_settled {
            let counted = self
                .replicators
                .values()
                .filter(|replicator| replicator.standing.counts());
            let position = counted
                .map(Replicator::acked)
                .fold(cx.core.log.persisted(), Position::min);
            cx.commit(position);
        }
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

    // --------------------------------------------------------------------------------------------- leases

    /// Commits nothing before every read lease of an older epoch is over: those of the in-sync replicas are once they
    /// speak in this epoch, those of replicas that were removed before when none is draining, and all after a while.
    fn settle(&mut self, cx: &mut Context<'_>) {
        let Some(config) = cx.core.config.as_ref().filter(|_| !self.is_settled) else {
            return;
        };
        let mut in_sync = self
            .replicators
            .values()
            .filter(|replicator| replicator.standing == Standing::InSync);
        if config.draining.is_empty() && in_sync.all(|replicator| replicator.has_entered) {
            self.on_settled(cx);
        }
    }

    /// No read lease of an older epoch is left.
    pub(super) fn on_settled(&mut self, cx: &mut Context<'_>) {
        self.is_settled = true;
        cx.core.timers.disarm(Timer::Settled);
    }

    /// Is it certain that nobody has taken its place?
    pub(super) fn has_lease(&self, now: Instant) -> bool {
        let is_resigned = matches!(self.resignation, Resignation::Resigned(..));
        let mut needed = self.replicators.values().filter(|replicator| {
            matches!(replicator.standing, Standing::InSync | Standing::Counted)
        });
        !is_resigned && needed.all(|replicator| replicator.leases.has_promised(now))
    }

    /// Where the log ended when the tenure began.
    pub(super) fn inherited(&self) -> Position {
        self.inherited
    }

    /// A secondary has a read of a key that may have changed.
    fn on_committed_query(&self, cx: &mut Context<'_>, node: NodeId, number: u64) {
        let committed = cx.core.log.committed();
        let Some(replicator) = self.replicators.get(&node) else {
            return;
        };
        // What is not answered is asked again.
        if committed >= self.inherited && self.has_lease(cx.now) {
            let answer = CommittedAnswer { number, committed };
            replicator.say(cx, PeerMessage::CommittedAnswer(answer));
        }
    }

    /// The read lease of a replica that was removed is over.
    pub(super) fn on_lease_over(&mut self, cx: &mut Context<'_>, node: NodeId) {
        if let Some(replicator) = self.replicators.get_mut(&node)
            && replicator.standing == Standing::Draining
        {
            replicator.stand(cx, Standing::Drained);
        }
        self.advance(cx);
    }

    // ------------------------------------------------------------------------------------------- hand-over

    /// The operator wants this replica to be primary no more: it takes no more writes and answers those it has.
    pub(super) fn on_drain(&mut self, drain: Drain) {
        if self.resignation == Resignation::None {
            self.resignation = Resignation::Finishing(drain);
        }
    }

    /// Hands over once everything is answered. True when the process may end: nobody is there to take over.
    pub(super) fn resign(&mut self, cx: &mut Context<'_>) -> bool {
        let Resignation::Finishing(drain) = self.resignation else {
            return false;
        };
        if !self.pending.is_empty() {
            return false;
        }
        let successor = self
            .replicators
            .values()
            .filter(|replicator| replicator.standing == Standing::InSync && !replicator.is_suspect)
            .find(|replicator| replicator.is_streaming());
        match successor {
            Some(successor) if cx.core.arbiter_heard && self.proposal.is_none() => {
                let node = successor.node();
                self.resignation = Resignation::Resigned(drain, node);
                cx.out.notify(Event::Resigned(node));
                self.on_hand_over_due(cx);
                false
            }
            // The arbiter is silent, or decides something else first.
            Some(_) => false,
            None if drain == Drain::Node => true,
            None => {
                self.resignation = Resignation::None;
                false
            }
        }
    }

    /// Asks the successor, for the first time or again.
    pub(super) fn on_hand_over_due(&mut self, cx: &mut Context<'_>) {
        if let Resignation::Resigned(_, node) = self.resignation
            && let Some(successor) = self.replicators.get(&node)
        {
            successor.say(cx, PeerMessage::TakeOver);
            cx.arm(Timer::HandOver, limits::RETRY_INTERVAL);
        }
    }

    /// Does it give up its role, and with it its place?
    pub(super) fn is_leaving(&self) -> bool {
        match self.resignation {
            Resignation::None => false,
            Resignation::Finishing(drain) | Resignation::Resigned(drain, _) => drain == Drain::Node,
        }
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
            } else if config.draining.contains(node) {
                self.drain(cx, *node)
            } else {
                Standing::Joining
            };
            match self.replicators.get_mut(node) {
                None => {
                    let sync = self.next_sync();
                    if let Some(mut replicator) = Replicator::start(cx, *node, standing, sync) {
                        // What the predecessor granted lasts until then, if the replica does not enter this epoch.
                        replicator.leases.assume(self.settles_at);
                        self.replicators.insert(*node, replicator);
                        // Its promise is needed before it can be added.
                        self.beacon(cx, *node);
                    }
                }
                Some(replicator) => {
                    let is_open = self
                        .proposal
                        .as_ref()
                        .is_some_and(|open| open.change == Change::AddInSync(*node));
                    // It was out and is back: whatever it was suspected of, it begins anew.
                    let is_back = standing == Standing::Joining
                        && !matches!(replicator.standing, Standing::Joining | Standing::Counted);
                    if !is_open {
                        replicator.stand(cx, standing);
                    }
                    if is_back || replicator.incarnation() != member.incarnation {
                        replicator.is_suspect = false;
                        self.restart(cx, *node);
                    }
                }
            }
        }
        if let Resignation::Resigned(drain, node) = self.resignation
            && !config.in_sync.contains(&node)
        {
            // It is out, so no proposal of it can succeed. Another one is asked.
            self.resignation = Resignation::Finishing(drain);
        }
        self.advance(cx);
    }

    /// How a removed replica stands: nothing commits without it until its read lease is over. One that a predecessor
    /// removed was granted something until `settles_at` at most.
    fn drain(&self, cx: &mut Context<'_>, node: NodeId) -> Standing {
        let until = match self.replicators.get(&node) {
            Some(replicator) => replicator.leases.readable_until(cx.now),
            None => Some(self.settles_at).filter(|until| *until > cx.now),
        };
        match until {
            Some(until) => {
                cx.core.timers.arm(Timer::Lease(node), until);
                Standing::Draining
            }
            None => Standing::Drained,
        }
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
                    if may_add
                        && replicator.is_current(end)
                        && !replicator.is_suspect
                        && replicator.leases.has_promised(cx.now) =>
                {
                    replicator.stand(cx, Standing::Counted);
                }
                Standing::Counted
                    if replicator.is_suspect && open != Some(Change::AddInSync(*node)) =>
                {
                    replicator.stand(cx, Standing::Joining);
                }
                Standing::Joining
                | Standing::Counted
                | Standing::InSync
                | Standing::Draining
                | Standing::Drained => {}
            }
        }
    }

    fn next_change(&self, cx: &Context<'_>) -> Option<Change> {
        let suspect = self.replicators.iter().find(|(_, replicator)| {
            let is_removable = matches!(replicator.standing, Standing::InSync | Standing::Joining);
            replicator.is_suspect && is_removable
        });
        if let Some((node, _)) = suspect {
            return Some(Change::RemoveInSync(*node));
        }
        let drained = self
            .replicators
            .iter()
            .find(|(_, replicator)| replicator.standing == Standing::Drained);
        if let Some((node, _)) = drained {
            return Some(Change::Drained(*node));
        }
        let log = &cx.core.log;
        let caught_up = self.replicators.iter().find(|(_, replicator)| {
            replicator.standing == Standing::Counted
                && replicator.acked() >= log.committed()
                && replicator.acked() >= self.inherited
                && replicator.leases.has_promised(cx.now)
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
        if !replicator.has_entered {
            replicator.has_entered = true;
            replicator.leases.on_given_up();
        }
        if std::mem::take(&mut self.is_deaf) {
            cx.arm(Timer::Beacon, cx.timing().beacon);
        }
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
            | PeerMessage::TakeOver => cx.stale(peer.sender),
            PeerMessage::CommittedQuery(query) => {
                return self.on_committed_query(cx, node, query.number);
            }
        }
        self.advance(cx);
    }

    fn on_beacon_ack(&mut self, cx: &mut Context<'_>, node: NodeId, ack: &BeaconAck) {
        let Some(replicator) = self.replicators.get_mut(&node) else {
            return;
        };
        let (me, replica) = (cx.core.meta.incarnation, replicator.incarnation());
        let timing = &cx.core.options.limits.timing;
        replicator.leases.on_ack(cx.now, me, replica, ack, timing);
        let Some((sync, since)) = replicator.answered() else {
            return;
        };
        // It has lost the handshake. What it said before it took it up does not count.
        let is_later = ack.echo.incarnation == cx.core.meta.incarnation && ack.echo.at >= since;
        if is_later && ack.sync != sync {
            self.restart(cx, node);
        }
    }

    /// A Beacon to one replica, unless another one had better be primary.
    fn beacon(&mut self, cx: &mut Context<'_>, node: NodeId) {
        let has_lease = self.has_lease(cx.now);
        let is_resigned = matches!(self.resignation, Resignation::Resigned(..));
        let (Some(replicator), Some(config)) = (self.replicators.get_mut(&node), &cx.core.config)
        else {
            return;
        };
        let timing = &cx.core.options.limits.timing;
        if is_resigned || cx.core.disk.hangs(cx.now, timing.lease) {
            return;
        }
        let may_read = has_lease
            && replicator.standing == Standing::InSync
            && replicator.is_streaming()
            && !replicator.is_suspect;
        let incarnation = replicator.incarnation();
        let beacon = Beacon {
            sent: cx.timestamp(),
            committed: cx.core.log.committed(),
            version: config.version,
            grant: match may_read {
                true => replicator.leases.grant(incarnation, timing),
                false => None,
            },
        };
        replicator.say(cx, PeerMessage::Beacon(beacon));
    }

    /// A Beacon to everybody.
    pub(super) fn on_beacon_due(&mut self, cx: &mut Context<'_>) {
        if !self.has_lease(cx.now) {
            // It may have been replaced.
            cx.query_config();
        }
        let nodes: Vec<NodeId> = self.replicators.keys().copied().collect();
        for node in nodes {
            self.beacon(cx, node);
        }
        let mut in_sync = self
            .replicators
            .values()
            .filter(|replicator| replicator.standing == Standing::InSync)
            .peekable();
        self.is_deaf =
            in_sync.peek().is_some() && in_sync.all(|replicator| replicator.is_silent(cx));
        // Who hears Beacons does not replace whoever sends them. So one that may be deaf leaves the others the time to do
        // so between two, and still finds out if they hear it again.
        let pause = match self.is_deaf {
            true => 2 * cx.timing().lease_elsewhere(),
            false => cx.timing().beacon,
        };
        cx.arm(Timer::Beacon, pause);
        self.retain(cx);
        // A promise may be what an addition waited for.
        self.advance(cx);
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
    pub(super) fn on_overdue(&mut self, cx: &mut Context<'_>, node: NodeId) {
        // One that has resigned hears nothing, and misses only its successor.
        let is_missed = match self.resignation {
            Resignation::Resigned(_, successor) => successor == node,
            Resignation::None | Resignation::Finishing(_) => true,
        };
        if let Some(replicator) = self.replicators.get_mut(&node) {
            replicator.is_suspect |= is_missed;
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
