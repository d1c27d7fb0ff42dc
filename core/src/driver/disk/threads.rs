//! The threads of a disk: each owns what it works on, waits for orders, and decides nothing.
//!
//! The scheduler's thread steps the machine that decides ([`Scheduler`]) and carries out its jobs, since whoever is done with a
//! sync knows best what the next one is for.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, mpsc::Receiver};
use std::time::Duration;

use async_channel::Sender;

use crate::config::Position;
use crate::driver::clock::Clock;
use crate::engine::{ArbiterStore, Engine, LogStore, StoreError};
use crate::operation::Key;
use crate::storage::committed::Committed;
use crate::storage::desk::BulkRequest;
use crate::storage::scheduler::{Job, Order, Outcome, Report, Scheduler, Told};
use crate::storage::{self, Answer, Ticket, Views};

use super::counts::Counters;
use super::{Completion, Fate, send};

/// A thread that waits for something that never becomes due looks up this often.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Gets answered before the answers are handed back, so that the first need not wait for too many others.
const GETS_AT_ONCE: usize = 64;

/// What a scheduler's jobs are carried out on.
pub(super) enum Store {
    Replica {
        log: Box<dyn LogStore>,
        engine: Arc<dyn Engine>,
    },
    Arbiter(Box<dyn ArbiterStore>),
}

impl Store {
    fn carry_out(&mut self, job: &Job) -> Result<Outcome, StoreError> {
        match self {
            Self::Replica { log, engine } => storage::carry_out(job, log.as_mut(), engine.as_ref()),
            Self::Arbiter(store) => storage::carry_out_for_arbiter(job, store.as_mut()),
        }
    }
}

/// Where the scheduler's orders go.
pub(super) struct Desks {
    pub(super) report: Sender<Completion>,
    /// Nobody applies or makes checkpoints at an arbiter.
    pub(super) applies: Option<mpsc::Sender<Committed>>,
    pub(super) checkpoints: Option<mpsc::Sender<()>>,
}

impl Desks {
    fn pass_on(&self, orders: &mut Vec<Order>) {
        for order in orders.drain(..) {
            // Sending fails only when the thread has ended, and it has told why.
            match order {
                Order::Report(report) => send(&self.report, Completion::Report(report)),
                Order::Apply(committed) => {
                    let _ended = self.applies.as_ref().map(|applies| applies.send(committed));
                }
                Order::Checkpoint => {
                    let _ended = self.checkpoints.as_ref().map(|wanted| wanted.send(()));
                }
            }
        }
    }
}

/// Steps the scheduler and carries out its jobs, until it is finished.
pub(super) fn write(
    mut scheduler: Scheduler,
    mut store: Store,
    told: &Receiver<Vec<Told>>,
    desks: &Desks,
    counters: &Counters,
    fate: &Fate,
) -> Result<(), StoreError> {
    let mut orders = Vec::new();
    let mut is_idle = true;
    while !scheduler.is_finished() {
        let mut batch = Vec::new();
        if is_idle {
            let now = Clock.now();
            let wait = scheduler.due().map_or(WAIT_MAX, |due| due - now);
            match told.recv_timeout(wait) {
                Ok(first) => batch = first,
                Err(RecvTimeoutError::Timeout) => {}
                // Without the process that it is for: what is under way is finished.
                Err(RecvTimeoutError::Disconnected) => batch.push(Told::Close),
            }
        }
        batch.extend(told.try_iter().flatten());
        if fate.is_abandoned() {
            return Ok(());
        }
        let now = Clock.now();
        for told in batch {
            scheduler.tell(now, told, &mut orders);
        }
        scheduler.advance(now, &mut orders);
        desks.pass_on(&mut orders);
        let job = scheduler.job();
        is_idle = job.is_none();
        if let Some(job) = job {
            let outcome = store.carry_out(job)?;
            scheduler.done(Clock.now(), outcome, &mut orders);
            counters.set(scheduler.counts());
            desks.pass_on(&mut orders);
        }
    }
    Ok(())
}

/// Applies entries, where that may have to wait for the disk.
pub(super) fn apply(
    engine: &dyn Engine,
    applies: &Receiver<Committed>,
    scheduler: &mpsc::Sender<Vec<Told>>,
) -> Result<(), StoreError> {
    for committed in applies {
        let told = storage::apply(committed, engine)?;
        // Fails only when the scheduler has ended, and it has told why.
        let _ended = scheduler.send(vec![told]);
    }
    Ok(())
}

/// Makes the state durable, without holding up those who apply and read.
pub(super) fn make_checkpoints(
    engine: &dyn Engine,
    wanted: &Receiver<()>,
    scheduler: &mpsc::Sender<Vec<Told>>,
) -> Result<(), StoreError> {
    let mut durable = Position::ZERO;
    for () in wanted {
        let told = storage::checkpoint(&mut durable, engine)?;
        // Fails only when the scheduler has ended, and it has told why.
        let _ended = scheduler.send(vec![told]);
    }
    Ok(())
}

/// Answers Gets.
pub(super) fn read(
    engine: &dyn Engine,
    gets: &async_channel::Receiver<(Ticket, Key)>,
    report: &Sender<Completion>,
) -> Result<(), StoreError> {
    while let Ok(first) = gets.recv_blocking() {
        let mut answers = Vec::new();
        let mut next = Some(first);
        while let Some((ticket, key)) = next {
            answers.push((ticket, Answer::Value(engine.read(&key)?)));
            next = match answers.len() < GETS_AT_ONCE {
                true => gets.try_recv().ok(),
                false => None,
            };
        }
        send(report, Completion::Report(Report::Answered(answers)));
    }
    Ok(())
}

/// Answers scans, and owns the views: a long transfer delays other transfers and no Get.
pub(super) fn read_in_bulk(
    engine: &dyn Engine,
    requests: &Receiver<Vec<BulkRequest>>,
    report: &Sender<Completion>,
) -> Result<(), StoreError> {
    let mut views = Views::new();
    for request in requests.iter().flatten() {
        if let Some(answer) = storage::answer(request, engine, &mut views)? {
            let answers = vec![answer];
            send(report, Completion::Report(Report::Answered(answers)));
        }
    }
    Ok(())
}
