//! Time as the protocol sees it: an instant handed in with every step, and named timers a process shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on one node's monotonic clock, in nanoseconds since a start of its own. Instants of two nodes cannot be compared.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
pub struct Instant(pub u64);

impl Instant {
    /// The clock's beginning.
    pub const ZERO: Self = Self(0);

    /// The instant `millis` milliseconds after the beginning.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Whole milliseconds since the beginning.
    pub fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// How long after `earlier` this is; zero if it is not after.
impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}ms", self.0 / 1_000_000, self.0 / 1_000 % 1_000)
    }
}

/// The armed timers of a process, at most one of each name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Timers<T: Ord> {
    due: BTreeMap<T, Instant>,
    // The same by instant, since a client with many calls in flight has many timers.
    order: BTreeSet<(Instant, T)>,
}

impl<T: Ord + Copy> Timers<T> {
    /// No timer armed.
    pub fn new() -> Self {
        Self {
            due: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// Arms `timer` for `at`, instead of any instant it was armed for.
    pub fn arm(&mut self, timer: T, at: Instant) {
        if let Some(former) = self.due.insert(timer, at) {
            self.order.remove(&(former, timer));
        }
        self.order.insert((at, timer));
    }

    /// Arms `timer` for `at` unless it is armed.
    pub fn arm_if_idle(&mut self, timer: T, at: Instant) {
        if !self.is_armed(timer) {
            self.arm(timer, at);
        }
    }

    /// Disarms `timer`, if it is armed.
    pub fn disarm(&mut self, timer: T) {
        if let Some(at) = self.due.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Disarms all timers that `unwanted` picks.
    pub fn disarm_where(&mut self, unwanted: impl Fn(&T) -> bool) {
        self.due.retain(|timer, _| !unwanted(timer));
        self.order.retain(|(_, timer)| !unwanted(timer));
    }

    /// Is `timer` armed?
    pub fn is_armed(&self, timer: T) -> bool {
        self.due.contains_key(&timer)
    }

    /// The timer due first and its instant; of several due together, the least in their order.
    pub fn next(&self) -> Option<(Instant, T)> {
        self.order.first().copied()
    }

    /// All armed timers, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (T, Instant)> + '_ {
        self.due.iter().map(|(timer, at)| (*timer, *at))
    }
}

impl<T: Ord + Copy> Default for Timers<T> {
    fn default() -> Self {
        Self::new()
    }
}
