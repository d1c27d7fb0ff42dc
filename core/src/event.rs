//! What the protocol reports: the program prints and counts it, tests assert on it.

use std::collections::BTreeSet;

use crate::config::{Address, ClusterId, ConfigVersion, Epoch, Incarnation, NodeId, Position, Seq};
use crate::message::{ConfigChange, JoinRefusal, RequestBody, RoleName};
use crate::operation::Rejection;
use crate::storage::Act;

/// Something worth telling. The order of the variants has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// This replica took up a role, or entered a newer configuration in it.
    Entered {
        /// The role.
        role: RoleName,
        /// The tenure.
        epoch: Epoch,
        /// The configuration.
        version: ConfigVersion,
    },
    /// The arbiter refused this replica for good: the process should end with the reason.
    JoinRefused(JoinRefusal),
    /// This replica appended an entry to its log in memory; it is not persisted yet.
    Appended {
        /// Its epoch.
        epoch: Epoch,
        /// Its seq.
        seq: Seq,
    },
    /// This replica's log is durable up to here.
    Persisted(Position),
    /// This replica learned that the log is committed up to here.
    Committed(Position),
    /// This replica cut its log off to match the primary's.
    Truncated {
        /// Where it ended before.
        from: Position,
        /// Where it ends.
        to: Position,
    },
    /// This replica put the primary's state as of this position in the place of its own, and its log begins anew there.
    Installed(Position),
    /// The primary answered a write with `OperationAck`.
    Acknowledged(Seq),
    /// The primary could not confirm a write within its second, and answered `OperationFailed`: whether it takes effect is open.
    Unconfirmed(Seq),
    /// The primary made a Replicator for a node.
    ReplicatorStarted(NodeId),
    /// The primary ended its Replicator for a node.
    ReplicatorStopped(NodeId),
    /// The primary and a node completed a handshake.
    Synced {
        /// The node.
        node: NodeId,
        /// Entries follow from here.
        from: Position,
    },
    /// The primary began to send its full state to a node.
    StateTransferStarted {
        /// The node.
        node: NodeId,
        /// The position the state is of.
        at: Position,
    },
    /// A node has taken the full state in.
    StateTransferred(NodeId),
    /// The primary proposed a change of the configuration, for the first time.
    Proposed {
        /// For this version.
        version: ConfigVersion,
        /// The change.
        change: ConfigChange,
    },
    /// The primary proposed that a node takes its place.
    Resigned(NodeId),
    /// A message of another epoch, handshake or sender than the present ones came in and was ignored.
    Stale {
        /// Who sent it.
        from: Address,
    },
    /// The disk has no room; writes wait or are rejected until it has.
    DiskFull,
    /// The disk has room again.
    DiskHasRoom,
    /// The arbiter has not been heard for `limits::ARBITER_SILENCE`.
    ArbiterSilent,
    /// The arbiter is heard again.
    ArbiterHeard,
    /// Where the arbiter should be, one of another cluster answers: its data is lost, or another one is in its place.
    ForeignArbiter(ClusterId),
    /// The arbiter accepted a Join.
    Joined {
        /// Who.
        node: NodeId,
        /// Which start of it.
        incarnation: Incarnation,
    },
    /// The arbiter changed the configuration, durably.
    Decided(ConfigVersion),
    /// This replica has left the configuration; its process may end.
    Left,
    /// An operator wanted something of this replica.
    Administered {
        /// Who, and from where, as far as the transport can tell.
        by: Address,
        /// What.
        what: RequestBody,
        /// Why it does not do it; `None`: it has begun.
        refused: Option<Rejection>,
    },
    /// An operator changed this arbiter's record while it did not run.
    Acted(Act),
    /// This arbiter is to begin a cluster with others, of which these have not offered themselves yet.
    FoundersAwaited(BTreeSet<String>),
    /// This arbiter has begun a cluster with others.
    ClusterBegun(ClusterId),
    /// A replica knows of a configuration that this arbiter's record does not: the process should end.
    RecordBehind,
}
