//! What an arbiter says as soon as something is certain.

use crate::config::{Address, QuestionRound};
use crate::event::Event;
use crate::limits;
use crate::message::{FromArbiter, Message};
use crate::process::Outbox;
use crate::register::{Ballot, Mark};

/// What has to be certain before something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Ground {
    /// That a record is chosen.
    Chosen(Mark),
    /// That the record was the newest one when it was looked at.
    Confirmed(Ballot, QuestionRound),
}

/// What is said then.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Announcement {
    messages: Vec<(Address, Message)>,
    events: Vec<Event>,
}

impl Announcement {
    pub(super) fn answers(answers: Vec<(Address, FromArbiter)>) -> Self {
        let answers = answers.into_iter();
        Self {
            messages: answers.map(|(to, answer)| (to, answer.into())).collect(),
            events: Vec::new(),
        }
    }

    pub(super) fn message(to: Address, message: Message) -> Self {
        Self {
            messages: vec![(to, message)],
            events: Vec::new(),
        }
    }

    pub(super) fn with(mut self, event: impl IntoIterator<Item = Event>) -> Self {
        self.events.extend(event);
        self
    }

    /// Says that, too. What is asked repeatedly is answered once, and what there is no place for not at all: whoever has
    /// no answer asks again.
    pub(super) fn add(&mut self, more: Self) {
        for message in more.messages {
            let has_place = self.messages.len() < limits::ARBITER_ANSWERS_WAITING_MAX;
            if has_place && !self.messages.contains(&message) {
                self.messages.push(message);
            }
        }
        self.events.extend(more.events);
    }

    pub(super) fn say(self, out: &mut Outbox) {
        for (to, message) in self.messages {
            out.send(&to, message);
        }
        for event in self.events {
            out.notify(event);
        }
    }
}
