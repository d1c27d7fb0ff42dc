//! Who sends, and what somebody may say: one decision over all messages, made before a process hears of any.
//!
//! The transport vouches for the sender; what a request needs stands in its row ([`RequestRow`](crate::message::RequestRow)).

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::message::{Message, RequestBody, ToArbiter};
use crate::operation::Key;
use crate::range::KeyRange;
use crate::transport::SenderKind;

/// Who sends, as far as the transport can vouch for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// An arbiter or a replica.
    Node {
        /// What it may speak as.
        role: NodeRole,
        /// The one name under which it may join; `None`: any, since the transport knows no names.
        name: Option<Arc<str>>,
    },
    /// A client.
    Client {
        /// What it may ask for.
        role: ClientRole,
        /// With which its keys have to begin; none: it may ask for any key.
        prefixes: Arc<[Key]>,
    },
}

/// What a node may speak as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NodeRole {
    /// A replica.
    Replica,
    /// The arbiter.
    Arbiter,
    /// Either.
    Both,
}

/// What a client may ask for. Each may what the one before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClientRole {
    /// To read, and how replicas are.
    Read,
    /// To change keys.
    Write,
    /// To change who is primary, and who belongs to the cluster.
    Admin,
}

/// What is missing to a client that asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Right {
    /// At least this role.
    Role(ClientRole),
    /// The keys that the request names.
    Keys,
}

/// Why a message is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// A client wants what it may not have. It is told so, and may ask for something else.
    #[error("a request needs {0}")]
    Request(Right),
    /// A client speaks like a node.
    #[error("a client may send requests only")]
    NotARequest,
    /// A node makes a request.
    #[error("a node may not make requests: use the certificate of a client")]
    NodeAsks,
    /// A node speaks as what it is not.
    #[error("its certificate is not of the role {needed}, which alone says such things")]
    NodeRole {
        /// What it would have to be.
        needed: NodeRole,
    },
    /// A node speaks under a name that is not its own.
    #[error("it calls itself {claimed:?}, but its certificate is of {own}")]
    Name {
        /// What it calls itself.
        claimed: String,
        /// What its certificate calls it.
        own: Arc<str>,
    },
}

impl Sender {
    /// A sender that nobody checks: a node of every role and name, or a client that may ask for everything.
    pub fn trusted(kind: SenderKind) -> Self {
        match kind {
            SenderKind::Node => Self::Node {
                role: NodeRole::Both,
                name: None,
            },
            SenderKind::Client => Self::Client {
                role: ClientRole::Admin,
                prefixes: Arc::default(),
            },
        }
    }

    /// A node or a client?
    pub fn kind(&self) -> SenderKind {
        match self {
            Self::Node { .. } => SenderKind::Node,
            Self::Client { .. } => SenderKind::Client,
        }
    }

    /// May it say this?
    ///
    /// # Errors
    /// If not, with what would be needed.
    pub fn check(&self, message: &Message) -> Result<(), Forbidden> {
        match (self, message) {
            (Self::Client { role, prefixes }, Message::Request(request)) => {
                check_request(*role, prefixes, &request.body).map_err(Forbidden::Request)
            }
            (
                Self::Client { .. },
                Message::ToArbiter(_)
                | Message::FromArbiter(_)
                | Message::Peer(_)
                | Message::Reply(_)
                | Message::Register(_)
                | Message::Offer(_),
            ) => Err(Forbidden::NotARequest),
            (Self::Node { .. }, Message::Request(_)) => Err(Forbidden::NodeAsks),
            (Self::Node { role, .. }, Message::FromArbiter(_) | Message::Register(_)) => {
                role.check(NodeRole::Arbiter)
            }
            (Self::Node { role, .. }, Message::Peer(_) | Message::Reply(_)) => {
                role.check(NodeRole::Replica)
            }
            (Self::Node { role, name }, Message::Offer(offer)) => {
                role.check(NodeRole::Arbiter)?;
                check_name(name.as_ref(), &offer.name)
            }
            (Self::Node { role, name }, Message::ToArbiter(message)) => {
                role.check(NodeRole::Replica)?;
                match message {
                    ToArbiter::Join(join) => check_name(name.as_ref(), &join.name),
                    ToArbiter::Leave(_) | ToArbiter::ConfigQuery(_) | ToArbiter::Propose(_) => {
                        Ok(())
                    }
                }
            }
        }
    }
}

impl NodeRole {
    /// May a node of this role act as `wanted`?
    pub fn includes(self, wanted: Self) -> bool {
        self == wanted || self == Self::Both
    }

    fn check(self, needed: Self) -> Result<(), Forbidden> {
        if self.includes(needed) {
            Ok(())
        } else {
            Err(Forbidden::NodeRole { needed })
        }
    }
}

fn check_name(own: Option<&Arc<str>>, claimed: &str) -> Result<(), Forbidden> {
    match own {
        Some(own) if **own != *claimed => Err(Forbidden::Name {
            claimed: claimed.to_owned(),
            own: Arc::clone(own),
        }),
        Some(_) | None => Ok(()),
    }
}

fn check_request(role: ClientRole, prefixes: &[Key], body: &RequestBody) -> Result<(), Right> {
    let needed = body.row().role;
    if role < needed {
        return Err(Right::Role(needed));
    }
    let is_covered = |range: &KeyRange| {
        let mut prefixes = prefixes.iter();
        prefixes.any(|prefix| range.is_within(&KeyRange::prefix(prefix.clone())))
    };
    let has_key = |key: &Key| {
        let mut prefixes = prefixes.iter();
        prefixes.any(|prefix| key.as_ref().starts_with(prefix.as_ref()))
    };
    let is_allowed = prefixes.is_empty()
        || match body {
            RequestBody::Insert { key, .. }
            | RequestBody::Remove { key }
            | RequestBody::Get { key, .. }
            | RequestBody::Resolve { key } => has_key(key),
            RequestBody::Scan { range, .. } => is_covered(range),
            RequestBody::Status | RequestBody::Drain(_) | RequestBody::Arbiters(_) => true,
        };
    if is_allowed { Ok(()) } else { Err(Right::Keys) }
}

impl fmt::Display for NodeRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replica => "replica",
            Self::Arbiter => "arbiter",
            Self::Both => "both",
        })
    }
}

impl fmt::Display for ClientRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        })
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(role) => write!(f, "a certificate of the role {role}"),
            Self::Keys => f.write_str("a certificate for these keys"),
        }
    }
}
