//! What a program is told: an answer of each kind as a type of its own, and why there is none.

use crate::config::{Address, Position, Seq};
use crate::message::{NodeStatus, ReplyBody};
use crate::operation::{
    Key, Keyed, Record, Rejection, RequestId, RequestName, Resolution, Revision, Value,
};

/// A write that is on disk on every in-sync replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The request that was acknowledged.
    pub id: RequestId,
    /// Its place in the total order of all writes.
    pub seq: Seq,
    /// That of the store once it had it.
    pub revision: Revision,
}

/// What was read of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its record; `None` when it is absent.
    pub record: Option<Record>,
    /// The record is the outcome of all writes before this. Except after a local read, a read `AtLeast` this position sees
    /// the same or newer, at any replica.
    pub position: Position,
    /// That of the store there. As the position, it says nothing of what other keys have elsewhere.
    pub revision: Revision,
    /// Who answered.
    pub replica: Address,
}

impl Read {
    /// The value of the key; `None` when it is absent.
    pub fn value(&self) -> Option<&Value> {
        self.record.as_ref().map(|record| &record.value)
    }

    /// The value of the key; `None` when it is absent.
    pub fn into_value(self) -> Option<Value> {
        self.record.map(|record| record.value)
    }
}

/// A part of all records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// In the order of their keys; may be empty although more follow.
    pub records: Vec<Keyed>,
    /// More may follow in the rest of the range, behind this key; `None` at its end.
    pub resume: Option<Key>,
    /// Who answered.
    pub replica: Address,
}

/// Why a write was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Certainly not executed, for a reason that trying again did not or would not change.
    #[error("the write was rejected and not executed: {reason}")]
    Rejected {
        /// The request.
        id: RequestId,
        /// The last reason.
        reason: Rejection,
    },
    /// Certainly not executed: no primary was reached in time.
    #[error("no primary was reached in time; the write was not executed")]
    Unreachable,
    /// The write may or may not take effect; `Handle::resolve` finds out.
    #[error("the write was not confirmed in time; it may or may not take effect")]
    Unknown {
        /// What to ask with.
        request: RequestName,
    },
    /// Certainly not executed: the client had been closed, or had failed.
    #[error("the client was closed; the write was not executed")]
    Closed,
    /// The client was closed during the call; the write may or may not take effect.
    #[error("the client was closed before the write was confirmed; it may or may not take effect")]
    Interrupted,
}

impl WriteError {
    /// May the write take effect all the same? If not, it was certainly not executed.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Interrupted => true,
            Self::Rejected { .. } | Self::Unreachable | Self::Closed => false,
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// For a reason that trying again did not or would not change.
    #[error("the request was rejected: {reason}")]
    Rejected {
        /// The request.
        id: RequestId,
        /// The last reason.
        reason: Rejection,
    },
    /// No replica answered in time.
    #[error("no replica answered in time")]
    Unreachable,
    /// The client was closed, or has failed.
    #[error("the client was closed")]
    Closed,
}

/// The replica has begun to drain.
pub(super) struct Draining;

/// What a program is told of the answers of one kind.
pub(super) trait Told: Sized {
    /// `None` if it is an answer of another kind.
    fn told(id: RequestId, replica: Address, body: ReplyBody) -> Option<Self>;
}

impl Told for Acknowledged {
    fn told(id: RequestId, _: Address, body: ReplyBody) -> Option<Self> {
        match body {
            ReplyBody::OperationAck { seq, revision } => Some(Self { id, seq, revision }),
            _ => None,
        }
    }
}

impl Told for Read {
    fn told(_: RequestId, replica: Address, body: ReplyBody) -> Option<Self> {
        match body {
            ReplyBody::GetResult {
                record,
                position,
                revision,
                ..
            } => Some(Self {
                record,
                position,
                revision,
                replica,
            }),
            _ => None,
        }
    }
}

impl Told for Page {
    fn told(_: RequestId, replica: Address, body: ReplyBody) -> Option<Self> {
        match body {
            ReplyBody::ScanResult { records, resume } => Some(Self {
                records,
                resume,
                replica,
            }),
            _ => None,
        }
    }
}

impl Told for Box<NodeStatus> {
    fn told(_: RequestId, _: Address, body: ReplyBody) -> Option<Self> {
        match body {
            ReplyBody::Status(status) => Some(status),
            _ => None,
        }
    }
}

impl Told for Resolution {
    fn told(_: RequestId, _: Address, body: ReplyBody) -> Option<Self> {
        match body {
            ReplyBody::Resolved(resolution) => Some(resolution),
            _ => None,
        }
    }
}

impl Told for Draining {
    fn told(_: RequestId, _: Address, body: ReplyBody) -> Option<Self> {
        match body {
            ReplyBody::Draining => Some(Self),
            _ => None,
        }
    }
}
