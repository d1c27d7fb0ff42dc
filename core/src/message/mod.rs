//! Every message, grouped by who receives it. A struct a message; what is not here is never said. What clients ask and hear is in
//! `requests`, with what is true of each request.
//!
//! New variants and fields go to the end, and `wire::VERSION` says when it is raised. All positions are counts of entries:
//! "up to position p" speaks of the entries before p.

mod requests;
mod status;

pub use self::requests::{
    AnswerKind, Attempt, Drain, Executed, Goal, Reply, ReplyBody, Request, RequestBody, RequestRow,
    Source,
};
pub use self::status::{ArbitersStatus, FormerMember, NodeStatus, PeerStatus, RoleName, Usage};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{
    Address, ArbiterId, ArbiterPlace, ClusterId, Config, ConfigVersion, Epoch, Incarnation, NodeId,
    Position, StartId, Terms, Token,
};
use crate::epochs::EpochHistory;
use crate::operation::{Entry, Keyed, Moment};
use crate::register;
use crate::sessions::SessionRows;
use crate::storage::ArbiterRecord;
use crate::time::Instant;
use crate::transport::Lane;

/// Anything that is ever sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Message {
    /// A replica speaks to the arbiter.
    ToArbiter(ToArbiter),
    /// The arbiter speaks to a replica: seldom, and at length. Boxed, so that what writes are made of, which is moved around a lot,
    /// need not have the room for a configuration.
    FromArbiter(Box<FromArbiter>),
    /// A replica speaks to another.
    Peer(Peer),
    /// A client speaks to a replica.
    Request(Request),
    /// A replica answers a client.
    Reply(Reply),
    /// An arbiter speaks to another.
    Register(Box<RegisterMessage>),
    /// An arbiter that is none of those that keep the record speaks to others.
    Offer(Box<Offer>),
}

impl Message {
    /// The lane it takes: what keeps the cluster together is small and goes first, transfers of the state go last.
    pub fn lane(&self) -> Lane {
        match self {
            Self::ToArbiter(_) | Self::FromArbiter(_) | Self::Register(_) | Self::Offer(_) => {
                Lane::Control
            }
            Self::Peer(peer) => peer.body.lane(),
            Self::Request(request) => request.body.lane(),
            Self::Reply(reply) => reply.body.lane(),
        }
    }
}

impl From<FromArbiter> for Message {
    fn from(message: FromArbiter) -> Self {
        Self::FromArbiter(Box::new(message))
    }
}

// ---------------------------------------------------------------------------------------------- to the arbiter

/// What replicas tell the arbiter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ToArbiter {
    /// "I am ready."
    Join(Join),
    /// "Take me out."
    Leave(Leave),
    /// "What is the configuration?"
    ConfigQuery(ConfigQuery),
    /// "Change the configuration."
    Propose(Propose),
}

/// A replica that has started, or that finds itself outside the configuration, wants to be used.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Join {
    /// Who.
    pub node: NodeId,
    /// Of which start.
    pub incarnation: Incarnation,
    /// The token of the last accepted Join; zero if there was none.
    pub token: Token,
    /// The cluster its data is of; `None` before it has ever joined one.
    pub cluster: Option<ClusterId>,
    /// The name people gave it.
    pub name: String,
    /// Where other nodes and clients reach it.
    pub address: Address,
    /// The newest version it knows; zero if it knows none. What it was allowed under older ones it has given up.
    pub version: ConfigVersion,
    /// The highest epoch it ever acted in, durable there. An arbiter that does not know of it has lost its memory.
    pub epoch: Epoch,
    /// Its starts since its last Join was answered, the present one last. One that was accepted and not answered is among them,
    /// unless its data directory is a copy from before that.
    pub starts: Vec<StartId>,
    /// How long its leases last, and how exact it takes clocks for.
    pub terms: Terms,
}

/// A replica wants to leave. In sync, it goes on until it learns that it is removed.
///
/// For good, it then says so once more: from then on it acknowledges and serves nothing in this incarnation. To come back, it
/// says so once, when it holds no read lease any more; and so does a primary that is alone, once it serves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Leave {
    /// Who.
    pub node: NodeId,
    /// Of which start; any but the recorded one is ignored.
    pub incarnation: Incarnation,
    /// The version it knows; any but the current one is answered with the current configuration.
    pub version: ConfigVersion,
    /// It stops, to come back.
    pub returns: bool,
}

/// A replica asks for the configuration; answered with `Replicas`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConfigQuery {
    /// Who asks.
    pub node: NodeId,
    /// The newest version it knows; zero if it knows none. An arbiter that does not know of it has lost its memory.
    pub version: ConfigVersion,
    /// The cluster that it is of; `None` before it has joined one.
    pub cluster: Option<ClusterId>,
}

/// A replica wants the configuration changed. Open until it has learned a version above `version`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Propose {
    /// Who proposes.
    pub node: NodeId,
    /// The version the change is made for; it is refused for any other.
    pub version: ConfigVersion,
    /// The change.
    pub change: ConfigChange,
}

/// A change of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConfigChange {
    /// The node, which is joining, has everything; only from the primary.
    AddInSync(NodeId),
    /// The node, in sync or joining, is silent or hangs; only from the primary.
    RemoveInSync(NodeId),
    /// The node, which is draining and holds no read lease any more, or rests, has no place any more; only from the primary.
    Drained(NodeId),
    /// The proposer, in sync, becomes primary in the place of the recorded one; only from who is not primary.
    ReplacePrimary,
    /// The node, in sync, becomes primary in the place of the proposer, which stays in sync; only from the primary.
    HandOver(NodeId),
    /// The node, which is in `Config::former`, is not expected back.
    Forget(NodeId),
    /// Other arbiters are to keep the record.
    Arbiters(ArbitersChange),
}

/// A change of the set of arbiters: one at a time comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ArbitersChange {
    /// This one, which offers itself, comes.
    Add(ArbiterId),
    /// This one goes; not the last one.
    Remove(ArbiterId),
    /// The one goes, and the other, which offers itself, comes.
    Replace {
        /// Who goes.
        former: ArbiterId,
        /// Who comes.
        next: ArbiterId,
    },
}

// -------------------------------------------------------------------------------------------- from the arbiter

/// What the arbiter tells replicas.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FromArbiter {
    /// "You are the primary of this configuration."
    JoinedPrimary(Joined),
    /// "You are a secondary, in sync or joining, as the configuration says."
    JoinedSecondary(Joined),
    /// "You cannot join."
    JoinRefused(JoinRefused),
    /// The configuration: to every member on every change, to the primary on every Join, to whoever asks.
    Replicas(Config),
    /// The proposal was not made for the current version, or not by whom it has to be. Says nothing of the proposal's
    /// earlier copies: only a newer version closes it.
    ProposalRefused(Config),
    /// How the arbiters are, to whoever asks for the configuration, where there are several or some offer themselves.
    Arbiters(ArbitersSeen),
}

/// How the arbiters are, as the one in the chair sees it. Nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArbitersSeen {
    /// Whose.
    pub cluster: ClusterId,
    /// Who sits in the chair.
    pub chair: ArbiterId,
    /// Of which of them nothing was heard lately, and for how long: since the chair was taken at most.
    pub silent: BTreeMap<ArbiterId, Duration>,
    /// Who offers itself, and could be taken in.
    pub offers: BTreeMap<ArbiterId, ArbiterPlace>,
}

/// The answer to an accepted Join.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Joined {
    /// The configuration with the node in it.
    pub config: Config,
    /// The node that joined. One that had the same address before it lost its disk may be answered late.
    pub node: NodeId,
    /// The incarnation that joined; any other ignores this.
    pub incarnation: Incarnation,
    /// To be kept durably and shown at the next Join.
    pub token: Token,
    /// The start that joined; any other ignores this.
    pub start: StartId,
}

/// The answer to a Join that cannot be accepted; repeating it will not help.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JoinRefused {
    /// Why.
    pub reason: JoinRefusal,
    /// The node that asked; any other ignores this.
    pub node: NodeId,
    /// The incarnation that asked; any other ignores this.
    pub incarnation: Incarnation,
    /// The start that asked; any other ignores this.
    pub start: StartId,
}

/// Why a Join is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum JoinRefusal {
    /// A process of the same data directory with a higher start counter has joined.
    #[error(
        "this data directory is an old copy: the node has joined with a later start ({recorded})"
    )]
    OldIncarnation {
        /// The incarnation the arbiter has on record.
        recorded: Incarnation,
    },
    /// The token is neither the last one given nor the one before: two processes share an identity.
    #[error(
        "this data directory is a copy or was restored from a backup: its token is not the one given last; start with an empty directory"
    )]
    WrongToken,
    /// The data belongs to another cluster.
    #[error("this data directory belongs to cluster {theirs}, the arbiter serves cluster {ours}")]
    WrongCluster {
        /// The arbiter's.
        ours: ClusterId,
        /// The one in the Join.
        theirs: ClusterId,
    },
    /// The configuration has as many members as it can have.
    #[error("the cluster has {limit} members and takes no more")]
    Full {
        /// `limits::MEMBERS_MAX`.
        limit: u64,
    },
    /// Name or address are empty, too long, or of other characters than names and addresses have.
    #[error(
        "the name or the address of the node is empty, too long, or of other characters than names and addresses have"
    )]
    Malformed,
    /// Another replica was made primary by force, without regard to what this node has.
    #[error(
        "another replica was made primary by force, and this data directory may contradict it: keep it if what was lost is to be looked for, and start the node with an empty one"
    )]
    Superseded,
    /// The node has acted in an epoch that the arbiter knows nothing of.
    #[error(
        "the record of the arbiter was put back to an older copy: it knows of epoch {recorded}, this node has acted in epoch {acted}; put the newest record back"
    )]
    ArbiterBehind {
        /// The epoch in the arbiter's record.
        recorded: Epoch,
        /// The highest epoch of the node.
        acted: Epoch,
    },
    /// The configuration has another start of this node, while this one runs. Found out by the node itself.
    #[error(
        "another process with the identity of this node has joined: one of the two data directories is a copy of the other; remove the copy, and start its node with an empty directory"
    )]
    Displaced,
    /// Another replica knows entries to be committed that this node, as primary, does not have. Found out by the node itself.
    #[error(
        "this data directory lacks entries that other replicas know to be committed: it was put back to an older copy; start with an empty directory"
    )]
    LacksCommitted,
    /// Another node has that name and a place in the configuration, at another address.
    #[error(
        "the name of this node is that of another one, at {holder}: give this node a name of its own; if that one is gone for good, start this one again when it has been taken out"
    )]
    NameTaken {
        /// Where that one is.
        holder: Address,
    },
}

// -------------------------------------------------------------------------------------------- between arbiters

/// What one arbiter tells another, so that they keep one record.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RegisterMessage {
    /// Who speaks.
    pub sender: ArbiterId,
    /// Whose record it is about. An arbiter of another cluster takes no notice.
    pub cluster: ClusterId,
    /// What.
    pub body: register::Message<ArbiterRecord>,
}

/// An arbiter that is none of those that keep the record, as far as it knows, would be one: sent again and again to every arbiter that
/// it was told of.
///
/// One that had the name before and is lost it replaces; else an operator has it taken in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Offer {
    /// Who.
    pub arbiter: ArbiterId,
    /// The name people gave it.
    pub name: String,
    /// Whose record it has had; `None`: it never had any.
    pub cluster: Option<ClusterId>,
    /// The names of those that are to begin a cluster together, its own among them, if there is none yet; none: it begins none.
    pub founders: BTreeSet<String>,
    /// Who has offered itself to it lately.
    pub heard: BTreeSet<ArbiterId>,
}

// -------------------------------------------------------------------------------------------- between replicas

/// What replicas tell each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// Who speaks.
    pub sender: NodeId,
    /// Who is spoken to. A node that lost its disk has the address of the node it was before, and must not take what
    /// that one is told for its own.
    pub receiver: NodeId,
    /// The epoch in which it speaks; any but the receiver's own is ignored.
    pub epoch: Epoch,
    /// What it says.
    pub body: PeerMessage,
}

/// The parts of the conversation between the primary and another replica.
///
/// A handshake has a number, `sync`, unique within the epoch and chosen by the primary. Entries, acknowledgements
/// and state chunks carry the number of the handshake they rest on and count only while it is the current one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PeerMessage {
    /// Primary: "tell me what you have".
    SyncStart(SyncStart),
    /// Replica: "this".
    SyncReply(SyncReply),
    /// Primary: "continue from here".
    SyncEnd(SyncEnd),
    /// Primary: entries of the log.
    Snapshots(Snapshots),
    /// Replica: how far it is.
    SnapshotAck(SnapshotAck),
    /// Primary: a piece of the full state.
    StateChunk(StateChunk),
    /// Replica: the pieces it has.
    StateAck(StateAck),
    /// Primary: "I am here".
    Beacon(Beacon),
    /// Replica: "I hear you".
    BeaconAck(BeaconAck),
    /// Secondary: "how far is the log committed?"
    CommittedQuery(CommittedQuery),
    /// Primary: "up to here".
    CommittedAnswer(CommittedAnswer),
}

impl PeerMessage {
    /// The lane it takes.
    pub fn lane(&self) -> Lane {
        match self {
            Self::SyncStart(_)
            | Self::SyncReply(_)
            | Self::SyncEnd(_)
            | Self::Beacon(_)
            | Self::BeaconAck(_) => Lane::Control,
            Self::Snapshots(_)
            | Self::SnapshotAck(_)
            | Self::CommittedQuery(_)
            | Self::CommittedAnswer(_) => Lane::Log,
            Self::StateChunk(_) | Self::StateAck(_) => Lane::Bulk,
        }
    }
}

/// The primary of a new epoch, or one that has lost track of a replica, starts over with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SyncStart {
    /// Number of the handshake; higher than all earlier ones of the epoch.
    pub sync: u64,
}

/// A replica tells the primary what its log holds. Not an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SyncReply {
    /// The handshake this belongs to.
    pub sync: u64,
    /// When it was said. Of several replies to one number, which a node gives that takes a late SyncStart for a new one,
    /// only the end of this one counts.
    pub sent: Timestamp,
    /// The epochs of its entries.
    pub history: EpochHistory,
    /// Where its log ends; what lies behind its last SnapshotAck may not be durable yet.
    pub end: Position,
    /// What it knows to be committed; the primary must not make it truncate below.
    pub committed: Position,
}

/// The primary tells a replica how to continue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SyncEnd {
    /// The handshake this belongs to.
    pub sync: u64,
    /// `sent` of the reply it rests on; a replica whose log may be another one since ignores it.
    pub echo: Timestamp,
    /// From where.
    pub start: SyncFrom,
}

/// How a replica is brought up to date.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SyncFrom {
    /// Keep the log up to this position, cut off the rest; entries follow from there.
    Log {
        /// The common prefix of the two logs.
        keep: Position,
    },
    /// The primary's log does not reach back far enough: take the full state, then entries from `at`.
    State {
        /// The moment the state is of; all before it is committed.
        at: Moment,
        /// The epochs of the entries before `at`.
        history: EpochHistory,
        /// Records the state has, as an estimate for progress displays.
        records: u64,
    },
}

/// Consecutive entries of the log. One of them is a Snapshot in the words of the [base behaviour](crate::docs::behaviour#between-primary-and-secondary).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Snapshots {
    /// The handshake this rests on.
    pub sync: u64,
    /// The entries, ascending without gaps; may be empty, to tell of `committed` alone.
    #[serde(deserialize_with = "crate::operation::decode_shared")]
    pub entries: Vec<Arc<Entry>>,
    /// The primary's committed position.
    pub committed: Position,
}

/// A replica has everything before a position on its disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SnapshotAck {
    /// The handshake this rests on.
    pub sync: u64,
    /// Everything before this is persisted there.
    pub persisted: Position,
}

/// A piece of the full state: consecutive records in the order of their keys, or sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StateChunk {
    /// The handshake this rests on.
    pub sync: u64,
    /// Number of the piece, from 0 without gaps.
    pub index: u64,
    /// The records.
    pub records: Vec<Keyed>,
    /// No piece follows.
    pub is_last: bool,
    /// What is remembered of requests: consecutive clients in the order of their ids. The pieces with records come
    /// behind those with sessions.
    pub sessions: SessionRows,
}

/// A replica has written the pieces before `next` beside its old state; after the last one: has put them in its place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StateAck {
    /// The handshake this rests on.
    pub sync: u64,
    /// The piece it takes next.
    pub next: u64,
}

/// The primary shows that it is there; every [`Timing::beacon`](crate::limits::Timing::beacon).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Beacon {
    /// The primary's clock and incarnation when it was sent, to be echoed.
    pub sent: Timestamp,
    /// The primary's committed position.
    pub committed: Position,
    /// The version the primary has; who has an older one asks the arbiter.
    pub version: ConfigVersion,
    /// The newest timestamp the primary has of the receiver, which may answer linearizable reads until a lease after
    /// it; `None` grants nothing.
    pub grant: Option<Timestamp>,
}

/// A replica shows that it hears the primary.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BeaconAck {
    /// The Beacon's.
    pub echo: Timestamp,
    /// The handshake it is in or has completed; 0 while there is none. The primary starts over when it is not the one it
    /// thinks of.
    pub sync: u64,
    /// The replica's own clock and incarnation when this was sent, to come back as a `grant`.
    pub sent: Timestamp,
    /// Its disk has room, as far as it knows.
    pub has_room: bool,
}

/// A secondary asks on behalf of reads that came before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CommittedQuery {
    /// Whose start asks. The numbers of another one mean nothing to it.
    pub asker: Incarnation,
    /// Chosen by the secondary, ascending.
    pub number: u64,
}

/// What the primary had committed after the question was asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CommittedAnswer {
    /// The question's.
    pub asker: Incarnation,
    /// The question's.
    pub number: u64,
    /// The primary's committed position.
    pub committed: Position,
}

/// A reading of one node's clock, of use to that incarnation of it alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Timestamp {
    /// Whose start.
    pub incarnation: Incarnation,
    /// When.
    pub at: Instant,
}
