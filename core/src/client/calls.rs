//! What a client knows of a call that is under way.

use std::collections::BTreeSet;

use crate::config::Address;
use crate::message::{Attempt, Executed, Goal, RequestRow};
use crate::operation::{Origin, Rejection};
use crate::process::{Call, CallId};

/// A call that was not completed.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) call: CallId,
    /// What the program wants; it is tried no more after the deadline.
    pub(super) what: Call,
    pub(super) stage: Stage,
    /// Its request, once it was sent.
    pub(super) origin: Option<Origin>,
    /// The copy of its request that was sent last.
    pub(super) attempt: Attempt,
    /// A copy may have been executed: it was not answered, or with `OperationFailed`.
    pub(super) is_in_doubt: bool,
    /// Why the last try was rejected.
    pub(super) rejection: Option<Rejection>,
    /// How often it rested.
    pub(super) rests: u32,
    /// Replicas this read was sent to in this round.
    pub(super) tried: BTreeSet<Address>,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// For the primary, and waits until that is known, or until its session has room.
    Held,
    /// Waits before the next try.
    Resting,
    /// Sent, and not answered.
    Sent(Address),
}

impl Active {
    /// What is true of its request.
    pub(super) fn row(&self) -> RequestRow {
        self.what.request.row()
    }

    pub(super) fn is_for_primary(&self) -> bool {
        self.row().goal == Goal::Primary
    }

    pub(super) fn is_write(&self) -> bool {
        self.row().executed == Executed::Once
    }

    /// Is it a write that gets its name from the client's session?
    pub(super) fn enters_session(&self) -> bool {
        self.is_write() && self.what.name.is_none()
    }

    /// The replica that the caller named.
    pub(super) fn pinned(&self) -> Option<&Address> {
        self.what
            .replica
            .as_ref()
            .filter(|_| !self.is_for_primary())
    }
}
