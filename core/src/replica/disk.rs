//! What a replica has asked its disk to write and not heard of: repeated until it is done, and what each proves then.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::Position;
use crate::event::Event;
use crate::limits;
use crate::process::{Effect, Outbox};
use crate::storage::{Query, Save, Ticket};
use crate::time::{Instant, Timers};

use super::Timer;

/// The saves under way, in the order in which they were asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Disk {
    next: Ticket,
    pending: VecDeque<Pending>,
    is_full: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pending {
    ticket: Ticket,
    asked: Instant,
    save: Save,
    proof: Proof,
}

/// What a completed save shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Proof {
    /// The log is durable up to here.
    Log(Position),
    /// Something that who asked for it recognises by its ticket.
    Other,
}

impl Disk {
    /// Asks for `save`.
    pub(super) fn persist(
        &mut self,
        now: Instant,
        save: Save,
        proof: Proof,
        timers: &mut Timers<Timer>,
        out: &mut Outbox,
    ) -> Ticket {
        let ticket = self.ticket();
        out.persist(ticket, save.clone());
        self.pending.push_back(Pending {
            ticket,
            asked: now,
            save,
            proof,
        });
        timers.arm_if_idle(Timer::PersistRetry, now + limits::RETRY_INTERVAL);
        ticket
    }

    /// Asks `query`.
    pub(super) fn query(&mut self, query: Query, out: &mut Outbox) -> Ticket {
        let ticket = self.ticket();
        out.push(Effect::Query(ticket, query));
        ticket
    }

    /// The ticket that the next save or question gets.
    pub(super) fn next_ticket(&self) -> Ticket {
        self.next
    }

    fn ticket(&mut self) -> Ticket {
        let ticket = self.next;
        self.next = Ticket(ticket.0 + 1);
        ticket
    }

    /// A save is done: what it proves; `None` if that was known already.
    pub(super) fn on_persisted(
        &mut self,
        now: Instant,
        ticket: Ticket,
        timers: &mut Timers<Timer>,
    ) -> Option<Proof> {
        let index = self
            .pending
            .binary_search_by_key(&ticket, |pending| pending.ticket)
            .ok()?;
        let done = self.pending.remove(index)?;
        timers.disarm(Timer::PersistRetry);
        if !self.pending.is_empty() {
            timers.arm(Timer::PersistRetry, now + limits::RETRY_INTERVAL);
        }
        Some(done.proof)
    }

    /// Asks again for what is taking long. That does no harm where the disk is merely slow, so the oldest few do.
    pub(super) fn on_retry(&mut self, now: Instant, timers: &mut Timers<Timer>, out: &mut Outbox) {
        for pending in self.pending.iter().take(limits::PERSIST_RETRIES_MAX) {
            out.persist(pending.ticket, pending.save.clone());
        }
        timers.arm(Timer::PersistRetry, now + limits::RETRY_INTERVAL);
    }

    /// The disk has no room.
    pub(super) fn on_full(&mut self, out: &mut Outbox) {
        if !self.is_full {
            self.is_full = true;
            out.notify(Event::DiskFull);
        }
    }

    /// The disk has room again.
    pub(super) fn on_room(&mut self, out: &mut Outbox) {
        if self.is_full {
            self.is_full = false;
            out.notify(Event::DiskHasRoom);
        }
    }

    /// Has the disk no room?
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The log is being cut off behind `keep`: saves asked for earlier prove nothing of what comes to stand there.
    pub(super) fn limit_proofs(&mut self, keep: Position) {
        for pending in &mut self.pending {
            if let Proof::Log(position) = &mut pending.proof
                && !planted!(StaleProofCounts | TruncationNotAwaited)
            {
                *position = (*position).min(keep);
            }
        }
    }

    /// Has it, although it has room, kept a save for `patience` or longer?
    pub(super) fn hangs(&self, now: Instant, patience: Duration) -> bool {
        !self.is_full && self.is_stuck(now, patience)
    }

    /// Has it, for whatever reason, kept a save for `patience` or longer?
    pub(super) fn is_stuck(&self, now: Instant, patience: Duration) -> bool {
        let oldest = self.pending.front();
        oldest.is_some_and(|pending| now - pending.asked >= patience)
    }

    /// Saves asked for and not heard of.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }
}
