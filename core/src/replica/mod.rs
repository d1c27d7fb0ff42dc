//! The replica: one process that is primary or secondary, as the arbiter's configuration says.
//!
//! This file dispatches by role. What a role does is in its own file: `primary.rs` with a `replicator.rs` for each other
//! replica, `secondary.rs`; how roles begin and end is in `membership.rs`. What clients read is answered in
//! `reads`, beside the roles.

mod asker;
mod context;
mod leases;
mod membership;
mod primary;
mod proof;
mod questions;
mod reads;
mod replicator;
mod secondary;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::config::{Address, Config, NodeId};
use crate::event::Event;
use crate::limits::{self, Limits};
use crate::log::Log;
use crate::message::{
    Message, NodeStatus, Peer, PeerMessage, ReplyBody, Request, RequestBody, RoleName, Usage,
};
use crate::operation::{Operation, Rejection};
use crate::process::{Effect, Input, Outbox, Process};
use crate::sessions::Sessions;
use crate::storage::{Answer, Meta, Recovered, Ticket};
use crate::time::{Instant, Timers};

use asker::Asker;
use context::Core;
use primary::Primary;
use proof::{Proof, Saves};
use questions::Questions;
use reads::{Authority, Reads, views};
use secondary::Secondary;

/// The timers of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Send the Join again.
    Join,
    /// Ask the arbiter for the configuration.
    ConfigQuery,
    /// The arbiter has not been heard.
    ArbiterSilent,
    /// Ask the disk again.
    PersistRetry,
    /// Primary: the second of the oldest write is over.
    Deadline,
    /// Primary: send Beacons.
    Beacon,
    /// Primary: send the open proposal again.
    Propose,
    /// Primary: send a replica again what it has not acknowledged.
    Resend(NodeId),
    /// Primary: a replica keeps its acknowledgements back.
    Overdue(NodeId),
    /// Primary: a replica has not been heard.
    Silent(NodeId),
    /// Primary: the read lease of a replica that was removed is over.
    Lease(NodeId),
    /// Primary: the read leases granted by predecessors are over.
    Sole,
    /// Primary: ask the arbiter again whether it is there for a hand-over, or go on as before if nothing came of it.
    HandOver,
    /// Secondary: its promise to the primary has run out.
    Promise,
    /// Secondary: ask the primary again how far the log is committed.
    CommittedQuery,
    /// The read that has waited longest for the log to be committed has waited long enough.
    Reads,
    /// Send the Leave again.
    Leave,
    /// The process ends although the arbiter has not confirmed the Leave.
    LeavePatience,
}

impl Timer {
    /// The replica it is about.
    fn node(&self) -> Option<NodeId> {
        match self {
            Self::Resend(node) | Self::Overdue(node) | Self::Silent(node) | Self::Lease(node) => {
                Some(*node)
            }
            Self::Join
            | Self::ConfigQuery
            | Self::ArbiterSilent
            | Self::PersistRetry
            | Self::Deadline
            | Self::Beacon
            | Self::Propose
            | Self::Sole
            | Self::HandOver
            | Self::Promise
            | Self::CommittedQuery
            | Self::Reads
            | Self::Leave
            | Self::LeavePatience => None,
        }
    }
}

/// What a replica has to be told besides what its disk knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplicaOptions {
    /// The name people gave it.
    pub name: String,
    /// Where others reach it: its transport's `local()`.
    pub address: Address,
    /// Where the arbiter is.
    pub arbiter: Address,
    /// Bounds an operator may choose.
    pub limits: Limits,
    /// The version of the program, for `status`.
    pub software: String,
}

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    core: Core,
    reads: Reads,
    role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Role {
    /// Asks the arbiter to be let in.
    Starting,
    /// The arbiter will not have it.
    Refused,
    /// Has a configuration and waits until its disk knows the epoch.
    Entering {
        ticket: Ticket,
        opens_tenure: bool,
        /// A SyncStart that came meanwhile, and from where: the primary's disk was faster.
        greeting: Option<Box<(Address, Peer)>>,
    },
    /// Is primary.
    Primary(Box<Primary>),
    /// Is in sync or joining.
    Secondary(Secondary),
    /// Is removed, has given up everything, and waits until the arbiter knows that.
    Leaving,
    /// Has left.
    Left,
}

impl Replica {
    /// A replica that takes up what its disk holds.
    pub fn open(options: ReplicaOptions, recovered: Recovered) -> Self {
        let log = Log::open(&recovered, options.limits.tail_bytes_max);
        let sessions = planted!(SessionsNotRecovered => Default::default(), recovered.sessions);
        let sessions = Sessions::open(sessions, options.limits.sessions.clone());
        let mut core = Core {
            options,
            meta: recovered.meta,
            config: None,
            saving: log.end(),
            log,
            sessions,
            uncommitted: BTreeMap::new(),
            disk: Saves::new(Timer::PersistRetry),
            questions: Questions::default(),
            statuses: Vec::new(),
            timers: Timers::new(),
            arbiter_heard: false,
            is_leaving: false,
            installing: None,
            refusal: None,
        };
        for entry in &recovered.tail {
            core.note_uncommitted(entry);
        }
        Self {
            core,
            reads: Reads::default(),
            role: Role::Starting,
        }
    }

    /// Its identity.
    pub fn node(&self) -> NodeId {
        self.core.meta.node
    }

    /// What it knows about itself.
    pub fn meta(&self) -> &Meta {
        &self.core.meta
    }

    /// Its log.
    pub fn log(&self) -> &Log {
        &self.core.log
    }

    /// What it remembers of requests with entries that it knows to be committed.
    pub fn sessions(&self) -> &Sessions {
        &self.core.sessions
    }

    /// The configuration it knows; `None` before it has learned any.
    pub fn config(&self) -> Option<&Config> {
        self.core.config.as_ref()
    }

    /// What it is.
    pub fn role(&self) -> RoleName {
        match &self.role {
            Role::Starting | Role::Refused | Role::Entering { .. } => RoleName::Starting,
            Role::Primary(primary) if self.core.is_leaving && primary.is_finishing() => {
                RoleName::Leaving
            }
            Role::Primary(_) => RoleName::Primary,
            Role::Secondary(_) => {
                let config = self.core.config.as_ref();
                let is_in_sync =
                    config.is_some_and(|config| config.in_sync.contains(&self.core.meta.node));
                if is_in_sync {
                    RoleName::Secondary
                } else {
                    RoleName::Joining
                }
            }
            Role::Leaving | Role::Left => RoleName::Leaving,
        }
    }

    /// Bytes in flight that it keeps in memory: the log's newest entries, and what is on its way to other replicas.
    pub fn bytes_in_flight(&self) -> usize {
        let primary = match &self.role {
            Role::Primary(primary) => primary.bytes(),
            Role::Starting
            | Role::Refused
            | Role::Entering { .. }
            | Role::Secondary(_)
            | Role::Leaving
            | Role::Left => 0,
        };
        self.core.log.tail_bytes() + primary
    }

    /// Requests in flight that it keeps in memory: writes to its disk, reads, questions about itself.
    pub fn requests_in_flight(&self) -> usize {
        self.core.disk.len() + self.reads.len() + self.core.statuses.len()
    }

    /// Asserts what must hold between steps.
    pub fn check(&self) {
        self.core.log.check();
        self.core.sessions.check();
        if let Role::Primary(primary) = &self.role {
            primary.check(self.core.log.end());
        }
    }

    // --------------------------------------------------------------------------------------- other replicas

    fn on_peer(&mut self, now: Instant, from: Address, peer: Peer, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        let Some(config) = &cx.core.config else {
            return cx.out.notify(Event::Stale { from });
        };
        let is_vouched = config
            .members
            .get(&peer.sender)
            .is_some_and(|member| member.address == from);
        let is_for_me = peer.receiver == cx.core.meta.node;
        let is_of_epoch = peer.epoch == config.epoch || planted!(NoEpochFence);
        if !is_vouched || !is_for_me || !is_of_epoch {
            if peer.epoch > config.epoch
                && matches!(
                    peer.body,
                    PeerMessage::SyncStart(_) | PeerMessage::Beacon(_) | PeerMessage::BeaconAck(_)
                )
            {
                // There is a newer configuration: do not wait for the next regular question.
                cx.query_config();
            }
            return cx.out.notify(Event::Stale { from });
        }
        match &mut self.role {
            Role::Primary(primary) => primary.on_peer(cx, peer),
            Role::Secondary(secondary) => {
                if let Some(answer) = secondary.on_peer(cx, peer) {
                    self.reads.on_committed_answer(cx, &answer);
                }
            }
            Role::Entering { greeting, .. } => {
                if matches!(peer.body, PeerMessage::SyncStart(_)) {
                    *greeting = Some(Box::new((from, peer)));
                }
            }
            Role::Starting | Role::Refused | Role::Leaving | Role::Left => {}
        }
    }

    // ---------------------------------------------------------------------------------------------- clients

    fn on_request(&mut self, now: Instant, from: Address, request: Request, out: &mut Outbox) {
        let asker = Asker {
            address: from,
            origin: request.origin,
            attempt: request.attempt,
        };
        match request.body {
            RequestBody::Insert { key, value } => {
                self.on_write(now, asker, Operation::Insert { key, value }, out);
            }
            RequestBody::Remove { key } => {
                self.on_write(now, asker, Operation::Remove { key }, out)
            }
            RequestBody::Get { .. } | RequestBody::Scan { .. } if !self.is_serving() => {
                let cx = &mut self.core.context(now, out);
                cx.reject(&asker, Rejection::NotReady);
            }
            RequestBody::Get { key, level } => {
                let authority = self.authority(now);
                let cx = &mut self.core.context(now, out);
                self.reads.on_get(cx, authority, asker, key, level);
            }
            RequestBody::Drain(drain) => self.on_drain(now, &asker, drain, out),
            RequestBody::Resolve { key } => {
                self.on_write(now, asker, Operation::Cancel { key }, out);
            }
            RequestBody::Scan { range, limit } => {
                let cx = &mut self.core.context(now, out);
                self.reads.on_scan(cx, asker, range, limit);
            }
            RequestBody::Status => self.on_status(now, asker, out),
        }
    }

    fn on_write(&mut self, now: Instant, asker: Asker, operation: Operation, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        match &mut self.role {
            Role::Primary(primary) => primary.on_write(cx, asker, operation),
            Role::Secondary(_) => {
                let primary = cx.core.config.as_ref().and_then(Config::primary_member);
                let primary = primary.map(|member| member.address.clone());
                cx.reject(&asker, Rejection::NotPrimary { primary });
            }
            Role::Starting | Role::Refused | Role::Entering { .. } | Role::Leaving | Role::Left => {
                cx.reject(&asker, Rejection::NotReady);
            }
        }
    }

    /// Does it answer reads?
    fn is_serving(&self) -> bool {
        match &self.role {
            Role::Primary(_) | Role::Secondary(_) | Role::Entering { .. } => true,
            // It had a place and asks for another one, so what it has is of this cluster.
            Role::Starting => self.core.config.is_some(),
            Role::Refused | Role::Leaving | Role::Left => false,
        }
    }

    /// What it may answer linearizable reads by.
    fn authority(&self, now: Instant) -> Authority {
        match &self.role {
            Role::Primary(primary)
                if primary.may_answer(now) || planted!(PrimaryReadsWithoutLease) =>
            {
                Authority::Primary {
                    inherited: primary.inherited(),
                }
            }
            Role::Secondary(secondary) => {
                let me = self.core.meta.node;
                let config = self.core.config.as_ref();
                let is_in_sync = config.is_some_and(|config| config.in_sync.contains(&me));
                let is_in_sync = is_in_sync || planted!(TakesLeaseJoining);
                if is_in_sync && secondary.has_read_lease(now) {
                    Authority::Secondary
                } else {
                    Authority::None
                }
            }
            Role::Primary(_)
            | Role::Starting
            | Role::Refused
            | Role::Entering { .. }
            | Role::Leaving
            | Role::Left => Authority::None,
        }
    }

    /// A client wants to know how the node is. What it has used the host knows, who answers at once.
    fn on_status(&mut self, now: Instant, asker: Asker, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        if cx.core.statuses.len() >= limits::STATUSES_IN_FLIGHT_MAX {
            return cx.reject(&asker, Rejection::Overloaded);
        }
        if cx.core.statuses.is_empty() {
            cx.out.push(Effect::MeasureUsage);
        }
        cx.core.statuses.push(asker);
    }

    fn on_usage(&mut self, now: Instant, usage: Usage, out: &mut Outbox) {
        let status = Box::new(self.status(now, usage));
        let cx = &mut self.core.context(now, out);
        for asker in std::mem::take(&mut cx.core.statuses) {
            cx.reply(&asker, ReplyBody::Status(status.clone()));
        }
    }

    fn status(&self, now: Instant, usage: Usage) -> NodeStatus {
        let core = &self.core;
        NodeStatus {
            node: core.meta.node,
            name: core.options.name.clone(),
            address: core.options.address.clone(),
            software: core.options.software.clone(),
            role: self.role(),
            config: core.config.clone(),
            arbiter: core.options.arbiter.clone(),
            arbiter_reachable: core.arbiter_heard,
            persisted: core.log.persisted(),
            committed: core.log.committed(),
            log_start: core.log.start(),
            disk_full: core.disk.is_full(),
            has_lease: self.authority(now) != Authority::None,
            sessions: core.sessions.len() as u64,
            peers: match &self.role {
                Role::Primary(primary) => primary.peers(),
                Role::Starting
                | Role::Refused
                | Role::Entering { .. }
                | Role::Secondary(_)
                | Role::Leaving
                | Role::Left => Vec::new(),
            },
            usage,
        }
    }

    /// Answers reads that waited for what this step brought.
    fn release_reads(&mut self, now: Instant, out: &mut Outbox) {
        if self.reads.is_anything_waiting() {
            let authority = self.authority(now);
            let cx = &mut self.core.context(now, out);
            self.reads.release(cx, authority);
        }
    }

    // ----------------------------------------------------------------------------------------- disk and time

    fn on_persisted(&mut self, now: Instant, ticket: Ticket, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        let Some(proof) = cx.core.disk.on_persisted(now, ticket, &mut cx.core.timers) else {
            return;
        };
        if let Proof::Log(position) = proof {
            cx.core.log.advance_persisted(position);
            cx.out.notify(Event::Persisted(cx.core.log.persisted()));
        }
        if cx.on_installed(ticket) {
            self.reads.on_installed(cx);
        }
        match &mut self.role {
            Role::Entering {
                ticket: awaited,
                opens_tenure,
                greeting,
            } if *awaited == ticket => {
                let (opens_tenure, greeting) = (*opens_tenure, greeting.take());
                self.take_role(now, opens_tenure, out);
                if let Some((from, peer)) = greeting.map(|greeting| *greeting) {
                    self.on_peer(now, from, peer, out);
                }
            }
            Role::Primary(primary) => primary.advance(cx),
            Role::Secondary(secondary) => secondary.on_persisted(cx, ticket, proof),
            Role::Starting | Role::Refused | Role::Entering { .. } | Role::Leaving | Role::Left => {
            }
        }
    }

    fn on_answered(&mut self, now: Instant, ticket: Ticket, answer: &Answer, out: &mut Outbox) {
        let authority = self.authority(now);
        let cx = &mut self.core.context(now, out);
        if self.reads.on_answered(cx, authority, ticket, answer) {
            return;
        }
        let is_taken = match &mut self.role {
            Role::Primary(primary) => primary.on_answered(cx, ticket, answer),
            Role::Starting
            | Role::Refused
            | Role::Entering { .. }
            | Role::Secondary(_)
            | Role::Leaving
            | Role::Left => false,
        };
        if !is_taken && matches!(answer, Answer::View { .. }) {
            // Whoever wanted it is gone.
            views::close(cx, ticket);
        }
    }

    fn on_timer(&mut self, now: Instant, timer: Timer, out: &mut Outbox) {
        self.core.timers.disarm(timer);
        let cx = &mut self.core.context(now, out);
        match (timer, &mut self.role) {
            (Timer::Join, Role::Starting) => cx.join(),
            (Timer::ConfigQuery, _) => {
                cx.query_config();
                cx.arm(Timer::ConfigQuery, limits::CONFIG_QUERY_INTERVAL);
            }
            (Timer::ArbiterSilent, _) => {
                cx.core.arbiter_heard = false;
                cx.out.notify(Event::ArbiterSilent);
            }
            (Timer::PersistRetry, _) => {
                for (ticket, save) in cx.core.disk.on_retry(now, &mut cx.core.timers) {
                    cx.out.persist(ticket, save);
                }
            }
            (Timer::Deadline, Role::Primary(primary)) => primary.on_deadline(cx),
            (Timer::Beacon, Role::Primary(primary)) => primary.on_beacon_due(cx),
            (Timer::Propose, Role::Primary(primary)) => primary.propose(cx),
            (Timer::Propose, Role::Secondary(secondary)) => secondary.propose(cx),
            (Timer::Sole, Role::Primary(primary)) => {
                primary.on_sole(cx);
                primary.advance(cx);
            }
            (Timer::HandOver, Role::Primary(primary)) => primary.on_hand_over_due(cx),
            (Timer::Lease(node), Role::Primary(primary)) => primary.on_lease_over(cx, node),
            (Timer::Promise, Role::Secondary(secondary)) => secondary.on_promise_over(cx),
            (Timer::CommittedQuery, Role::Secondary(secondary)) => {
                if let Some(number) = self.reads.next_question() {
                    secondary.ask_committed(cx, number);
                }
            }
            (Timer::Reads, _) => self.reads.on_waited(cx),
            (Timer::Resend(node), Role::Primary(primary)) => primary.on_resend(cx, node),
            (Timer::Overdue(node) | Timer::Silent(node), Role::Primary(primary)) => {
                primary.on_overdue(cx, node, timer);
            }
            (Timer::Leave, _) => self.go_on_leaving(now, out),
            (Timer::LeavePatience, _) => self.finish_leaving(now, out),
            // Of a role that has ended.
            (
                Timer::Join
                | Timer::Deadline
                | Timer::Beacon
                | Timer::Propose
                | Timer::Resend(_)
                | Timer::Overdue(_)
                | Timer::Silent(_)
                | Timer::Lease(_)
                | Timer::Sole
                | Timer::HandOver
                | Timer::Promise
                | Timer::CommittedQuery,
                _,
            ) => {}
        }
    }
}

impl Process for Replica {
    type Timer = Timer;

    fn step(&mut self, now: Instant, input: Input<Timer>, out: &mut Outbox) {
        match input {
            Input::Start => self.on_start(now, out),
            Input::Message { from, message } => match message {
                Message::FromArbiter(message) if from == self.core.options.arbiter => {
                    self.on_arbiter(now, message, out);
                }
                Message::Peer(peer) => self.on_peer(now, from, peer, out),
                Message::Request(request) => self.on_request(now, from, request, out),
                Message::FromArbiter(_) | Message::ToArbiter(_) | Message::Reply(_) => {
                    out.notify(Event::Stale { from });
                }
            },
            Input::Timer(timer) => self.on_timer(now, timer, out),
            Input::Persisted(ticket) => self.on_persisted(now, ticket, out),
            Input::DiskFull => {
                if self.core.disk.on_full() {
                    out.notify(Event::DiskFull);
                }
            }
            Input::DiskRoom => {
                if self.core.disk.on_room() {
                    out.notify(Event::DiskHasRoom);
                }
            }
            Input::Applied(position) => {
                let cx = &mut self.core.context(now, out);
                self.reads.on_applied(cx, position);
            }
            Input::Trimmed(position) => {
                self.core.log.advance_start(position);
                if let Role::Primary(primary) = &mut self.role {
                    primary.on_trimmed(&mut self.core.context(now, out));
                }
            }
            Input::Answered(ticket, answer) => self.on_answered(now, ticket, &answer, out),
            Input::UsageMeasured(usage) => self.on_usage(now, usage, out),
            Input::Leave => self.on_leave(now, out),
            // Only clients are called.
            Input::Call(..) => {}
        }
        if let Some(reason) = self.core.refusal.take() {
            self.refuse(now, reason, out);
        }
        self.release_reads(now, out);
    }

    fn settle(&mut self, now: Instant, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        cx.save_log();
        match &mut self.role {
            Role::Primary(primary) => {
                primary.settle(cx);
                if primary.resign(cx) {
                    self.finish_leaving(now, out);
                }
            }
            Role::Secondary(secondary) => {
                secondary.settle(cx);
                if self.reads.wants_question()
                    && let Some(number) = self.reads.next_question()
                {
                    secondary.ask_committed(cx, number);
                }
            }
            Role::Starting | Role::Refused | Role::Entering { .. } | Role::Leaving | Role::Left => {
            }
        }
    }

    fn timers(&self) -> &Timers<Timer> {
        &self.core.timers
    }
}
