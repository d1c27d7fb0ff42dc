//! What an arbiter does about deciding: it stands for the chair, sits in it, or leaves that to others.
//!
//! Its ballot is what its own keeper has promised to last: as soon as that promises to another one, the office is over.

use std::collections::BTreeSet;

use crate::config::{ArbiterId, QuestionRound};

use super::keeper::Held;

/// What it does about deciding.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Office<V> {
    /// Nothing.
    Idle,
    /// It collects promises.
    Standing(Standing<V>),
    /// It has what it holds accepted by the others.
    Chair(Chair),
}

/// The promises so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Standing<V> {
    /// Who has given one.
    pub(super) by: BTreeSet<ArbiterId>,
    /// Of all that they held, what is newest.
    pub(super) newest: Held<V>,
}

/// What has become of the value that this arbiter's keeper holds, and of questions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Chair {
    /// Who has accepted it.
    pub(super) accepted_by: BTreeSet<ArbiterId>,
    /// A majority has.
    pub(super) is_chosen: bool,
    pub(super) questions: Questions,
}

/// Rounds of questions, one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Questions {
    /// The round under way, or the last one.
    pub(super) round: QuestionRound,
    /// Who has answered it; `None` if none is under way.
    pub(super) answered_by: Option<BTreeSet<ArbiterId>>,
    /// There are questions that came when it had begun: they need another one.
    pub(super) is_wanted: bool,
}
