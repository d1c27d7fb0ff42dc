//! What clients ask for and what becomes of it: operations and their outcome, reads and their level.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::config::{Address, Epoch, Position, Seq};

/// A key: any bytes, at least one and at most `Limits::key_bytes_max`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub Bytes);

/// A value: any bytes, at most `Limits::value_bytes_max`; may be empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Value(pub Bytes);

macro_rules! bytes_type {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match std::str::from_utf8(&self.0) {
                    Ok(text) if text.len() <= 40 => write!(f, "{}", text.escape_debug()),
                    _ => write!(f, "<{} bytes>", self.0.len()),
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Bytes::copy_from_slice(text.as_bytes()))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text.into_bytes().into())
            }
        }

        impl From<&[u8]> for $name {
            fn from(bytes: &[u8]) -> Self {
                Self(Bytes::copy_from_slice(bytes))
            }
        }

        impl From<Vec<u8>> for $name {
            fn from(bytes: Vec<u8>) -> Self {
                Self(bytes.into())
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
    };
}

bytes_type!(Key);
bytes_type!(Value);

/// A change of the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// Sets `key` to `value`.
    Insert {
        /// The key.
        key: Key,
        /// Its value from then on.
        value: Value,
    },
    /// Deletes `key`; nothing happens if it is absent, but it still is an entry of the log.
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

    /// The key it changes and what that has afterwards, `None` when it is absent; `None` if it changes nothing.
    pub fn change(&self) -> Option<(&Key, Option<&Value>)> {
        match self {
            Self::Insert { key, value } => Some((key, Some(value))),
            Self::Remove { key } => Some((key, None)),
            Self::Cancel { .. } => None,
        }
    }

    /// Bytes this keeps in memory, about.
    pub fn size(&self) -> usize {
        self.key().0.len() + self.value().map_or(0, |value| value.0.len())
    }
}

/// Drawn at random by every client when it starts, so that ids of two clients never collide.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub u64);

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// Chosen by a client for a request, upwards from 0; unique among the requests of that client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct RequestId(pub u64);

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a client says about its requests with each of them, so that one that comes twice is executed once.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Session {
    /// A committed position the client had learned before it sent its first write: none of its entries lies before it.
    pub born: Position,
    /// The client needs no answer to its requests before this one any more.
    pub settled: RequestId,
}

/// Whose request led to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The client.
    pub client: ClientId,
    /// Its request.
    pub id: RequestId,
    /// What it said with it.
    pub session: Session,
}

impl Origin {
    /// What to call the request by when asking what became of it.
    pub fn name(&self) -> RequestName {
        RequestName {
            client: self.client,
            id: self.id,
            born: self.session.born,
        }
    }
}

/// Names a write, for asking later what became of it. Written as client, id and born: `3f2a9c51d0e84b76-17-2034`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestName {
    /// The client that sent it.
    pub client: ClientId,
    /// Its number.
    pub id: RequestId,
    /// `Session::born` of the client.
    pub born: Position,
}

impl fmt::Display for RequestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}-{}", self.client.0, self.id, self.born)
    }
}

/// The text is no name of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request is named by client, id and position, as in 3f2a9c51d0e84b76-17-2034")]
pub struct NotARequestName;

impl FromStr for RequestName {
    type Err = NotARequestName;

    fn from_str(text: &str) -> Result<Self, NotARequestName> {
        let mut parts = text.split('-');
        let mut number = |radix| {
            let part = parts.next().filter(|part| !part.starts_with('+'));
            part.and_then(|part| u64::from_str_radix(part, radix).ok())
                .ok_or(NotARequestName)
        };
        let name = Self {
            client: ClientId(number(16)?),
            id: RequestId(number(10)?),
            born: Position(number(10)?),
        };
        parts
            .next()
            .is_none()
            .then_some(name)
            .ok_or(NotARequestName)
    }
}

/// What became of a write whose outcome was unknown; none of it changes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Resolution {
    /// It was executed, once, and is on disk on every in-sync replica.
    Executed {
        /// Its place in the log.
        seq: Seq,
    },
    /// It was not executed and never will be.
    NeverExecuted,
}

/// One place of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// The epoch it was made in; it keeps that epoch for ever.
    pub epoch: Epoch,
    /// Its place.
    pub seq: Seq,
    /// What it changes.
    pub operation: Operation,
    /// Who asked for it.
    pub origin: Origin,
}

impl Entry {
    /// Bytes this keeps in memory, about: key, value and what surrounds them.
    pub fn size(&self) -> usize {
        self.operation.size() + 96
    }
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
pub enum Rejection {
    /// Writes go to the primary; try there.
    #[error("this replica is not the primary{}", .primary.as_ref().map(|p| format!(" ({p} is)")).unwrap_or_default())]
    NotPrimary {
        /// Where the primary is; `None` when this replica does not know it.
        primary: Option<Address>,
    },
    /// The replica has no role yet, or its data is being replaced; try again soon or elsewhere.
    #[error("this replica is not ready to serve")]
    NotReady,
    /// Too much is in flight; try again soon.
    #[error("the primary has too many writes in flight")]
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
    /// The sender may not ask for this; never try again.
    #[error("the certificate of this client does not permit the request")]
    Unauthorized,
    /// The request cannot be understood; never try again.
    #[error("the request is malformed")]
    Malformed,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_name_is_read_as_it_is_written() {
        let name = RequestName {
            client: ClientId(0x3f2a),
            id: RequestId(17),
            born: Position(2034),
        };
        assert_eq!(name.to_string(), "0000000000003f2a-17-2034");
        assert_eq!(name.to_string().parse(), Ok(name));
        assert_eq!("3f2a-17-2034".parse(), Ok(name));
        for wrong in [
            "",
            "3f2a",
            "3f2a-17",
            "3f2a-17-2034-1",
            "x-1-1",
            "1-a-1",
            "1-+1-1",
            "1--1",
        ] {
            assert_eq!(
                wrong.parse::<RequestName>(),
                Err(NotARequestName),
                "{wrong}"
            );
        }
    }
}
