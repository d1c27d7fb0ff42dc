//! What came of the operations: counts, and latencies in histograms that clients share by turns.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::latencies::{self, histogram};

/// Clients that record at the same time rarely wait for each other.
const PARTS: usize = 8;

/// What is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads.
    Read,
    /// Updates and inserts.
    Write,
    /// Reads with a write behind, as one.
    ReadModifyWrite,
    /// Scans.
    Scan,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::ReadModifyWrite, Self::Scan];

    /// For people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::ReadModifyWrite => "read-modify-write",
            Self::Scan => "scan",
        }
    }
}

/// Does the latency of an operation count?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// It was due in the time that is measured.
    Yes,
    /// It was due before.
    WarmUp,
}

/// Why an operation did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It was not executed, for a reason that the cluster gave.
    Rejected,
    /// A write may or may not take effect.
    Unknown,
    /// Nobody answered.
    Unreachable,
}

/// Operations that did not succeed, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    /// Not executed, for a reason that a replica gave.
    pub rejected: u64,
    /// Writes that may or may not take effect.
    pub unknown: u64,
    /// Nobody answered.
    pub unreachable: u64,
}

impl Errors {
    /// All together.
    pub fn total(&self) -> u64 {
        self.rejected + self.unknown + self.unreachable
    }

    /// One more.
    pub fn count(&mut self, cause: Cause) {
        match cause {
            Cause::Rejected => self.rejected += 1,
            Cause::Unknown => self.unknown += 1,
            Cause::Unreachable => self.unreachable += 1,
        }
    }

    fn add(&mut self, other: &Self) {
        self.rejected += other.rejected;
        self.unknown += other.unknown;
        self.unreachable += other.unreachable;
    }

    /// Those that came behind `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            rejected: self.rejected - earlier.rejected,
            unknown: self.unknown - earlier.unknown,
            unreachable: self.unreachable - earlier.unreachable,
        }
    }
}

/// Counts everything.
pub struct Tally {
    parts: [Mutex<Part>; PARTS],
}

struct Part {
    done: [u64; Kind::ALL.len()],
    errors: Errors,
    /// Of what is measured.
    latencies: [Histogram<u64>; Kind::ALL.len()],
    /// Of everything since it was taken out last.
    recent: Histogram<u64>,
}

/// What has been done from the beginning to some moment, the warm-up included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Operations that succeeded, by kind.
    pub done: [u64; Kind::ALL.len()],
    /// Those that did not.
    pub errors: Errors,
}

impl Totals {
    /// Operations that succeeded.
    pub fn operations(&self) -> u64 {
        self.done.iter().sum()
    }

    /// What was done behind `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            done: std::array::from_fn(|kind| self.done[kind] - earlier.done[kind]),
            errors: self.errors.since(&earlier.errors),
        }
    }
}

impl Default for Tally {
    /// Nothing was done.
    fn default() -> Self {
        let part = |_| {
            Mutex::new(Part {
                done: [0; Kind::ALL.len()],
                errors: Errors::default(),
                latencies: Kind::ALL.map(|_| histogram()),
                recent: histogram(),
            })
        };
        Self {
            parts: std::array::from_fn(part),
        }
    }
}

impl Tally {
    /// An operation of this client has succeeded.
    pub fn done(&self, client: usize, kind: Kind, latency: Duration, measured: Measured) {
        let mut part = self.part(client);
        part.done[kind as usize] += 1;
        latencies::record(&mut part.recent, latency);
        if measured == Measured::Yes {
            latencies::record(&mut part.latencies[kind as usize], latency);
        }
    }

    /// An operation of this client has not succeeded.
    pub fn failed(&self, client: usize, cause: Cause) {
        self.part(client).errors.count(cause);
    }

    /// What has been done so far.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for part in (0..PARTS).map(|part| self.part(part)) {
            for (total, done) in totals.done.iter_mut().zip(part.done) {
                *total += done;
            }
            totals.errors.add(&part.errors);
        }
        totals
    }

    /// The latencies since the last call, of all kinds.
    pub fn take_recent(&self) -> Histogram<u64> {
        let mut all = histogram();
        for mut part in (0..PARTS).map(|part| self.part(part)) {
            all += &part.recent;
            part.recent.reset();
        }
        all
    }

    /// The latencies that are measured.
    pub fn latencies(&self, kind: Kind) -> Histogram<u64> {
        let mut all = histogram();
        for part in (0..PARTS).map(|part| self.part(part)) {
            all += &part.latencies[kind as usize];
        }
        all
    }

    fn part(&self, client: usize) -> MutexGuard<'_, Part> {
        let part = &self.parts[client % PARTS];
        part.lock().expect("nobody panics with it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_record_is_added_up() {
        let tally = Tally::default();
        for client in 0..20 {
            let latency = Duration::from_millis(1 + client as u64);
            tally.done(client, Kind::Read, latency, Measured::Yes);
            tally.done(client, Kind::Write, latency, Measured::WarmUp);
        }
        tally.failed(3, Cause::Unknown);
        let totals = tally.totals();
        assert_eq!(totals.operations(), 40);
        assert_eq!((totals.errors.unknown, totals.errors.total()), (1, 1));
        let reads = tally.latencies(Kind::Read);
        assert_eq!(reads.len(), 20);
        let max = Duration::from_nanos(reads.max());
        assert!(
            max.abs_diff(Duration::from_millis(20)) < Duration::from_micros(20),
            "{max:?}"
        );
        assert!(
            tally.latencies(Kind::Write).is_empty(),
            "the warm-up is not measured"
        );
        assert_eq!(tally.take_recent().len(), 40);
        assert!(tally.take_recent().is_empty());
    }

    #[test]
    fn what_came_behind_a_moment_is_the_difference() {
        let tally = Tally::default();
        tally.done(0, Kind::Read, Duration::ZERO, Measured::WarmUp);
        tally.failed(0, Cause::Rejected);
        let earlier = tally.totals();
        tally.done(1, Kind::Read, Duration::from_secs(1), Measured::Yes);
        tally.failed(1, Cause::Unreachable);
        let since = tally.totals().since(&earlier);
        assert_eq!(since.operations(), 1);
        assert_eq!((since.errors.rejected, since.errors.unreachable), (0, 1));
    }
}
