//! What clients did and learned: the whole history for the oracle, and how long each of them went without a success.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

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
}

/// What a journal holds.
#[derive(Default)]
pub(super) struct Pages {
    /// Every call, in the order in which they ended.
    pub(super) history: Vec<Operation>,
    /// Failures that clients were told, by what they were told.
    pub(super) errors: BTreeMap<String, u64>,
    clients: Vec<Progress>,
}

/// How a client gets on.
struct Progress {
    task: Task,
    /// When the last call that succeeded began.
    begun: u64,
    /// When it ended.
    ended: u64,
    /// The longest time between the ends of two, since the last mark.
    longest: u64,
}

impl Journal {
    pub(super) fn new(tasks: &[Task]) -> Self {
        let progress = |task: &Task| Progress {
            task: *task,
            begun: 0,
            ended: 0,
            longest: 0,
        };
        Self {
            begin: Instant::now(),
            pages: Mutex::new(Pages {
                clients: tasks.iter().map(progress).collect(),
                ..Pages::default()
            }),
        }
    }

    /// The time.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).expect("centuries have passed")
    }

    /// A call has ended, just now; `error` is what its client was told if it failed.
    pub(super) fn add(&self, mut operation: Operation, error: Option<String>) {
        let mut pages = self.pages.lock().expect("nobody panics with it");
        let ended = self.now();
        operation.ended = Some(ended);
        let client = usize::try_from(operation.client).expect("an index");
        let progress = pages.clients.get_mut(client);
        match (error, progress) {
            (None, Some(progress)) => progress.succeed(operation.begun, ended),
            (None, None) => {}
            (Some(_), Some(progress)) if progress.task == Task::ReadAtOne => {}
            (Some(error), _) => *pages.errors.entry(error).or_default() += 1,
        }
        pages.history.push(operation);
    }

    /// From now on the longest times without a success are counted anew, those included that have begun.
    pub(super) fn mark(&self) -> u64 {
        let mut pages = self.pages.lock().expect("nobody panics with it");
        for progress in &mut pages.clients {
            progress.longest = 0;
        }
        self.now()
    }

    /// Has every client that counts on an answer made a call since `time` that succeeded?
    pub(super) fn all_succeed_since(&self, time: u64) -> bool {
        let pages = self.pages.lock().expect("nobody panics with it");
        let mut counted = pages.clients.iter();
        counted.all(|progress| progress.task == Task::ReadAtOne || progress.begun > time)
    }

    /// The longest time since the mark for which one of those who do `task` had no success.
    pub(super) fn longest(&self, task: Task) -> Duration {
        let pages = self.pages.lock().expect("nobody panics with it");
        let clients = pages.clients.iter().filter(|client| client.task == task);
        Duration::from_nanos(clients.map(|client| client.longest).max().unwrap_or(0))
    }

    /// The end of it.
    pub(super) fn take(&self) -> Pages {
        std::mem::take(&mut *self.pages.lock().expect("nobody panics with it"))
    }
}

impl Progress {
    fn succeed(&mut self, begun: u64, ended: u64) {
        self.longest = self.longest.max(ended - self.ended);
        self.begun = begun;
        self.ended = ended;
    }
}
