//! The storage side of a process: carries out its writes and queries on threads of its own, so that no step ever
//! waits for the disk, and whatever arrives while a sync runs shares the next one.
//!
//! - `log`: the log thread. Order and durability of writes; group commit.
//! - `state`: the state thread applies committed entries and takes in transferred states; `checkpoints` beside it.
//! - `reads`: answers to Gets that need the disk on threads of their own, scans and views on another. What memory has
//!   is answered at once.
//! - `record`: the arbiter's only write.
//! - `counts`: what the log has done, for people.
//! - `order`: the state never gets ahead of the log.
//! - `tickets`: what is asked for again is not done again.
//!
//! The queues to the threads are unbounded: a process bounds what it has asked for and not got (`limits`).

mod applier;
mod counts;
mod log;
mod order;
mod reads;
mod record;
mod state;
#[cfg(test)]
mod tests;
mod tickets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::thread;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_std::future::timeout;

use crate::config::Position;
use crate::driver::{DriverError, panic_text};
use crate::engine::{ArbiterStore, Engine, LogStore, StoreError};
use crate::operation::Entry;
use crate::sessions::SessionChanges;
use crate::storage::{Answer, Query, Ticket, Write};

use self::applier::Applier;
use self::counts::{Counters, Counts};
use self::log::{LogRequest, LogThread};
use self::order::{Committed, Order};
use self::reads::{BulkRequest, BulkThread, Gets, Reader};
use self::record::{RecordRequest, RecordThread};
use self::state::{Checkpointer, Checkpoints, Installs, StateRequest, StateThread};
use self::tickets::Tickets;

/// Threads that answer Gets: one can wait for the disk while the other reads from memory.
const READERS: usize = 2;

/// Closing gives up waiting for the disk after this; the threads still finish what they have.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// The disk of one process. Made by the caller, handed to [`spawn`](crate::driver::spawn).
#[derive(Debug)]
pub struct Storage {
    disk: Disk,
    tickets: Tickets,
    completions: Receiver<Completion>,
    fate: Fate,
    counters: Arc<Counters>,
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a process has one, which stays where it is"
)]
enum Disk {
    None,
    Arbiter {
        record: Queue<RecordRequest>,
    },
    Replica {
        log: Queue<LogRequest>,
        state: Applier,
        gets: Gets,
        bulk: Queue<BulkRequest>,
        order: Order,
    },
}

/// What the threads report.
#[derive(Debug)]
pub(super) enum Completion {
    /// These writes are durable.
    Persisted(Vec<Ticket>),
    /// These writes were asked for out of order and not done.
    Ignored(Vec<Ticket>),
    /// A write found no room; everything asked for with it and behind it was thrown away.
    DiskFull,
    /// The state contains the entries before this.
    Applied(Position),
    /// The log begins here.
    Trimmed(Position),
    /// Answers to queries.
    Answered(Vec<(Ticket, Answer)>),
    /// The process must end.
    Failed(DriverError),
}

/// What needed neither thread nor disk.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The state contains the entries before this.
    pub(super) applied: Option<Position>,
    /// Answers to queries.
    pub(super) answers: Vec<(Ticket, Answer)>,
}

/// A durable change as it is handed to a thread.
#[derive(Debug)]
struct Submission<T> {
    ticket: Ticket,
    /// Raised by each `DiskFull` the process was told of: what it asked for before, it did not know of that.
    generation: u64,
    write: T,
}

impl Storage {
    /// The disk of a replica. `log_bytes_max`: entries kept in the log for replicas that come back.
    pub fn replica(log: Box<dyn LogStore>, engine: Arc<dyn Engine>, log_bytes_max: u64) -> Self {
        let (report, completions) = async_channel::unbounded();
        let fate = Fate::default();
        let order = Order::new(log.end());
        let (log_queue, log_requests) = Queue::new();
        let (state_queue, state_requests) = Queue::new();
        let (bulk_queue, bulk_requests) = Queue::new();
        let (gets, get_requests) = Gets::new(engine.clone());
        let (checkpoints, checkpoint_calls) = Checkpoints::new();
        let (installs, install_calls) = Installs::new();
        let threads = Threads {
            report: report.clone(),
            fate: fate.clone(),
        };

        let counters = Arc::new(Counters::default());
        let thread = LogThread::new(
            log,
            log_bytes_max,
            installs,
            report.clone(),
            fate.clone(),
            counters.clone(),
        );
        threads.spawn("lockstep-log", move || thread.run(&log_requests));

        let thread = StateThread::new(
            engine.clone(),
            log_bytes_max,
            install_calls,
            log_queue.requests.clone(),
            checkpoints,
            report.clone(),
            fate.clone(),
        );
        threads.spawn("lockstep-state", move || thread.run(&state_requests));

        let thread =
            Checkpointer::new(engine.clone(), log_queue.requests.clone(), checkpoint_calls);
        threads.spawn("lockstep-checkpoint", move || thread.run());

        for _ in 0..READERS {
            let thread = Reader::new(engine.clone(), get_requests.clone(), report.clone());
            threads.spawn("lockstep-read", move || thread.run());
        }

        let thread = BulkThread::new(engine.clone(), report);
        threads.spawn("lockstep-scan", move || thread.run(&bulk_requests));

        Self {
            disk: Disk::Replica {
                log: log_queue,
                state: Applier::new(engine, state_queue),
                gets,
                bulk: bulk_queue,
                order,
            },
            tickets: Tickets::default(),
            completions,
            fate,
            counters,
        }
    }

    /// The disk of an arbiter.
    pub fn arbiter(store: Box<dyn ArbiterStore>) -> Self {
        let (report, completions) = async_channel::unbounded();
        let fate = Fate::default();
        let (record, requests) = Queue::new();
        let thread = RecordThread::new(store, report.clone(), fate.clone());
        Threads {
            report,
            fate: fate.clone(),
        }
        .spawn("lockstep-record", move || thread.run(&requests));
        Self {
            disk: Disk::Arbiter { record },
            tickets: Tickets::default(),
            completions,
            fate,
            counters: Arc::default(),
        }
    }

    /// No disk: for clients. A process that asks for one anyhow is ended.
    pub fn none() -> Self {
        let (report, completions) = async_channel::unbounded();
        // Kept open by nobody: such a storage never has anything to report.
        drop(report);
        Self {
            disk: Disk::None,
            tickets: Tickets::default(),
            completions,
            fate: Fate::default(),
            counters: Arc::default(),
        }
    }

    /// What the log has done since it was opened.
    pub(super) fn counts(&self) -> Counts {
        self.counters.counts()
    }

    /// Where the threads report; never anything for `none`.
    pub(super) fn completions(&self) -> Option<Receiver<Completion>> {
        match self.disk {
            Disk::None => None,
            Disk::Arbiter { .. } | Disk::Replica { .. } => Some(self.completions.clone()),
        }
    }

    /// Notes down a write for the next `flush`.
    pub(super) fn persist(&mut self, ticket: Ticket, write: Write) -> Result<(), DriverError> {
        if !self.tickets.admit(ticket) {
            return Ok(());
        }
        let generation = self.tickets.generation();
        match (&mut self.disk, write) {
            (Disk::Arbiter { record }, Write::Arbiter(write)) => {
                record.push(Submission {
                    ticket,
                    generation,
                    write,
                });
            }
            (
                Disk::Replica {
                    log, state, order, ..
                },
                write,
            ) => {
                order.on_write(ticket, &write);
                let (for_log, for_state) = split(write)?;
                if let Some(write) = for_state {
                    state.thread().push(StateRequest::Write(Submission {
                        ticket,
                        generation,
                        write,
                    }));
                }
                if let Some(write) = for_log {
                    log.push(LogRequest::Write(Submission {
                        ticket,
                        generation,
                        write,
                    }));
                }
            }
            (Disk::None | Disk::Arbiter { .. }, _) => return Err(DriverError::NoStorage),
        }
        Ok(())
    }

    /// Notes down entries to apply for the next `flush`.
    pub(super) fn apply(
        &mut self,
        entries: Vec<Arc<Entry>>,
        sessions: SessionChanges,
    ) -> Result<(), DriverError> {
        let Disk::Replica { order, .. } = &mut self.disk else {
            return Err(DriverError::NoStorage);
        };
        order.hold(Committed { entries, sessions });
        self.release()
    }

    /// Applies the entries that have become durable in the log.
    fn release(&mut self) -> Result<(), DriverError> {
        if let Disk::Replica { state, order, .. } = &mut self.disk {
            while let Some(committed) = order.release() {
                state.apply(committed)?;
            }
        }
        Ok(())
    }

    /// Hands over a question. Whatever was reported as `Applied` before is in its answer.
    pub(super) fn query(&mut self, ticket: Ticket, query: Query) -> Result<(), DriverError> {
        let Disk::Replica {
            log, gets, bulk, ..
        } = &mut self.disk
        else {
            return Err(DriverError::NoStorage);
        };
        match query {
            Query::Get { key } => gets.ask(ticket, key),
            Query::Scan { after, limit } => bulk.push(BulkRequest::Scan {
                ticket,
                after,
                limit,
            }),
            Query::Log { from } => log.push(LogRequest::Read { ticket, from }),
            Query::Usage => unreachable!("the driver answers this itself"),
            Query::OpenView => bulk.push(BulkRequest::OpenView { ticket }),
            Query::ReadView { view, after } => bulk.push(BulkRequest::ReadView {
                ticket,
                view,
                after,
            }),
        }
        Ok(())
    }

    /// Takes what was done at once.
    pub(super) fn take_done(&mut self) -> Done {
        match &mut self.disk {
            Disk::Replica { gets, state, .. } => Done {
                applied: state.take_applied(),
                answers: gets.take_answers(),
            },
            Disk::None | Disk::Arbiter { .. } => Done::default(),
        }
    }

    /// The process is about to be told how far the state thread has applied.
    pub(super) fn on_applied(&mut self, position: Position) {
        if let Disk::Replica { state, .. } = &mut self.disk {
            state.on_applied(position);
        }
    }

    /// Lets go of a view.
    pub(super) fn close_view(&mut self, view: Ticket) -> Result<(), DriverError> {
        let Disk::Replica { bulk, .. } = &mut self.disk else {
            return Err(DriverError::NoStorage);
        };
        bulk.push(BulkRequest::CloseView { view });
        Ok(())
    }

    /// Keeps the log from `from` on.
    pub(super) fn retain(&mut self, from: Position) -> Result<(), DriverError> {
        let Disk::Replica { log, .. } = &mut self.disk else {
            return Err(DriverError::NoStorage);
        };
        log.push(LogRequest::Retain(from));
        Ok(())
    }

    /// Hands over what was noted down, as one group a thread.
    pub(super) fn flush(&mut self) {
        match &mut self.disk {
            Disk::None => {}
            Disk::Arbiter { record } => record.flush(),
            Disk::Replica {
                log, state, bulk, ..
            } => {
                log.flush();
                state.thread().flush();
                bulk.flush();
            }
        }
    }

    /// The process is about to be told that the write is durable.
    pub(super) fn on_persisted(&mut self, ticket: Ticket) -> Result<(), DriverError> {
        self.tickets.done(ticket);
        if let Disk::Replica { order, .. } = &mut self.disk {
            order.on_persisted(ticket);
        }
        self.release()
    }

    /// The write was not done; asked for again, it will be tried again.
    pub(super) fn on_ignored(&mut self, ticket: Ticket) {
        self.tickets.undone(ticket);
    }

    /// The process is about to be told that the disk is full.
    pub(super) fn on_disk_full(&mut self) {
        self.tickets.all_undone();
        if let Disk::Replica { order, .. } = &mut self.disk {
            order.on_disk_full();
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
        self.flush();
        // Without their queues the threads come to their end, and the last one closes the channel of the reports.
        self.disk = Disk::None;
        self.fate.enter(Phase::Closing);
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
}

/// Which thread does what of a write. An Install concerns both.
fn split(write: Write) -> Result<(Option<log::LogWrite>, Option<state::StateWrite>), DriverError> {
    use log::LogWrite;
    use state::StateWrite;
    Ok(match write {
        Write::Append { entries, committed } => {
            (Some(LogWrite::Append { entries, committed }), None)
        }
        Write::Truncate { keep } => (Some(LogWrite::Truncate { keep }), None),
        Write::Meta(meta) => (Some(LogWrite::Meta(meta)), None),
        Write::StageBegin => (None, Some(StateWrite::StageBegin)),
        Write::Stage { records, sessions } => (None, Some(StateWrite::Stage { records, sessions })),
        Write::Install { at, history } => (
            Some(LogWrite::Install {
                at,
                history: history.clone(),
            }),
            Some(StateWrite::Install { at, history }),
        ),
        Write::Arbiter(_) => return Err(DriverError::NoStorage),
    })
}

/// What is collected for a thread during a round of the loop, and handed over as one.
#[derive(Debug)]
struct Queue<T> {
    noted: Vec<T>,
    requests: mpsc::Sender<Vec<T>>,
}

impl<T> Queue<T> {
    fn new() -> (Self, mpsc::Receiver<Vec<T>>) {
        let (requests, receiver) = mpsc::channel();
        (
            Self {
                noted: Vec::new(),
                requests,
            },
            receiver,
        )
    }

    fn push(&mut self, request: T) {
        self.noted.push(request);
    }

    fn flush(&mut self) {
        if !self.noted.is_empty() {
            // Fails only when the thread has ended, and it has told why.
            let _ended = self.requests.send(std::mem::take(&mut self.noted));
        }
    }
}

/// Whether the threads are to go on; shared by them.
#[derive(Clone, Debug, Default)]
struct Fate {
    shared: Arc<(Mutex<Phase>, Condvar)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Running,
    /// What can be done is finished; what cannot be done is not tried again.
    Closing,
    /// Nothing more is begun.
    Abandoned,
}

impl Fate {
    fn abandon(&self) {
        self.enter(Phase::Abandoned);
    }

    fn enter(&self, phase: Phase) {
        let mut present = self.phase();
        *present = phase.max(*present);
        self.shared.1.notify_all();
    }

    fn is_abandoned(&self) -> bool {
        *self.phase() == Phase::Abandoned
    }

    /// Waits for `time`; false at once when there is no point in trying again.
    fn sleep(&self, time: Duration) -> bool {
        let waited = self
            .shared
            .1
            .wait_timeout_while(self.phase(), time, |phase| *phase == Phase::Running);
        let (phase, _) = waited.expect("nobody panics with the lock");
        *phase == Phase::Running
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.shared.0.lock().expect("nobody panics with the lock")
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.fate.enter(Phase::Closing);
    }
}

/// Starts the threads of one storage. Nobody joins them: each ends with its queue.
struct Threads {
    report: Sender<Completion>,
    fate: Fate,
}

impl Threads {
    /// Runs `body` on a thread; how it fails or panics is reported, and then nothing else is begun.
    fn spawn(&self, name: &str, body: impl FnOnce() -> Result<(), StoreError> + Send + 'static) {
        let (report, fate) = (self.report.clone(), self.fate.clone());
        let guarded = move || {
            let error = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => DriverError::Storage(error),
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
