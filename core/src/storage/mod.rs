//! What a process asks of its disk, and what it gets back: plain data; and the machine that decides how that is carried
//! out.
//!
//! - [`pending`]: what was asked for and not heard of.
//! - [`desk`]: the process's side, in the thread of its loop.
//! - [`committed`]: the state never gets ahead of the log.
//! - [`scheduler`]: what the disk does next; order, groups, refusal, installation, trimming, checkpoints.
//! - `work`: carrying that out on a log and a state.
//!
//! All of it is deterministic: a driver gives it threads and files, the laboratory a simulated disk, and both run the same.

pub mod committed;
pub mod desk;
pub mod pending;
pub mod scheduler;
mod work;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{
    Address, ClusterId, Config, ConfigVersion, Epoch, Incarnation, NodeId, Position, StartId, Token,
};
use crate::engine::{Page, SessionPage};
use crate::epochs::EpochHistory;
use crate::limits;
use crate::operation::{ClientId, Entry, Key, Keyed, Moment, Record, Revision};
use crate::range::KeyRange;
use crate::register::Keeper;
use crate::sessions::SessionRows;

pub use self::work::{Views, answer, apply, carry_out, carry_out_for_arbiter, checkpoint};

/// Names a save, or a question to the storage. Saves and questions are each numbered from the start of a process on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ticket(pub u64);

/// Something that a process wants durable. `Input::Persisted` comes back once it survives power loss.
///
/// Saves are carried out in the order in which they are asked for, and none is forgotten: one that finds no room waits,
/// with everything behind it, until there is some. Asking again with the same ticket is allowed, and does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Save {
    /// Append entries to the log: a Persist in the words of the
    /// [base behaviour](crate::docs::behaviour#between-primary-and-secondary).
    Append {
        /// Consecutive, the first right behind the log's end as it is by then.
        entries: Vec<Arc<Entry>>,
        /// Known to be committed; a start may apply the log up to here without asking anybody.
        committed: Position,
    },
    /// Cut the log off behind `keep`.
    Truncate {
        /// The log's new end.
        keep: Position,
    },
    /// Replace what the node knows about itself.
    Meta(Meta),
    /// Begin (again) to collect a full state beside the present one; throws away what was collected before.
    StageBegin,
    /// Add records to it. Need not survive a restart.
    Stage {
        /// In the order of their keys, over all chunks.
        records: Vec<Keyed>,
        /// In the order of their clients, over all chunks.
        sessions: SessionRows,
    },
    /// Put the collected state into the place of the present one, and empty the log so that it begins there.
    Install {
        /// The moment the state is of.
        at: Moment,
        /// The epochs of the entries before it.
        history: EpochHistory,
    },
    /// Replace what the arbiter knows.
    Arbiter(Box<ArbiterKeeper>),
}

impl Save {
    /// Bytes of the entries and records that it carries.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => Entry::size_of_all(entries),
            Self::Stage { records, .. } => records.iter().map(Keyed::size).sum(),
            Self::Truncate { .. }
            | Self::Meta(_)
            | Self::StageBegin
            | Self::Install { .. }
            | Self::Arbiter(_) => 0,
        }
    }
}

/// A question to the storage, answered by `Input::Answered`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Query {
    /// The record of a key in the state.
    Get {
        /// The key.
        key: Key,
    },
    /// Records of the state in the order of their keys.
    Scan {
        /// Which.
        range: KeyRange,
        /// At most so many; `None` for as many as a page takes.
        limit: Option<NonZeroU32>,
    },
    /// Entries of the log from a position on, at most `limits::SNAPSHOTS_BYTES_MAX`, at least one if there is any.
    Log {
        /// Where to begin.
        from: Position,
    },
    /// Hold the present state fixed under the ticket of this query, until `Effect::CloseView`.
    OpenView,
    /// A piece of a state held fixed.
    ReadView {
        /// The ticket of its `OpenView`.
        view: Ticket,
        /// Where it begins.
        after: Cursor,
    },
}

/// A place in a state that is read piece by piece: first the sessions, then the records.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Cursor {
    /// Sessions behind this client; `None` for the beginning.
    Sessions(Option<ClientId>),
    /// The records of this range.
    Records(KeyRange),
}

/// The answer to a `Query`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// To `Get`; `None` when the key is absent.
    Record(Option<Record>),
    /// To `Scan`, and to `ReadView` of records.
    Page(Page),
    /// To `Log`: entries from the asked position on; empty if the log does not have it (trimmed, or not yet written).
    Entries(Vec<Arc<Entry>>),
    /// To `OpenView`.
    View {
        /// The moment the state is of.
        at: Moment,
        /// Records in it, about.
        records: u64,
    },
    /// To `ReadView` of sessions.
    Sessions(SessionPage),
    /// To `Get` and `Scan`: there is none, since the storage has failed at this question, as this says. It goes on.
    Failed(String),
}

/// What a node knows about itself, apart from log and state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Meta {
    /// Its identity.
    pub node: NodeId,
    /// The cluster its data is of; `None` before its first Join was answered.
    pub cluster: Option<ClusterId>,
    /// Of the running process.
    pub incarnation: Incarnation,
    /// To be shown at the next Join.
    pub token: Token,
    /// The highest epoch it ever acted in.
    pub epoch: Epoch,
    /// The starts since the token was given, that of the running process last; at most `limits::STARTS_REMEMBERED_MAX`.
    pub starts: Vec<StartId>,
    /// Where the arbiters were that it has heard of last: those that it was told of at its first start may all have been replaced.
    pub arbiters: Vec<Address>,
}

impl Meta {
    /// The start of the running process; zero before the first one.
    pub fn start(&self) -> StartId {
        self.starts.last().copied().unwrap_or(StartId(0))
    }
}

/// What a replica finds when it starts. All of it is durable; `meta.incarnation` has been raised already.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recovered {
    /// About the node.
    pub meta: Meta,
    /// Where the log begins.
    pub log_start: Position,
    /// Where it ends.
    pub log_end: Position,
    /// The epochs of the entries before `log_end`.
    pub history: EpochHistory,
    /// The state contains the entries before this.
    pub applied: Position,
    /// That of the store after these.
    pub revision: Revision,
    /// What the entries before `applied` leave to be remembered of requests.
    pub sessions: SessionRows,
    /// The entries from `applied` to `log_end`.
    pub tail: Vec<Arc<Entry>>,
}

/// Everything that an arbiter has on its disk.
pub type ArbiterKeeper = Keeper<ArbiterRecord>;

/// Everything that arbiters decide on, and by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArbiterRecord {
    /// The configuration in force.
    pub config: Config,
    /// The nodes that have joined; of those that are no members the latest `limits::NODE_RECORDS_MAX`.
    pub nodes: BTreeMap<NodeId, NodeRecord>,
    /// Drawn at random when the arbiter started for the first time; tokens are made of it.
    pub secret: u64,
    /// What operators did to it while no arbiter ran on it, the latest `limits::ACTS_MAX`. The arbiter tells of it when it
    /// starts.
    pub acts: Vec<Act>,
}

impl ArbiterRecord {
    /// Notes down what an operator has done to it.
    pub fn note(&mut self, act: Act) {
        if self.acts.len() >= limits::ACTS_MAX {
            self.acts.remove(0);
        }
        self.acts.push(act);
    }
}

/// What an operator did to the record of an arbiter that did not run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Act {
    /// What, in words.
    pub what: String,
    /// Who, and where, as far as known.
    pub by: String,
    /// When, in seconds since 1970 by the clock of that machine.
    pub at: u64,
}

/// What the arbiter knows of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NodeRecord {
    /// The name it joined with.
    pub name: String,
    /// The address it joined with last.
    pub address: Address,
    /// The incarnation it joined with last.
    pub incarnation: Incarnation,
    /// The token given for that Join.
    pub token: Token,
    /// The token shown at that Join: good until the node has shown the newer one.
    pub former_token: Token,
    /// The start that made it.
    pub start: StartId,
    /// The version that this Join made.
    pub joined: ConfigVersion,
    /// The version that took it out of the in-sync set last; zero if none did.
    pub removed: ConfigVersion,
    /// It has asked to be taken out for good since.
    pub has_left: bool,
    /// Another replica was made primary by force, so its data may contradict the cluster's.
    pub is_superseded: bool,
}
