//! Who asked for a change, and how that is named.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::{Owner, Position};

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

/// A request, and what its client says with it so that one that comes twice is executed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The client.
    pub client: ClientId,
    /// Its request.
    pub id: RequestId,
    /// A committed position the client had learned before it sent its first write: none of its entries lies before it.
    pub born: Position,
    /// The client needs no answer to its requests before this one any more.
    pub settled: RequestId,
}

impl Origin {
    /// A request that is not repeated: of no session.
    pub fn plain(client: ClientId, id: RequestId) -> Self {
        Self {
            client,
            id,
            born: Position::ZERO,
            settled: RequestId(0),
        }
    }

    /// Tells it from all other requests.
    pub fn request(&self) -> (ClientId, RequestId) {
        (self.client, self.id)
    }

    /// What to call the request by when asking what became of it.
    pub fn name(&self) -> RequestName {
        RequestName {
            client: self.client,
            id: self.id,
            born: self.born,
        }
    }
}

/// Who had an entry made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Author {
    /// A client, by this request, and who owns the client, as the primary saw it.
    Client(Origin, Owner),
    /// The cluster itself. Nobody waits for an answer, and no session remembers the entry.
    Cluster,
}

/// Names a write, for asking later what became of it. Written as client, id and born: `3f2a9c51d0e84b76-17-2034`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestName {
    /// The client that sent it.
    pub client: ClientId,
    /// Its number.
    pub id: RequestId,
    /// `Origin::born` of the client.
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
