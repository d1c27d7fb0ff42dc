//! The replica: one process that is primary or secondary, as the arbiter's configuration says.
//!
//! This file dispatches by role and enters configurations; what a role does is in its own file: `primary.rs` with a
//! `replicator.rs` for each other replica, `secondary.rs`. `reads.rs` and `disk.rs` serve every role.

mod disk;
mod primary;
mod reads;
mod replicator;
mod secondary;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Address, Config, ConfigVersion, Epoch, Member, NodeId, Position, Token};
use crate::event::Event;
use crate::limits::{self, Limits};
use crate::log::Log;
use crate::message::{
    ConfigQuery, FromArbiter, Join, JoinRefused, Joined, Leave, Message, NodeStatus, Peer,
    PeerMessage, Reply, ReplyBody, Request, RequestBody, RoleName, SyncStart, ToArbiter,
};
use crate::operation::{Entry, Operation, ReadLevel, Rejection};
use crate::process::{Effect, Input, Outbox, Process};
use crate::storage::{Answer, Meta, Recovered, Ticket, Write};
use crate::time::{Instant, Timers};

use disk::{Disk, Proof};
use primary::Primary;
use reads::{Asker, Reads};
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
    /// Send the Leave again.
    Leave,
    /// Stop although the arbiter has not confirmed the Leave.
    LeavePatience,
}

impl Timer {
    /// The replica it is about.
    fn node(&self) -> Option<NodeId> {
        match self {
            Self::Resend(node) | Self::Overdue(node) | Self::Silent(node) => Some(*node),
            Self::Join
            | Self::ConfigQuery
            | Self::ArbiterSilent
            | Self::PersistRetry
            | Self::Deadline
            | Self::Beacon
            | Self::Propose
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
#[derive(Clone, Debug)]
pub struct Replica {
    core: Core,
    role: Role,
}

/// What every role has.
#[derive(Clone, Debug)]
struct Core {
    options: ReplicaOptions,
    meta: Meta,
    config: Option<Config>,
    log: Log,
    disk: Disk,
    reads: Reads,
    timers: Timers<Timer>,
    arbiter_heard: bool,
}

#[derive(Clone, Debug)]
enum Role {
    /// Asks the arbiter to be let in.
    Starting,
    /// The arbiter will not have it.
    Refused,
    /// Has a configuration and waits until its disk knows the epoch.
    Entering { ticket: Ticket, opens_tenure: bool },
    /// Is primary.
    Primary(Box<Primary>),
    /// Is in sync or joining.
    Secondary(Secondary),
    /// Waits for the arbiter to confirm that it has left.
    Leaving,
    /// Has left.
    Left,
}

/// What a handler works with: the time, what every role has, and where effects go.
struct Context<'a> {
    now: Instant,
    core: &'a mut Core,
    out: &'a mut Outbox,
}

impl Replica {
    /// A replica that takes up what its disk holds.
    pub fn open(options: ReplicaOptions, recovered: Recovered) -> Self {
        let log = Log::open(&recovered, options.limits.tail_bytes_max);
        let core = Core {
            options,
            meta: recovered.meta,
            config: None,
            log,
            disk: Disk::default(),
            reads: Reads::default(),
            timers: Timers::new(),
            arbiter_heard: false,
        };
        Self {
            core,
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

    /// The configuration it knows; `None` before it has learned any.
    pub fn config(&self) -> Option<&Config> {
        self.core.config.as_ref()
    }

    /// What it is.
    pub fn role(&self) -> RoleName {
        match &self.role {
            Role::Starting | Role::Refused | Role::Entering { .. } => RoleName::Starting,
            Role::Primary(primary) if primary.is_leaving() => RoleName::Leaving,
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

    /// Requests in flight that it keeps in memory: writes to its disk and reads.
    pub fn requests_in_flight(&self) -> usize {
        self.core.disk.pending() + self.core.reads.len()
    }

    /// Asserts what must hold between steps.
    pub fn check(&self) {
        self.core.log.check();
        if let Role::Primary(primary) = &self.role {
            primary.check(self.core.log.end());
        }
    }

    // ------------------------------------------------------------------------------------------ the arbiter

    fn on_start(&mut self, now: Instant, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        cx.join();
        cx.arm(Timer::ConfigQuery, limits::CONFIG_QUERY_INTERVAL);
    }

    fn on_arbiter(&mut self, now: Instant, message: FromArbiter, out: &mut Outbox) {
        self.core.context(now, out).hear_arbiter();
        match message {
            FromArbiter::JoinedPrimary(joined) | FromArbiter::JoinedSecondary(joined) => {
                self.on_joined(now, joined, out);
            }
            FromArbiter::JoinRefused(refused) => self.on_join_refused(now, refused, out),
            FromArbiter::Replicas(config) | FromArbiter::ProposalRefused(config) => match self.role
            {
                // It takes part in nothing before its Join is answered.
                Role::Starting | Role::Refused | Role::Left => {}
                Role::Entering { .. } | Role::Primary(_) | Role::Secondary(_) | Role::Leaving => {
                    self.on_config(now, config, out);
                }
            },
        }
    }

    fn on_joined(&mut self, now: Instant, joined: Joined, out: &mut Outbox) {
        let Joined {
            config,
            incarnation,
            token,
        } = joined;
        let is_mine =
            incarnation == self.core.meta.incarnation && config.is_member(self.core.meta.node);
        if !matches!(self.role, Role::Starting)
            || !is_mine
            || !self.core.is_newer(&config, IsNewer::OrSame)
        {
            return;
        }
        self.core.timers.disarm(Timer::Join);
        self.enter(now, config, Some(token), out);
    }

    fn on_join_refused(&mut self, now: Instant, refused: JoinRefused, out: &mut Outbox) {
        if matches!(self.role, Role::Starting) && refused.incarnation == self.core.meta.incarnation
        {
            let cx = &mut self.core.context(now, out);
            cx.core.timers.disarm(Timer::Join);
            cx.core.timers.disarm(Timer::ConfigQuery);
            cx.out.notify(Event::JoinRefused(refused.reason));
            self.role = Role::Refused;
        }
    }

    fn on_config(&mut self, now: Instant, config: Config, out: &mut Outbox) {
        if !self.core.is_newer(&config, IsNewer::Strictly) {
            return;
        }
        if config.is_member(self.core.meta.node) {
            if matches!(self.role, Role::Leaving) {
                self.core.config = Some(config);
                self.core.context(now, out).leave();
            } else {
                self.enter(now, config, None, out);
            }
            return;
        }
        self.core.config = Some(config);
        if matches!(self.role, Role::Leaving) {
            self.finish_leaving(now, out);
        } else {
            self.end_role(now, out);
            self.role = Role::Starting;
            self.core.context(now, out).join();
        }
    }

    /// Takes up a newer configuration, in which it has a place. What it means is durable before it is acted on.
    fn enter(&mut self, now: Instant, config: Config, token: Option<Token>, out: &mut Outbox) {
        let meta = Meta {
            cluster: Some(config.cluster),
            token: token.unwrap_or(self.core.meta.token),
            epoch: config.epoch.max(self.core.meta.epoch),
            ..self.core.meta.clone()
        };
        let is_new_epoch = meta.epoch > self.core.meta.epoch;
        self.core.config = Some(config);
        if meta != self.core.meta {
            self.end_role(now, out);
            self.core.meta = meta.clone();
            let cx = &mut self.core.context(now, out);
            let ticket = cx.persist(Write::Meta(meta), Proof::Other);
            self.role = Role::Entering {
                ticket,
                opens_tenure: is_new_epoch,
            };
        } else if matches!(self.role, Role::Starting) {
            self.take_role(now, is_new_epoch, out);
        } else if !matches!(self.role, Role::Entering { .. }) {
            self.reconfigure(now, out);
        }
    }

    /// The role that the configuration gives it. Only an epoch it has never acted in makes it primary: a former start
    /// of it may have acted in an older one, and forgotten how.
    fn take_role(&mut self, now: Instant, opens_tenure: bool, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        let Some((primary, epoch)) = cx
            .core
            .config
            .as_ref()
            .and_then(|config| Some((config.primary?, config.epoch)))
        else {
            return;
        };
        if primary != cx.core.meta.node {
            self.role = Role::Secondary(Secondary::new(primary, epoch));
        } else if opens_tenure {
            self.role = Role::Primary(Box::new(Primary::open(cx, epoch)));
        } else {
            self.role = Role::Starting;
            return cx.join();
        }
        self.notify_entered(out);
    }

    /// A newer configuration of the epoch it acts in.
    fn reconfigure(&mut self, now: Instant, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        match &mut self.role {
            Role::Primary(primary) => primary.on_config(cx),
            Role::Secondary(_)
            | Role::Starting
            | Role::Refused
            | Role::Entering { .. }
            | Role::Leaving
            | Role::Left => {}
        }
        self.notify_entered(out);
    }

    fn notify_entered(&self, out: &mut Outbox) {
        if let Some(config) = &self.core.config {
            let (epoch, version) = (config.epoch, config.version);
            out.notify(Event::Entered {
                role: self.role(),
                epoch,
                version,
            });
        }
    }

    fn end_role(&mut self, now: Instant, out: &mut Outbox) {
        if let Role::Primary(primary) = &mut self.role {
            primary.close(&mut self.core.context(now, out));
        }
    }

    // ---------------------------------------------------------------------------------------------- leaving

    fn on_leave(&mut self, now: Instant, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        match &mut self.role {
            Role::Starting | Role::Refused | Role::Entering { .. } => self.finish_leaving(now, out),
            Role::Primary(primary) => primary.on_leave(cx),
            Role::Secondary(_) => {
                cx.leave();
                cx.arm(Timer::LeavePatience, limits::LEAVE_PATIENCE);
                self.role = Role::Leaving;
            }
            Role::Leaving | Role::Left => {}
        }
    }

    fn finish_leaving(&mut self, now: Instant, out: &mut Outbox) {
        self.end_role(now, out);
        self.role = Role::Left;
        for timer in [
            Timer::Join,
            Timer::ConfigQuery,
            Timer::Leave,
            Timer::LeavePatience,
        ] {
            self.core.timers.disarm(timer);
        }
        out.notify(Event::Left);
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
        if !is_vouched || peer.epoch != config.epoch {
            if peer.epoch > config.epoch
                && matches!(peer.body, PeerMessage::SyncStart(SyncStart { .. }))
            {
                // There is a newer configuration: do not wait for the next regular question.
                let node = cx.core.meta.node;
                cx.send_to_arbiter(ToArbiter::ConfigQuery(ConfigQuery { node }));
            }
            return cx.out.notify(Event::Stale { from });
        }
        match &mut self.role {
            Role::Primary(primary) => primary.on_peer(cx, peer),
            Role::Secondary(secondary) => secondary.on_peer(cx, peer),
            Role::Starting | Role::Refused | Role::Entering { .. } | Role::Leaving | Role::Left => {
            }
        }
    }

    // ---------------------------------------------------------------------------------------------- clients

    fn on_request(&mut self, now: Instant, from: Address, request: Request, out: &mut Outbox) {
        let asker = Asker {
            address: from,
            client: request.client,
            id: request.id,
        };
        match request.body {
            RequestBody::Insert { key, value } => {
                self.on_write(now, asker, Operation::Insert { key, value }, out);
            }
            RequestBody::Remove { key } => {
                self.on_write(now, asker, Operation::Remove { key }, out)
            }
            RequestBody::Get {
                key,
                level: ReadLevel::Local,
            } => match self.serving(now, &asker, out) {
                Some(mut cx) => reads::on_get(&mut cx, asker, key),
                None => {}
            },
            RequestBody::Scan { after } => match self.serving(now, &asker, out) {
                Some(mut cx) => reads::on_scan(&mut cx, asker, after),
                None => {}
            },
            RequestBody::Status => {
                let status = Box::new(self.status());
                self.core
                    .context(now, out)
                    .reply(&asker, ReplyBody::Status(status));
            }
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

    /// What reads work with, if it answers any; otherwise the asker is told that it does not.
    fn serving<'a>(
        &'a mut self,
        now: Instant,
        asker: &Asker,
        out: &'a mut Outbox,
    ) -> Option<Context<'a>> {
        let mut cx = self.core.context(now, out);
        match &self.role {
            Role::Primary(_) | Role::Secondary(_) | Role::Entering { .. } => Some(cx),
            Role::Starting | Role::Refused | Role::Leaving | Role::Left => {
                cx.reject(asker, Rejection::NotReady);
                None
            }
        }
    }

    fn status(&self) -> NodeStatus {
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
            peers: match &self.role {
                Role::Primary(primary) => primary.peers(),
                Role::Starting
                | Role::Refused
                | Role::Entering { .. }
                | Role::Secondary(_)
                | Role::Leaving
                | Role::Left => Vec::new(),
            },
        }
    }

    // ----------------------------------------------------------------------------------------- disk and time

    fn on_persisted(&mut self, now: Instant, ticket: Ticket, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        let Some(proof) = cx
            .core
            .disk
            .on_persisted(now, ticket, &mut cx.core.timers, cx.out)
        else {
            return;
        };
        if let Proof::Log(position) = proof {
            cx.core.log.advance_persisted(position);
            cx.out.notify(Event::Persisted(cx.core.log.persisted()));
        }
        match &mut self.role {
            Role::Entering {
                ticket: awaited,
                opens_tenure,
            } if *awaited == ticket => {
                let opens_tenure = *opens_tenure;
                self.take_role(now, opens_tenure, out);
            }
            Role::Primary(primary) => primary.advance(cx),
            Role::Secondary(secondary) => secondary.on_persisted(cx, ticket, proof),
            Role::Starting | Role::Refused | Role::Entering { .. } | Role::Leaving | Role::Left => {
            }
        }
    }

    fn on_answered(&mut self, now: Instant, ticket: Ticket, answer: &Answer, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        if reads::on_answered(cx, ticket, answer) {
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
            cx.out.push(Effect::CloseView(ticket));
        }
    }

    fn on_timer(&mut self, now: Instant, timer: Timer, out: &mut Outbox) {
        self.core.timers.disarm(timer);
        let cx = &mut self.core.context(now, out);
        match (timer, &mut self.role) {
            (Timer::Join, Role::Starting) => cx.join(),
            (Timer::ConfigQuery, _) => {
                let node = cx.core.meta.node;
                cx.send_to_arbiter(ToArbiter::ConfigQuery(ConfigQuery { node }));
                cx.arm(Timer::ConfigQuery, limits::CONFIG_QUERY_INTERVAL);
            }
            (Timer::ArbiterSilent, _) => {
                cx.core.arbiter_heard = false;
                cx.out.notify(Event::ArbiterSilent);
            }
            (Timer::PersistRetry, _) => cx.core.disk.on_retry(now, &mut cx.core.timers, cx.out),
            (Timer::Deadline, Role::Primary(primary)) => primary.on_deadline(cx),
            (Timer::Beacon, Role::Primary(primary)) => primary.on_beacon_due(cx),
            (Timer::Propose, Role::Primary(primary)) => primary.propose(cx),
            (Timer::Resend(node), Role::Primary(primary)) => primary.on_resend(cx, node),
            (Timer::Overdue(node) | Timer::Silent(node), Role::Primary(primary)) => {
                primary.on_overdue(cx, node)
            }
            (Timer::Leave, Role::Leaving) => cx.leave(),
            (Timer::LeavePatience, Role::Leaving) => self.finish_leaving(now, out),
            // Of a role that has ended.
            (
                Timer::Join
                | Timer::Deadline
                | Timer::Beacon
                | Timer::Propose
                | Timer::Resend(_)
                | Timer::Overdue(_)
                | Timer::Silent(_)
                | Timer::Leave
                | Timer::LeavePatience,
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
            Input::DiskFull => self.core.disk.on_full(out),
            Input::Applied(position) => {
                reads::on_applied(&mut self.core.context(now, out), position)
            }
            Input::Trimmed(position) => {
                self.core.log.advance_start(position);
                if let Role::Primary(primary) = &mut self.role {
                    primary.on_trimmed(&mut self.core.context(now, out));
                }
            }
            Input::Answered(ticket, answer) => self.on_answered(now, ticket, &answer, out),
            Input::Leave => self.on_leave(now, out),
            // Only clients are called.
            Input::Call(..) => {}
        }
    }

    fn timers(&self) -> &Timers<Timer> {
        &self.core.timers
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IsNewer {
    Strictly,
    OrSame,
}

impl Core {
    fn context<'a>(&'a mut self, now: Instant, out: &'a mut Outbox) -> Context<'a> {
        Context {
            now,
            core: self,
            out,
        }
    }

    /// Is this a configuration of its cluster, sound, and newer than the one it knows?
    fn is_newer(&self, config: &Config, how: IsNewer) -> bool {
        let known = self
            .config
            .as_ref()
            .map_or(ConfigVersion::ZERO, |config| config.version);
        let is_ours = self
            .meta
            .cluster
            .is_none_or(|cluster| cluster == config.cluster);
        let is_newer = match how {
            IsNewer::Strictly => config.version > known,
            IsNewer::OrSame => config.version >= known,
        };
        is_ours && is_newer && config.is_valid() && config.epoch >= self.known_epoch()
    }

    fn known_epoch(&self) -> Epoch {
        self.config
            .as_ref()
            .map_or(Epoch::ZERO, |config| config.epoch)
    }
}

impl Context<'_> {
    fn arm(&mut self, timer: Timer, patience: Duration) {
        self.core.timers.arm(timer, self.now + patience);
    }

    fn member(&self, node: NodeId) -> Option<&Member> {
        self.core
            .config
            .as_ref()
            .and_then(|config| config.members.get(&node))
    }

    /// Reports a message that does not fit.
    fn stale(&mut self, sender: NodeId) {
        if let Some(member) = self.member(sender) {
            let from = member.address.clone();
            self.out.notify(Event::Stale { from });
        }
    }

    /// Says `body` to the replica at `to`, in the present epoch.
    fn tell(&mut self, to: &Address, body: PeerMessage) {
        let (sender, epoch) = (self.core.meta.node, self.core.known_epoch());
        self.out.send(
            to,
            Message::Peer(Peer {
                sender,
                epoch,
                body,
            }),
        );
    }

    fn reply(&mut self, asker: &Asker, body: ReplyBody) {
        let reply = Reply {
            client: asker.client,
            id: asker.id,
            body,
        };
        self.out.send(&asker.address, Message::Reply(reply));
    }

    fn reject(&mut self, asker: &Asker, reason: Rejection) {
        self.reply(asker, ReplyBody::OperationRejected { reason });
    }

    fn persist(&mut self, write: Write, proof: Proof) -> Ticket {
        self.core
            .disk
            .persist(self.now, write, proof, &mut self.core.timers, self.out)
    }

    /// Appends consecutive entries that follow the log's end, and has them stored.
    fn append(&mut self, entries: Vec<Arc<Entry>>) {
        for entry in &entries {
            let (epoch, seq) = (entry.epoch, entry.seq);
            self.core.log.append(Arc::clone(entry));
            self.out.notify(Event::Appended { epoch, seq });
        }
        let committed = self.core.log.committed();
        let end = self.core.log.end();
        self.persist(Write::Append { entries, committed }, Proof::Log(end));
    }

    /// Takes up that the log is committed up to `position`.
    fn commit(&mut self, position: Position) {
        let entries = self.core.log.advance_committed(position);
        if !entries.is_empty() {
            self.out.notify(Event::Committed(self.core.log.committed()));
            self.out.push(Effect::Apply { entries });
        }
    }

    fn join(&mut self) {
        let core = &self.core;
        let join = Join {
            node: core.meta.node,
            incarnation: core.meta.incarnation,
            token: core.meta.token,
            cluster: core.meta.cluster,
            name: core.options.name.clone(),
            address: core.options.address.clone(),
        };
        self.send_to_arbiter(ToArbiter::Join(join));
        self.arm(Timer::Join, limits::RETRY_INTERVAL);
    }

    fn leave(&mut self) {
        let core = &self.core;
        let leave = Leave {
            node: core.meta.node,
            incarnation: core.meta.incarnation,
            version: core
                .config
                .as_ref()
                .map_or(ConfigVersion::ZERO, |config| config.version),
        };
        self.send_to_arbiter(ToArbiter::Leave(leave));
        self.arm(Timer::Leave, limits::RETRY_INTERVAL);
    }

    fn hear_arbiter(&mut self) {
        if !self.core.arbiter_heard {
            self.core.arbiter_heard = true;
            self.out.notify(Event::ArbiterHeard);
        }
        self.arm(Timer::ArbiterSilent, limits::ARBITER_SILENCE);
    }
}
