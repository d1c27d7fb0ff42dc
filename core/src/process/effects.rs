//! What a process wants done, in order.

use crate::config::{Address, Position};
use crate::event::Event;
use crate::message::Message;
use crate::storage::committed::Committed;
use crate::storage::{Query, Save, Ticket};

use super::calls::{CallId, Outcome};

/// What a process wants done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Send a message; it may be lost.
    Send {
        /// To whom.
        to: Address,
        /// What.
        message: Message,
    },
    /// Make a save durable and report `Input::Persisted`; see [`Save`] for order and repetition.
    Persist(Ticket, Save),
    /// Apply committed entries, the first right behind what was applied before, to the state and report `Input::Applied`. Need
    /// not be durable at once.
    Apply(Committed),
    /// Answer a question with `Input::Answered`.
    Query(Ticket, Query),
    /// Find out what the node has used of its disk and of the host around it, and report `Input::UsageMeasured`: in the same
    /// round, however busy the disk is.
    MeasureUsage,
    /// Let go of a state held fixed by `Query::OpenView`.
    CloseView(Ticket),
    /// From now on, keep the log from this position on, whatever its size. Before the first of these, nothing need be kept.
    Retain(Position),
    /// Answer the program using a client; exactly once for each call.
    Complete(CallId, Outcome),
    /// Tell whoever watches.
    Notify(Event),
}

/// Collects the effects of a round, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    effects: Vec<Effect>,
}

impl Outbox {
    /// No effects.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends `message` to `to`.
    pub fn send(&mut self, to: &Address, message: Message) {
        let to = to.clone();
        self.effects.push(Effect::Send { to, message });
    }

    /// Makes `save` durable under `ticket`.
    pub fn persist(&mut self, ticket: Ticket, save: Save) {
        self.effects.push(Effect::Persist(ticket, save));
    }

    /// Reports `event`.
    pub fn notify(&mut self, event: Event) {
        self.effects.push(Effect::Notify(event));
    }

    /// Adds any effect.
    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// Takes the effects out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> + '_ {
        self.effects.drain(..)
    }
}
