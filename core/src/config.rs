//! Who is who: identities, counters, and the configuration the arbiter decides.
//!
//! Every counter is a type of its own, so that an epoch cannot be passed for a version.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Where a frame comes from or goes to, in the notation of the transport at hand; opaque to the protocol.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address(Arc<str>);

impl Address {
    /// An address as the transport writes it.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().into())
    }

    /// The text the transport reads.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Who owns what is there: addresses that are the same up to the first `#` have one owner.
    pub fn owner(&self) -> Owner {
        let text = self.as_str();
        let end = text.bytes().position(|byte| byte == b'#');
        let owner = &text.as_bytes()[..end.unwrap_or(text.len())];
        Owner(crc32fast::hash(owner))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:x}", self.0)
            }
        }
    };
}

identity! {
    /// Identity of a replica, drawn at random once and kept in its data directory; a wiped directory is a new node.
    NodeId
}
identity! {
    /// Identity of an arbiter, drawn at random once and kept in its data directory; a wiped directory is a new arbiter, since
    /// it has forgotten what the former one promised.
    ArbiterId
}
identity! {
    /// Identity of a cluster, drawn at random when its arbiter starts for the first time.
    ClusterId
}
identity! {
    /// Drawn at each start of a node, so that no two starts look the same, not even those of a data directory and its copy.
    StartId
}
identity! {
    /// Shown by a node at its next Join, to prove that its data directory is not a copy of another one.
    /// Zero is the token of a node that has not been given any.
    Token
}

/// Who owns clients, which share with all others of theirs what each of them is given: whoever holds a certificate, where there are
/// any. It is worked out of an [`Address`] ([`Address::owner`]); few have the same by chance.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Owner(pub u32);

impl Owner {
    /// No client's: the cluster itself.
    pub const CLUSTER: Self = Self(0);
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl $name {
            /// The first value.
            pub const ZERO: Self = Self(0);

            /// The value after this one. The greatest has none after it, so that no number a peer makes up overflows.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

counter! {
    /// Start counter of a node, durable and raised at every start, before its first message.
    Incarnation
}
counter! {
    /// Number of a primary's tenure. The first tenure is 1; 0 means that there was none.
    Epoch
}
counter! {
    /// How often arbiters have stood for the chair, as far as those know that count it.
    Round
}
counter! {
    /// Counts what is chosen under one ballot: 0 is what was found, each change the next.
    Step
}
counter! {
    /// Names a round of questions among arbiters, within one ballot.
    QuestionRound
}
counter! {
    /// Raised by the arbiter on every change of the configuration; the token of its compare-and-swap.
    ConfigVersion
}
counter! {
    /// Place of an entry in the primary's total order. The first entry has 0; there are no gaps.
    Seq
}
counter! {
    /// How many entries come before a point of the log: `Position(n)` stands behind the entries `0..n`.
    ///
    /// "Persisted up to position n" therefore speaks of the entries `0..n`, and of none when n is 0.
    Position
}

impl Position {
    /// The position right behind `seq`.
    pub fn behind(seq: Seq) -> Self {
        Self(seq.0.saturating_add(1))
    }

    /// The position right before `seq`.
    pub fn before(seq: Seq) -> Self {
        Self(seq.0)
    }

    /// The seq that the next entry behind this position has.
    pub fn next_seq(self) -> Seq {
        Seq(self.0)
    }

    /// The last seq before this position; `None` at the very beginning.
    pub fn last_seq(self) -> Option<Seq> {
        self.0.checked_sub(1).map(Seq)
    }

    /// Does the entry `seq` lie before this position?
    pub fn covers(self, seq: Seq) -> bool {
        seq.0 < self.0
    }
}

/// On what terms nodes rely on each other without hearing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// How long a lease lasts that the node is granted, or given by a promise.
    pub lease: Duration,
    /// By how many thousandths the rates of two nodes' clocks differ at most.
    pub drift_permille: u32,
}

impl Token {
    /// Of a node whose token was lost with the arbiter's record: its next Join is believed without. No token is like it.
    pub const LOST: Self = Self(0);
}

impl Terms {
    /// A lease by the clock of whoever waits for the end of another node's lease: the other clock may run slower.
    pub fn lease_elsewhere(&self) -> Duration {
        // Rounded up.
        let drift = self.lease.saturating_mul(self.drift_permille) / 1000;
        let lease = self.lease.saturating_add(drift);
        lease.saturating_add(Duration::from_nanos(1))
    }

    /// The longer lease and the greater drift of both.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            lease: self.lease.max(other.lease),
            drift_permille: self.drift_permille.max(other.drift_permille),
        }
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            lease: Duration::from_millis(500),
            drift_permille: 10,
        }
    }
}

/// What is known of a node besides its identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The name people gave it; over QUIC the name in its certificate.
    pub name: String,
    /// Where it is reached.
    pub address: Address,
    /// The incarnation the arbiter accepted last.
    pub incarnation: Incarnation,
    /// The terms of that start. Who waits for the end of a lease goes by the longest one that its holder may count on.
    pub terms: Terms,
}

/// A node that was a member, and is expected back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Former {
    /// Its name.
    pub name: String,
    /// Where it was.
    pub address: Address,
    /// The version that took it out.
    pub since: ConfigVersion,
}

/// Who an arbiter is, besides its identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ArbiterPlace {
    /// The name people gave it; over QUIC the name in its certificate.
    pub name: String,
    /// Where it is reached.
    pub address: Address,
}

/// The configuration of a cluster, decided by the arbiter alone and durable there before anybody hears of it.
///
/// - `primary` is in `in_sync`, once there is one.
/// - `in_sync`, `draining`, `resting` and `joining` are disjoint; `members` has exactly their nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// The cluster this is about.
    pub cluster: ClusterId,
    /// Raised with every change.
    pub version: ConfigVersion,
    /// The tenure of `primary`.
    pub epoch: Epoch,
    /// The replica that takes writes; `None` only before the first Join ever.
    pub primary: Option<NodeId>,
    /// The replicas every acknowledged write is on, the primary included.
    pub in_sync: BTreeSet<NodeId>,
    /// Removed from `in_sync`, but perhaps still holding a read lease.
    pub draining: BTreeSet<NodeId>,
    /// Stopped in good order, to come back: each has everything that is committed, since nothing commits without it before the
    /// primary has it taken out. So if all stop, all that are here can go on.
    pub resting: BTreeSet<NodeId>,
    /// Being brought up to date by the primary.
    pub joining: BTreeSet<NodeId>,
    /// Names and addresses of all of them.
    pub members: BTreeMap<NodeId, Member>,
    /// Who went out other than for good, and has not come back: for operators, who miss what they do not see. Nothing is decided
    /// by it. At most [`FORMER_MEMBERS_MAX`](crate::limits::FORMER_MEMBERS_MAX).
    pub former: BTreeMap<NodeId, Former>,
    /// The arbiters: for replicas, which ask them, and for each other. While their set changes those of both sets. At most
    /// [`ARBITERS_MAX`](crate::limits::ARBITERS_MAX) and one.
    pub arbiters: BTreeMap<ArbiterId, ArbiterPlace>,
}

impl Config {
    /// The configuration of a cluster that nobody has joined yet.
    pub fn new(cluster: ClusterId) -> Self {
        Self {
            cluster,
            version: ConfigVersion::ZERO,
            epoch: Epoch::ZERO,
            primary: None,
            in_sync: BTreeSet::new(),
            draining: BTreeSet::new(),
            resting: BTreeSet::new(),
            joining: BTreeSet::new(),
            members: BTreeMap::new(),
            former: BTreeMap::new(),
            arbiters: BTreeMap::new(),
        }
    }

    /// Is `node` of use to this configuration in any role?
    pub fn is_member(&self, node: NodeId) -> bool {
        self.members.contains_key(&node)
    }

    /// May `node` act: as primary, in sync, or joining? One that is draining or resting may not.
    pub fn has_place(&self, node: NodeId) -> bool {
        self.is_member(node) && !self.draining.contains(&node) && !self.resting.contains(&node)
    }

    /// The entry of the primary in `members`.
    pub fn primary_member(&self) -> Option<&Member> {
        self.primary.and_then(|node| self.members.get(&node))
    }

    /// Does what arrived from elsewhere keep what the struct promises?
    pub fn is_valid(&self) -> bool {
        let nodes = self
            .in_sync
            .iter()
            .chain(&self.draining)
            .chain(&self.resting)
            .chain(&self.joining);
        let nodes: BTreeSet<NodeId> = nodes.copied().collect();
        let sets = [&self.in_sync, &self.draining, &self.resting, &self.joining];
        let listed: usize = sets.map(BTreeSet::len).iter().sum();
        self.primary
            .is_none_or(|primary| self.in_sync.contains(&primary))
            && nodes.len() == listed
            && nodes.iter().eq(self.members.keys())
            && self.former.keys().all(|node| !self.is_member(*node))
            && self.former.len() <= limits::FORMER_MEMBERS_MAX
            && self.arbiters.len() <= limits::ARBITERS_MAX + 1
    }

    /// Asserts what the struct promises.
    pub fn check(&self) {
        assert!(
            self.is_valid(),
            "a configuration contradicts itself: {self:?}"
        );
    }
}
