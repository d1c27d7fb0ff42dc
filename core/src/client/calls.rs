//! What a client knows of a call that is under way.

use std::collections::BTreeSet;

use crate::config::Address;
use crate::message::{Attempt, RequestBody};
use crate::operation::{Origin, Rejection};
use crate::process::{CallBody, CallId};
use crate::time::Instant;

/// A call that was not completed.
#[derive(Clone, Debug)]
pub(super) struct Active {
    pub(super) call: CallId,
    pub(super) body: CallBody,
    /// It is tried no more then.
    pub(super) deadline: Instant,
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

/// Where a call has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Primary,
    Replica,
}

impl Active {
    pub(super) fn goal(&self) -> Goal {
        match self.body {
            CallBody::Insert { .. } | CallBody::Remove { .. } | CallBody::Resolve { .. } => {
                Goal::Primary
            }
            CallBody::Get { .. }
            | CallBody::Scan { .. }
            | CallBody::Status { .. }
            | CallBody::Drain { .. } => Goal::Replica,
        }
    }

    pub(super) fn is_write(&self) -> bool {
        matches!(self.body, CallBody::Insert { .. } | CallBody::Remove { .. })
    }

    /// The replica that the caller named.
    pub(super) fn pinned(&self) -> Option<&Address> {
        match &self.body {
            CallBody::Insert { .. } | CallBody::Remove { .. } | CallBody::Resolve { .. } => None,
            CallBody::Get { replica, .. }
            | CallBody::Scan { replica, .. }
            | CallBody::Status { replica } => replica.as_ref(),
            CallBody::Drain { replica, .. } => Some(replica),
        }
    }

    pub(super) fn request(&self) -> RequestBody {
        match self.body.clone() {
            CallBody::Insert { key, value } => RequestBody::Insert { key, value },
            CallBody::Remove { key } => RequestBody::Remove { key },
            CallBody::Get { key, level, .. } => RequestBody::Get { key, level },
            CallBody::Scan { after, limit, .. } => RequestBody::Scan { after, limit },
            CallBody::Status { .. } => RequestBody::Status,
            CallBody::Resolve { key, .. } => RequestBody::Resolve { key },
            CallBody::Drain { drain, .. } => RequestBody::Drain(drain),
        }
    }
}
