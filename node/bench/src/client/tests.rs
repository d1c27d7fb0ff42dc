//! Clients on a target in memory, which may be told to go wrong. Nobody waits for a time: operations begin before they are due.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use lockstep_core::config::{Address, Position, Seq};
use lockstep_core::operation::{Key, ReadLevel, Value};
use lockstep_core::range::KeyRange;

use super::{Bench, Course, Level, start};
use crate::findings::{Found, Trouble};
use crate::keys::{Chooser, Distribution, Keys};
use crate::notes::Notes;
use crate::schedule::Schedule;
use crate::spread::{self, Errand};
use crate::tally::{Cause, Totals};
use crate::target::{self, Joined, Page, Read, Target};
use crate::values::Values;
use crate::workload::Workload;

const KEYS: u64 = 50;
const OPERATIONS: u64 = 1_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Habit {
    Sound,
    /// Acknowledges writes that it does not execute, all but the first of a key.
    Forgets,
    /// Executes writes and says that it does not know.
    Doubts,
    /// Takes no writes, and never will.
    Refuses,
}

#[derive(Clone)]
struct Memory {
    habit: Habit,
    records: Arc<Mutex<BTreeMap<Key, Value>>>,
    writes: Arc<Mutex<u64>>,
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("{0:?}")]
struct Failure(Cause);

impl target::Failure for Failure {
    fn cause(&self) -> Cause {
        self.0
    }

    fn is_fatal(&self) -> bool {
        self.0 == Cause::Rejected
    }
}

impl Target for Memory {
    type Failure = Failure;

    async fn put(&self, key: Key, value: Value) -> Result<Seq, Failure> {
        if self.habit == Habit::Refuses {
            return Err(Failure(Cause::Rejected));
        }
        let mut writes = self.writes.lock().unwrap();
        *writes += 1;
        let mut records = self.records.lock().unwrap();
        if self.habit != Habit::Forgets || !records.contains_key(&key) {
            records.insert(key, value);
        }
        match self.habit {
            Habit::Doubts => Err(Failure(Cause::Unknown)),
            Habit::Sound | Habit::Forgets | Habit::Refuses => Ok(Seq(*writes - 1)),
        }
    }

    async fn remove(&self, key: Key) -> Result<(), Failure> {
        self.records.lock().unwrap().remove(&key);
        Ok(())
    }

    async fn get(
        &self,
        key: Key,
        _level: ReadLevel,
        _replica: Option<&Address>,
    ) -> Result<Read, Failure> {
        let position = Position(*self.writes.lock().unwrap());
        let value = self.records.lock().unwrap().get(&key).cloned();
        Ok(Read { value, position })
    }

    async fn scan(
        &self,
        range: KeyRange,
        limit: NonZeroU32,
        _replica: Option<&Address>,
    ) -> Result<Page, Failure> {
        let records = self.records.lock().unwrap();
        // Fewer than are wanted: scans go on over pages.
        let page = range.of(&records).take(limit.get().min(10) as usize);
        let records: Vec<(Key, Value)> = page
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let resume = records.last().map(|(key, _)| key.clone());
        Ok(Page { records, resume })
    }

    async fn sleep(&self, _time: Duration) {}

    fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Joined<T> {
        let thread = thread::spawn(|| block_on(task));
        Box::pin(async { thread.join().expect("the task did not panic") })
    }
}

/// Writes every key, does the workload, and reads back every key: with how many each of the two was done.
fn run(habit: Habit, workload: Workload) -> (Totals, Found<Failure>, [Result<u64, Cause>; 2]) {
    let keys = Keys::new("k", 8, KEYS).unwrap();
    let values = Values::new(1, 64).unwrap();
    let chooser = Chooser::new(Distribution::Uniform, KEYS);
    let bench = Arc::new(Bench::new(workload, Level::Linearizable, keys, values));
    let targets = [Memory {
        habit,
        records: Arc::default(),
        writes: Arc::default(),
    }];
    let spread = |errand| {
        let all = spread::all_keys(&bench, &targets, errand, |_, _| {});
        block_on(all).map_err(|failure| failure.0)
    };
    let loaded = spread(Errand::Load);
    let schedule = Schedule::begin(Duration::from_secs(OPERATIONS), Some(1));
    let course = Arc::new(Course::new(schedule, Duration::ZERO, Notes::Nothing));
    for client in start(&bench, &course, &targets, 4, chooser, 7) {
        block_on(client);
    }
    let verified = spread(Errand::Verify);
    let totals = bench.tally.totals();
    (totals, bench.findings.found(), [loaded, verified])
}

#[test]
fn everything_is_done_and_found_as_it_was_written() {
    let workloads = [Workload::mixed(0.5), Workload::YCSB_D, Workload::YCSB_E];
    for workload in workloads.into_iter().chain([Workload::YCSB_F]) {
        let (totals, found, [loaded, verified]) = run(Habit::Sound, workload);
        assert_eq!(totals.operations(), OPERATIONS, "{}", workload.name);
        assert_eq!(totals.errors.total(), 0);
        assert_eq!((found.mismatches, found.examples), (0, Vec::new()));
        assert_eq!(loaded, Ok(KEYS));
        assert!(verified.unwrap() >= KEYS);
    }
}

#[test]
fn a_write_that_was_acknowledged_and_is_lost_is_found() {
    let (totals, found, _) = run(Habit::Forgets, Workload::PUT);
    assert_eq!(totals.operations(), OPERATIONS);
    assert!(found.mismatches > 0);
    assert!(found.examples[0].starts_with('k'), "{:?}", found.examples);
}

#[test]
fn a_write_without_an_outcome_may_be_there() {
    let (totals, found, [loaded, verified]) = run(Habit::Doubts, Workload::PUT);
    assert_eq!(
        (totals.operations(), totals.errors.unknown),
        (0, OPERATIONS)
    );
    assert_eq!(loaded, Err(Cause::Unknown));
    assert!(verified.is_ok());
    assert_eq!(found.mismatches, 0);
}

#[test]
fn what_would_fail_again_ends_the_work() {
    let (totals, found, _) = run(Habit::Refuses, Workload::PUT);
    assert!(
        totals.errors.rejected <= 4,
        "each client sees it at most once"
    );
    assert!(matches!(found.fatal, Some(Trouble::Failed(_))));
    assert_eq!(found.first_error.as_deref(), Some("Rejected"));
}
