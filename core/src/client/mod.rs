//! The client: numbers requests, finds the primary, tries again what was certainly not executed.
//!
//! A write is sent only to a replica that has shown itself to be the primary, so that "nobody was reached" can be told
//! from "perhaps executed". It is never sent a second time unless its first copy was rejected.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use crate::config::Address;
use crate::event::Event;
use crate::limits;
use crate::message::{Message, NodeStatus, Reply, ReplyBody, Request, RequestBody, RoleName};
use crate::operation::{ClientId, Rejection, RequestId, Session};
use crate::process::{Call, CallBody, CallId, Effect, Input, Outbox, Outcome, Process};
use crate::time::{Instant, Timers};

/// The timers of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The call's time is up.
    Deadline(RequestId),
    /// The call's request, or its next try, is due.
    Attempt(RequestId),
    /// Ask the next replica who is primary.
    Probe,
}

/// A client of one cluster.
///
/// - `calls` has every call that was not completed; its key is the id of the call's requests.
/// - `primary` showed itself to be that, and has not failed to answer since.
#[derive(Clone, Debug)]
pub struct Client {
    id: ClientId,
    replicas: Vec<Address>,
    known: VecDeque<Address>,
    primary: Option<Address>,
    next_request: RequestId,
    calls: BTreeMap<RequestId, Active>,
    probe: Option<RequestId>,
    timers: Timers<Timer>,
}

#[derive(Clone, Debug)]
struct Active {
    call: CallId,
    body: CallBody,
    stage: Stage,
    /// Why the last try was rejected.
    rejection: Option<Rejection>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// A write that waits until the primary is known.
    Held,
    /// Waits before the next try.
    Resting,
    /// Sent, and not answered.
    Sent(Address),
}

impl Client {
    /// A client that begins its search at `replicas`, of which one must be reachable.
    ///
    /// `id` is to be drawn at random, and used by no other client ever.
    pub fn new(id: ClientId, replicas: Vec<Address>) -> Self {
        Self {
            id,
            known: replicas.iter().cloned().collect(),
            replicas,
            primary: None,
            next_request: RequestId(0),
            calls: BTreeMap::new(),
            probe: None,
            timers: Timers::new(),
        }
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
        let id = self.next_id();
        let active = Active {
            call,
            body,
            stage: Stage::Resting,
            rejection: None,
        };
        self.calls.insert(id, active);
        self.timers.arm(Timer::Deadline(id), deadline);
        self.attempt(now, id, out);
    }

    /// Sends the call's request where it has to go, or holds it until that is known.
    fn attempt(&mut self, now: Instant, id: RequestId, out: &mut Outbox) {
        let Some(active) = self.calls.get_mut(&id) else {
            return;
        };
        let (to, patience) = match &active.body {
            CallBody::Insert { .. } | CallBody::Remove { .. } => {
                (self.primary.clone(), limits::WRITE_PATIENCE)
            }
            CallBody::Get { replica, .. }
            | CallBody::Scan { replica, .. }
            | CallBody::Status { replica } => match replica {
                Some(replica) => (Some(replica.clone()), limits::READ_PATIENCE),
                None => (self.known.front().cloned(), limits::READ_HEDGE),
            },
        };
        let Some(to) = to else {
            active.stage = Stage::Held;
            self.probe(now, out);
            return;
        };
        let body = request_body(&active.body);
        active.stage = Stage::Sent(to.clone());
        self.timers.arm(Timer::Attempt(id), now + patience);
        self.request(&to, id, body, out);
    }

    fn request(&self, to: &Address, id: RequestId, body: RequestBody, out: &mut Outbox) {
        let client = self.id;
        let session = Session::default();
        let request = Request {
            client,
            id,
            session,
            body,
        };
        out.send(to, Message::Request(request));
    }

    /// Asks the next replica who is primary, unless that is being asked.
    fn probe(&mut self, now: Instant, out: &mut Outbox) {
        if self.timers.is_armed(Timer::Probe) {
            return;
        }
        let Some(to) = self.known.pop_front() else {
            return;
        };
        self.known.push_back(to.clone());
        self.ask(now, &to, out);
    }

    fn ask(&mut self, now: Instant, replica: &Address, out: &mut Outbox) {
        let id = self.next_id();
        self.probe = Some(id);
        self.timers.arm(Timer::Probe, now + limits::PROBE_PATIENCE);
        self.request(replica, id, RequestBody::Status, out);
    }

    fn on_reply(&mut self, now: Instant, from: &Address, reply: Reply, out: &mut Outbox) {
        if self.probe == Some(reply.id) {
            if let ReplyBody::Status(status) = reply.body {
                self.on_probed(now, from, &status, out);
            }
            return;
        }
        let Some(active) = self.calls.get(&reply.id) else {
            return;
        };
        // A write is with one replica at a time. A read may have been sent to several, whose answers are equally good;
        // but a refusal moves it on only if it is of the one it was sent to last.
        let is_last = active.stage == Stage::Sent(from.clone());
        let counts = match (&active.body, &reply.body) {
            (
                CallBody::Insert { .. } | CallBody::Remove { .. },
                ReplyBody::OperationAck { .. } | ReplyBody::OperationFailed,
            )
            | (_, ReplyBody::OperationRejected { .. }) => is_last,
            (CallBody::Get { .. }, ReplyBody::GetResult { .. })
            | (CallBody::Scan { .. }, ReplyBody::ScanResult { .. })
            | (CallBody::Status { .. }, ReplyBody::Status(_)) => true,
            (
                CallBody::Insert { .. }
                | CallBody::Remove { .. }
                | CallBody::Get { .. }
                | CallBody::Scan { .. }
                | CallBody::Status { .. },
                _,
            ) => false,
        };
        if !counts {
            return;
        }
        let (id, replica) = (reply.id, from.clone());
        let outcome = match reply.body {
            ReplyBody::OperationAck { seq } => Outcome::Acknowledged { id, seq },
            ReplyBody::OperationFailed => Outcome::Unknown { id },
            ReplyBody::OperationRejected { reason } => {
                return self.on_rejected(now, id, from, reason, out);
            }
            ReplyBody::GetResult {
                value, position, ..
            } => Outcome::Value {
                value,
                position,
                replica,
            },
            ReplyBody::ScanResult { records, resume } => Outcome::Page {
                records,
                resume,
                replica,
            },
            ReplyBody::Status(status) => Outcome::Status { status, replica },
            ReplyBody::Resolved(_) | ReplyBody::Draining => return,
        };
        self.complete(id, outcome, out);
    }

    fn on_probed(&mut self, now: Instant, from: &Address, status: &NodeStatus, out: &mut Outbox) {
        self.probe = None;
        self.timers.disarm(Timer::Probe);
        self.learn(status);
        if status.role == RoleName::Primary {
            self.primary = Some(from.clone());
            let held: Vec<RequestId> = self.held().collect();
            for id in held {
                self.attempt(now, id, out);
            }
            return;
        }
        match status
            .config
            .as_ref()
            .and_then(|config| config.primary_member())
        {
            Some(primary) if primary.address != status.address => {
                self.ask(now, &primary.address.clone(), out)
            }
            // It knows of no other primary: ask another replica, after a while.
            Some(_) | None => self.timers.arm(Timer::Probe, now + limits::CLIENT_REST),
        }
    }

    /// Takes up where the replicas are; those named at the beginning are tried last from then on.
    fn learn(&mut self, status: &NodeStatus) {
        let Some(config) = &status.config else { return };
        let mut known: VecDeque<Address> = config
            .members
            .values()
            .map(|member| member.address.clone())
            .collect();
        let others: Vec<Address> = self
            .replicas
            .iter()
            .filter(|replica| !known.contains(replica))
            .cloned()
            .collect();
        known.extend(others);
        let is_new = known.len() != self.known.len()
            || known.iter().any(|address| !self.known.contains(address));
        if is_new {
            self.known = known;
        }
    }

    fn on_rejected(
        &mut self,
        now: Instant,
        id: RequestId,
        from: &Address,
        reason: Rejection,
        out: &mut Outbox,
    ) {
        let Some(active) = self.calls.get_mut(&id) else {
            return;
        };
        active.rejection = Some(reason.clone());
        match &reason {
            Rejection::TooLarge { .. }
            | Rejection::Unauthorized
            | Rejection::Malformed
            | Rejection::SessionExpired
            | Rejection::Cancelled => {
                self.complete(id, Outcome::Rejected { id, reason }, out);
            }
            Rejection::NotPrimary { primary } => {
                active.stage = Stage::Held;
                self.timers.disarm(Timer::Attempt(id));
                if self.primary.as_ref() == Some(from) {
                    self.primary = None;
                }
                match primary {
                    Some(primary) if self.primary.is_none() && self.probe.is_none() => {
                        self.ask(now, &primary.clone(), out);
                    }
                    Some(_) | None if self.primary.is_some() => self.attempt(now, id, out),
                    Some(_) | None => self.probe(now, out),
                }
            }
            Rejection::NotReady
            | Rejection::Overloaded
            | Rejection::DiskFull
            | Rejection::NoLease
            | Rejection::Behind { .. }
            | Rejection::TooFewReplicas { .. } => {
                active.stage = Stage::Resting;
                self.turn_away_from(from);
                self.timers
                    .arm(Timer::Attempt(id), now + limits::CLIENT_REST);
            }
        }
    }

    /// Prefers other replicas for reads from now on.
    fn turn_away_from(&mut self, replica: &Address) {
        if self.known.front() == Some(replica) {
            self.known.rotate_left(1);
        }
    }

    fn on_attempt_due(&mut self, now: Instant, id: RequestId, out: &mut Outbox) {
        let Some(active) = self.calls.get(&id) else {
            return;
        };
        match (&active.body, active.stage.clone()) {
            (CallBody::Insert { .. } | CallBody::Remove { .. }, Stage::Sent(to)) => {
                if self.primary.as_ref() == Some(&to) {
                    self.primary = None;
                }
                self.complete(id, Outcome::Unknown { id }, out);
            }
            (
                CallBody::Get { .. } | CallBody::Scan { .. } | CallBody::Status { .. },
                Stage::Sent(to),
            ) => {
                self.turn_away_from(&to);
                self.attempt(now, id, out);
            }
            (_, Stage::Resting | Stage::Held) => self.attempt(now, id, out),
        }
    }

    fn on_deadline(&mut self, id: RequestId, out: &mut Outbox) {
        let Some(active) = self.calls.get(&id) else {
            return;
        };
        let is_write = matches!(
            active.body,
            CallBody::Insert { .. } | CallBody::Remove { .. }
        );
        let outcome = match (&active.stage, &active.rejection) {
            (Stage::Sent(_), _) if is_write => Outcome::Unknown { id },
            (_, Some(reason)) => Outcome::Rejected {
                id,
                reason: reason.clone(),
            },
            (_, None) => Outcome::Unreachable,
        };
        self.complete(id, outcome, out);
    }

    fn complete(&mut self, id: RequestId, outcome: Outcome, out: &mut Outbox) {
        if let Some(active) = self.calls.remove(&id) {
            self.timers.disarm(Timer::Deadline(id));
            self.timers.disarm(Timer::Attempt(id));
            out.push(Effect::Complete(active.call, outcome));
        }
    }

    fn held(&self) -> impl Iterator<Item = RequestId> + '_ {
        self.calls
            .iter()
            .filter(|(_, active)| active.stage == Stage::Held)
            .map(|(id, _)| *id)
    }
}

fn request_body(body: &CallBody) -> RequestBody {
    match body.clone() {
        CallBody::Insert { key, value } => RequestBody::Insert { key, value },
        CallBody::Remove { key } => RequestBody::Remove { key },
        CallBody::Get { key, level, .. } => RequestBody::Get { key, level },
        CallBody::Scan { after, .. } => RequestBody::Scan { after },
        CallBody::Status { .. } => RequestBody::Status,
    }
}

impl Process for Client {
    type Timer = Timer;

    fn step(&mut self, now: Instant, input: Input<Timer>, out: &mut Outbox) {
        match input {
            Input::Start | Input::Leave => {}
            Input::Call(call, what) => self.on_call(now, call, what, out),
            Input::Message { from, message } => match message {
                Message::Reply(reply) if reply.client == self.id => {
                    self.on_reply(now, &from, reply, out)
                }
                Message::Reply(_)
                | Message::ToArbiter(_)
                | Message::FromArbiter(_)
                | Message::Peer(_)
                | Message::Request(_) => out.notify(Event::Stale { from }),
            },
            Input::Timer(timer) => {
                self.timers.disarm(timer);
                match timer {
                    Timer::Deadline(id) => self.on_deadline(id, out),
                    Timer::Attempt(id) => self.on_attempt_due(now, id, out),
                    Timer::Probe => {
                        self.probe = None;
                        if self.held().next().is_some() {
                            self.probe(now, out);
                        }
                    }
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
