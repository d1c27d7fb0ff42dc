//! What an arbiter has to be told besides what its disk knows.

use std::collections::BTreeSet;

use crate::config::{Address, ArbiterId, ArbiterPlace, ClusterId};

/// What an arbiter has to be told besides what its disk knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArbiterOptions {
    /// Its name, and where others reach it: its transport's `local()`.
    pub place: ArbiterPlace,
    /// The names of those that begin a cluster together, its own among them, if none of them has ever been in one; the same at each of
    /// them. Fewer than two: it begins none.
    pub founders: BTreeSet<String>,
    /// Where other arbiters may be found, beside those that its record tells of.
    pub peers: Vec<Address>,
}

/// What is drawn at random, anew at each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Drawn {
    /// The identity of an arbiter that is not where the one was whose directory it has.
    pub arbiter: ArbiterId,
    /// The identity of a cluster that it begins.
    pub cluster: ClusterId,
    /// The secret of its record: tokens are made of it.
    pub secret: u64,
}

impl ArbiterOptions {
    /// Those of an arbiter that knows of no other.
    pub fn alone(name: impl Into<String>, address: Address) -> Self {
        let name = name.into();
        Self {
            place: ArbiterPlace { name, address },
            founders: BTreeSet::new(),
            peers: Vec::new(),
        }
    }

    /// Does it know of nobody to begin a cluster with, or to be taken in by?
    pub fn is_alone(&self) -> bool {
        self.founders.len() < 2 && self.peers.is_empty()
    }
}
