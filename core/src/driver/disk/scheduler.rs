//! The thread that steps the scheduler and carries out its jobs, since whoever is done with a sync knows best what the next
//! one is for.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, mpsc::Receiver};
use std::time::Duration;

use async_channel::Sender;

use crate::driver::clock::Clock;
use crate::engine::{ArbiterStore, Engine, LogStore, StoreError};
use crate::storage;
use crate::storage::committed::Committed;
use crate::storage::scheduler::{Job, Order, Outcome, Scheduler, Told};

use super::counts::Counters;
use super::report::{Completion, Fate, send};

/// A thread that waits for something that never becomes due looks up this often.
const WAIT_MAX: Duration = Duration::from_secs(60);

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
pub(super) struct Outlets {
    pub(super) report: Sender<Completion>,
    /// Nobody applies or makes checkpoints at an arbiter.
    pub(super) applies: Option<mpsc::Sender<Committed>>,
    pub(super) checkpoints: Option<mpsc::Sender<()>>,
}

impl Outlets {
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

/// What the thread works with.
pub(super) struct Worker {
    pub(super) scheduler: Scheduler,
    pub(super) store: Store,
    pub(super) told: Receiver<Vec<Told>>,
    pub(super) outlets: Outlets,
    pub(super) counters: Arc<Counters>,
    pub(super) fate: Fate,
}

impl Worker {
    /// Steps the scheduler and carries out its jobs, until it is finished.
    pub(super) fn run(self) -> Result<(), StoreError> {
        let Self {
            mut scheduler,
            mut store,
            told,
            outlets,
            counters,
            fate,
        } = self;
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
            outlets.pass_on(&mut orders);
            let job = scheduler.job();
            is_idle = job.is_none();
            if let Some(job) = job {
                let outcome = store.carry_out(job)?;
                scheduler.done(Clock.now(), outcome, &mut orders);
                counters.set(scheduler.counts());
                outlets.pass_on(&mut orders);
            }
        }
        Ok(())
    }
}
