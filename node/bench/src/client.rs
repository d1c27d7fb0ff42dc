//! One client: chooses a key, does something with it, counts what came of it, and so on. What it reads it
//! judges at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lockstep_core::config::{Address, Position};
use lockstep_core::operation::{ReadLevel, Value};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::findings::{Findings, Trouble};
use crate::keys::{Chooser, Keys};
use crate::ledger::Ledger;
use crate::notes::Notes;
use crate::schedule::Schedule;
use crate::tally::{Cause, Kind, Measured, Tally};
use crate::target::{Failure, Joined, Target};
use crate::values::Values;
use crate::workload::{Operation, SCAN_RECORDS_MAX, Workload};

/// How fresh what is read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Every write acknowledged before, whoever wrote it.
    #[default]
    Linearizable,
    /// What the replica has received.
    Local,
    /// What the client has seen before, or newer.
    AtLeast,
}

/// What all clients share.
pub struct Bench<F> {
    /// What they do.
    pub workload: Workload,
    /// How they read.
    pub level: Level,
    /// Where they read; `None` for where the targets do by themselves.
    pub replica: Option<Address>,
    /// With which keys.
    pub keys: Keys,
    /// What they write.
    pub values: Values,
    /// What is known of the keys.
    pub ledger: Ledger,
    /// What came of it.
    pub tally: Tally,
    /// What was noticed.
    pub findings: Findings<F>,
}

/// The time in which all clients work.
pub struct Course {
    /// When operations begin.
    pub schedule: Schedule,
    /// What is due before is warm-up.
    pub measured_from: Instant,
    /// What is noted down.
    pub notes: Notes,
}

impl Course {
    /// Begins with the schedule.
    pub fn new(schedule: Schedule, warm_up: Duration, notes: Notes) -> Self {
        Self {
            measured_from: schedule.begun() + warm_up,
            schedule,
            notes,
        }
    }
}

impl<F: Failure> Bench<F> {
    /// Nothing was done.
    pub fn new(workload: Workload, level: Level, keys: Keys, values: Values) -> Self {
        Self {
            workload,
            level,
            replica: None,
            keys,
            values,
            ledger: Ledger::default(),
            tally: Tally::default(),
            findings: Findings::default(),
        }
    }

    /// Writes a key, and notes down what became of it.
    pub async fn write<T: Target<Failure = F>>(&self, target: &T, key: u64) -> Result<Position, F> {
        let write = self.ledger.begin(key);
        let value = self.values.value(key, write.number);
        match target.put(self.keys.name(key), value).await {
            Ok(seq) => {
                self.ledger.acknowledged(write, seq);
                Ok(Position::behind(seq))
            }
            Err(failure) => {
                match failure.cause() {
                    Cause::Unknown => self.ledger.unknown(write),
                    Cause::Rejected | Cause::Unreachable => self.ledger.not_executed(write),
                }
                Err(failure)
            }
        }
    }

    /// Reads a key as fresh as the level says, and judges what it holds.
    async fn read<T: Target<Failure = F>>(
        &self,
        target: &T,
        key: u64,
        seen: Position,
    ) -> Result<Position, F> {
        let (level, expected) = match self.level {
            Level::Linearizable => (ReadLevel::Linearizable, Some(self.ledger.expect(key))),
            Level::Local => (ReadLevel::Local, None),
            Level::AtLeast => (ReadLevel::AtLeast(seen), None),
        };
        let name = self.keys.name(key);
        let read = target
            .get(name.clone(), level, self.replica.as_ref())
            .await?;
        let value = read.value.as_ref();
        if let Err(mismatch) = self.ledger.judge(&self.values, key, value, expected) {
            self.findings.mismatch(name.as_ref(), mismatch);
        }
        Ok(read.position)
    }

    /// Judges what a key holds when no write is under way.
    pub fn judge_last(&self, key: u64, value: Option<&Value>) {
        if let Err(mismatch) = self.ledger.judge_last(&self.values, key, value) {
            let name = self.keys.name(key);
            self.findings.mismatch(name.as_ref(), mismatch);
        }
    }
}

/// Sets clients to work, each of which chooses keys by itself and shares one of the targets with others. They end with the
/// schedule, and the deadline of their last operation.
pub fn start<T: Target>(
    bench: &Arc<Bench<T::Failure>>,
    course: &Arc<Course>,
    targets: &[T],
    clients: usize,
    chooser: Chooser,
    seed: u64,
) -> Vec<Joined<()>> {
    let clients = targets.iter().cycle().take(clients).enumerate();
    clients
        .map(|(number, target)| {
            let client = Client {
                bench: bench.clone(),
                course: course.clone(),
                target: target.clone(),
                number,
                chooser,
                rng: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
                seen: Position::ZERO,
            };
            target.spawn(client.run())
        })
        .collect()
}

/// A client at work.
struct Client<T: Target> {
    bench: Arc<Bench<T::Failure>>,
    course: Arc<Course>,
    target: T,
    number: usize,
    chooser: Chooser,
    rng: StdRng,
    /// It has seen the outcome of all writes before this.
    seen: Position,
}

impl<T: Target> Client<T> {
    /// Works until there is nothing more to begin.
    async fn run(mut self) {
        while let Some(due) = self.due().await {
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
                Err(trouble) => {
                    self.course.notes.failed(kind, due);
                    self.on_trouble(trouble);
                }
            }
        }
    }

    /// Waits for the next operation: the time from which its latency counts.
    async fn due(&self) -> Option<Instant> {
        let schedule = &self.course.schedule;
        let now = Instant::now();
        let due = schedule.next(now)?;
        if due > now {
            self.target.sleep(due - now).await;
        }
        (!schedule.is_ended()).then_some(due)
    }

    async fn operate(&mut self, operation: Operation) -> (Kind, Result<(), Trouble<T::Failure>>) {
        let bench = self.bench.clone();
        let (kind, outcome) = match operation {
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
                    return (Kind::Write, Err(Trouble::NoMoreKeys));
                };
                let outcome = self.write(key).await;
                if outcome.is_ok() {
                    bench.keys.inserted(key);
                }
                (Kind::Write, outcome)
            }
            Operation::Scan => {
                let (key, records) = (self.choose(), self.rng.random_range(1..=SCAN_RECORDS_MAX));
                (Kind::Scan, bench.scan(&self.target, key, records).await)
            }
            Operation::ReadModifyWrite => {
                let key = self.choose();
                let outcome = match self.read(key).await {
                    Ok(()) => self.write(key).await,
                    Err(failure) => Err(failure),
                };
                (Kind::ReadModifyWrite, outcome)
            }
        };
        (kind, outcome.map_err(Trouble::Failed))
    }

    fn choose(&mut self) -> u64 {
        self.chooser.next(&self.bench.keys, &mut self.rng)
    }

    async fn read(&mut self, key: u64) -> Result<(), T::Failure> {
        let position = self.bench.read(&self.target, key, self.seen).await?;
        self.seen = self.seen.max(position);
        Ok(())
    }

    async fn write(&mut self, key: u64) -> Result<(), T::Failure> {
        let position = self.bench.write(&self.target, key).await?;
        self.seen = self.seen.max(position);
        Ok(())
    }

    fn on_trouble(&self, trouble: Trouble<T::Failure>) {
        self.bench.tally.failed(self.number, trouble.cause());
        if trouble.is_fatal() {
            self.course.schedule.end();
        }
        self.bench.findings.failed(trouble);
    }
}

#[cfg(test)]
mod tests;
