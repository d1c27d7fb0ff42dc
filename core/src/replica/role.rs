//! What a replica may be at a time.

use crate::config::Address;
use crate::message::Peer;
use crate::storage::Ticket;

use super::primary::Primary;
use super::secondary::Secondary;

/// What a replica is, and what it knows as that alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    /// Asks the arbiter to be let in.
    Starting,
    /// The arbiter will not have it.
    Refused,
    /// Has a configuration and waits until its disk knows the epoch.
    Entering {
        ticket: Ticket,
        opens_tenure: bool,
        /// A SyncStart that came meanwhile, and from where: the primary's disk was faster.
        greeting: Option<Box<(Address, Peer)>>,
    },
    /// Is primary.
    Primary(Box<Primary>),
    /// Is in sync or joining.
    Secondary(Secondary),
    /// Is removed, has given up everything, and waits until the arbiter knows that.
    Leaving,
    /// Has left.
    Left,
}
