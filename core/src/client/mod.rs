//! The client: numbers requests, finds the primary and follows it, tries again until the caller's deadline.
//!
//! A write is sent only to a replica that has shown itself to be the primary, so that "nobody was reached" can be told
//! from "perhaps executed". It may be sent many times, always as the same request, which the cluster executes once.

mod answers;
mod calls;
mod replicas;
mod search;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::calls::{Active, Stage};
use self::replicas::Replicas;
use self::session::Sessions;
use crate::config::{Address, Epoch};
use crate::event::Event;
use crate::limits;
use crate::message::{Attempt, Goal, Message, Request, RequestBody};
use crate::operation::{ClientId, Origin, RequestId};
use crate::process::{Call, CallId, Effect, Input, Now, Outbox, Outcome, Process};
use crate::time::{Instant, Timers};

/// Which replicas a client reads at, where the call does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadFrom {
    /// All that are in sync, some reads at each in turn: the more replicas, the more reads.
    #[default]
    Any,
    /// The primary, as long as it answers.
    Primary,
}

/// The timers of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// The call's next try is due, or its time is up.
    Call(CallId),
    /// The primary may have acknowledged nothing for a while.
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
    /// The primary owes an answer since then.
    silent_since: Instant,
    /// The primary is taken for dead, perhaps wrongly.
    is_silent: bool,
    /// Somebody was asked out of turn since the last `Timer::Probe`.
    is_redirected: bool,
    timers: Timers<Timer>,
}

impl Client {
    /// A client that begins its search at `replicas`, of which one must be reachable.
    ///
    /// `id` is to be drawn at random, and used by no other client ever; further ids are derived from it.
    pub fn new(id: ClientId, replicas: Vec<Address>) -> Self {
        Self {
            id,
            read_from: ReadFrom::default(),
            replicas: Replicas::new(replicas, id.0 as usize),
            sessions: Sessions::new(id),
            next_request: RequestId(0),
            calls: BTreeMap::new(),
            requests: BTreeSet::new(),
            held: BTreeSet::new(),
            at_primary: BTreeSet::new(),
            silent_since: Instant::ZERO,
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

    fn on_call(&mut self, now: Instant, call: CallId, what: Call, out: &mut Outbox) {
        if let Some(reason) = what.request.too_large() {
            // It gets a number all the same, so that it can be told from others.
            let id = self.next_id();
            return out.push(Effect::Complete(call, Outcome::Rejected { id, reason }));
        }
        let active = Active {
            call,
            what,
            stage: Stage::Resting,
            origin: None,
            attempt: Attempt::default(),
            is_in_doubt: false,
            rejection: None,
            rests: 0,
            tried: BTreeSet::new(),
        };
        self.calls.insert(call, active);
        self.attempt(now, call, out);
    }

    /// Sends the call's request where it has to go, or holds it until it can be sent.
    fn attempt(&mut self, now: Instant, call: CallId, out: &mut Outbox) {
        let Some(active) = self.calls.get(&call) else {
            return;
        };
        if active.is_for_primary() {
            self.attempt_at_primary(now, call, out);
        } else {
            self.attempt_at_replica(now, call, out);
        }
    }

    fn attempt_at_primary(&mut self, now: Instant, call: CallId, out: &mut Outbox) {
        let Some(primary) = self.replicas.primary().cloned() else {
            self.set_stage(call, Stage::Held);
            self.probe(now, out);
            return;
        };
        let active = &self.calls[&call];
        if active.origin.is_none() && active.enters_session() {
            // Who came first enters first.
            let is_first = self.held.range(..call).next().is_none();
            if !self.sessions.has_room() || !is_first {
                self.set_stage(call, Stage::Held);
                return;
            }
        }
        if self.at_primary.is_empty() {
            self.silent_since = now;
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
                let next = |replicas: &mut Replicas, active: &Active| match active.row().goal {
                    Goal::InTurn => replicas.next_to_read(self.read_from, &active.tried),
                    Goal::Steady => replicas.steady(&active.tried),
                    Goal::Named | Goal::Primary => None,
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
        let Some(to) = to else {
            return self.timers.arm(Timer::Call(call), active.what.deadline);
        };
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
        self.wait(call, now + patience);
        let active = self.calls.get_mut(&call).expect("a call under way");
        active.attempt = Attempt {
            epoch: match active.is_write() {
                true => self.replicas.epoch(),
                false => Epoch::ZERO,
            },
            copy: active.attempt.copy.saturating_add(1),
        };
        request(
            &to,
            origin,
            active.what.request.clone(),
            active.attempt,
            out,
        );
    }

    /// Arms the call's timer for its next try, or for its deadline if that comes first.
    fn wait(&mut self, call: CallId, next_try: Instant) {
        let due = next_try.min(self.calls[&call].what.deadline);
        self.timers.arm(Timer::Call(call), due);
    }

    /// The number of the call's request, given to it here if it has none.
    fn number(&mut self, call: CallId) -> Origin {
        let active = &self.calls[&call];
        if let Some(origin) = active.origin
            && !planted!(RetriesUnderNewId)
        {
            return origin;
        }
        let origin = match active.what.name {
            Some(name) => Origin {
                client: name.client,
                id: name.id,
                born: name.born,
                settled: match active.is_write() {
                    true => name.id,
                    // Says nothing of the others: some may still want to be resolved.
                    false => RequestId(0),
                },
            },
            None if active.is_write() => {
                let id = self.next_id();
                self.sessions.enter(id, self.replicas.committed())
            }
            None => self.plain(),
        };
        self.requests.insert((origin.client, origin.id, call));
        let active = self.calls.get_mut(&call).expect("a call under way");
        active.origin = Some(origin);
        origin
    }

    /// A request outside of any session.
    fn plain(&mut self) -> Origin {
        Origin::plain(self.id, self.next_id())
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
                self.timers.arm(Timer::Call(call), active.what.deadline);
            }
            Stage::Sent(_) if active.is_for_primary() => {
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

    /// Lets some time pass before the next try.
    fn rest(&mut self, now: Instant, call: CallId) {
        self.withdraw(call);
        let active = self.calls.get_mut(&call).expect("a call under way");
        let rest = limits::CLIENT_REST * 2_u32.pow(active.rests.min(8));
        active.rests = active.rests.saturating_add(1);
        let due = now + rest.min(limits::CLIENT_REST_MAX);
        self.wait(call, due);
    }

    fn on_call_due(&mut self, now: Instant, call: CallId, out: &mut Outbox) {
        let Some(active) = self.calls.get(&call) else {
            return;
        };
        if now >= active.what.deadline {
            let outcome = self.given_up(call);
            return self.complete(now, call, outcome, out);
        }
        if let (false, None, Stage::Sent(to)) = (
            active.is_for_primary(),
            active.pinned(),
            active.stage.clone(),
        ) {
            self.shun(now, &to);
            self.probe(now, out);
        }
        self.attempt(now, call, out);
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
            (_, _) => Outcome::Unreachable {
                replicas: match active.pinned() {
                    Some(replica) => vec![replica.clone()],
                    None => self.replicas.known().to_vec(),
                },
            },
        }
    }

    /// Whoever waits for a write is told what is known of it.
    fn on_leave(&mut self, now: Instant, out: &mut Outbox) {
        // None of these is sent when another one makes room.
        self.held.clear();
        let writes = self.calls.iter().filter(|(_, active)| active.is_write());
        let writes: Vec<CallId> = writes.map(|(call, _)| *call).collect();
        for call in writes {
            let outcome = self.given_up(call);
            self.complete(now, call, outcome, out);
        }
    }

    fn complete(&mut self, now: Instant, call: CallId, outcome: Outcome, out: &mut Outbox) {
        let Some(active) = self.calls.remove(&call) else {
            return;
        };
        self.timers.disarm(Timer::Call(call));
        self.held.remove(&call);
        self.at_primary.remove(&call);
        if let Some(origin) = active.origin {
            self.requests.remove(&(origin.client, origin.id, call));
            if active.is_write() {
                let is_unknown = matches!(outcome, Outcome::Unknown { .. });
                if is_unknown {
                    self.sessions.end(&origin);
                }
                self.sessions.complete(&origin);
                self.release(now, out);
            }
        }
        out.push(Effect::Complete(active.call, outcome));
    }
}

fn request(to: &Address, origin: Origin, body: RequestBody, attempt: Attempt, out: &mut Outbox) {
    let request = Request {
        origin,
        body,
        attempt,
    };
    out.send(to, Message::Request(request));
}

impl Process for Client {
    type Timer = Timer;

    fn step(&mut self, now: Now<'_>, input: Input<Timer>, out: &mut Outbox) {
        let now = now.time;
        match input {
            Input::Start => {}
            Input::Leave => self.on_leave(now, out),
            Input::Call(call, what) => self.on_call(now, call, what, out),
            Input::Message { from, message } => match message {
                Message::Reply(reply) => self.on_reply(now, &from, reply, out),
                Message::ToArbiter(_)
                | Message::FromArbiter(_)
                | Message::Peer(_)
                | Message::Request(_)
                | Message::Register(_)
                | Message::Offer(_) => out.notify(Event::Stale { from }),
            },
            Input::Timer(timer) => {
                self.timers.disarm(timer);
                match timer {
                    Timer::Call(call) => self.on_call_due(now, call, out),
                    Timer::Silence => self.on_silence(now, out),
                    Timer::Probe => self.on_probe_due(now, out),
                    Timer::Forgive => self.replicas.forgive(),
                }
            }
            // It has no disk.
            Input::Persisted(_)
            | Input::DiskFull
            | Input::DiskRoom
            | Input::Applied(_)
            | Input::Trimmed(_)
            | Input::Answered(..)
            | Input::UsageMeasured(_) => {}
        }
    }

    fn timers(&self) -> &Timers<Timer> {
        &self.timers
    }
}
