//! What arbiters say to each other.

use serde::{Deserialize, Serialize};

use crate::config::{QuestionRound, Round};

use super::ballot::{Ballot, Mark};
use super::keeper::Held;

/// A message from one arbiter to another. Any of them may be lost, repeated and overtaken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Message<V> {
    /// Who stands for the chair, to all: accept nothing of lower ballots any more, and tell what you hold.
    Prepare {
        /// The ballot.
        ballot: Ballot,
    },
    /// The answer of a keeper, whose disk has the promise.
    Promise {
        /// The ballot.
        ballot: Ballot,
        /// The newest value that it has accepted; `None` if it never has.
        held: Option<Held<V>>,
    },
    /// Who has the promises of a majority, to all: accept this.
    Accept(Held<V>),
    /// The answer of a keeper, whose disk has it.
    Accepted {
        /// The mark of what it has accepted.
        mark: Mark,
    },
    /// Who sits in the chair, to all: is my ballot still the highest that you have promised to?
    Ask {
        /// The ballot.
        ballot: Ballot,
        /// Which round of questions of this ballot.
        round: QuestionRound,
    },
    /// The answer of a keeper: so it is.
    Still {
        /// The ballot.
        ballot: Ballot,
        /// The round of questions that this answers.
        round: QuestionRound,
    },
    /// The answer of a keeper to any of these: it has promised to another ballot.
    Refused {
        /// The ballot that was refused.
        ballot: Ballot,
        /// The higher one.
        promised: Ballot,
    },
}

impl<V> Message<V> {
    /// The highest round that it names.
    pub fn round(&self) -> Round {
        match self {
            Self::Prepare { ballot } | Self::Ask { ballot, .. } | Self::Still { ballot, .. } => {
                ballot.round
            }
            Self::Promise { ballot, held } => {
                let held = held.as_ref().map(|held| held.mark.ballot.round);
                ballot.round.max(held.unwrap_or(Round::ZERO))
            }
            Self::Accept(held) => held.mark.ballot.round,
            Self::Accepted { mark } => mark.ballot.round,
            Self::Refused { ballot, promised } => ballot.round.max(promised.round),
        }
    }

    /// The value that it carries.
    pub fn held(&self) -> Option<&Held<V>> {
        match self {
            Self::Promise { held, .. } => held.as_ref(),
            Self::Accept(held) => Some(held),
            Self::Prepare { .. }
            | Self::Accepted { .. }
            | Self::Ask { .. }
            | Self::Still { .. }
            | Self::Refused { .. } => None,
        }
    }
}
