//! What becomes of a call when a replica answers.

use crate::config::{Address, Position};
use crate::limits;
use crate::message::{AnswerKind, Attempt, Reply, ReplyBody};
use crate::operation::{DrainRefusal, Rejection, Resolution};
use crate::process::{CallId, Outbox, Outcome};
use crate::time::Instant;

use super::calls::Stage;
use super::{Client, Timer};

impl Client {
    pub(super) fn on_reply(
        &mut self,
        now: Instant,
        from: &Address,
        reply: Reply,
        out: &mut Outbox,
    ) {
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
        let is_for_primary = active.is_for_primary();
        let body = match reply.body.clone() {
            ReplyBody::OperationRejected { reason, attempt } => {
                return self.on_rejected(now, call, from, reason, attempt, out);
            }
            ReplyBody::OperationFailed if is_for_primary => {
                return self.on_failed(now, call, from, out);
            }
            // Whoever asks what became of a write hears what is said of the write itself, too.
            ReplyBody::OperationAck { seq, revision }
                if active.row().answer == AnswerKind::Resolution =>
            {
                ReplyBody::Resolved(Resolution::Executed { seq, revision })
            }
            body => body,
        };
        if body.kind() != Some(active.row().answer) {
            return;
        }
        if let ReplyBody::OperationAck { seq, .. } = body {
            self.replicas.on_committed(Position::behind(seq));
        }
        let outcome = Outcome::Answered {
            id: reply.id,
            replica: from.clone(),
            body,
        };
        self.complete(now, call, outcome, out);
        if !is_for_primary {
            self.replicas.on_answered(from);
        } else if self.replicas.primary() == Some(from) {
            self.on_primary_heard(now);
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
        attempt: Attempt,
        out: &mut Outbox,
    ) {
        let active = self.calls.get_mut(&call).expect("a call under way");
        // Only the last copy moves the call on; of earlier ones it does not expect to hear any more, and a network may tell it
        // twice what became of them.
        let is_last = attempt == active.attempt || planted!(RejectionOfEarlierCopyCounts);
        if active.stage != Stage::Sent(from.clone()) || !is_last {
            return;
        }
        // Who is not primary any more may have executed the copy while it was, and rejects what the network delivers of it now.
        let is_of_role = matches!(reason, Rejection::NotPrimary { .. } | Rejection::NotReady);
        active.is_in_doubt |= active.is_write() && is_of_role;
        active.rejection = Some(reason.clone());
        let id = active.origin.expect("it was sent").id;
        let (is_for_primary, is_write) = (active.is_for_primary(), active.is_write());
        match &reason {
            Rejection::Cancelled if active.row().answer == AnswerKind::Resolution => {
                let outcome = Outcome::Answered {
                    id,
                    replica: from.clone(),
                    body: ReplyBody::Resolved(Resolution::NeverExecuted),
                };
                self.complete(now, call, outcome, out);
            }
            Rejection::Cancelled => {
                self.complete(now, call, Outcome::Rejected { id, reason }, out);
            }
            // What passes by itself.
            Rejection::CannotDrain {
                reason: DrainRefusal::NoSuccessor | DrainRefusal::PrimarySilent,
            } => self.rest(now, call),
            Rejection::TooLarge { .. }
            | Rejection::CannotDrain { .. }
            | Rejection::ArbitersSilent
            | Rejection::Unauthorized { .. } => {
                self.withdraw(call);
                let outcome = self.given_up(call);
                self.complete(now, call, outcome, out);
            }
            Rejection::SessionTooOld if is_write && attempt.copy == 1 => {
                if active.enters_session() {
                    self.enter_new_session(now, call, from, out);
                } else {
                    // It keeps the name it was given, under which it was not executed.
                    self.complete(now, call, Outcome::Rejected { id, reason }, out);
                }
            }
            // The next session is to be born at what is committed by then.
            Rejection::SessionExpired | Rejection::SessionTooOld => {
                active.is_in_doubt |= is_write;
                self.withdraw(call);
                let outcome = self.given_up(call);
                self.complete(now, call, outcome, out);
                self.replicas.on_not_primary(from);
                self.ask_out_of_turn(now, from, out);
            }
            Rejection::NotPrimary { primary } if is_for_primary => {
                self.withdraw(call);
                let hint = primary.clone();
                self.on_not_primary(now, call, from, hint, out);
            }
            Rejection::NotReady
            | Rejection::NoLease
            | Rejection::Failed { .. }
            | Rejection::Behind { .. }
                if !is_for_primary && active.pinned().is_none() =>
            {
                let is_behind = matches!(reason, Rejection::Behind { .. });
                self.try_elsewhere(now, call, from, is_behind, out);
            }
            Rejection::NotReady if is_for_primary => {
                self.rest(now, call);
                self.suspect_primary(now, out);
            }
            Rejection::NotPrimary { .. }
            | Rejection::NotReady
            | Rejection::Overloaded
            | Rejection::DiskFull
            | Rejection::NoLease
            | Rejection::Failed { .. }
            | Rejection::Behind { .. }
            | Rejection::TooFewReplicas { .. } => {
                if !is_for_primary {
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
        // Itself, if it is primary in another tenure than the write was for.
        if let Some(primary) = hint {
            self.ask_out_of_turn(now, &primary, out);
        }
        self.probe(now, out);
    }

    /// No copy of the write was executed, and none can be in its session: it becomes a request of a new one, which is
    /// born at what the primary says is committed by then.
    fn enter_new_session(&mut self, now: Instant, call: CallId, from: &Address, out: &mut Outbox) {
        self.withdraw(call);
        let active = self.calls.get_mut(&call).expect("a call under way");
        let origin = active.origin.take().expect("it was sent");
        active.attempt = Attempt::default();
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

    pub(super) fn shun(&mut self, now: Instant, replica: &Address) {
        self.replicas.shun(replica);
        self.timers
            .arm_if_idle(Timer::Forgive, now + limits::REPLICA_SHUNNED);
    }
}
