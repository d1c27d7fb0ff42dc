//! What a replica says about itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Address, ClusterId, Config, NodeId, Position};
use crate::operation::Revision;

use super::ArbitersSeen;

/// What a replica says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Who.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its own address.
    pub address: Address,
    /// The version of the software it runs.
    pub software: String,
    /// What it is at the moment.
    pub role: RoleName,
    /// The configuration it knows; `None` before it has learned any.
    pub config: Option<Config>,
    /// Where its arbiter is.
    pub arbiter: Address,
    /// It has heard from the arbiter lately.
    pub arbiter_reachable: bool,
    /// Where its arbiter should be one of this cluster answers, which is another than its own.
    pub foreign_arbiter: Option<ClusterId>,
    /// Its log is persisted up to here.
    pub persisted: Position,
    /// It knows the log to be committed up to here.
    pub committed: Position,
    /// That of the store there.
    pub revision: Revision,
    /// Its log begins here; earlier entries are trimmed.
    pub log_start: Position,
    /// Its disk has no room.
    pub disk_full: bool,
    /// On the primary: what it knows of the others. Empty elsewhere.
    pub peers: Vec<PeerStatus>,
    /// It answers linearizable reads at the moment.
    pub has_lease: bool,
    /// Clients whose requests it remembers.
    pub sessions: u64,
    /// What it has used since it started.
    pub usage: Usage,
    /// The former members that its configuration tells of.
    pub former: Vec<FormerMember>,
    /// As primary it acknowledges writes while so many replicas are in sync, itself included, and rejects them otherwise.
    pub min_in_sync: u32,
    /// How the arbiters of its configuration are, as one of them has told it; `None` where none has, since there is one only.
    pub arbiters: Option<ArbitersStatus>,
}

/// How arbiters are, as a replica was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArbitersStatus {
    /// What it was told.
    pub seen: ArbitersSeen,
    /// How long ago.
    pub age: Duration,
}

/// A replica that was a member.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FormerMember {
    /// Who it was.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Where it was.
    pub address: Address,
    /// For as long at least: since this replica has known, or since its process began.
    pub gone_for: Duration,
}

/// What a node has used. Counted from its start on, apart from what it has at the moment; zero where its host cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Drawn when its process began: nodes of the same process have the same, and another start has another one.
    pub process: u64,
    /// Processor time of its process, which other nodes may share, in microseconds.
    pub cpu_micros: u64,
    /// Memory of its process that is resident at the moment.
    pub memory_bytes: u64,
    /// Bytes its process has written to files: the log, the state, and what keeping the state in order costs. Without
    /// what the file system adds.
    pub disk_bytes: u64,
    /// Entries made durable in the log.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub entry_bytes: u64,
    /// Syncs of the log.
    pub syncs: u64,
    /// Packets it has sent; frames, where the transport has no packets.
    pub packets_sent: u64,
    /// Packets it has received; frames, where the transport has no packets.
    pub packets_received: u64,
    /// Bytes it has sent.
    pub bytes_sent: u64,
    /// Bytes it has received.
    pub bytes_received: u64,
    /// Connections that others began and that did not come about, for want of a certificate most often.
    pub handshakes_failed: u64,
    /// Connections that others wanted to begin and were not allowed to, since there were too many.
    pub handshakes_refused: u64,
    /// Bytes that are free at the moment on the disk of its data directory.
    pub disk_free: u64,
    /// Bytes that must be free there for writes, at the moment: its reserve, or what the last write that found too few wanted.
    pub disk_needed: u64,
}

/// What a primary knows of another replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Which.
    pub node: NodeId,
    /// It has acknowledged up to here in this epoch.
    pub persisted: Position,
    /// While the full state is on its way: (records sent, records in all, estimated).
    pub state_progress: Option<(u64, u64)>,
}

/// What a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RoleName {
    /// It has started and waits for the arbiter's answer.
    Starting,
    /// It takes the writes.
    Primary,
    /// It is in sync.
    Secondary,
    /// It is being brought up to date.
    Joining,
    /// It is about to stop.
    Leaving,
}
