//! Which of the arbiters a replica speaks to, and what it was told of them.

use std::hash::{Hash, Hasher};

use crate::config::{Address, Config};
use crate::limits;
use crate::message::{ArbitersSeen, ArbitersStatus};
use crate::time::Instant;

/// The arbiters, of which a replica speaks to one: to whom it has heard last, and to the next one as soon as that one does
/// not answer. Any of them decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Arbiters {
    /// Those that it was told of at its start: when none of the others is there any more, somebody may be where these were.
    told: Vec<Address>,
    /// Those of the configuration, then the others that it was told of.
    addresses: Vec<Address>,
    current: usize,
    /// Since when the present one owes an answer. Nothing depends on that where there is one only.
    waiting_since: Option<Instant>,
    seen: Seen,
}

/// What one of them has told last of all of them, and when. Nothing is decided by it: replicas that differ in it alone are equal.
#[derive(Clone, Debug, Default)]
struct Seen(Option<(Instant, ArbitersSeen)>);

impl Arbiters {
    /// Those that it was told of at its start, and those `known` from before that.
    ///
    /// # Panics
    /// If there is none.
    pub(super) fn new(told: Vec<Address>, known: &[Address]) -> Self {
        assert!(!told.is_empty(), "a replica is told of an arbiter");
        Self {
            addresses: both(known, &told),
            told,
            current: 0,
            waiting_since: None,
            seen: Seen::default(),
        }
    }

    /// It has learned of a configuration, which tells where the arbiters are; not so one that comes from an arbiter which does not know
    /// where it is itself.
    pub(super) fn on_config(&mut self, config: &Config) {
        let current = self.current().clone();
        let places = config.arbiters.values();
        let known: Vec<Address> = places.map(|place| place.address.clone()).collect();
        self.addresses = both(&known, &self.told);
        let place = self
            .addresses
            .iter()
            .position(|address| *address == current);
        self.current = place.unwrap_or(0);
    }

    /// The one it speaks to.
    pub(super) fn current(&self) -> &Address {
        &self.addresses[self.current]
    }

    /// Is it one of them?
    pub(super) fn has(&self, address: &Address) -> bool {
        self.addresses.contains(address)
    }

    /// Whom to ask now.
    pub(super) fn ask(&mut self, now: Instant) -> &Address {
        if self.addresses.len() > 1 {
            let since = *self.waiting_since.get_or_insert(now);
            if now - since >= limits::ARBITER_PATIENCE {
                self.current = (self.current + 1) % self.addresses.len();
                self.waiting_since = Some(now);
            }
        }
        self.current()
    }

    /// One of them has spoken.
    pub(super) fn on_heard(&mut self, from: &Address) {
        if let Some(place) = self.addresses.iter().position(|address| address == from) {
            self.current = place;
            self.waiting_since = None;
        }
    }

    /// One of them has told how they are.
    pub(super) fn on_seen(&mut self, now: Instant, seen: ArbitersSeen) {
        self.seen = Seen(Some((now, seen)));
    }

    /// How they are, as far as it was told.
    pub(super) fn status(&self, now: Instant) -> Option<ArbitersStatus> {
        let (at, seen) = self.seen.0.as_ref()?;
        Some(ArbitersStatus {
            seen: seen.clone(),
            age: now - *at,
        })
    }
}

fn both(known: &[Address], told: &[Address]) -> Vec<Address> {
    let others = told.iter().filter(|address| !known.contains(address));
    known.iter().chain(others).cloned().collect()
}

impl PartialEq for Seen {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Seen {}

impl Hash for Seen {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
