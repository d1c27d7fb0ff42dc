//! What a client can want, what it can be answered with, and what is true of each: one table of requests, one of answers. The
//! client, the lanes and the handle go by them.
//!
//! A new request is a variant of [`RequestBody`] and its row. If it gets an answer of a new kind, that is a variant of
//! [`ReplyBody`], one of [`AnswerKind`], and its lane. Who may ask it is in its row, and
//! for which keys in [`rights`](crate::rights).

use std::num::NonZeroU32;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::config::{Epoch, NodeId, Position, Seq};
use crate::limits::Limits;
use crate::operation::{
    ClientId, Key, Keyed, Origin, ReadLevel, Record, Rejection, RequestId, Resolution, Revision,
    Value,
};
use crate::range::KeyRange;
use crate::rights::ClientRole;
use crate::transport::Lane;

use super::ArbitersChange;
use super::status::NodeStatus;

/// A client wants something of a replica. Answered by exactly one `Reply` with the same id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Who asks, and which request of its this is; what makes writes repeatable is of no meaning to others.
    pub origin: Origin,
    /// Which copy of it this is.
    pub attempt: Attempt,
    /// What it wants.
    pub body: RequestBody,
}

/// One copy of a request, of which a network may deliver more. What is rejected is rejected for good as this copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Attempt {
    /// The tenure it is for: a primary of another one does not execute the write. Zero is for any, and what is rejected may
    /// be executed yet if it is delivered again in another.
    pub epoch: Epoch,
    /// How often the request was sent, with this copy.
    pub copy: u32,
}

/// What a client can want.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RequestBody {
    /// Set the key; only at the primary.
    Insert {
        /// The key.
        key: Key,
        /// Its new value.
        value: Value,
    },
    /// Delete the key; only at the primary.
    Remove {
        /// The key.
        key: Key,
    },
    /// Read the key; at any replica.
    Get {
        /// The key.
        key: Key,
        /// How fresh.
        level: ReadLevel,
    },
    /// Read records in the order of their keys, as this replica has received them; at any replica. Later pages may
    /// be of a newer state than earlier ones.
    Scan {
        /// Which.
        range: KeyRange,
        /// At most so many records; `None` for as many as a page takes, which no limit raises.
        limit: Option<NonZeroU32>,
    },
    /// Tell about yourself; at any replica.
    Status,
    /// Tell what became of this client's write of the same id, and if it was not executed, see that it never is;
    /// only at the primary.
    Resolve {
        /// The key of that write.
        key: Key,
    },
    /// Leave the configuration; a primary hands over first. Answered at once, with `Rejection::CannotDrain` if it would not
    /// end well, and done some time later.
    Drain(Drain),
    /// Have the set of arbiters changed. The replica proposes it to them, once, and answers at once; whoever wants it looks whether
    /// it came about.
    Arbiters(ArbitersChange),
}

/// How far a drain goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Drain {
    /// The replica leaves the configuration and ends.
    Node,
    /// The replica is not primary any more, and stays. Nothing happens if it is not.
    Primary,
    /// The same as `Node`, although fewer replicas are in sync then than writes require.
    NodeByForce,
    /// Nothing happens to the replica itself: that other one, a member no more, is not expected back. The replica proposes to
    /// the arbiter, once, to have it told of in `Config::former` no more.
    Former(NodeId),
}

/// A replica's answer to a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reply {
    /// The client the request was of.
    pub client: ClientId,
    /// The request this answers.
    pub id: RequestId,
    /// The answer.
    pub body: ReplyBody,
}

/// What a replica can answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReplyBody {
    /// The write is on disk on every in-sync replica.
    OperationAck {
        /// Its place in the log.
        seq: Seq,
        /// That of the store once it had it.
        revision: Revision,
    },
    /// The write could not be confirmed in time; it may still take effect.
    OperationFailed,
    /// This copy of the request was certainly not executed, and will not be if it is delivered again.
    OperationRejected {
        /// Why.
        reason: Rejection,
        /// The copy; the last one to come of those that are answered together.
        attempt: Attempt,
    },
    /// The value of a key.
    GetResult {
        /// The key.
        key: Key,
        /// Its record; `None` when it is absent.
        record: Option<Record>,
        /// The record is the outcome of the entries before this: the replica's committed position; for
        /// `ReadLevel::Local`, how far its disk was asked for the log.
        position: Position,
        /// That of the store there.
        revision: Revision,
    },
    /// A page of records.
    ScanResult {
        /// The records, in the order of their keys; may be empty although more follow.
        records: Vec<Keyed>,
        /// More may follow behind this key; `None` at the end.
        resume: Option<Key>,
    },
    /// About the replica.
    Status(Box<NodeStatus>),
    /// What became of a write.
    Resolved(Resolution),
    /// The replica has begun with what an operator wants: it drains, or has proposed something to the arbiters.
    Begun,
}

/// What is true of all requests of one variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRow {
    /// Who has to be asked.
    pub goal: Goal,
    /// What it is answered from.
    pub source: Source,
    /// How often it is executed, if it is asked more than once.
    pub executed: Executed,
    /// What it is answered with, unless it is rejected or its outcome is not known in time.
    pub answer: AnswerKind,
    /// What a client has to be at least to ask for it.
    pub role: ClientRole,
}

/// Who has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The primary, wherever it is; no other replica can be named.
    Primary,
    /// The replica that is named, or else the replicas in turn, which share the work.
    InTurn,
    /// The replica that is named, or else one of them, the same as long as it answers.
    Steady,
    /// The replica that is named, and no other.
    Named,
}

/// What a request is answered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The store: it is a read, which only a replica that serves answers. Others reject it.
    Store,
    /// What the replica is: its role decides.
    Role,
}

/// How often a request is executed that is asked more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    /// Once: it is a write, which has its place in a session, so that a copy of it is known as such.
    Once,
    /// Each time, which does no harm.
    EachTime,
}

/// The kinds of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// The place of a write in the log.
    Acknowledgement,
    /// What a key has.
    Value,
    /// Some records.
    Page,
    /// What a replica says of itself.
    Status,
    /// What became of a write.
    Resolution,
    /// A replica's word that it has begun with what an operator wants.
    Begun,
}

impl RequestBody {
    /// Its row of the table of requests.
    pub fn row(&self) -> RequestRow {
        use {AnswerKind::*, ClientRole::*, Executed::*, Goal::*, Source::*};
        let row = |goal, source, executed, answer, role| RequestRow {
            goal,
            source,
            executed,
            answer,
            role,
        };
        match self {
            Self::Insert { .. } => row(Primary, Role, Once, Acknowledgement, Write),
            Self::Remove { .. } => row(Primary, Role, Once, Acknowledgement, Write),
            Self::Get { .. } => row(InTurn, Store, EachTime, Value, Read),
            Self::Scan { .. } => row(Steady, Store, EachTime, Page, Read),
            Self::Status => row(Steady, Role, EachTime, Status, Read),
            Self::Resolve { .. } => row(Primary, Role, EachTime, Resolution, Write),
            Self::Drain(_) => row(Named, Role, EachTime, Begun, Admin),
            Self::Arbiters(_) => row(Named, Role, EachTime, Begun, Admin),
        }
    }

    /// The lane it takes: that of its answer.
    pub fn lane(&self) -> Lane {
        self.row().answer.lane()
    }

    /// The keys that it names: at most two.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        let keys = match self {
            Self::Insert { key, .. }
            | Self::Remove { key }
            | Self::Get { key, .. }
            | Self::Resolve { key } => [Some(key), None],
            Self::Scan { range, .. } => [key_of(&range.from), key_of(&range.to)],
            Self::Status | Self::Drain(_) | Self::Arbiters(_) => [None, None],
        };
        keys.into_iter().flatten()
    }

    /// Why no cluster takes it, whatever its limits are: a key or value that none may have. Neither does a client send it nor
    /// a replica look at it.
    pub fn too_large(&self) -> Option<Rejection> {
        let key = self.keys().map(|key| key.0.len()).max().unwrap_or(0);
        let value = match self {
            Self::Insert { value, .. } => value.0.len(),
            _ => 0,
        };
        if key > Limits::KEY_BYTES_CEILING {
            Some(Rejection::too_large("key", key, Limits::KEY_BYTES_CEILING))
        } else if value > Limits::VALUE_BYTES_CEILING {
            let ceiling = Limits::VALUE_BYTES_CEILING;
            Some(Rejection::too_large("value", value, ceiling))
        } else {
            None
        }
    }
}

fn key_of(end: &Bound<Key>) -> Option<&Key> {
    match end {
        Bound::Included(key) | Bound::Excluded(key) => Some(key),
        Bound::Unbounded => None,
    }
}

impl AnswerKind {
    /// The lane that such answers take.
    pub fn lane(self) -> Lane {
        match self {
            Self::Acknowledgement | Self::Value | Self::Resolution => Lane::Log,
            Self::Page => Lane::Bulk,
            Self::Status | Self::Begun => Lane::Control,
        }
    }
}

impl ReplyBody {
    /// What kind of answer it is; `None` if it says that there is none, as it may of every request.
    pub fn kind(&self) -> Option<AnswerKind> {
        match self {
            Self::OperationFailed | Self::OperationRejected { .. } => None,
            Self::OperationAck { .. } => Some(AnswerKind::Acknowledgement),
            Self::GetResult { .. } => Some(AnswerKind::Value),
            Self::ScanResult { .. } => Some(AnswerKind::Page),
            Self::Status(_) => Some(AnswerKind::Status),
            Self::Resolved(_) => Some(AnswerKind::Resolution),
            Self::Begun => Some(AnswerKind::Begun),
        }
    }

    /// Bytes of the keys and values in it, and what goes with them.
    pub fn size(&self) -> usize {
        match self {
            Self::GetResult { key, record, .. } => {
                let value = record.as_ref().map_or(0, |record| record.value.0.len());
                key.0.len() + value
            }
            Self::ScanResult { records, .. } => records.iter().map(Keyed::size).sum(),
            Self::OperationAck { .. }
            | Self::OperationFailed
            | Self::OperationRejected { .. }
            | Self::Status(_)
            | Self::Resolved(_)
            | Self::Begun => 0,
        }
    }

    /// The lane it takes.
    pub fn lane(&self) -> Lane {
        self.kind().map_or(Lane::Log, AnswerKind::lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        request: &RequestBody,
        goal: Goal,
        source: Source,
        executed: Executed,
        answer: AnswerKind,
        lane: Lane,
    ) {
        let row = RequestRow {
            goal,
            source,
            executed,
            answer,
            // The table of who may ask for what is tested in `rights`.
            role: request.row().role,
        };
        assert_eq!((request.row(), request.lane()), (row, lane), "{request:?}");
    }

    #[test]
    fn each_request_has_its_row() {
        let key = || Key::from("k");
        let insert = RequestBody::Insert {
            key: key(),
            value: Value::from("v"),
        };
        let write = |request| {
            let answer = AnswerKind::Acknowledgement;
            let (goal, source) = (Goal::Primary, Source::Role);
            check(&request, goal, source, Executed::Once, answer, Lane::Log);
        };
        write(insert);
        write(RequestBody::Remove { key: key() });
        let read = |request, goal, answer, lane| {
            let source = Source::Store;
            check(&request, goal, source, Executed::EachTime, answer, lane);
        };
        let ask = |request, goal, answer, lane| {
            let source = Source::Role;
            check(&request, goal, source, Executed::EachTime, answer, lane);
        };
        let level = ReadLevel::Local;
        let get = RequestBody::Get { key: key(), level };
        read(get, Goal::InTurn, AnswerKind::Value, Lane::Log);
        let (range, limit) = (KeyRange::all(), None);
        let scan = RequestBody::Scan { range, limit };
        read(scan, Goal::Steady, AnswerKind::Page, Lane::Bulk);
        ask(
            RequestBody::Status,
            Goal::Steady,
            AnswerKind::Status,
            Lane::Control,
        );
        let resolve = RequestBody::Resolve { key: key() };
        ask(resolve, Goal::Primary, AnswerKind::Resolution, Lane::Log);
        let drain = RequestBody::Drain(Drain::Node);
        ask(drain, Goal::Named, AnswerKind::Begun, Lane::Control);
    }

    #[test]
    fn what_is_no_answer_takes_the_lane_of_writes_whatever_was_asked() {
        let rejection = ReplyBody::OperationRejected {
            reason: Rejection::NotReady,
            attempt: Attempt::default(),
        };
        for reply in [rejection, ReplyBody::OperationFailed] {
            assert_eq!((reply.kind(), reply.lane()), (None, Lane::Log));
        }
        let resolved = ReplyBody::Resolved(Resolution::NeverExecuted);
        assert_eq!(resolved.lane(), Lane::Log);
        assert_eq!(ReplyBody::Begun.lane(), Lane::Control);
    }
}
