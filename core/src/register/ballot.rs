//! What orders everything that arbiters promise and accept.

use serde::{Deserialize, Serialize};

use crate::config::{ArbiterId, Round, Step};

/// One attempt of one arbiter to decide, and all that it decides by it. An arbiter uses no round twice, also over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ballot {
    /// Which attempt.
    pub round: Round,
    /// Whose, so that two of the same round differ.
    pub arbiter: ArbiterId,
}

impl Ballot {
    /// None: below all of them.
    pub const NONE: Self = Self {
        round: Round::ZERO,
        arbiter: ArbiterId(0),
    };
}

/// Where a value stands in the order of all that was ever accepted. One mark is given to one value only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// Who had it accepted, in which attempt.
    pub ballot: Ballot,
    /// Under one ballot, the next step begins only when the one before is chosen.
    pub step: Step,
}
