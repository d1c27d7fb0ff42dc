//! What a program is told: an answer of each kind as a type of its own, and why there is none.

use std::fmt;

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

impl Acknowledged {
    /// The position right behind it: a read `AtLeast` this sees the write, at any replica.
    pub fn position(&self) -> Position {
        Position::behind(self.seq)
    }
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

/// A replica that was asked in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Where it is, or where one was said to be.
    pub replica: Address,
    /// Why it is not connected, in words for people. `None` if it is, and did not answer or could not do it; or if the transport
    /// cannot tell.
    pub failure: Option<String>,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Some(failure) => write!(f, "{} ({failure})", self.replica),
            None => write!(f, "{}", self.replica),
        }
    }
}

fn list(asked: &[Asked]) -> String {
    let asked: Vec<String> = asked.iter().map(Asked::to_string).collect();
    match asked.is_empty() {
        true => "nobody, since no address is known".to_owned(),
        false => asked.join(", "),
    }
}

/// Why a write was not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
    #[error("no primary was reached in time; the write was not executed; asked {}", list(.asked))]
    Unreachable {
        /// All replicas that are known. Those that are connected are not the primary, or do not answer.
        asked: Vec<Asked>,
    },
    /// The write may or may not take effect; `Handle::resolve` finds out.
    #[error("the write was not confirmed in time; it may or may not take effect")]
    Unknown {
        /// What to ask with.
        request: RequestName,
    },
    /// Certainly not executed: the client had been closed, or had failed.
    #[error("the client was closed; the write was not executed")]
    Closed,
    /// The client has failed during the call, or was closed just as it began; the write may or may not take effect.
    #[error("the client ended before the write was confirmed; it may or may not take effect")]
    Interrupted,
}

impl WriteError {
    /// May the write take effect all the same? If not, it was certainly not executed.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::Unknown { .. } | Self::Interrupted => true,
            Self::Rejected { .. } | Self::Unreachable { .. } | Self::Closed => false,
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
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
    #[error("no replica answered in time; asked {}", list(.asked))]
    Unreachable {
        /// Those that could have answered.
        asked: Vec<Asked>,
    },
    /// The client was closed, or has failed.
    #[error("the client was closed")]
    Closed,
}

/// Why a replica did not do what an operator wants of it, or did not tell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// It refuses, and has done nothing.
    #[error("the replica refuses: {reason}")]
    Rejected {
        /// The request.
        id: RequestId,
        /// Why.
        reason: Rejection,
    },
    /// It did not answer in time. A drain may have begun all the same: its status tells.
    #[error("no answer in time from {}", list(.asked))]
    Unreachable {
        /// The replica.
        asked: Vec<Asked>,
    },
    /// The client was closed, or has failed. A drain may have begun all the same.
    #[error("the client was closed")]
    Closed,
}

/// Why a call that is not a write has no answer.
pub(super) enum NoAnswer {
    Rejected { id: RequestId, reason: Rejection },
    Unreachable { asked: Vec<Asked> },
    Closed,
}

impl From<NoAnswer> for ReadError {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Rejected { id, reason } => Self::Rejected { id, reason },
            NoAnswer::Unreachable { asked } => Self::Unreachable { asked },
            NoAnswer::Closed => Self::Closed,
        }
    }
}

impl From<NoAnswer> for AdminError {
    fn from(no_answer: NoAnswer) -> Self {
        match no_answer {
            NoAnswer::Rejected { id, reason } => Self::Rejected { id, reason },
            NoAnswer::Unreachable { asked } => Self::Unreachable { asked },
            NoAnswer::Closed => Self::Closed,
        }
    }
}

/// The replica has begun to drain.
pub(super) struct Begun;

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

impl Told for Begun {
    fn told(_: RequestId, _: Address, body: ReplyBody) -> Option<Self> {
        match body {
            ReplyBody::Begun => Some(Self),
            _ => None,
        }
    }
}
