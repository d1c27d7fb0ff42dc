//! The arbiter: one durable configuration, changed by compare-and-swap, told to nobody before it is on disk.
//!
//! This file holds answers back until the disk has what they speak of; `policy` decides.

mod adopt;
mod force;
pub mod policy;
#[cfg(test)]
mod tests;

pub use adopt::{NotAdopted, adopt};
pub use force::{NotForced, force_primary};
pub use policy::first_record;

use std::mem;

use crate::config::{Address, Config};
use crate::event::Event;
use crate::limits;
use crate::message::{FromArbiter, Message, ToArbiter};
use crate::process::{Input, Now, Outbox, Process};
use crate::storage::pending::Pending;
use crate::storage::{ArbiterRecord, Save, Ticket};
use crate::time::{Instant, Timers};

use policy::Decision;

/// The timers of an arbiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Ask the disk again.
    PersistRetry,
}

/// The process that decides who is primary and who is in sync.
///
/// - `record` is what decisions rest on; `disk` knows what is not confirmed of it.
/// - Answers leave in the order of the messages they answer, once every record up to theirs is durable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arbiter {
    record: ArbiterRecord,
    disk: Pending<Timer, Announcement>,
    /// A replica knows of a configuration that the record does not. It decides nothing any more.
    is_behind: bool,
    timers: Timers<Timer>,
}

/// What is said once a record is on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Announcement {
    answers: Vec<(Address, FromArbiter)>,
    events: Vec<Event>,
}

impl Arbiter {
    /// An arbiter that knows what its disk holds, or `first_record` where that is nothing. The record is made durable
    /// before the first answer.
    pub fn open(record: ArbiterRecord) -> Self {
        record.config.check();
        Self {
            record,
            disk: Pending::new(Timer::PersistRetry),
            is_behind: false,
            timers: Timers::new(),
        }
    }

    /// The configuration in force, or about to be: durable unless a record is on its way to the disk.
    pub fn config(&self) -> &Config {
        &self.record.config
    }

    fn on_message(&mut self, now: Instant, from: &Address, message: ToArbiter, out: &mut Outbox) {
        if self.disk.len() >= limits::ARBITER_RECORDS_WAITING_MAX {
            return; // The disk hangs. Replicas ask again.
        }
        if self.is_behind || policy::is_behind(&self.record, &message) {
            if !self.is_behind {
                self.is_behind = true;
                out.notify(Event::RecordBehind);
            }
            return;
        }
        let decision = match &message {
            ToArbiter::Join(join) => policy::on_join(&self.record, from, join),
            ToArbiter::Leave(leave) => policy::on_leave(&self.record, from, leave),
            ToArbiter::ConfigQuery(_) => policy::on_config_query(&self.record, from),
            ToArbiter::Propose(propose) => policy::on_propose(&self.record, from, propose),
        };
        self.pronounce(now, decision, out);
    }

    fn pronounce(&mut self, now: Instant, decision: Decision, out: &mut Outbox) {
        if let Some(record) = decision.record {
            record.config.check();
            self.record = record;
            self.persist(now, out);
        }
        match self.disk.meanings_mut().next_back() {
            // An answer rests on the newest record, so it waits for that one. What is asked repeatedly meanwhile is
            // answered once, and what there is no place for not at all: replicas ask again.
            Some(last) if !planted!(TellsBeforeDurable) => {
                for answer in decision.answers {
                    let has_place = last.answers.len() < limits::ARBITER_ANSWERS_WAITING_MAX;
                    if has_place && !last.answers.contains(&answer) {
                        last.answers.push(answer);
                    }
                }
                last.events.extend(decision.event);
            }
            Some(_) | None => send(decision.answers, out),
        }
    }

    fn persist(&mut self, now: Instant, out: &mut Outbox) {
        let save = Save::Arbiter(Box::new(self.record.clone()));
        let announcement = Announcement::default();
        let ticket = self.disk.ask(now, &save, announcement, &mut self.timers);
        out.persist(ticket, save);
    }

    fn on_persisted(&mut self, now: Instant, ticket: Ticket, out: &mut Outbox) {
        let Some(announcement) = self.disk.on_persisted(now, ticket, &mut self.timers) else {
            return;
        };
        send(announcement.answers, out);
        for event in announcement.events {
            out.notify(event);
        }
    }

    fn on_persist_retry(&mut self, now: Instant, out: &mut Outbox) {
        for (ticket, save) in self.disk.on_retry(now, &mut self.timers) {
            out.persist(ticket, save);
        }
    }
}

fn send(answers: Vec<(Address, FromArbiter)>, out: &mut Outbox) {
    for (to, message) in answers {
        out.send(&to, Message::FromArbiter(message));
    }
}

impl Process for Arbiter {
    type Timer = Timer;

    fn step(&mut self, now: Now<'_>, input: Input<Timer>, out: &mut Outbox) {
        let now = now.time;
        match input {
            Input::Start => {
                // Told first: a crash repeats it and loses nothing.
                for act in mem::take(&mut self.record.acts) {
                    out.notify(Event::Acted(act));
                }
                self.persist(now, out);
            }
            Input::Message { from, message } => match message {
                Message::ToArbiter(message) => self.on_message(now, &from, message, out),
                Message::FromArbiter(_)
                | Message::Peer(_)
                | Message::Request(_)
                | Message::Reply(_) => out.notify(Event::Stale { from }),
            },
            Input::Timer(Timer::PersistRetry) => {
                self.timers.disarm(Timer::PersistRetry);
                self.on_persist_retry(now, out);
            }
            Input::Persisted(ticket) => self.on_persisted(now, ticket, out),
            Input::DiskFull => {
                if self.disk.on_full(now) {
                    out.notify(Event::DiskFull);
                }
            }
            Input::DiskRoom => {
                if self.disk.on_room() {
                    out.notify(Event::DiskHasRoom);
                }
            }
            Input::Leave => out.notify(Event::Left),
            // It asks nothing of this kind.
            Input::Applied(_)
            | Input::Trimmed(_)
            | Input::Answered(..)
            | Input::UsageMeasured(_)
            | Input::Call(..) => {}
        }
    }

    fn timers(&self) -> &Timers<Timer> {
        &self.timers
    }
}
