//! The disk of a process: threads that carry out what the machines in [`crate::storage`] decide, so that no step of the
//! process ever waits for the disk, and whatever arrives while a sync runs shares the next one.
//!
//! - the scheduler's thread steps the [`Scheduler`] and carries out its jobs: order and durability of saves, group commit;
//! - another applies entries, where that may have to wait, and one makes checkpoints, both as the scheduler wants;
//! - Gets that need the disk have threads of their own, scans and views another.
//!
//! The queues to the threads are unbounded: a process bounds what it has asked for and not got (`limits`).

mod counts;
#[cfg(test)]
mod tests;
mod threads;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_std::future::timeout;

use crate::driver::clock::Clock;
use crate::driver::{DriverError, panic_text};
use crate::engine::{ArbiterStore, Engine, LogStore, StoreError};
use crate::operation::Key;
use crate::storage::Ticket;
use crate::storage::desk::{BulkRequest, Desk, Handed, TOLD_BYTES};
use crate::storage::scheduler::{Counts, Report, Scheduler, SchedulerOptions, Told};

use self::counts::Counters;
use self::threads::{Desks, Store};

/// Threads that answer Gets: one can wait for the disk while the other reads from memory.
const READERS: usize = 2;

/// Closing gives up waiting for the disk after this; the threads still finish what they have.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// The disk of one process. Made by the caller, handed to [`spawn`](crate::driver::spawn).
pub struct Disk {
    desk: Desk,
    engine: Option<Arc<dyn Engine>>,
    queues: Option<Queues>,
    completions: Receiver<Completion>,
    fate: Fate,
    counters: Arc<Counters>,
}

/// Where the threads take their orders from.
struct Queues {
    scheduler: Queue<Told>,
    bulk: Queue<BulkRequest>,
    gets: Sender<(Ticket, Key)>,
}

/// What the threads report.
#[derive(Debug)]
pub(super) enum Completion {
    /// For the process.
    Report(Report),
    /// The process must end.
    Failed(DriverError),
}

impl Disk {
    /// The disk of a replica. `log_bytes_max`: entries kept in the log for replicas that come back.
    pub fn replica(log: Box<dyn LogStore>, engine: Arc<dyn Engine>, log_bytes_max: u64) -> Self {
        let desk = Desk::replica(log.end(), TOLD_BYTES);
        let options = SchedulerOptions::for_log(log_bytes_max);
        let scheduler = Scheduler::replica(Clock.now(), options, log.start());

        let (report, completions) = async_channel::unbounded();
        let threads = Threads::new(report);
        let (queues, ends) = Queues::new();
        let (applies, applied) = mpsc::channel();
        let (checkpoints, wanted) = mpsc::channel();

        let counters = Arc::new(Counters::default());
        let store = Store::Replica {
            log,
            engine: engine.clone(),
        };
        let desks = Desks {
            report: threads.report.clone(),
            applies: Some(applies),
            checkpoints: Some(checkpoints),
        };
        threads.spawn_scheduler(scheduler, store, ends.told, desks, &counters);

        let (state, tell) = (engine.clone(), queues.scheduler.sender.clone());
        threads.spawn("lockstep-apply", move || {
            threads::apply(state.as_ref(), &applied, &tell)
        });
        let (state, tell) = (engine.clone(), queues.scheduler.sender.clone());
        threads.spawn("lockstep-checkpoint", move || {
            threads::make_checkpoints(state.as_ref(), &wanted, &tell)
        });
        for _ in 0..READERS {
            let (state, gets) = (engine.clone(), ends.gets.clone());
            let report = threads.report.clone();
            threads.spawn("lockstep-read", move || {
                threads::read(state.as_ref(), &gets, &report)
            });
        }
        let (state, report) = (engine.clone(), threads.report.clone());
        threads.spawn("lockstep-scan", move || {
            threads::read_in_bulk(state.as_ref(), &ends.bulk, &report)
        });
        Self {
            desk,
            engine: Some(engine),
            queues: Some(queues),
            completions,
            fate: threads.fate,
            counters,
        }
    }

    /// The disk of an arbiter.
    pub fn arbiter(store: Box<dyn ArbiterStore>) -> Self {
        let (report, completions) = async_channel::unbounded();
        let threads = Threads::new(report);
        let (queues, ends) = Queues::new();
        let counters = Arc::default();
        let desks = Desks {
            report: threads.report.clone(),
            applies: None,
            checkpoints: None,
        };
        let store = Store::Arbiter(store);
        threads.spawn_scheduler(Scheduler::arbiter(), store, ends.told, desks, &counters);
        Self {
            desk: Desk::arbiter(),
            engine: None,
            queues: Some(queues),
            completions,
            fate: threads.fate,
            counters,
        }
    }

    /// No disk: for clients. A process that asks for one anyhow is ended.
    pub fn none() -> Self {
        let (report, completions) = async_channel::unbounded();
        // Kept open by nobody: such a disk never has anything to report.
        drop(report);
        Self {
            desk: Desk::none(),
            engine: None,
            queues: None,
            completions,
            fate: Fate::default(),
            counters: Arc::default(),
        }
    }

    /// The process's side of it, as it is at the beginning.
    pub(super) fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// The state of a replica.
    pub(super) fn engine(&self) -> Option<&dyn Engine> {
        self.engine.as_deref()
    }

    /// What the log has done since it was opened.
    pub(super) fn counts(&self) -> Counts {
        self.counters.counts()
    }

    /// Where the threads report; never anything for `none`.
    pub(super) fn completions(&self) -> Option<Receiver<Completion>> {
        self.queues.is_some().then(|| self.completions.clone())
    }

    /// Hands on what a round has led to, as one group a thread.
    pub(super) fn hand_on(&mut self, handed: &mut Vec<Handed>) {
        let Some(queues) = &mut self.queues else {
            return;
        };
        for handed in handed.drain(..) {
            match handed {
                Handed::Scheduler(told) => queues.scheduler.push(told),
                Handed::Bulk(request) => queues.bulk.push(request),
                Handed::Get(ticket, key) => {
                    // Fails only when the readers have ended, and they have told why.
                    let _ended = queues.gets.try_send((ticket, key));
                }
            }
        }
        queues.scheduler.flush();
        queues.bulk.flush();
    }

    /// Makes the threads drop what they have not begun, as a crash would.
    pub(super) fn abandon(&self) {
        self.fate.abandon();
    }

    /// Lets the threads finish what was handed over, and waits for that in reason.
    ///
    /// # Errors
    /// What failed on the way.
    pub(super) async fn close(mut self) -> Result<(), DriverError> {
        self.end();
        let drained = async {
            while let Ok(completion) = self.completions.recv().await {
                if let Completion::Failed(error) = completion {
                    return Err(error);
                }
            }
            Ok(())
        };
        let closed = timeout(CLOSE_PATIENCE, drained).await;
        closed.unwrap_or_else(|_| {
            self.fate.abandon();
            Err(DriverError::StorageHangs)
        })
    }

    /// Without their queues the threads come to their end, and the last one closes the channel of the reports.
    fn end(&mut self) {
        if let Some(mut queues) = self.queues.take() {
            queues.scheduler.push(Told::Close);
            queues.scheduler.flush();
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("desk", &self.desk)
            .field("fate", &self.fate)
            .finish_non_exhaustive()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.end();
    }
}

/// The other ends of the queues.
struct Ends {
    told: mpsc::Receiver<Vec<Told>>,
    bulk: mpsc::Receiver<Vec<BulkRequest>>,
    gets: Receiver<(Ticket, Key)>,
}

impl Queues {
    fn new() -> (Self, Ends) {
        let (scheduler, told) = Queue::new();
        let (bulk, requests) = Queue::new();
        let (gets, asked) = async_channel::unbounded();
        let ends = Ends {
            told,
            bulk: requests,
            gets: asked,
        };
        (
            Self {
                scheduler,
                bulk,
                gets,
            },
            ends,
        )
    }
}

/// What is collected for a thread during a round of the loop, and handed over as one.
#[derive(Debug)]
struct Queue<T> {
    noted: Vec<T>,
    sender: mpsc::Sender<Vec<T>>,
}

impl<T> Queue<T> {
    fn new() -> (Self, mpsc::Receiver<Vec<T>>) {
        let (sender, receiver) = mpsc::channel();
        let noted = Vec::new();
        (Self { noted, sender }, receiver)
    }

    fn push(&mut self, request: T) {
        self.noted.push(request);
    }

    fn flush(&mut self) {
        if !self.noted.is_empty() {
            // Fails only when the thread has ended, and it has told why.
            let _ended = self.sender.send(std::mem::take(&mut self.noted));
        }
    }
}

/// Whether the threads are to go on; shared by them.
#[derive(Clone, Debug, Default)]
struct Fate {
    is_abandoned: Arc<AtomicBool>,
}

impl Fate {
    /// Nothing more is begun.
    fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::SeqCst);
    }

    fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::SeqCst)
    }
}

/// Starts the threads of one disk. Nobody joins them: each ends with its queue.
struct Threads {
    report: Sender<Completion>,
    fate: Fate,
}

impl Threads {
    fn new(report: Sender<Completion>) -> Self {
        let fate = Fate::default();
        Self { report, fate }
    }

    fn spawn_scheduler(
        &self,
        scheduler: Scheduler,
        store: Store,
        told: mpsc::Receiver<Vec<Told>>,
        desks: Desks,
        counters: &Arc<Counters>,
    ) {
        let (counters, fate) = (counters.clone(), self.fate.clone());
        self.spawn("lockstep-log", move || {
            threads::write(scheduler, store, &told, &desks, &counters, &fate)
        });
    }

    /// Runs `body` on a thread; how it fails or panics is reported, and then nothing else is begun.
    fn spawn(&self, name: &str, body: impl FnOnce() -> Result<(), StoreError> + Send + 'static) {
        let (report, fate) = (self.report.clone(), self.fate.clone());
        let guarded = move || {
            let error = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => DriverError::Disk(error),
                Err(panic) => DriverError::Panicked(panic_text(panic.as_ref())),
            };
            fate.abandon();
            send(&report, Completion::Failed(error));
        };
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(guarded) {
            send(&self.report, Completion::Failed(DriverError::Thread(error)));
        }
    }
}

/// Reports to the loop. If it has ended, nobody wants to know.
fn send(report: &Sender<Completion>, completion: Completion) {
    let _ended = report.try_send(completion);
}
