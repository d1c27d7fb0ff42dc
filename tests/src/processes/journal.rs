//! What clients did and learned: the whole history for the oracle, and how long each of them went without a success.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lockstep_bench::pauses::Pauses;

use crate::oracle::Operation;

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Writes.
    Write,
    /// Reads, wherever it is answered.
    Read,
    /// Reads at one replica. That may be dead, so nobody counts on an answer.
    ReadAtOne,
}

/// Kept by all clients together. Times are in nanoseconds since it was begun.
pub(super) struct Journal {
    begin: Instant,
    pages: Mutex<Pages>,
    clients: Vec<Progress>,
}

/// What a journal holds.
#[derive(Default)]
pub(super) struct Pages {
    /// Every call, in the order in which they ended.
    pub(super) history: Vec<Operation>,
    /// Failures that clients were told, by what they were told.
    pub(super) errors: BTreeMap<String, u64>,
}

/// How a client gets on.
struct Progress {
    task: Task,
    /// When the last call that succeeded began.
    begun: AtomicU64,
    /// The times between the ends of two.
    pauses: Pauses,
}

impl Journal {
    pub(super) fn new(tasks: &[Task]) -> Self {
        let begin = Instant::now();
        // All of them: a journal holds every call anyway.
        let progress = |task: &Task| Progress {
            task: *task,
            begun: AtomicU64::new(0),
            pauses: Pauses::begin(begin, Duration::ZERO),
        };
        Self {
            begin,
            pages: Mutex::default(),
            clients: tasks.iter().map(progress).collect(),
        }
    }

    /// The time.
    pub(super) fn now(&self) -> u64 {
        self.nanos(Instant::now())
    }

    fn nanos(&self, moment: Instant) -> u64 {
        let since = moment.duration_since(self.begin);
        u64::try_from(since.as_nanos()).expect("centuries have passed")
    }

    /// A call has ended, just now; `error` is what its client was told if it failed.
    pub(super) fn add(&self, mut operation: Operation, error: Option<String>) {
        let mut pages = self.pages.lock().expect("nobody panics with it");
        let ended = Instant::now();
        operation.ended = Some(self.nanos(ended));
        let client = usize::try_from(operation.client).expect("an index");
        let progress = self.clients.get(client);
        match (error, progress) {
            (None, Some(progress)) => progress.succeed(operation.begun, ended),
            (None, None) => {}
            (Some(_), Some(progress)) if progress.task == Task::ReadAtOne => {}
            (Some(error), _) => *pages.errors.entry(error).or_default() += 1,
        }
        pages.history.push(operation);
    }

    /// Has every client that counts on an answer made a call since `time` that succeeded?
    pub(super) fn all_succeed_since(&self, time: u64) -> bool {
        let mut counted = self.clients.iter();
        counted.all(|progress| {
            progress.task == Task::ReadAtOne || progress.begun.load(Ordering::Relaxed) > time
        })
    }

    /// The longest time, over since `time`, for which one of those who do `task` had no success.
    pub(super) fn longest(&self, task: Task, time: u64) -> Duration {
        let clients = self.clients.iter().filter(|client| client.task == task);
        let since = Duration::from_nanos(time);
        let pauses = clients.filter_map(|client| client.pauses.longest(since, Duration::MAX));
        pauses.map(|pause| pause.length()).max().unwrap_or_default()
    }

    /// The end of it.
    pub(super) fn take(&self) -> Pages {
        std::mem::take(&mut *self.pages.lock().expect("nobody panics with it"))
    }
}

impl Progress {
    fn succeed(&self, begun: u64, ended: Instant) {
        self.begun.store(begun, Ordering::Relaxed);
        self.pauses.succeeded(ended);
    }
}
