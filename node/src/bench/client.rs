//! One client of a bench: chooses a key, does something with it, counts what came of it, and so on. What it reads it
//! judges at once.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use lockstep_core::config::{Address, Position};
use lockstep_core::operation::{ReadLevel, Rejection, Value};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::args::BenchLevel;
use crate::bench::keys::{Chooser, Keys};
use crate::bench::ledger::{Ledger, Mismatch};
use crate::bench::notes::Notes;
use crate::bench::schedule::Schedule;
use crate::bench::tally::{Kind, Measured, Tally};
use crate::bench::values::Values;
use crate::bench::workload::{Operation, SCAN_RECORDS_MAX, Workload};
use crate::output::Failure;
use crate::store::Store;

/// Mismatches that are told one by one.
const MISMATCHES_TOLD: usize = 10;

/// What all clients share.
pub(crate) struct Bench {
    pub(crate) workload: Workload,
    pub(crate) level: BenchLevel,
    /// Where to read; `None` for where the stores do by themselves.
    pub(crate) replica: Option<Address>,
    pub(crate) keys: Keys,
    pub(crate) values: Values,
    pub(crate) ledger: Ledger,
    pub(crate) tally: Tally,
    pub(crate) findings: Findings,
}

/// The time in which all clients work.
pub(crate) struct Course {
    pub(crate) schedule: Schedule,
    /// What is due before is warm-up.
    pub(crate) measured_from: Instant,
    pub(crate) notes: Notes,
}

/// What was noticed on the way.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    inner: Mutex<Found>,
}

/// See [`Findings`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Reads that did not give what was written.
    pub(crate) mismatches: u64,
    /// The first of them.
    pub(crate) examples: Vec<String>,
    /// The first operation that failed.
    pub(crate) first_error: Option<String>,
    /// What makes it pointless to go on.
    pub(crate) fatal: Option<Failure>,
}

impl Findings {
    /// What was found so far.
    pub(crate) fn found(&self) -> Found {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Found> {
        self.inner.lock().expect("nobody panics with it")
    }

    pub(crate) fn mismatch(&self, key: &[u8], mismatch: Mismatch) {
        let mut found = self.lock();
        found.mismatches += 1;
        if found.examples.len() < MISMATCHES_TOLD {
            let key = String::from_utf8_lossy(key);
            found.examples.push(format!("{key}: {mismatch}"));
        }
    }
}

impl Bench {
    /// Writes a key, and notes down what became of it.
    pub(crate) async fn write(&self, store: &Store, key: u64) -> Result<Position, Failure> {
        let write = self.ledger.begin(key);
        let value = self.values.value(key, write.number);
        match store.put(self.keys.name(key), value).await {
            Ok(acknowledged) => {
                self.ledger.acknowledged(write, acknowledged.seq);
                Ok(Position::behind(acknowledged.seq))
            }
            Err(not_written) => {
                if not_written.failure.is_unknown() {
                    self.ledger.unknown(write);
                } else {
                    self.ledger.not_executed(write);
                }
                Err(not_written.failure)
            }
        }
    }

    /// Reads a key as fresh as the level says, and judges what it holds.
    async fn read(&self, store: &Store, key: u64, seen: Position) -> Result<Position, Failure> {
        let (level, expected) = match self.level {
            BenchLevel::Linearizable => (ReadLevel::Linearizable, Some(self.ledger.expect(key))),
            BenchLevel::Local => (ReadLevel::Local, None),
            BenchLevel::AtLeast => (ReadLevel::AtLeast(seen), None),
        };
        let name = self.keys.name(key);
        let read = store
            .get(name.clone(), level, self.replica.as_ref())
            .await?;
        let value = read.value.as_ref();
        if let Err(mismatch) = self.ledger.judge(&self.values, key, value, expected) {
            self.findings.mismatch(name.as_ref(), mismatch);
        }
        Ok(read.position)
    }

    /// Judges what a key holds when no write is under way.
    pub(crate) fn judge_last(&self, key: u64, value: Option<&Value>) {
        if let Err(mismatch) = self.ledger.judge_last(&self.values, key, value) {
            let name = self.keys.name(key);
            self.findings.mismatch(name.as_ref(), mismatch);
        }
    }
}

/// A client at work.
pub(crate) struct Client {
    bench: Arc<Bench>,
    course: Arc<Course>,
    store: Store,
    number: usize,
    chooser: Chooser,
    rng: StdRng,
    /// It has seen the outcome of all writes before this.
    seen: Position,
}

impl Client {
    /// The client of this number.
    pub(crate) fn new(
        bench: Arc<Bench>,
        course: Arc<Course>,
        store: Store,
        number: usize,
        chooser: Chooser,
        seed: u64,
    ) -> Self {
        Self {
            bench,
            course,
            store,
            number,
            chooser,
            rng: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
            seen: Position::ZERO,
        }
    }

    /// Works until there is nothing more to begin.
    pub(crate) async fn run(mut self) {
        while let Some(due) = self.course.schedule.next().await {
            let operation = self.bench.workload.draw(&mut self.rng);
            let measured = match due >= self.course.measured_from {
                true => Measured::Yes,
                false => Measured::WarmUp,
            };
            let (kind, outcome) = self.operate(operation).await;
            match outcome {
                Ok(()) => {
                    let now = Instant::now();
                    let latency = now - due;
                    self.bench.tally.done(self.number, kind, latency, measured);
                    self.course.notes.succeeded(kind, now, latency);
                }
                Err(failure) => {
                    self.course.notes.failed(kind, due);
                    self.on_failure(failure);
                }
            }
        }
    }

    async fn operate(&mut self, operation: Operation) -> (Kind, Result<(), Failure>) {
        let bench = self.bench.clone();
        match operation {
            Operation::Read => {
                let key = self.choose();
                (Kind::Read, self.read(key).await)
            }
            Operation::Update => {
                let key = self.choose();
                (Kind::Write, self.write(key).await)
            }
            Operation::Insert => {
                let Some(key) = bench.keys.insert() else {
                    let full = "there are no more keys to insert: give more bytes with --key-size";
                    return (Kind::Write, Err(Failure::Usage(full.to_owned())));
                };
                let outcome = self.write(key).await;
                if outcome.is_ok() {
                    bench.keys.inserted(key);
                }
                (Kind::Write, outcome)
            }
            Operation::Scan => {
                let (key, records) = (self.choose(), self.rng.random_range(1..=SCAN_RECORDS_MAX));
                (Kind::Scan, bench.scan(&self.store, key, records).await)
            }
            Operation::ReadModifyWrite => {
                let key = self.choose();
                let outcome = match self.read(key).await {
                    Ok(()) => self.write(key).await,
                    Err(failure) => Err(failure),
                };
                (Kind::ReadModifyWrite, outcome)
            }
        }
    }

    fn choose(&mut self) -> u64 {
        self.chooser.next(&self.bench.keys, &mut self.rng)
    }

    async fn read(&mut self, key: u64) -> Result<(), Failure> {
        let position = self.bench.read(&self.store, key, self.seen).await?;
        self.seen = self.seen.max(position);
        Ok(())
    }

    async fn write(&mut self, key: u64) -> Result<(), Failure> {
        let position = self.bench.write(&self.store, key).await?;
        self.seen = self.seen.max(position);
        Ok(())
    }

    fn on_failure(&self, failure: Failure) {
        self.bench.tally.failed(self.number, failure.exit());
        let mut found = self.bench.findings.lock();
        if found.first_error.is_none() {
            found.first_error = Some(failure.to_string());
        }
        if is_fatal(&failure) {
            self.course.schedule.end();
            found.fatal.get_or_insert(failure);
        }
    }
}

/// Would every other operation fail as well?
fn is_fatal(failure: &Failure) -> bool {
    match failure {
        Failure::Rejected { reason } => match reason {
            Rejection::TooLarge { .. } | Rejection::Unauthorized | Rejection::Malformed => true,
            Rejection::NotPrimary { .. }
            | Rejection::NotReady
            | Rejection::NoLease
            | Rejection::Behind { .. }
            | Rejection::Overloaded
            | Rejection::DiskFull
            | Rejection::TooFewReplicas { .. }
            | Rejection::SessionExpired
            | Rejection::SessionTooOld
            | Rejection::Cancelled => false,
        },
        Failure::Usage(_) | Failure::Broken(_) => true,
        Failure::NotFound { .. }
        | Failure::Refused(_)
        | Failure::Unknown { .. }
        | Failure::Unreachable(_)
        | Failure::InLine { .. }
        | Failure::Mismatch { .. }
        | Failure::OutputClosed => false,
    }
}
