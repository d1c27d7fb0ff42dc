//! What one arbiter remembers for all: the highest ballot that it has promised to, and the newest value that it has accepted.

use serde::{Deserialize, Serialize};

use crate::config::ArbiterId;

use super::arbiters::Arbiters;
use super::ballot::{Ballot, Mark};

/// A value as it was accepted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Held<V> {
    /// Its place in the order of all values.
    pub mark: Mark,
    /// A majority of these chooses it.
    pub arbiters: Arbiters,
    /// What it is about.
    pub value: V,
}

/// All that an arbiter has on its disk.
///
/// - Neither its promise nor the mark of what it holds ever goes back.
/// - What it holds is of no higher ballot than its promise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Keeper<V> {
    /// Which arbiter it is of: drawn once, at random.
    id: ArbiterId,
    promised: Ballot,
    held: Option<Held<V>>,
}

/// What becomes of what a keeper is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// It does so, which its disk has to know before anybody hears of it.
    Done,
    /// It did so before.
    Known,
    /// It has accepted a later step of the same ballot. Nobody waits for an answer: that step was the next one.
    Overtaken,
    /// It has promised not to.
    Refused,
}

impl<V> Keeper<V> {
    /// That of an arbiter which knows nothing yet, or nothing any more.
    pub fn new(id: ArbiterId) -> Self {
        Self {
            id,
            promised: Ballot::NONE,
            held: None,
        }
    }

    /// That of an arbiter which holds a value from the beginning.
    pub fn holding(id: ArbiterId, held: Held<V>) -> Self {
        Self {
            id,
            promised: held.mark.ballot,
            held: Some(held),
        }
    }

    /// What it knows, as that of another arbiter: nothing of what this one promised is withdrawn.
    pub fn of(self, id: ArbiterId) -> Self {
        Self { id, ..self }
    }

    /// Which arbiter it is of.
    pub fn id(&self) -> ArbiterId {
        self.id
    }

    /// It accepts nothing under a lower ballot.
    pub fn promised(&self) -> Ballot {
        self.promised
    }

    /// The newest value it has accepted.
    pub fn held(&self) -> Option<&Held<V>> {
        self.held.as_ref()
    }

    pub(super) fn promise(&mut self, ballot: Ballot) -> Response {
        if ballot < self.promised {
            return Response::Refused;
        }
        if ballot == self.promised {
            return Response::Known;
        }
        self.promised = ballot;
        if planted!(AcceptedForgotten) {
            self.held = None;
        }
        Response::Done
    }

    pub(super) fn accept(&mut self, held: Held<V>) -> Response {
        if held.mark.ballot < self.promised {
            return Response::Refused;
        }
        let former = self.held.as_ref().map(|former| former.mark);
        if former == Some(held.mark) {
            return Response::Known;
        }
        if former > Some(held.mark) && !planted!(EarlierStepAccepted) {
            return Response::Overtaken;
        }
        self.promised = held.mark.ballot;
        self.held = Some(held);
        Response::Done
    }
}
