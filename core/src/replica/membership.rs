//! The replica's conversation with the arbiter: joining, entering configurations, leaving
//! ([protocol](crate::docs::protocol#entering-a-configuration)).

use crate::config::{Address, Config, Incarnation, NodeId, StartId, Token};
use crate::event::Event;
use crate::limits;
use crate::message::{
    ArbitersChange, ConfigChange, Drain, FromArbiter, JoinRefusal, JoinRefused, Joined, ReplyBody,
    RequestBody,
};
use crate::operation::{DrainRefusal, Rejection};
use crate::process::{Now, Outbox};
use crate::storage::{Meta, Save};

use super::Replica;
use super::asker::Asker;
use super::core::{IsNewer, Leaving};
use super::primary::Primary;
use super::role::Role;
use super::secondary::Secondary;
use super::timer::Timer;

impl Replica {
    pub(super) fn on_start(&mut self, now: Now<'_>, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        cx.join();
        cx.arm(Timer::ConfigQuery, limits::CONFIG_QUERY_INTERVAL);
    }

    pub(super) fn on_arbiter(
        &mut self,
        now: Now<'_>,
        from: &Address,
        message: FromArbiter,
        out: &mut Outbox,
    ) {
        if self.core.context(now, out).is_foreign(&message) {
            return;
        }
        self.core.context(now, out).hear_arbiter(from);
        match message {
            FromArbiter::JoinedPrimary(joined) | FromArbiter::JoinedSecondary(joined) => {
                self.on_joined(now, joined, out);
            }
            FromArbiter::JoinRefused(refused) => self.on_join_refused(now, refused, out),
            FromArbiter::Arbiters(seen) => self.core.arbiters.on_seen(now.time, seen),
            FromArbiter::Replicas(config) | FromArbiter::ProposalRefused(config) => match self.role
            {
                // It takes part in nothing before its Join is answered.
                Role::Starting | Role::Refused | Role::Left => {}
                Role::Entering { .. } | Role::Primary(_) | Role::Secondary(_) | Role::Leaving => {
                    self.on_config(now, config, out);
                    let cx = &mut self.core.context(now, out);
                    match &mut self.role {
                        Role::Primary(primary) => primary.on_arbiter_answer(cx),
                        Role::Secondary(secondary) => secondary.trust.on_arbiter_answer(cx),
                        Role::Starting
                        | Role::Refused
                        | Role::Entering { .. }
                        | Role::Leaving
                        | Role::Left => {}
                    }
                }
            },
        }
    }

    pub(super) fn on_joined(&mut self, now: Now<'_>, joined: Joined, out: &mut Outbox) {
        let Joined {
            config,
            node,
            incarnation,
            token,
            start,
        } = joined;
        if !matches!(self.role, Role::Starting)
            || !self.is_me(node, incarnation, start)
            || !config.has_place(node)
            || !self.core.is_newer(&config, IsNewer::OrSame)
        {
            return;
        }
        self.core.timers.disarm(Timer::Join);
        self.enter(now, config, Some(token), out);
    }

    pub(super) fn on_join_refused(&mut self, now: Now<'_>, refused: JoinRefused, out: &mut Outbox) {
        if matches!(self.role, Role::Starting)
            && self.is_me(refused.node, refused.incarnation, refused.start)
        {
            self.refuse(now, refused.reason, out);
        }
    }

    /// It has no place: it serves nothing and says nothing any more, and the process ends.
    pub(super) fn refuse(&mut self, now: Now<'_>, reason: JoinRefusal, out: &mut Outbox) {
        self.end_role(now, out);
        self.fall_silent();
        out.notify(Event::JoinRefused(reason));
        self.role = Role::Refused;
    }

    /// Is this what an answer of the arbiter speaks of? A node that had this address before may be answered late.
    fn is_me(&self, node: NodeId, incarnation: Incarnation, start: StartId) -> bool {
        let meta = &self.core.meta;
        (node, incarnation, start) == (meta.node, meta.incarnation, meta.start())
            || planted!(LateJoinedObeyed)
    }

    /// Is another process in the configuration under its identity? It had a place there itself, so that one has joined since.
    fn is_displaced(&self, config: &Config) -> bool {
        let core = &self.core;
        config.members.get(&core.meta.node).is_some_and(|member| {
            member.incarnation != core.meta.incarnation || member.address != core.options.address
        })
    }

    pub(super) fn on_config(&mut self, now: Now<'_>, config: Config, out: &mut Outbox) {
        if !self.core.is_newer(&config, IsNewer::Strictly) {
            return;
        }
        if self.is_displaced(&config) && !planted!(DisplacedGoesOn) {
            return self.refuse(now, JoinRefusal::Displaced, out);
        }
        let me = self.core.meta.node;
        if config.has_place(me) && !matches!(self.role, Role::Leaving) {
            return self.enter(now, config, None, out);
        }
        // It was the last, and serves nothing any more: who rests has its place again, or somebody else was faster.
        let is_asking = config.draining.contains(&me)
            || config.in_sync.contains(&me) && !config.resting.is_empty();
        self.core.learn(now.time, config);
        self.end_role(now, out);
        if self.core.leaving.is_none() {
            self.role = Role::Starting;
            self.core.context(now, out).join();
        } else if is_asking {
            self.role = Role::Leaving;
            self.go_on_leaving(now, out);
        } else {
            self.finish_leaving(now, out);
        }
    }

    /// Takes up a newer configuration, in which it has a place. What it means is durable before it is acted on.
    pub(super) fn enter(
        &mut self,
        now: Now<'_>,
        config: Config,
        token: Option<Token>,
        out: &mut Outbox,
    ) {
        let mut meta = Meta {
            cluster: Some(config.cluster),
            starts: match token {
                Some(_) => vec![self.core.meta.start()],
                None => self.core.meta.starts.clone(),
            },
            token: token.unwrap_or(self.core.meta.token),
            epoch: config.epoch.max(self.core.meta.epoch),
            ..self.core.meta.clone()
        };
        let is_new_epoch = meta.epoch > self.core.meta.epoch;
        let is_other = meta != self.core.meta;
        let places = config.arbiters.values();
        let arbiters: Vec<Address> = places.map(|place| place.address.clone()).collect();
        self.core.learn(now.time, config);
        if !arbiters.is_empty() && arbiters != meta.arbiters {
            meta.arbiters = arbiters;
            if !is_other {
                // Nothing waits for that: another start asks more arbiters in vain at most.
                self.core.meta = meta.clone();
                let save = Save::Meta(meta.clone());
                self.core.context(now, out).persist(save);
            }
        }
        if is_other {
            self.end_role(now, out);
            self.core.meta = meta.clone();
            let cx = &mut self.core.context(now, out);
            let ticket = cx.persist(Save::Meta(meta));
            self.role = Role::Entering {
                ticket,
                opens_tenure: is_new_epoch,
                greeting: None,
            };
            if planted!(EpochNotAwaited) {
                self.take_role(now, is_new_epoch, out);
            }
        } else if matches!(self.role, Role::Starting) {
            // Thrown back to here it may have asked its disk for this and not heard of it. That does no harm: it becomes
            // primary of no epoch that is not new to it. As a secondary it acknowledges nothing ahead of what it asked for
            // first, and keeps its promises in memory only; the next start acts in nothing before the arbiter, whose record
            // has this epoch, has answered its Join.
            self.take_role(now, is_new_epoch, out);
        } else if !matches!(self.role, Role::Entering { .. }) {
            self.reconfigure(now, out);
        }
    }

    /// The role that the configuration gives it. Only an epoch it has never acted in makes it primary: a former start
    /// of it may have acted in an older one, and forgotten how.
    pub(super) fn take_role(&mut self, now: Now<'_>, opens_tenure: bool, out: &mut Outbox) {
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
            self.role = Role::Secondary(Secondary::new(cx, primary, epoch));
        } else if opens_tenure || planted!(RestartKeepsEpoch) {
            if planted!(PrimaryTruncates) {
                let keep = cx.core.log.committed();
                cx.truncate(keep);
            }
            self.role = Role::Primary(Box::new(Primary::open(cx, epoch)));
        } else {
            self.role = Role::Starting;
            return cx.join();
        }
        self.notify_entered(out);
        self.go_on_leaving(now, out);
    }

    /// A newer configuration of the epoch it acts in.
    pub(super) fn reconfigure(&mut self, now: Now<'_>, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        match &mut self.role {
            Role::Primary(primary) => primary.on_config(cx),
            Role::Secondary(secondary) => secondary.trust.on_config(cx),
            Role::Starting | Role::Refused | Role::Entering { .. } | Role::Leaving | Role::Left => {
            }
        }
        self.notify_entered(out);
        self.go_on_leaving(now, out);
    }

    pub(super) fn notify_entered(&self, out: &mut Outbox) {
        if let Some(config) = &self.core.config {
            let (epoch, version) = (config.epoch, config.version);
            out.notify(Event::Entered {
                role: self.role(),
                epoch,
                version,
            });
        }
    }

    pub(super) fn end_role(&mut self, now: Now<'_>, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        match &mut self.role {
            Role::Primary(primary) => primary.close(cx),
            Role::Secondary(_) => Secondary::close(cx),
            Role::Starting | Role::Refused | Role::Entering { .. } | Role::Leaving | Role::Left => {
            }
        }
        self.reads.on_role_ended(cx);
    }

    // ---------------------------------------------------------------------------------------------- leaving

    /// The process is to end: when the arbiter has taken it out, but not later than after some patience. Then it ends as
    /// if it crashed, and stays a copy to come back to.
    pub(super) fn on_leave(&mut self, now: Now<'_>, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        let patience = now.time + limits::LEAVE_PATIENCE;
        cx.core.timers.arm_if_idle(Timer::LeavePatience, patience);
        // With a long lease it would not be told in time that it may rest.
        let how = match cx.timing().lease <= limits::LEAVE_PATIENCE / 2 {
            true => Leaving::ToReturn,
            false => Leaving::ForGood,
        };
        let how = self.core.leaving.unwrap_or(how);
        self.leave(now, how, out);
    }

    /// It gives up nothing before the arbiter has confirmed that it is out, or has made another one primary.
    fn leave(&mut self, now: Now<'_>, how: Leaving, out: &mut Outbox) {
        self.core.leaving = Some(how);
        match &self.role {
            Role::Starting | Role::Refused => self.finish_leaving(now, out),
            Role::Entering { .. }
            | Role::Primary(_)
            | Role::Secondary(_)
            | Role::Leaving
            | Role::Left => self.go_on_leaving(now, out),
        }
    }

    /// Takes the next step on the way out, if it is to leave.
    pub(super) fn go_on_leaving(&mut self, now: Now<'_>, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        if cx.core.leaving.is_none() {
            return;
        }
        match &mut self.role {
            Role::Primary(primary) => primary.on_drain(cx),
            Role::Secondary(secondary) => {
                if secondary.may_leave(cx) {
                    cx.leave();
                }
                cx.arm(Timer::Leave, limits::RETRY_INTERVAL);
                if planted!(GivesUpUnconfirmed) {
                    self.end_role(now, out);
                    self.role = Role::Leaving;
                }
            }
            Role::Leaving => cx.leave(),
            Role::Starting | Role::Refused | Role::Entering { .. } | Role::Left => {}
        }
    }

    /// An operator wants it to leave, or to be primary no more.
    pub(super) fn on_drain(&mut self, now: Now<'_>, asker: &Asker, drain: Drain, out: &mut Outbox) {
        let cx = &mut self.core.context(now, out);
        if matches!(
            self.role,
            Role::Starting | Role::Refused | Role::Entering { .. }
        ) {
            let reason = Rejection::NotReady;
            cx.notify_administered(asker, RequestBody::Drain(drain), Some(reason.clone()));
            return cx.reject(asker, reason);
        }
        if let Some(reason) = self.objection(now, drain, out) {
            let cx = &mut self.core.context(now, out);
            let reason = Rejection::CannotDrain { reason };
            cx.notify_administered(asker, RequestBody::Drain(drain), Some(reason.clone()));
            return cx.reject(asker, reason);
        }
        let cx = &mut self.core.context(now, out);
        cx.notify_administered(asker, RequestBody::Drain(drain), None);
        cx.reply(asker, ReplyBody::Begun);
        match (drain, &mut self.role) {
            (Drain::Node | Drain::NodeByForce, _) => self.leave(now, Leaving::ForGood, out),
            (Drain::Primary, Role::Primary(primary)) => primary.on_drain(cx),
            (Drain::Primary, _) => {}
            (Drain::Former(node), _) => {
                let former = cx.core.config.as_ref().map(|config| &config.former);
                if former.is_some_and(|former| former.contains_key(&node)) {
                    cx.propose_for_operator(ConfigChange::Forget(node));
                }
            }
        }
    }

    /// An operator wants other arbiters.
    pub(super) fn on_arbiters(
        &mut self,
        now: Now<'_>,
        asker: &Asker,
        change: ArbitersChange,
        out: &mut Outbox,
    ) {
        let cx = &mut self.core.context(now, out);
        let what = RequestBody::Arbiters(change);
        let is_ready = !matches!(
            self.role,
            Role::Starting | Role::Refused | Role::Entering { .. } | Role::Left
        );
        let refused = match cx.core.arbiter_heard {
            _ if !is_ready => Some(Rejection::NotReady),
            false => Some(Rejection::ArbitersSilent),
            true => None,
        };
        cx.notify_administered(asker, what, refused.clone());
        match refused {
            Some(reason) => cx.reject(asker, reason),
            None => {
                cx.reply(asker, ReplyBody::Begun);
                cx.propose_for_operator(ConfigChange::Arbiters(change));
            }
        }
    }

    /// Why a drain would not end, or stop the cluster: nobody is told that it has begun then.
    fn objection(&mut self, now: Now<'_>, drain: Drain, out: &mut Outbox) -> Option<DrainRefusal> {
        let cx = &self.core.context(now, out);
        let config = cx.core.config.as_ref()?;
        let is_in_sync = config.in_sync.contains(&cx.core.meta.node);
        let is_to_leave = match (drain, &self.role) {
            (Drain::Former(_), _) => {
                return (!cx.core.arbiter_heard).then_some(DrainRefusal::ArbiterSilent);
            }
            (_, Role::Leaving | Role::Left) => return None,
            (Drain::Primary, Role::Primary(_)) => false,
            (Drain::Primary, _) => return None,
            (Drain::Node | Drain::NodeByForce, _) => true,
        };
        let left = config.in_sync.len() - usize::from(is_in_sync);
        if left == 0 {
            return Some(DrainRefusal::LastInSync);
        }
        let required = cx.core.options.limits.min_in_sync;
        if is_to_leave && is_in_sync && drain != Drain::NodeByForce && left < required as usize {
            let in_sync = left as u32;
            return Some(DrainRefusal::TooFewReplicas { in_sync, required });
        }
        if !cx.core.arbiter_heard {
            return Some(DrainRefusal::ArbiterSilent);
        }
        match &self.role {
            Role::Primary(primary) if !primary.has_successor(cx) => Some(DrainRefusal::NoSuccessor),
            Role::Secondary(secondary) if !secondary.may_leave(cx) => {
                Some(DrainRefusal::PrimarySilent)
            }
            Role::Primary(_)
            | Role::Secondary(_)
            | Role::Starting
            | Role::Refused
            | Role::Entering { .. }
            | Role::Leaving
            | Role::Left => None,
        }
    }

    /// The primary stops, and nobody is there to take over. Those that rest have all that it has committed: it has the arbiter
    /// put them in sync again, so that any of them can go on. Until that is known it serves nothing, since one may already.
    pub(super) fn stop_last(&mut self, now: Now<'_>, out: &mut Outbox) {
        let config = self.core.config.as_ref();
        let is_anybody_resting = config.is_some_and(|config| !config.resting.is_empty());
        if self.core.leaving != Some(Leaving::ToReturn) || !is_anybody_resting {
            return self.finish_leaving(now, out);
        }
        if !planted!(LastServesOn) {
            self.end_role(now, out);
            self.role = Role::Leaving;
        }
        self.core.context(now, out).leave();
    }

    pub(super) fn finish_leaving(&mut self, now: Now<'_>, out: &mut Outbox) {
        self.end_role(now, out);
        self.role = Role::Left;
        self.fall_silent();
        out.notify(Event::Left);
    }

    /// What a replica has to do that has a place, or seeks one, is not due any more.
    fn fall_silent(&mut self) {
        for timer in [
            Timer::Join,
            Timer::ConfigQuery,
            Timer::Leave,
            Timer::LeavePatience,
            Timer::Reads,
        ] {
            self.core.timers.disarm(timer);
        }
    }
}
