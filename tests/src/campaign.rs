//! Many simulations on all cores, and what they showed together.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::chaos::{self, Report};
use crate::faults::{Counts, Fault, Path};
use crate::invariants::Violation;
use crate::trace::Detail;

/// Seeds to run.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The first.
    pub start: u64,
    /// How many.
    pub seeds: u64,
    /// With so many arbiters, however many a seed has.
    pub arbiters: Option<usize>,
    /// Threads that share them.
    pub threads: usize,
}

/// What a campaign showed.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// As the campaign was told.
    pub arbiters: Option<usize>,
    /// Seeds that were run.
    pub seeds: u64,
    /// What happened in them.
    pub counts: Counts,
    /// Calls made by clients.
    pub calls: u64,
    /// Entries committed.
    pub committed: u64,
    /// Single faults whose cost in time was looked at.
    pub single_faults: u64,
    /// Virtual seconds.
    pub seconds: u64,
    /// The seeds that failed, and how; the campaign stops soon after some have.
    pub failures: Vec<(u64, Violation)>,
}

/// Failures after which a campaign stops: more of them teach little.
const FAILURES_MAX: usize = 20;

impl Summary {
    fn add(&mut self, seed: u64, report: Report) {
        self.seeds += 1;
        self.counts.add(&report.counts);
        self.calls += report.calls;
        self.committed += report.committed;
        self.single_faults += report.single_faults;
        self.seconds += report.time / 1_000_000_000;
        if let Some(violation) = report.violation {
            self.failures.push((seed, violation));
        }
    }

    fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.counts.add(&other.counts);
        self.calls += other.calls;
        self.committed += other.committed;
        self.single_faults += other.single_faults;
        self.seconds += other.seconds;
        self.failures.extend(other.failures);
        self.failures.sort_by_key(|failure| failure.0);
    }

    /// A table for people.
    pub fn table(&self) -> String {
        let mut lines = vec![format!(
            "{} seeds, {} calls, {} entries committed, {} single faults timed, {} s of virtual time",
            self.seeds, self.calls, self.committed, self.single_faults, self.seconds
        )];
        let mut row = |text: &str, count: Option<&u64>| {
            lines.push(format!("{:>12}  {text}", count.copied().unwrap_or(0)));
        };
        for fault in Fault::ALL {
            row(fault.text(), self.counts.faults.get(fault));
        }
        for path in Path::ALL {
            row(path.text(), self.counts.paths.get(path));
        }
        lines.join("\n")
    }

    /// The same for programs.
    pub fn json(&self) -> serde_json::Value {
        let faults: serde_json::Map<_, _> = Fault::ALL
            .iter()
            .map(|fault| {
                let count = self.counts.faults.get(fault).copied().unwrap_or(0);
                (fault.text().to_owned(), count.into())
            })
            .collect();
        let paths: serde_json::Map<_, _> = Path::ALL
            .iter()
            .map(|path| {
                let count = self.counts.paths.get(path).copied().unwrap_or(0);
                (path.text().to_owned(), count.into())
            })
            .collect();
        let failures: Vec<_> = self
            .failures
            .iter()
            .map(|(seed, violation)| {
                serde_json::json!({
                    "seed": seed,
                    "invariant": violation.invariant,
                    "what": violation.what,
                    "replay": replay_command(*seed, self.arbiters),
                })
            })
            .collect();
        serde_json::json!({
            "seeds": self.seeds,
            "calls": self.calls,
            "committed": self.committed,
            "single_faults": self.single_faults,
            "virtual_seconds": self.seconds,
            "faults": faults,
            "paths": paths,
            "missing": self.counts.missing(),
            "failures": failures,
        })
    }
}

/// The command that shows what a seed does.
pub fn replay_command(seed: u64, arbiters: Option<usize>) -> String {
    let arbiters = arbiters.map_or_else(String::new, |count| format!(" --arbiters {count}"));
    format!(
        "cargo run -p lockstep-tests --release --bin simulate -- --seed {seed}{arbiters} --trace"
    )
}

impl Campaign {
    /// Runs all seeds, unless many fail; `progress` is told the number of seeds done so far.
    pub fn run(&self, progress: impl Fn(u64) + Sync) -> Summary {
        let next = AtomicU64::new(0);
        let is_over = AtomicBool::new(false);
        let all = Mutex::new(Summary {
            arbiters: self.arbiters,
            ..Summary::default()
        });
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    let mut mine = Summary::default();
                    while !is_over.load(Ordering::Relaxed) {
                        let done = next.fetch_add(1, Ordering::Relaxed);
                        if done >= self.seeds {
                            break;
                        }
                        let seed = self.start + done;
                        mine.add(seed, chaos::run(seed, self.arbiters, Detail::Off));
                        progress(done);
                        if mine.failures.len() >= FAILURES_MAX {
                            is_over.store(true, Ordering::Relaxed);
                        }
                    }
                    all.lock().expect("no thread panics with it").merge(mine);
                });
            }
        });
        all.into_inner().expect("no thread panics with it")
    }
}
