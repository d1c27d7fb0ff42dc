//! The timers of a replica.

use crate::config::NodeId;

/// The timers of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Send the Join again.
    Join,
    /// Ask the arbiter for the configuration.
    ConfigQuery,
    /// The arbiter has not been heard.
    ArbiterSilent,
    /// Ask the disk again.
    PersistRetry,
    /// Primary: the second of the oldest write is over.
    Deadline,
    /// Primary: send Beacons.
    Beacon,
    /// Primary: send the open proposal again.
    Propose,
    /// Primary: send a replica again what it has not acknowledged.
    Resend(NodeId),
    /// Primary: a replica keeps its acknowledgements back.
    Overdue(NodeId),
    /// Primary: a replica has not been heard.
    Silent(NodeId),
    /// Primary: the read lease of a replica that was removed is over.
    Lease(NodeId),
    /// Primary: the read leases granted by predecessors are over.
    Sole,
    /// Primary: ask the arbiter again whether it is there for a hand-over, or go on as before if nothing came of it.
    HandOver,
    /// Secondary: its promise to the primary has run out.
    Promise,
    /// Secondary: ask the primary again how far the log is committed.
    CommittedQuery,
    /// The read that has waited longest for the log to be committed has waited long enough.
    Reads,
    /// Send the Leave again.
    Leave,
    /// The process ends although the arbiter has not confirmed the Leave.
    LeavePatience,
}

impl Timer {
    /// The replica it is about.
    pub(super) fn node(&self) -> Option<NodeId> {
        match self {
            Self::Resend(node) | Self::Overdue(node) | Self::Silent(node) | Self::Lease(node) => {
                Some(*node)
            }
            Self::Join
            | Self::ConfigQuery
            | Self::ArbiterSilent
            | Self::PersistRetry
            | Self::Deadline
            | Self::Beacon
            | Self::Propose
            | Self::Sole
            | Self::HandOver
            | Self::Promise
            | Self::CommittedQuery
            | Self::Reads
            | Self::Leave
            | Self::LeavePatience => None,
        }
    }
}
