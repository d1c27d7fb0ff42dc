//! Who is primary: the client asks one replica after the other until one says that it is, and again when that one does not
//! answer.

use std::collections::BTreeSet;

use crate::config::Address;
use crate::limits;
use crate::message::{Attempt, NodeStatus, RequestBody};
use crate::process::{CallId, Outbox};
use crate::time::Instant;

use super::replicas::Learned;
use super::{Client, Timer, request};

impl Client {
    /// Asks the next replica who is primary, unless one was asked just now.
    pub(super) fn probe(&mut self, now: Instant, out: &mut Outbox) {
        if self.timers.is_armed(Timer::Probe) {
            return;
        }
        if let Some(to) = self.replicas.next_to_probe() {
            self.ask(now, &to, out);
        }
    }

    pub(super) fn ask(&mut self, now: Instant, replica: &Address, out: &mut Outbox) {
        self.timers.arm(Timer::Probe, now + limits::PROBE_PATIENCE);
        let origin = self.plain();
        request(
            replica,
            origin,
            RequestBody::Status,
            Attempt::default(),
            out,
        );
    }

    /// Asks a replica that another one has named: at once, but once only between two probes, since they may name each
    /// other.
    pub(super) fn ask_out_of_turn(&mut self, now: Instant, replica: &Address, out: &mut Outbox) {
        if !self.is_redirected {
            self.is_redirected = true;
            self.ask(now, replica, out);
        }
    }

    pub(super) fn is_searching(&self) -> bool {
        match self.replicas.primary() {
            None => !self.held.is_empty(),
            Some(_) => self.is_silent && !self.at_primary.is_empty(),
        }
    }

    pub(super) fn on_probe_due(&mut self, now: Instant, out: &mut Outbox) {
        self.is_redirected = false;
        if self.is_searching() {
            self.probe(now, out);
        }
    }

    /// The primary does not do its work: is there another one?
    pub(super) fn suspect_primary(&mut self, now: Instant, out: &mut Outbox) {
        self.is_silent = true;
        self.probe(now, out);
    }

    pub(super) fn on_silence(&mut self, now: Instant, out: &mut Outbox) {
        if self.at_primary.is_empty() {
            return;
        }
        let due = self.silent_since + limits::PRIMARY_HEDGE;
        if now < due {
            // It was heard since the timer was armed: arming it anew each time would cost more than all else of an answer.
            self.timers.arm(Timer::Silence, due);
        } else {
            self.suspect_primary(now, out);
        }
    }

    pub(super) fn on_primary_heard(&mut self, now: Instant) {
        self.is_silent = false;
        self.silent_since = now;
    }

    pub(super) fn on_status(
        &mut self,
        now: Instant,
        from: &Address,
        status: &NodeStatus,
        out: &mut Outbox,
    ) {
        match self.replicas.learn(from, status) {
            Learned::NewPrimary => {
                self.is_silent = false;
                self.silent_since = now;
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
    pub(super) fn release(&mut self, now: Instant, out: &mut Outbox) {
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
}
