//! What is explored: how the cluster begins, what may be done to it, and how long.

use std::time::Duration;

use lockstep_core::message::RequestBody;

use super::landmark::Landmark;
use super::world::World;

/// A part of everything that can happen, small enough to be looked at completely.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Its name, for reports.
    pub name: &'static str,
    /// Replicas in sync when the exploration begins; the first is primary.
    pub in_sync: usize,
    /// Replicas that have never run, behind those. `starts` are for them.
    pub absent: usize,
    /// What the clients ask. Each asks its next question when the former is answered, or cannot be any more; the same
    /// one again when it was rejected.
    pub clients: Vec<Vec<Ask>>,
    /// Brings the cluster, which rests, to where the exploration begins.
    pub prepare: fn(&mut World),
    /// For how long the clocks go on from there.
    pub horizon: Duration,
    /// Messages under way from one process to another; what finds no room is lost.
    pub link_messages_max: usize,
    /// What may go wrong.
    pub budget: Budget,
    /// What must happen in it, lest it is looked at and shows nothing.
    pub landmarks: &'static [Landmark],
    /// A disk that says of everything that it is written, and writes nothing: for showing that this is found.
    pub disks_lie: bool,
}

impl Scope {
    /// Far more states than a scope of the tests has, and few enough to be held in memory when a broken protocol has no
    /// end of them.
    pub const STATES_MAX: usize = 2_000_000;

    /// A cluster of `in_sync` replicas at rest, of which nobody wants anything and in which nothing goes wrong.
    pub fn new(name: &'static str, in_sync: usize) -> Self {
        Self {
            name,
            in_sync,
            absent: 0,
            clients: Vec::new(),
            prepare: |_| {},
            horizon: Duration::ZERO,
            link_messages_max: 2,
            budget: Budget::default(),
            landmarks: &[],
            disks_lie: false,
        }
    }

    /// How many replicas there are.
    pub fn replicas(&self) -> usize {
        self.in_sync + self.absent
    }
}

/// A question of a client.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What.
    pub body: RequestBody,
    /// To one of these replicas, by their numbers from 1 on; which one is left to the exploration.
    pub to: Vec<usize>,
}

/// How often what may go wrong does so at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Budget {
    /// A replica loses power.
    pub crashes: u8,
    /// A replica that is down starts.
    pub starts: u8,
    /// A process stands still for a while: it takes no input and misses its timers.
    pub pauses: u8,
    /// A message is lost, although there was room for it.
    pub losses: u8,
    /// A message arrives and is still under way.
    pub duplications: u8,
}

impl Budget {
    /// One replica loses power, and one that is down starts.
    pub fn one_crash() -> Self {
        Self {
            crashes: 1,
            starts: 1,
            ..Self::default()
        }
    }
}
