//! The simulated disk of the arbiter: one record, replaced as a whole.

use std::collections::VecDeque;
use std::path::Path;

use lockstep_core::engine::durable::{DurableArbiter, open_arbiter_on};
use lockstep_core::engine::{ArbiterStore, StoreError};
use lockstep_core::storage::desk::Desk;
use lockstep_core::storage::scheduler::{Job, Order, Report, Scheduler, Told};
use lockstep_core::storage::{self, ArbiterKeeper};
use lockstep_core::time::Instant;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::files::{self, Ending, PLACE};
use super::medium::RecordMedium;
use super::{Drive, Full};
use crate::files::SimulatedFiles;

/// The disk of one arbiter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RecordDisk<S = ModelRecord> {
    store: S,
    /// While a process runs.
    scheduler: Option<Scheduler>,
    told: VecDeque<Told>,
}

/// A record that is durable once it is saved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelRecord(ArbiterKeeper);

impl ArbiterStore for ModelRecord {
    fn load(&self) -> Option<&ArbiterKeeper> {
        Some(&self.0)
    }

    fn save(&mut self, keeper: &ArbiterKeeper) -> Result<(), StoreError> {
        self.0 = keeper.clone();
        Ok(())
    }
}

impl RecordMedium for ModelRecord {
    fn keeper(&self) -> &ArbiterKeeper {
        &self.0
    }

    fn open(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// The record of programs, in a data directory of simulated files.
#[derive(Debug)]
pub struct FilesRecord {
    files: SimulatedFiles,
    /// While a process runs.
    store: Option<DurableArbiter>,
    keeper: ArbiterKeeper,
    /// What else may be found: records that were not saved, or not known to be.
    possible: Vec<ArbiterKeeper>,
}

impl FilesRecord {
    fn check(&self, found: Option<&ArbiterKeeper>) -> Result<ArbiterKeeper, String> {
        let mut known = [&self.keeper].into_iter().chain(&self.possible);
        match found {
            Some(found) if known.any(|record| record == found) => Ok(found.clone()),
            found => Err(format!("{found:?} was found, not {:?}", self.keeper)),
        }
    }

    fn end(&mut self, ending: Ending, rng: &mut ChaCha8Rng) -> Result<(), String> {
        files::end_process(&mut self.files, ending, rng);
        self.store = None;
        let fork = files::look_into(&self.files);
        let opened = open_arbiter_on(fork.handle(), Path::new(PLACE));
        let store = opened.map_err(|error| format!("cannot be opened any more: {error}"))?;
        self.keeper = self.check(store.load())?;
        self.possible.clear();
        Ok(())
    }
}

impl ArbiterStore for FilesRecord {
    fn load(&self) -> Option<&ArbiterKeeper> {
        Some(&self.keeper)
    }

    fn save(&mut self, keeper: &ArbiterKeeper) -> Result<(), StoreError> {
        let saved = self.store.as_mut().expect("a process runs").save(keeper);
        if saved.is_err() {
            if self.possible.last() != Some(keeper) {
                self.possible.push(keeper.clone());
            }
            return saved;
        }
        self.possible.clear();
        self.keeper = keeper.clone();
        Ok(())
    }
}

impl RecordMedium for FilesRecord {
    fn keeper(&self) -> &ArbiterKeeper {
        &self.keeper
    }

    fn open(&mut self) -> Result<(), StoreError> {
        let opened = open_arbiter_on(self.files.handle(), Path::new(PLACE));
        let store = opened.inspect_err(|_| self.files.end_process())?;
        self.keeper = self
            .check(store.load())
            .map_err(|what| StoreError::Mismatch {
                path: PLACE.into(),
                what,
            })?;
        self.store = Some(store);
        Ok(())
    }
}

impl RecordDisk {
    /// A disk that holds `keeper`.
    pub fn new(keeper: ArbiterKeeper) -> Self {
        Self::of(ModelRecord(keeper))
    }

    /// Lets the scheduler work until it has nothing to do.
    ///
    /// # Errors
    /// What ends the process.
    pub fn save_all(&mut self, now: Instant) -> Result<Vec<Report>, StoreError> {
        let mut orders = Vec::new();
        loop {
            self.advance(now, &mut orders);
            if self.job().is_none() {
                break;
            }
            self.finish_job(now, &mut orders)?;
        }
        let reports = orders.into_iter().filter_map(|order| match order {
            Order::Report(report) => Some(report),
            Order::Apply(_) | Order::Checkpoint => None,
        });
        Ok(reports.collect())
    }
}

impl RecordDisk<FilesRecord> {
    /// A disk that holds `keeper`.
    ///
    /// # Panics
    /// If the record cannot be saved.
    pub fn over_files(keeper: ArbiterKeeper, seed: u64) -> Self {
        let files = SimulatedFiles::new(seed);
        let opened = open_arbiter_on(files.handle(), Path::new(PLACE));
        let saved = opened.and_then(|mut store| store.save(&keeper));
        saved.expect("nothing goes wrong yet");
        Self::of(FilesRecord {
            files,
            store: None,
            keeper,
            possible: Vec::new(),
        })
    }

    /// The files, to have something go wrong with them.
    pub fn files(&self) -> &SimulatedFiles {
        &self.store.files
    }

    /// Makes the disk full, or makes room.
    pub fn set_full(&mut self, full: Full) {
        files::set_full(&self.store.files, full);
    }

    /// The data directory copied as a loss of power leaves it.
    ///
    /// # Panics
    /// If what that leaves must not be.
    pub fn copy(&self, rng: &mut ChaCha8Rng) -> Self {
        let mut copy = Self::of(FilesRecord {
            files: self.store.files.clone(),
            store: None,
            keeper: self.store.keeper.clone(),
            possible: self.store.possible.clone(),
        });
        let ended = copy.store.end(Ending::PowerLost, rng);
        ended.expect("a record that may be");
        copy
    }

    /// The process ends, now or while a record is being saved.
    ///
    /// # Errors
    /// If what is left must not be.
    pub fn end(&mut self, ending: Ending, rng: &mut ChaCha8Rng) -> Result<(), String> {
        if let Some(job) = self.job().cloned()
            && ending != Ending::DiskFailed
            && rng.random_bool(0.7)
        {
            files::cut_soon(&self.store.files, rng);
            // What it was told nobody hears any more.
            let _ = storage::carry_out_for_arbiter(&job, &mut self.store);
        }
        self.scheduler = None;
        self.told.clear();
        self.store.end(ending, rng)
    }
}

impl<S: RecordMedium> RecordDisk<S> {
    fn of(store: S) -> Self {
        Self {
            store,
            scheduler: None,
            told: VecDeque::new(),
        }
    }

    /// What survives a loss of power.
    pub fn keeper(&self) -> &ArbiterKeeper {
        self.store.keeper()
    }

    /// A process starts: what it finds, and its side of the disk.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub fn start(&mut self) -> Result<(ArbiterKeeper, Desk), StoreError> {
        self.store.open()?;
        self.scheduler = Some(Scheduler::arbiter());
        Ok((self.store.keeper().clone(), Desk::arbiter()))
    }
}

impl<S: RecordMedium> Drive for RecordDisk<S> {
    fn tell(&mut self, told: Told) {
        self.told.push_back(told);
    }

    fn advance(&mut self, now: Instant, orders: &mut Vec<Order>) {
        if let Some(scheduler) = &mut self.scheduler {
            for told in self.told.drain(..) {
                scheduler.tell(now, told, orders);
            }
            scheduler.advance(now, orders);
        }
    }

    fn job(&self) -> Option<&Job> {
        self.scheduler.as_ref()?.job()
    }

    fn finish_job(&mut self, now: Instant, orders: &mut Vec<Order>) -> Result<(), StoreError> {
        let Some(scheduler) = &mut self.scheduler else {
            return Ok(());
        };
        if let Some(job) = scheduler.job() {
            let outcome = storage::carry_out_for_arbiter(job, &mut self.store)?;
            scheduler.done(now, outcome, orders);
        }
        Ok(())
    }

    fn due(&self) -> Option<Instant> {
        self.scheduler.as_ref()?.due()
    }
}
