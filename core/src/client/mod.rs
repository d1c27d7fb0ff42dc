//! The client: numbers requests, finds the primary and follows it, tries again until the caller's deadline.
//!
//! A write is sent only to a replica that has shown itself to be the primary, so that "nobody was reached" can be told
//! from "perhaps executed". It may be sent many times, always as the same request, which the cluster executes once.

mod replicas;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::replicas::{Learned, Replicas};
use self::session::Sessions;
use crate::config::{Address, Position};
use crate::event::Event;
use crate::limits;
use crate::message::{Message, NodeStatus, Reply, ReplyBody, Request, RequestBody};
use crate::operation::{ClientId, Origin, Rejection, RequestId, Resolution, Session};
use crate::process::{Call, CallBody, CallId, Effect, Input, Outbox, Outcome, Process};
use crate::time::{Instant, Timers};

/// Which replicas a client reads at, where the call does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadFrom {
    /// All that are in sync, in turn: the more replicas, the more reads.
    #[default]
    Any,
    /// The primary, as long as it answers.
    Primary,
}

/// The timers of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The call's time is up.
    Deadline(CallId),
    /// The call's request, or its next try, is due.
    Attempt(CallId),
    /// The primary has acknowledged nothing for a while.
    Silence,
    /// The next replica may be asked who is primary.
    Probe,
    /// Replicas that did not answer get another chance.
    Forgive,
}

/// A client of one cluster.
///
/// - `calls` has every call that was not completed; `held` and `at_primary` those in these stages.
/// - `requests` has the requests of these calls. Two calls may be about the same one.
/// - A request gets its number when it is sent for the first time, and keeps it.
#[derive(Clone, Debug)]
pub struct Client {
    id: ClientId,
    read_from: ReadFrom,
    replicas: Replicas,
    sessions: Sessions,
    next_request: RequestId,
    calls: BTreeMap<CallId, Active>,
    requests: BTreeSet<(ClientId, RequestId, CallId)>,
    held: BTreeSet<CallId>,
    at_primary: BTreeSet<CallId>,
    /// The primary is taken for dead, perhaps wrongly.
    is_silent: bool,
    /// Somebody was asked out of turn since the last `Timer::Probe`.
    is_redirected: bool,
    timers: Timers<Timer>,
}

#[derive(Clone, Debug)]
struct Active {
    call: CallId,
    body: CallBody,
    stage: Stage,
    /// Its request, once it was sent.
    origin: Option<Origin>,
    /// How often it was sent.
    copies: u32,
    /// A copy may have been executed: it was not answered, or with `OperationFailed`.
    is_in_doubt: bool,
    /// Why the last try was rejected.
    rejection: Option<Rejection>,
    /// How often it rested.
    rests: u32,
    /// Replicas this read was sent to in this round.
    tried: BTreeSet<Address>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// For the primary, and waits until that is known, or until its session has room.
    Held,
    /// Waits before the next try.
    Resting,
    /// Sent, and not answered.
    Sent(Address),
}

/// Where a call has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Primary,
    Replica,
}

impl Active {
    fn goal(&self) -> Goal {
        match self.body {
            CallBody::Insert { .. } | CallBody::Remove { .. } | CallBody::Resolve { .. } => {
                Goal::Primary
            }
            CallBody::Get { .. }
            | CallBody::Scan { .. }
            | CallBody::Status { .. }
            | CallBody::Drain { .. } => Goal::Replica,
        }
    }

    fn is_write(&self) -> bool {
        matches!(self.body, CallBody::Insert { .. } | CallBody::Remove { .. })
    }

    /// The replica that the caller named.
    fn pinned(&self) -> Option<&Address> {
        match &self.body {
            CallBody::Insert { .. } | CallBody::Remove { .. } | CallBody::Resolve { .. } => None,
            CallBody::Get { replica, .. }
            | CallBody::Scan { replica, .. }
            | CallBody::Status { replica } => replica.as_ref(),
            CallBody::Drain { replica, .. } => Some(replica),
        }
    }

    fn request(&self) -> RequestBody {
        match self.body.clone() {
            CallBody::Insert { key, value } => RequestBody::Insert { key, value },
            CallBody::Remove { key } => RequestBody::Remove { key },
            CallBody::Get { key, level, .. } => RequestBody::Get { key, level },
            CallBody::Scan { after, .. } => RequestBody::Scan { after },
            CallBody::Status { .. } => RequestBody::Status,
            CallBody::Resolve { key, .. } => RequestBody::Resolve { key },
            CallBody::Drain { drain, .. } => RequestBody::Drain(drain),
        }
    }
}

impl Client {
    /// A client that begins its search at `replicas`, of which one must be reachable.
    ///
    /// `id` is to be drawn at random, and used by no other client ever; further ids are derived from it.
    pub fn new(id: ClientId, replicas: Vec<Address>) -> Self {
        Self {
            id,
            read_from: ReadFrom::default(),
            replicas: Replicas::new(replicas),
            sessions: Sessions::new(id),
            next_request: RequestId(0),
            calls: BTreeMap::new(),
            requests: BTreeSet::new(),
            held: BTreeSet::new(),
            at_primary: BTreeSet::new(),
            is_silent: false,
            is_redirected: false,
            timers: Timers::new(),
        }
    }

    /// The same client, reading there.
    #[must_use]
    pub fn reading_from(mut self, read_from: ReadFrom) -> Self {
        self.read_from = read_from;
        self
    }

    fn next_id(&mut self) -> RequestId {
        let id = self.next_request;
        self.next_request = RequestId(id.0 + 1);
        id
    }

    fn on_call(
        &mut self,
        now: Instant,
        call: CallId,
        Call { body, deadline }: Call,
        out: &mut Outbox,
    ) {
        let active = Active {
            call,
            body,
            stage: Stage::Resting,
            origin: None,
            copies: 0,
            is_in_doubt: false,
            rejection: None,
            rests: 0,
            tried: BTreeSet::new(),
        };
        self.calls.insert(call, active);
        self.timers.arm(Timer::Deadline(call), deadline);
        self.attempt(now, call, out);
    }

    /// Sends the call's request where it has to go, or holds it until it can be sent.
    fn attempt(&mut self, now: Instant, call: CallId, out: &mut Outbox) {
        let Some(active) = self.calls.get(&call) else {
            return;
        };
        match active.goal() {
            Goal::Primary => self.attempt_at_primary(now, call, out),
            Goal::Replica => self.attempt_at_replica(now, call, out),
        }
    }

    fn attempt_at_primary(&mut self, now: Instant, call: CallId, out: &mut Outbox) {
        let Some(primary) = self.replicas.primary().cloned() else {
            self.set_stage(call, Stage::Held);
            self.probe(now, out);
            return;
        };
        let active = &self.calls[&call];
        if active.origin.is_none() && active.is_write() {
            // Who came first enters first.
            let is_first = self.held.range(..call).next().is_none();
            if !self.sessions.has_room() || !is_first {
                self.set_stage(call, Stage::Held);
                return;
            }
        }
        self.timers
            .arm_if_idle(Timer::Silence, now + limits::PRIMARY_HEDGE);
        self.send(now, call, primary, limits::WRITE_PATIENCE, out);
    }

    fn attempt_at_replica(&mut self, now: Instant, call: CallId, out: &mut Outbox) {
        let active = self.calls.get_mut(&call).expect("a call under way");
        let (to, patience) = match active.pinned() {
            Some(replica) => (Some(replica.clone()), limits::READ_PATIENCE),
            None => {
                let next = |replicas: &mut Replicas, active: &Active| match active.body {
                    CallBody::Get { .. } => replicas.next_to_read(self.read_from, &active.tried),
                    _ => replicas.steady(&active.tried),
                };
                let mut to = next(&mut self.replicas, active);
                if to.is_none() && !active.tried.is_empty() {
                    active.tried.clear();
                    to = next(&mut self.replicas, active);
                }
                (to, limits::READ_HEDGE)
            }
        };
        // Without any address there is nothing but the deadline.
        let Some(to) = to else { return };
        active.tried.insert(to.clone());
        self.send(now, call, to, patience, out);
    }

    fn send(
        &mut self,
        now: Instant,
        call: CallId,
        to: Address,
        patience: Duration,
        out: &mut Outbox,
    ) {
        let origin = self.number(call);
        self.set_stage(call, Stage::Sent(to.clone()));
        self.timers.arm(Timer::Attempt(call), now + patience);
        let active = self.calls.get_mut(&call).expect("a call under way");
        active.copies = active.copies.saturating_add(1);
        request(&to, origin, active.request(), out);
    }

    /// The number of the call's request, given to it here if it has none.
    fn number(&mut self, call: CallId) -> Origin {
        let active = &self.calls[&call];
        if let Some(origin) = active.origin {
            return origin;
        }
        let origin = match &active.body {
            CallBody::Insert { .. } | CallBody::Remove { .. } => {
                let id = self.next_id();
                self.sessions.enter(id, self.replicas.committed())
            }
            CallBody::Resolve { request, .. } => Origin {
                client: request.client,
                id: request.id,
                // Says nothing of the others: some may still want to be resolved.
                session: Session {
                    born: request.born,
                    settled: RequestId(0),
                },
            },
            CallBody::Get { .. }
            | CallBody::Scan { .. }
            | CallBody::Status { .. }
            | CallBody::Drain { .. } => self.plain(),
        };
        self.requests.insert((origin.client, origin.id, call));
        let active = self.calls.get_mut(&call).expect("a call under way");
        active.origin = Some(origin);
        origin
    }

    /// A request outside of any session.
    fn plain(&mut self) -> Origin {
        Origin {
            client: self.id,
            id: self.next_id(),
            session: Session::default(),
        }
    }

    fn set_stage(&mut self, call: CallId, stage: Stage) {
        let active = self.calls.get_mut(&call).expect("a call under way");
        if matches!(
            (&active.stage, &stage),
            (Stage::Sent(_), Stage::Sent(_) | Stage::Held)
        ) {
            active.is_in_doubt = true;
        }
        self.held.remove(&call);
        self.at_primary.remove(&call);
        match &stage {
            Stage::Held => {
                self.held.insert(call);
                self.timers.disarm(Timer::Attempt(call));
            }
            Stage::Sent(_) if active.goal() == Goal::Primary => {
                self.at_primary.insert(call);
            }
            Stage::Sent(_) | Stage::Resting => {}
        }
        active.stage = stage;
    }

    /// The call's last copy was rejected, so it is in no more doubt than before.
    fn withdraw(&mut self, call: CallId) {
        let active = self.calls.get_mut(&call).expect("a call under way");
        active.stage = Stage::Resting;
        self.at_primary.remove(&call);
    }

    // ------------------------------------------------------------------------------------- who is primary

    /// Asks the next replica who is primary, unless one was asked just now.
    fn probe(&mut self, now: Instant, out: &mut Outbox) {
        if self.timers.is_armed(Timer::Probe) {
            return;
        }
        if let Some(to) = self.replicas.next_to_probe() {
            self.ask(now, &to, out);
        }
    }

    fn ask(&mut self, now: Instant, replica: &Address, out: &mut Outbox) {
        self.timers.arm(Timer::Probe, now + limits::PROBE_PATIENCE);
        let origin = self.plain();
        request(replica, origin, RequestBody::Status, out);
    }

    /// Asks a replica that another one has named: at once, but once only between two probes, since they may name each
    /// other.
    fn ask_out_of_turn(&mut self, now: Instant, replica: &Address, out: &mut Outbox) {
        if !self.is_redirected {
            self.is_redirected = true;
            self.ask(now, replica, out);
        }
    }

    fn is_searching(&self) -> bool {
        match self.replicas.primary() {
            None => !self.held.is_empty(),
            Some(_) => self.is_silent && !self.at_primary.is_empty(),
        }
    }

    fn on_probe_due(&mut self, now: Instant, out: &mut Outbox) {
        self.is_redirected = false;
        if self.is_searching() {
            self.probe(now, out);
        }
    }

    /// The primary does not do its work: is there another one?
    fn suspect_primary(&mut self, now: Instant, out: &mut Outbox) {
        self.is_silent = true;
        self.probe(now, out);
    }

    fn on_silence(&mut self, now: Instant, out: &mut Outbox) {
        if !self.at_primary.is_empty() {
            self.suspect_primary(now, out);
        }
    }

    fn on_primary_heard(&mut self, now: Instant) {
        self.is_silent = false;
        if self.at_primary.is_empty() {
            self.timers.disarm(Timer::Silence);
        } else {
            self.timers.arm(Timer::Silence, now + limits::PRIMARY_HEDGE);
        }
    }

    fn on_status(&mut self, now: Instant, from: &Address, status: &NodeStatus, out: &mut Outbox) {
        match self.replicas.learn(from, status) {
            Learned::NewPrimary => {
                self.is_silent = false;
                self.timers.disarm(Timer::Silence);
                // What the former primary has not answered goes to this one, in the order of the calls: before what was
                // never sent, which may have to wait for room.
                let is_sent = |call: &&CallId| self.calls[*call].origin.is_some();
                let held = self.held.iter().filter(is_sent);
                let sent: BTreeSet<CallId> = self.at_primary.iter().chain(held).copied().collect();
                for call in sent {
                    self.attempt(now, call, out);
                }
                self.release(now, out);
            }
            Learned::Elsewhere(address) => self.ask_out_of_turn(now, &address, out),
            Learned::SamePrimary | Learned::Nothing => {}
        }
    }

    /// Sends what is held, as far as it may be sent.
    fn release(&mut self, now: Instant, out: &mut Outbox) {
        let mut from = CallId(0);
        while self.replicas.primary().is_some()
            && let Some(call) = self.held.range(from..).next().copied()
        {
            from = CallId(call.0 + 1);
            self.attempt_at_primary(now, call, out);
            let is_held = self.held.contains(&call);
            if is_held && !self.sessions.has_room() {
                // The others that need room wait behind it.
                return;
            }
        }
    }

    // ------------------------------------------------------------------------------------------- answers

    fn on_reply(&mut self, now: Instant, from: &Address, reply: Reply, out: &mut Outbox) {
        if let ReplyBody::Status(status) = &reply.body {
            self.on_status(now, from, status, out);
        }
        let key = (reply.client, reply.id);
        let first = (key.0, key.1, CallId(0));
        let last = (key.0, key.1, CallId(u64::MAX));
        let calls: Vec<CallId> = self
            .requests
            .range(first..=last)
            .map(|(.., call)| *call)
            .collect();
        for call in calls {
            self.on_answer(now, call, from, &reply, out);
        }
    }

    fn on_answer(
        &mut self,
        now: Instant,
        call: CallId,
        from: &Address,
        reply: &Reply,
        out: &mut Outbox,
    ) {
        let active = &self.calls[&call];
        let (id, replica) = (reply.id, from.clone());
        let outcome = match (&active.body, reply.body.clone()) {
            (
                CallBody::Insert { .. } | CallBody::Remove { .. },
                ReplyBody::OperationAck { seq },
            ) => {
                self.replicas.on_committed(Position::behind(seq));
                Outcome::Acknowledged { id, seq }
            }
            (CallBody::Resolve { .. }, ReplyBody::OperationAck { seq }) => {
                Outcome::Resolved(Resolution::Executed { seq })
            }
            (CallBody::Resolve { .. }, ReplyBody::Resolved(resolution)) => {
                Outcome::Resolved(resolution)
            }
            (
                CallBody::Insert { .. } | CallBody::Remove { .. } | CallBody::Resolve { .. },
                ReplyBody::OperationFailed,
            ) => return self.on_failed(now, call, from, out),
            (_, ReplyBody::OperationRejected { reason }) => {
                return self.on_rejected(now, call, from, reason, out);
            }
            (
                CallBody::Get { .. },
                ReplyBody::GetResult {
                    value, position, ..
                },
            ) => Outcome::Value {
                value,
                position,
                replica,
            },
            (CallBody::Scan { .. }, ReplyBody::ScanResult { records, resume }) => Outcome::Page {
                records,
                resume,
                replica,
            },
            (CallBody::Status { .. }, ReplyBody::Status(status)) => {
                Outcome::Status { status, replica }
            }
            (CallBody::Drain { .. }, ReplyBody::Draining) => Outcome::Draining,
            // An answer to another question.
            (
                CallBody::Insert { .. }
                | CallBody::Remove { .. }
                | CallBody::Get { .. }
                | CallBody::Scan { .. }
                | CallBody::Status { .. }
                | CallBody::Resolve { .. }
                | CallBody::Drain { .. },
                ReplyBody::OperationAck { .. }
                | ReplyBody::OperationFailed
                | ReplyBody::GetResult { .. }
                | ReplyBody::ScanResult { .. }
                | ReplyBody::Status(_)
                | ReplyBody::Resolved(_)
                | ReplyBody::Draining,
            ) => return,
        };
        let goal = active.goal();
        self.complete(now, call, outcome, out);
        match goal {
            Goal::Primary if self.replicas.primary() == Some(from) => self.on_primary_heard(now),
            Goal::Primary => {}
            Goal::Replica => self.replicas.on_answered(from),
        }
    }

    /// A write was not confirmed within its second, or the tenure of its primary has ended.
    fn on_failed(&mut self, now: Instant, call: CallId, from: &Address, out: &mut Outbox) {
        let active = self.calls.get_mut(&call).expect("a call under way");
        active.is_in_doubt = true;
        if active.stage == Stage::Sent(from.clone()) {
            self.rest(now, call);
            self.suspect_primary(now, out);
        }
    }

    fn on_rejected(
        &mut self,
        now: Instant,
        call: CallId,
        from: &Address,
        reason: Rejection,
        out: &mut Outbox,
    ) {
        let active = self.calls.get_mut(&call).expect("a call under way");
        // Only the last copy moves the call on; of earlier ones it does not expect to hear any more.
        if active.stage != Stage::Sent(from.clone()) {
            return;
        }
        active.rejection = Some(reason.clone());
        let id = active.origin.expect("it was sent").id;
        let (goal, is_write) = (active.goal(), active.is_write());
        match &reason {
            Rejection::Cancelled if !is_write && goal == Goal::Primary => {
                let outcome = Outcome::Resolved(Resolution::NeverExecuted);
                self.complete(now, call, outcome, out);
            }
            Rejection::Cancelled => {
                self.complete(now, call, Outcome::Rejected { id, reason }, out);
            }
            Rejection::TooLarge { .. } | Rejection::Unauthorized | Rejection::Malformed => {
                self.withdraw(call);
                let outcome = self.given_up(call);
                self.complete(now, call, outcome, out);
            }
            Rejection::SessionExpired if is_write && active.copies == 1 => {
                self.enter_new_session(now, call, from, out);
            }
            Rejection::SessionExpired => {
                active.is_in_doubt |= is_write;
                self.withdraw(call);
                let outcome = self.given_up(call);
                self.complete(now, call, outcome, out);
            }
            Rejection::NotPrimary { primary } if goal == Goal::Primary => {
                self.withdraw(call);
                let hint = primary.clone();
                self.on_not_primary(now, call, from, hint, out);
            }
            Rejection::NotReady | Rejection::NoLease | Rejection::Behind { .. }
                if goal == Goal::Replica && active.pinned().is_none() =>
            {
                let is_behind = matches!(reason, Rejection::Behind { .. });
                self.try_elsewhere(now, call, from, is_behind, out);
            }
            Rejection::NotReady if goal == Goal::Primary => {
                self.rest(now, call);
                self.suspect_primary(now, out);
            }
            Rejection::NotPrimary { .. }
            | Rejection::NotReady
            | Rejection::Overloaded
            | Rejection::DiskFull
            | Rejection::NoLease
            | Rejection::Behind { .. }
            | Rejection::TooFewReplicas { .. } => {
                if goal == Goal::Replica {
                    self.shun(now, from);
                }
                self.rest(now, call);
            }
        }
    }

    fn on_not_primary(
        &mut self,
        now: Instant,
        call: CallId,
        from: &Address,
        hint: Option<Address>,
        out: &mut Outbox,
    ) {
        self.replicas.on_not_primary(from);
        if self.replicas.primary().is_some() {
            self.attempt(now, call, out);
            return;
        }
        self.set_stage(call, Stage::Held);
        match hint {
            Some(primary) if primary != *from => self.ask_out_of_turn(now, &primary, out),
            Some(_) | None => {}
        }
        self.probe(now, out);
    }

    /// No copy of the write was executed, and none can be in its session: it becomes a request of a new one, which is
    /// born at what the primary says is committed by then.
    fn enter_new_session(&mut self, now: Instant, call: CallId, from: &Address, out: &mut Outbox) {
        self.withdraw(call);
        let active = self.calls.get_mut(&call).expect("a call under way");
        let origin = active.origin.take().expect("it was sent");
        active.copies = 0;
        self.requests.remove(&(origin.client, origin.id, call));
        self.sessions.end(&origin);
        self.replicas.on_not_primary(from);
        self.set_stage(call, Stage::Held);
        self.ask_out_of_turn(now, from, out);
        self.probe(now, out);
    }

    /// A read was refused: at once to the next replica, or, after all of them, a rest.
    fn try_elsewhere(
        &mut self,
        now: Instant,
        call: CallId,
        from: &Address,
        is_behind: bool,
        out: &mut Outbox,
    ) {
        if !is_behind {
            self.shun(now, from);
        }
        // Perhaps it is not in sync any more, and others are.
        self.probe(now, out);
        let active = self.calls.get_mut(&call).expect("a call under way");
        let is_left = self.replicas.steady(&active.tried).is_some();
        if is_left {
            self.attempt(now, call, out);
        } else {
            active.tried.clear();
            self.rest(now, call);
        }
    }

    fn shun(&mut self, now: Instant, replica: &Address) {
        self.replicas.shun(replica);
        self.timers
            .arm_if_idle(Timer::Forgive, now + limits::REPLICA_SHUNNED);
    }

    /// Lets some time pass before the next try.
    fn rest(&mut self, now: Instant, call: CallId) {
        self.withdraw(call);
        let active = self.calls.get_mut(&call).expect("a call under way");
        let rest = limits::CLIENT_REST * 2_u32.pow(active.rests.min(8));
        active.rests = active.rests.saturating_add(1);
        let due = now + rest.min(limits::CLIENT_REST_MAX);
        self.timers.arm(Timer::Attempt(call), due);
    }

    fn on_attempt_due(&mut self, now: Instant, call: CallId, out: &mut Outbox) {
        let Some(active) = self.calls.get(&call) else {
            return;
        };
        if let (Goal::Replica, None, Stage::Sent(to)) =
            (active.goal(), active.pinned(), active.stage.clone())
        {
            self.shun(now, &to);
            self.probe(now, out);
        }
        self.attempt(now, call, out);
    }

    fn on_deadline(&mut self, now: Instant, call: CallId, out: &mut Outbox) {
        if self.calls.contains_key(&call) {
            let outcome = self.given_up(call);
            self.complete(now, call, outcome, out);
        }
    }

    /// What to say of a call that is tried no more.
    fn given_up(&self, call: CallId) -> Outcome {
        let active = &self.calls[&call];
        let is_open = matches!(active.stage, Stage::Sent(_));
        match (active.origin, &active.rejection) {
            (Some(origin), _) if active.is_write() && (active.is_in_doubt || is_open) => {
                Outcome::Unknown {
                    request: origin.name(),
                }
            }
            (Some(origin), Some(reason)) => Outcome::Rejected {
                id: origin.id,
                reason: reason.clone(),
            },
            (_, _) => Outcome::Unreachable,
        }
    }

    fn complete(&mut self, now: Instant, call: CallId, outcome: Outcome, out: &mut Outbox) {
        let Some(active) = self.calls.remove(&call) else {
            return;
        };
        self.timers.disarm(Timer::Deadline(call));
        self.timers.disarm(Timer::Attempt(call));
        self.held.remove(&call);
        self.at_primary.remove(&call);
        if let Some(origin) = active.origin {
            self.requests.remove(&(origin.client, origin.id, call));
            if active.is_write() {
                let is_unknown = matches!(outcome, Outcome::Unknown { .. });
                if is_unknown {
                    self.sessions.end(&origin);
                }
                self.sessions.settle(&origin);
                self.release(now, out);
            }
        }
        out.push(Effect::Complete(active.call, outcome));
    }
}

fn request(to: &Address, origin: Origin, body: RequestBody, out: &mut Outbox) {
    let request = Request {
        client: origin.client,
        id: origin.id,
        session: origin.session,
        body,
    };
    out.send(to, Message::Request(request));
}

impl Process for Client {
    type Timer = Timer;

    fn step(&mut self, now: Instant, input: Input<Timer>, out: &mut Outbox) {
        match input {
            Input::Start | Input::Leave => {}
            Input::Call(call, what) => self.on_call(now, call, what, out),
            Input::Message { from, message } => match message {
                Message::Reply(reply) => self.on_reply(now, &from, reply, out),
                Message::ToArbiter(_)
                | Message::FromArbiter(_)
                | Message::Peer(_)
                | Message::Request(_) => out.notify(Event::Stale { from }),
            },
            Input::Timer(timer) => {
                self.timers.disarm(timer);
                match timer {
                    Timer::Deadline(call) => self.on_deadline(now, call, out),
                    Timer::Attempt(call) => self.on_attempt_due(now, call, out),
                    Timer::Silence => self.on_silence(now, out),
                    Timer::Probe => self.on_probe_due(now, out),
                    Timer::Forgive => self.replicas.forgive(),
                }
            }
            // It has no disk.
            Input::Persisted(_)
            | Input::DiskFull
            | Input::Applied(_)
            | Input::Trimmed(_)
            | Input::Answered(..) => {}
        }
    }

    fn timers(&self) -> &Timers<Timer> {
        &self.timers
    }
}
