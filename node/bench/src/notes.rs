//! What is noted down of each operation besides its latency, where somebody looks at something besides.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::latencies;
use crate::pauses::Pauses;
use crate::tally::Kind;

/// Shorter times without a success are nothing special.
const PAUSE: Duration = Duration::from_millis(20);

/// What is noted down.
#[derive(Debug)]
pub enum Notes {
    /// Nothing.
    Nothing,
    /// The times without a success.
    Pauses {
        /// Of reads.
        reads: Pauses,
        /// Of writes.
        writes: Pauses,
    },
    /// Latencies, by what was going on.
    Stages(Stages),
}

impl Notes {
    /// The times without a success are, from now on.
    pub fn pauses() -> Self {
        let begun = Instant::now();
        Self::Pauses {
            reads: Pauses::begin(begun, PAUSE),
            writes: Pauses::begin(begun, PAUSE),
        }
    }

    /// Latencies by what is going on are.
    pub fn stages() -> Self {
        Self::Stages(Stages::new())
    }

    /// An operation has succeeded.
    pub fn succeeded(&self, kind: Kind, now: Instant, latency: Duration) {
        match (self, kind) {
            (Self::Nothing, _) => {}
            (Self::Pauses { reads, .. }, Kind::Read | Kind::Scan) => reads.succeeded(now),
            (Self::Pauses { writes, .. }, Kind::Write | Kind::ReadModifyWrite) => {
                writes.succeeded(now);
            }
            (Self::Stages(stages), _) => stages.add(latency),
        }
    }

    /// An operation that was due then has failed.
    pub fn failed(&self, kind: Kind, due: Instant) {
        match (self, kind) {
            (Self::Nothing | Self::Stages(_), _) => {}
            (Self::Pauses { reads, .. }, Kind::Read | Kind::Scan) => reads.failed(due),
            (Self::Pauses { writes, .. }, Kind::Write | Kind::ReadModifyWrite) => {
                writes.failed(due);
            }
        }
    }
}

/// What is going on while a replica catches up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has joined.
    Before,
    /// A replica is joining.
    During,
    /// Whoever joined is in sync.
    After,
}

impl Stage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];

    /// For people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        }
    }
}

/// Latencies by what was going on when the operations ended.
#[derive(Debug)]
pub struct Stages {
    present: AtomicUsize,
    latencies: Mutex<[Histogram<u64>; Stage::ALL.len()]>,
}

impl Stages {
    /// Nobody has joined.
    fn new() -> Self {
        Self {
            present: AtomicUsize::new(Stage::Before as usize),
            latencies: Mutex::new(Stage::ALL.map(|_| latencies::histogram())),
        }
    }

    /// This is going on.
    pub fn enter(&self, stage: Stage) {
        self.present.store(stage as usize, Ordering::Relaxed);
    }

    fn add(&self, latency: Duration) {
        let present = self.present.load(Ordering::Relaxed);
        let mut all = self.latencies.lock().expect("nobody panics with it");
        latencies::record(&mut all[present], latency);
    }

    /// What was counted.
    pub fn latencies(&self, stage: Stage) -> Histogram<u64> {
        let all = self.latencies.lock().expect("nobody panics with it");
        all[stage as usize].clone()
    }
}
