//! The disk of a process: threads that carry out what the machines in [`crate::storage`] decide, so that no step of the
//! process ever waits for the disk, and whatever arrives while a sync runs shares the next one.
//!
//! - the scheduler's thread steps the [`Scheduler`] and carries out its jobs: order and durability of saves, group commit;
//! - another applies entries, where that may have to wait, and one makes checkpoints, both as the scheduler wants;
//! - Gets that need the disk have threads of their own, scans and views another.

mod counts;
mod queues;
mod reads;
mod report;
mod scheduler;
mod state;
#[cfg(test)]
mod tests;
mod threads;

use std::fmt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use async_channel::Receiver;
use async_std::future::timeout;

use crate::driver::clock::Clock;
use crate::driver::error::DriverError;
use crate::engine::{ArbiterStore, Engine, LogStore, Room};
use crate::storage::desk::{Desk, Handed, TOLD_BYTES};
use crate::storage::scheduler::{Counts, Report, Scheduler, SchedulerOptions};

pub(super) use self::report::Completion;

use self::counts::Counters;
use self::queues::Queues;
use self::report::Fate;
use self::scheduler::{Outlets, Store, Worker};
use self::threads::Threads;

/// Threads that answer Gets: one can wait for the disk while the other reads from memory.
const READERS: usize = 2;

/// Answers handed back and not taken by the loop, each of `BYTES_AT_ONCE` bytes or a single larger record.
const ANSWERED_MAX: usize = 16;

/// Closing gives up waiting for the disk after this; the threads still finish what they have.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// The disk of one process. Made by the caller, handed to [`spawn`](crate::driver::spawn).
pub struct Disk {
    desk: Desk,
    engine: Option<Arc<dyn Engine>>,
    queues: Option<Queues>,
    completions: Receiver<Completion>,
    answered: Option<Receiver<Report>>,
    fate: Fate,
    counters: Arc<Counters>,
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
        let (answers, answered) = async_channel::bounded(ANSWERED_MAX);

        let counters = Arc::new(Counters::default());
        let worker = Worker {
            scheduler,
            store: Store::Replica {
                log,
                engine: engine.clone(),
            },
            told: ends.told,
            outlets: Outlets {
                report: threads.report.clone(),
                applies: Some(applies),
                checkpoints: Some(checkpoints),
            },
            counters: counters.clone(),
            fate: threads.fate.clone(),
        };
        threads.spawn("lockstep-log", || worker.run());

        let (state, tell) = (engine.clone(), queues.scheduler.sender.clone());
        threads.spawn("lockstep-apply", move || {
            state::apply(state.as_ref(), &applied, &tell)
        });
        let (state, tell) = (engine.clone(), queues.scheduler.sender.clone());
        threads.spawn("lockstep-checkpoint", move || {
            state::make_checkpoints(state.as_ref(), &wanted, &tell)
        });
        for _ in 0..READERS {
            let (state, gets) = (engine.clone(), ends.gets.clone());
            let answers = answers.clone();
            threads.spawn("lockstep-read", move || {
                reads::read(state.as_ref(), &gets, &answers)
            });
        }
        let state = engine.clone();
        threads.spawn("lockstep-scan", move || {
            reads::read_in_bulk(state.as_ref(), &ends.bulk, &answers)
        });
        Self {
            desk,
            engine: Some(engine),
            queues: Some(queues),
            completions,
            answered: Some(answered),
            fate: threads.fate,
            counters,
        }
    }

    /// The disk of an arbiter.
    pub fn arbiter(store: Box<dyn ArbiterStore>) -> Self {
        let (report, completions) = async_channel::unbounded();
        let threads = Threads::new(report);
        let (queues, ends) = Queues::new();
        let counters = Arc::new(Counters::default());
        let worker = Worker {
            scheduler: Scheduler::arbiter(),
            store: Store::Arbiter(store),
            told: ends.told,
            outlets: Outlets {
                report: threads.report.clone(),
                applies: None,
                checkpoints: None,
            },
            counters: counters.clone(),
            fate: threads.fate.clone(),
        };
        threads.spawn("lockstep-log", || worker.run());
        Self {
            desk: Desk::arbiter(),
            engine: None,
            queues: Some(queues),
            completions,
            answered: None,
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
            answered: None,
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

    /// Room on it, as of now; nothing is known of an arbiter's.
    pub(super) fn room(&self) -> Room {
        self.engine().map(Engine::room).unwrap_or_default()
    }

    /// What the log has done since it was opened.
    pub(super) fn counts(&self) -> Counts {
        self.counters.counts()
    }

    /// Where the threads report; never anything for `none`.
    pub(super) fn completions(&self) -> Option<Receiver<Completion>> {
        self.queues.is_some().then(|| self.completions.clone())
    }

    /// Where the threads hand back what they have read; never anything but for a replica.
    pub(super) fn answered(&self) -> Option<Receiver<Report>> {
        self.answered.clone()
    }

    /// Hands on what a round has led to, as one group a thread.
    pub(super) fn hand_on(&mut self, handed: &mut Vec<Handed>) {
        if let Some(queues) = &mut self.queues {
            queues.hand_on(handed);
        }
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
            Err(DriverError::DiskHangs)
        })
    }

    /// The threads come to their end, and the last one closes the channel of the reports.
    fn end(&mut self) {
        // Nobody takes answers any more, and who hands them back must not wait.
        self.answered = None;
        if let Some(queues) = self.queues.take() {
            queues.close();
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
