//! What a register wants done, in order.

use crate::config::{ArbiterId, QuestionRound};

use super::ballot::{Ballot, Mark};
use super::keeper::Keeper;
use super::message::Message;

/// What a register wants done.
///
/// Whoever runs it does so in this order, and does nothing that stands behind a `Save` before that is durable, whatever else
/// happens meanwhile. A crash loses what waits for its disk, and everything behind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<V> {
    /// Make what the keeper knows durable, in the place of what it knew.
    Save(Keeper<V>),
    /// Send a message; it may be lost.
    Send {
        /// To whom.
        to: ArbiterId,
        /// What.
        message: Message<V>,
    },
    /// What this arbiter had accepted under this mark is chosen: for ever, and it may be told.
    Chosen(Mark),
    /// Nobody else had decided anything when the questions of this round came: what they were answered from may be told.
    Confirmed(Ballot, QuestionRound),
}

/// Collects the effects of a step, in order.
#[derive(Debug)]
pub struct Effects<V>(Vec<Effect<V>>);

impl<V> Default for Effects<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Effects<V> {
    /// Takes them out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect<V>> + '_ {
        self.0.drain(..)
    }

    /// Of two saves with nothing between them the later one is enough.
    pub(super) fn save(&mut self, keeper: Keeper<V>) {
        match self.0.last_mut() {
            Some(Effect::Save(last)) => *last = keeper,
            Some(Effect::Send { .. } | Effect::Chosen(_) | Effect::Confirmed(..)) | None => {
                self.0.push(Effect::Save(keeper));
            }
        }
    }

    pub(super) fn send(&mut self, to: ArbiterId, message: Message<V>) {
        self.0.push(Effect::Send { to, message });
    }

    pub(super) fn chosen(&mut self, mark: Mark) {
        self.0.push(Effect::Chosen(mark));
    }

    pub(super) fn confirmed(&mut self, ballot: Ballot, round: QuestionRound) {
        self.0.push(Effect::Confirmed(ballot, round));
    }
}
