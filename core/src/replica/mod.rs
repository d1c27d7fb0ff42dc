//! The replica: one process that is primary or secondary, as the arbiter's configuration says.
//!
//! This file hands inputs to whom they concern. What every role has is in `core.rs`, and what it does with it in `context.rs`,
//! `log.rs` and `arbiter.rs`; what a role does is in its own file: `primary` with a `replicator` for each other replica,
//! `secondary`; how roles begin and end is in `membership.rs`. What clients want comes in by `clients.rs`; what they read is
//! answered in `reads`, beside the roles.

mod answers;
mod arbiter;
mod arbiters;
mod asker;
mod clients;
mod context;
mod core;
mod former;
mod leases;
mod log;
mod membership;
mod options;
mod primary;
mod proof;
mod reads;
mod replicator;
mod role;
mod secondary;
mod status;
mod statuses;
#[cfg(test)]
mod tests;
mod timer;

use std::collections::BTreeMap;

use crate::config::{Address, Config, NodeId};
use crate::event::Event;
use crate::limits;
use crate::log::Log;
use crate::message::{Message, Peer, PeerMessage, RoleName};
use crate::process::{Input, Now, Outbox, Process};
use crate::sessions::Sessions;
use crate::storage::{Answer, Meta, Recovered, Ticket};
use crate::time::Timers;

pub use self::options::ReplicaOptions;
pub use self::timer::Timer;

use self::answers::Answers;
use self::arbiters::Arbiters;
use self::core::Core;
use self::former::Former;
use self::proof::{Proof, Saves};
use self::reads::{Reads, views};
use self::role::Role;
use self::statuses::Statuses;

/// A replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    core: Core,
    reads: Reads,
    role: Role,
}

impl Replica {
    /// A replica that takes up what its disk holds.
    pub fn open(options: ReplicaOptions, recovered: Recovered) -> Self {
        let log = Log::open(&recovered, options.limits.tail_bytes_max);
        let sessions = planted!(SessionsNotRecovered => Default::default(), recovered.sessions);
        let sessions = Sessions::open(sessions, options.limits.sessions.clone());
        let mut core = Core {
            arbiters: Arbiters::new(options.arbiters.clone(), &recovered.meta.arbiters),
            options,
            meta: recovered.meta,
            config: None,
            former: Former::default(),
            saving: log.end(),
            log,
            sessions,
            uncommitted: BTreeMap::new(),
            disk: Saves::new(Timer::PersistRetry),
            next_query: Ticket::default(),
            statuses: Statuses::default(),
            answers: Answers::default(),
            timers: Timers::new(),
            arbiter_heard: false,
            foreign_arbiter: None,
            leaving: None,
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
            Role::Primary(primary) if self.core.leaving.is_some() && primary.is_finishing() => {
                RoleName::Leaving
            }
            Role::Primary(_) => RoleName::Primary,
            Role::Secondary(_) => {
                if self.core.is_in_sync() {
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

    /// Requests in flight that it keeps in memory: saves, reads, questions about itself.
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

    fn on_peer(&mut self, now: Now<'_>, from: Address, peer: Peer, out: &mut Outbox) {
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

    // ----------------------------------------------------------------------------------------- disk and time

    fn on_persisted(&mut self, now: Now<'_>, ticket: Ticket, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        let Some(proof) = cx
            .core
            .disk
            .on_persisted(now.time, ticket, &mut cx.core.timers)
        else {
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

    fn on_answered(&mut self, now: Now<'_>, ticket: Ticket, answer: &Answer, out: &mut Outbox) {
        let authority = self.authority(now.time);
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

    fn on_timer(&mut self, now: Now<'_>, timer: Timer, out: &mut Outbox) {
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
                for (ticket, save) in cx.core.disk.on_retry(now.time, &mut cx.core.timers) {
                    cx.out.persist(ticket, save);
                }
            }
            (Timer::Deadline, Role::Primary(primary)) => primary.on_deadline(cx),
            (Timer::Beacon, Role::Primary(primary)) => primary.on_beacon_due(cx),
            (Timer::Propose, Role::Primary(primary)) => primary.propose(cx),
            (Timer::Propose, Role::Secondary(secondary)) => secondary.trust.propose(cx),
            (Timer::Sole, Role::Primary(primary)) => {
                primary.on_sole(cx);
                primary.advance(cx);
            }
            (Timer::HandOver, Role::Primary(primary)) => primary.on_hand_over_due(cx),
            (Timer::Lease(node), Role::Primary(primary)) => primary.on_lease_over(cx, node),
            (Timer::Promise, Role::Secondary(secondary)) => secondary.trust.on_promise_over(cx),
            (Timer::CommittedQuery, Role::Secondary(secondary)) => {
                if let Some(number) = self.reads.repeated_question() {
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

    fn step(&mut self, now: Now<'_>, input: Input<Timer>, out: &mut Outbox) {
        match input {
            Input::Start => self.on_start(now, out),
            Input::Message { from, message } => match message {
                Message::FromArbiter(message) if self.core.arbiters.has(&from) => {
                    self.on_arbiter(now, &from, *message, out);
                }
                Message::Peer(peer) => self.on_peer(now, from, peer, out),
                Message::Request(request) => self.on_request(now, from, request, out),
                Message::FromArbiter(_)
                | Message::ToArbiter(_)
                | Message::Reply(_)
                | Message::Register(_)
                | Message::Offer(_) => {
                    out.notify(Event::Stale { from });
                }
            },
            Input::Timer(timer) => self.on_timer(now, timer, out),
            Input::Persisted(ticket) => self.on_persisted(now, ticket, out),
            Input::DiskFull => {
                if self.core.disk.on_full(now.time) {
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

    fn settle(&mut self, now: Now<'_>, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        cx.core.answers.begin();
        cx.save_log();
        match &mut self.role {
            Role::Primary(primary) => {
                primary.settle(cx);
                if primary.resign(cx) {
                    self.stop_last(now, out);
                }
            }
            Role::Secondary(secondary) => {
                secondary.settle(cx);
                if let Some(number) = self.reads.next_question() {
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
