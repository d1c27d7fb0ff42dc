//! What clients ask for and what becomes of it: operations, the entries that they lead to and their outcome; reads and their
//! level.

mod author;
mod blobs;
mod changes;
mod coding;
mod records;

use serde::{Deserialize, Serialize};

use crate::config::{Address, Position, Seq};
use crate::rights::Right;

pub use self::author::{Author, ClientId, NotARequestName, Origin, RequestId, RequestName};
pub use self::blobs::{Key, Value};
pub use self::changes::{Change, Changes, Decided, Entry, Verdict};
pub(crate) use self::coding::decode_shared;
pub use self::records::{Keyed, LeaseId, Moment, Record, Revision};

/// A write, as a client asks for it. The primary decides what it comes to; nobody else has to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Sets `key` to `value`.
    Insert {
        /// The key.
        key: Key,
        /// Its value from then on.
        value: Value,
    },
    /// Deletes `key`; if it is absent the store stays as it is, but there is an entry of the log.
    Remove {
        /// The key.
        key: Key,
    },
    /// Changes nothing, but takes the place of a request that was not executed, so that it never will be.
    Cancel {
        /// The key of that request.
        key: Key,
    },
}

impl Operation {
    /// The key this changes.
    pub fn key(&self) -> &Key {
        match self {
            Self::Insert { key, .. } | Self::Remove { key } | Self::Cancel { key } => key,
        }
    }

    /// The value it sets; `None` where it sets none.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Insert { value, .. } => Some(value),
            Self::Remove { .. } | Self::Cancel { .. } => None,
        }
    }
}

/// What became of a write whose outcome was unknown; none of it changes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Resolution {
    /// It was executed, once, and is on disk on every in-sync replica.
    Executed {
        /// Its place in the log.
        seq: Seq,
        /// That of the store once it had it.
        revision: Revision,
    },
    /// It was not executed and never will be.
    NeverExecuted,
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReadLevel {
    /// The newest value this replica has received, at once, committed or not; at any replica.
    Local,
    /// The outcome of at least the entries before the position, all committed; at any replica, which waits until it
    /// knows them to be.
    AtLeast(Position),
    /// The outcome of every write acknowledged before the read was sent; at an in-sync replica that holds a lease.
    Linearizable,
}

/// Why a request was certainly not executed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// Writes go to the primary; try there.
    #[error("this replica is not the primary{}", .primary.as_ref().map(|p| format!(" ({p} is)")).unwrap_or_default())]
    NotPrimary {
        /// Where the primary is; `None` when this replica does not know it.
        primary: Option<Address>,
    },
    /// The replica has no role yet, is about to hand over, or has rejected this copy or a later one before; try again soon
    /// or elsewhere.
    #[error("this replica is not ready to serve")]
    NotReady,
    /// Too much is in flight; try again soon.
    #[error("too much is in flight at this replica")]
    Overloaded,
    /// The key or the value is longer than the cluster takes; never try again.
    #[error("{what} of {size} bytes is outside the limits of 1 to {limit} bytes")]
    TooLarge {
        /// `key` or `value`.
        what: String,
        /// Its length.
        size: u64,
        /// The longest allowed.
        limit: u64,
    },
    /// The primary's disk has no room; try again when an operator has made some.
    #[error("the disk of the primary is full")]
    DiskFull,
    /// Fewer replicas are in sync than writes require; try again when some have come back.
    #[error("{in_sync} replicas are in sync, writes require {required}")]
    TooFewReplicas {
        /// How many are.
        in_sync: u32,
        /// How many must be.
        required: u32,
    },
    /// The replica may not answer linearizable reads at the moment; try the primary, or again soon.
    #[error("this replica holds no lease, so it cannot answer linearizable reads")]
    NoLease,
    /// The replica did not learn in time that the log is committed as far as the read requires; try elsewhere.
    #[error("this replica has committed entries up to {committed} only")]
    Behind {
        /// How far it is.
        committed: Position,
    },
    /// The cluster remembers the client no more, so that it cannot tell whether the request was executed before. This
    /// copy of it was not.
    #[error("the cluster does not remember this client's requests any more")]
    SessionExpired,
    /// `Resolve` has taken the place of the request.
    #[error("the request was cancelled")]
    Cancelled,
    /// The cluster remembers the client no more, since before the primary's tenure: no copy of the request that is for this
    /// tenure was executed, nor will one be.
    #[error("this client's session is older than what the cluster remembers")]
    SessionTooOld,
    /// The replica does not begin to drain; try again when the reason has gone.
    #[error("the replica is not drained: {reason}")]
    CannotDrain {
        /// Why not.
        reason: DrainRefusal,
    },
    /// The arbiters, which would have to decide it, are not heard; try another replica, or when they are heard again.
    #[error("the arbiters, which would have to decide it, are silent")]
    ArbitersSilent,
    /// A defect: the replica failed while it looked for the answer, and goes on; report it, and try another replica.
    #[error("this replica failed while it answered, which is a defect to be reported: {reason}")]
    Failed {
        /// What the failure says of itself.
        reason: String,
    },
    /// The client may not ask for that; never try again with this certificate.
    #[error("this client may not do that, which needs {needed}")]
    Unauthorized {
        /// What is missing.
        needed: Right,
    },
}

/// Why a replica does not begin to drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum DrainRefusal {
    /// Nobody else is known to have every acknowledged write.
    #[error("no other replica is in sync, and nothing could be read or written without it")]
    LastInSync,
    /// No write would be acknowledged any more.
    #[error("{in_sync} would be left in sync, and writes require {required}")]
    TooFewReplicas {
        /// How many would be left.
        in_sync: u32,
        /// How many must be.
        required: u32,
    },
    /// The arbiter, which has to confirm it, is not heard.
    #[error("the arbiter, which has to confirm it, is silent")]
    ArbiterSilent,
    /// It is primary, and nobody in sync keeps up with it at the moment.
    #[error("it is the primary, and no other replica could take over at the moment")]
    NoSuccessor,
    /// It is in sync, and does not hear the primary: it may be the last that has everything.
    #[error("it does not hear the primary, and may be the last that has every acknowledged write")]
    PrimarySilent,
}

impl Rejection {
    /// `what` has `size` bytes, and may have 1 to `limit`.
    pub fn too_large(what: &str, size: usize, limit: usize) -> Self {
        Self::TooLarge {
            what: what.to_owned(),
            size: size as u64,
            limit: limit as u64,
        }
    }
}
