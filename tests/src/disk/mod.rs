//! The simulated disk of a node: a log and a state, or a record, and the machine that decides what they do next.
//!
//! The machine is the one that programs run ([`Scheduler`]), and so is what carries its jobs out. In a simulated cluster the log
//! and the arbiter's record are those of programs as well, over simulated files; the state is a model. The explorer, which
//! copies and compares whole disks, has models of all three. A disk knows no time: its host decides when a job, an
//! application, a checkpoint or an answer is done, and when it hangs, is full, fails or loses power.

mod engine;
mod files;
mod flaky;
mod log;
mod medium;
mod parts;
mod record;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use lockstep_core::config::{NodeId, Position, StartId};
use lockstep_core::engine::recovery::recover;
use lockstep_core::engine::{Engine, LogStore, StoreError};
use lockstep_core::limits::SessionLimits;
use lockstep_core::operation::{Entry, Key};
use lockstep_core::storage::committed::Committed;
use lockstep_core::storage::desk::{BulkRequest, Desk, TOLD_BYTES};
use lockstep_core::storage::scheduler::{Job, Order, Report, Scheduler, SchedulerOptions, Told};
use lockstep_core::storage::{self, Answer, Meta, Recovered, Save, Ticket, Views};
use lockstep_core::time::Instant;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

pub use self::engine::{Habits, ModelEngine, Pages};
pub use self::files::{Ending, FilesLog};
pub use self::log::ModelLog;
pub use self::medium::{Medium, RecordMedium};
pub use self::parts::{DiskLog, DiskState, Records, apply};
pub use self::record::{FilesRecord, ModelRecord, RecordDisk};
use crate::files::SimulatedFiles;

/// Why something is not done for now.
fn no_room() -> StoreError {
    StoreError::NoRoom {
        path: "(simulated)".into(),
    }
}

/// What the disks of all kinds of nodes have in common: a scheduler whose jobs are carried out one by one.
pub trait Drive {
    /// Hands something to the scheduler's thread, which takes it up when it is done with its job.
    fn tell(&mut self, told: Told);

    /// The thread takes up what it was told, and finds out what to do next.
    fn advance(&mut self, now: Instant, orders: &mut Vec<Order>);

    /// What the thread is carrying out.
    fn job(&self) -> Option<&Job>;

    /// It is done with that.
    ///
    /// # Errors
    /// What ends the process.
    fn finish_job(&mut self, now: Instant, orders: &mut Vec<Order>) -> Result<(), StoreError>;

    /// When the thread looks up again although nobody has told it anything.
    fn due(&self) -> Option<Instant>;
}

/// When a replica's disk does what, and how much is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DiskOptions {
    /// The scheduler's.
    pub scheduler: SchedulerOptions,
    /// Of the desk: see [`Desk::replica`].
    pub told_bytes: u64,
    /// Of the log over files: see [`StoreOptions`](lockstep_core::engine::durable::StoreOptions).
    pub segment_bytes: u64,
}

impl DiskOptions {
    /// What programs have, for a log that keeps so many bytes of entries.
    pub fn for_log(log_bytes_max: u64) -> Self {
        Self {
            scheduler: SchedulerOptions::for_log(log_bytes_max),
            told_bytes: TOLD_BYTES,
            // Few, so that a log has several, and is trimmed. That they have 64 MiB in programs makes no other difference.
            segment_bytes: log_bytes_max.min(1 << 10),
        }
    }
}

/// The disk of one data directory of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Disk<L = ModelLog> {
    options: DiskOptions,
    log: L,
    engine: ModelEngine,
    /// While a process runs.
    scheduler: Option<Scheduler>,
    told: VecDeque<Told>,
    /// The last checkpoint of this process.
    checkpointed: Position,
    views: BTreeMap<Ticket, Arc<DiskState>>,
}

/// What a crash did to a disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loss {
    /// Entries that were written and not synced, and are gone.
    pub entries_lost: usize,
    /// Some entries of one append survived, and some did not.
    pub is_torn: bool,
    /// The state fell back to an earlier checkpoint.
    pub state_fell_back: bool,
}

impl<L: Medium> Disk<L> {
    fn of(log: L, options: DiskOptions) -> Self {
        Self {
            options,
            log,
            engine: ModelEngine::default(),
            scheduler: None,
            told: VecDeque::new(),
            checkpointed: Position::ZERO,
            views: BTreeMap::new(),
        }
    }

    /// What the node knows about itself, durably.
    pub fn meta(&self) -> &Meta {
        self.log.meta()
    }

    /// The durable log.
    pub fn log(&self) -> &DiskLog {
        self.log.durable()
    }

    /// The state as it is read.
    pub fn state(&self) -> Arc<DiskState> {
        self.engine.present()
    }

    /// The state, for whoever asks it directly.
    pub fn engine(&self) -> &ModelEngine {
        &self.engine
    }

    /// Does `entry` survive a loss of power now, in the log or in the state made of it?
    pub fn holds(&self, entry: &Entry) -> bool {
        match self.log().entry(entry.seq) {
            Some(held) => **held == *entry,
            None => self.log().start().covers(entry.seq),
        }
    }

    /// Bytes of entries and records asked for and not yet written.
    pub fn bytes_waiting(&self) -> usize {
        let told = self.told.iter().map(|told| match told {
            Told::Save(_, save) => save.bytes(),
            _ => 0,
        });
        let scheduler = self.scheduler.as_ref().map_or(0, Scheduler::bytes_waiting);
        scheduler + told.sum::<usize>()
    }

    /// Is there something that its scheduler is not done with?
    pub fn is_busy(&self) -> bool {
        let is_told = |told: &Told| matches!(told, Told::Save(..) | Told::Read { .. });
        let scheduler = self.scheduler.as_ref();
        self.told.iter().any(is_told) || scheduler.is_some_and(|scheduler| !scheduler.is_idle())
    }

    /// Is a state in its place, and the log still to begin anew behind it?
    pub fn is_between_states(&self) -> bool {
        self.scheduler
            .as_ref()
            .is_some_and(Scheduler::is_between_states)
    }

    /// States held fixed.
    pub fn views_open(&self) -> usize {
        self.views.len()
    }

    // ------------------------------------------------------------------------------------ beside the scheduler

    /// Carries out `Order::Apply`.
    ///
    /// # Errors
    /// What ends the process.
    pub fn apply(&mut self, committed: Committed) -> Result<(), StoreError> {
        let told = storage::apply(committed, &self.engine)?;
        self.told.push_back(told);
        Ok(())
    }

    /// Carries out `Order::Checkpoint`.
    ///
    /// # Errors
    /// What ends the process.
    pub fn checkpoint(&mut self) -> Result<(), StoreError> {
        let told = storage::checkpoint(&mut self.checkpointed, &self.engine)?;
        self.told.push_back(told);
        Ok(())
    }

    /// Answers a Get, as of now.
    ///
    /// # Errors
    /// What ends the process.
    pub fn get(&self, key: &Key) -> Result<Answer, StoreError> {
        self.engine.read(key).map(Answer::Record)
    }

    /// Answers what is asked of whoever reads in bulk, as of now, if it has an answer.
    ///
    /// # Errors
    /// What ends the process.
    pub fn answer(&mut self, request: BulkRequest) -> Result<Option<(Ticket, Answer)>, StoreError> {
        let mut open = Views::new();
        let (opens, closes) = match &request {
            BulkRequest::OpenView { ticket } => (Some(*ticket), None),
            BulkRequest::CloseView { view } => (None, Some(*view)),
            BulkRequest::ReadView { view, .. } => {
                if let Some(state) = self.views.get(view) {
                    open.insert(*view, ModelEngine::view_of(state, Pages::Short));
                }
                (None, None)
            }
            BulkRequest::Scan { .. } => (None, None),
        };
        let answer = storage::answer(request, &self.engine, &mut open)?;
        self.views
            .extend(opens.map(|view| (view, self.engine.present())));
        closes.and_then(|view| self.views.remove(&view));
        Ok(answer)
    }

    // ------------------------------------------------------------------------------------- starts and ends

    /// A process starts: what it finds, and its side of the disk.
    ///
    /// # Errors
    /// If it cannot be started from.
    pub fn start(
        &mut self,
        now: Instant,
        limits: &SessionLimits,
        start: StartId,
    ) -> Result<(Recovered, Desk), StoreError> {
        self.log.open()?;
        let recovered = recover(&mut self.log, &self.engine, limits, start);
        let recovered = recovered.inspect_err(|_| self.log.close())?;
        let (start, end) = (self.log.start(), self.log.end());
        self.scheduler = Some(Scheduler::replica(
            now,
            self.options.scheduler.clone(),
            start,
        ));
        Ok((recovered, Desk::replica(end, self.options.told_bytes)))
    }

    /// Is there something in the state that its checkpoint does not have?
    pub fn may_fall_back(&self) -> bool {
        self.engine.may_fall_back()
    }

    /// The process has ended in good order; what it asked for is on the disk, as far as there is room.
    ///
    /// # Errors
    /// What failed on the way.
    pub fn stop(&mut self, now: Instant) -> Result<(), StoreError> {
        self.told.push_back(Told::Close);
        let mut orders = Vec::new();
        loop {
            self.advance(now, &mut orders);
            for order in std::mem::take(&mut orders) {
                match order {
                    Order::Report(_) => {}
                    Order::Apply(committed) => self.apply(committed)?,
                    Order::Checkpoint => self.checkpoint()?,
                }
            }
            if self.job().is_some() {
                self.finish_job(now, &mut orders)?;
            } else if self.told.is_empty() {
                break;
            }
        }
        self.log.close();
        self.engine.crash(false);
        self.forget_process();
        Ok(())
    }

    fn forget_process(&mut self) {
        self.scheduler = None;
        self.told.clear();
        self.checkpointed = Position::ZERO;
        self.views.clear();
    }
}

impl Disk {
    /// The empty data directory of a new node.
    pub fn new(node: NodeId, options: DiskOptions) -> Self {
        Self::of(ModelLog::new(node), options)
    }

    /// From now on it says that it syncs, and does not.
    pub fn lie(&mut self, lies: bool) {
        self.log.lies = lies;
    }

    /// How many different moments power could be lost at while what waits is being written; every entry is one.
    pub fn moments(&self) -> usize {
        let saves = self.told.iter().filter_map(|told| match told {
            Told::Save(_, save) => Some(save),
            _ => None,
        });
        saves.map(moments_of).sum()
    }

    /// Power is lost at one of the `moments`, and the state falls back to its checkpoint if that is wanted.
    ///
    /// # Panics
    /// If the disk does not do what it is asked for.
    pub fn crash_at(&mut self, now: Instant, moment: usize, falls_back: bool) {
        let mut left = moment;
        let mut orders = Vec::new();
        self.advance(now, &mut orders);
        while let Some(job) = self.job() {
            let moments = moments_of_job(job);
            if left < moments {
                if let Job::Save(Save::Append { entries, committed }) = job.clone() {
                    let appended = self.log.append(&entries[..left], committed);
                    appended.expect("the disk works");
                }
                break;
            }
            left -= moments;
            self.finish_job(now, &mut orders).expect("the disk works");
            self.advance(now, &mut orders);
        }
        self.power_off(self.log.unsynced(), falls_back);
    }

    /// Lets the scheduler work until it has reported a save, or has nothing to do. What it wants of others is done at once.
    ///
    /// # Errors
    /// What ends the process.
    pub fn save_some(&mut self, now: Instant) -> Result<Vec<Report>, StoreError> {
        let mut reports = Vec::new();
        let mut orders = Vec::new();
        loop {
            self.advance(now, &mut orders);
            for order in std::mem::take(&mut orders) {
                match order {
                    Order::Report(report) => reports.push(report),
                    Order::Apply(committed) => self.apply(committed)?,
                    Order::Checkpoint => self.checkpoint()?,
                }
            }
            let is_saved = |report: &Report| matches!(report, Report::Persisted(_));
            if self.job().is_none() && self.told.is_empty() || reports.iter().any(is_saved) {
                return Ok(reports);
            }
            self.finish_job(now, &mut orders)?;
        }
    }

    fn power_off(&mut self, kept: usize, falls_back: bool) {
        self.log.crash(kept);
        self.engine.crash(falls_back);
        self.forget_process();
    }
}

impl Disk<FilesLog> {
    /// The empty data directory of a new node, whose files draw from the seed.
    pub fn over_files(node: NodeId, options: DiskOptions, seed: u64) -> Self {
        Self::of(FilesLog::new(node, options.segment_bytes, seed), options)
    }

    /// What its log does to files is done in this directory of the operating system as well.
    pub fn compare_with(&mut self, directory: PathBuf) {
        self.log.compare_with(directory);
    }

    /// The files, to have something go wrong with them.
    pub fn files(&self) -> &SimulatedFiles {
        self.log.files()
    }

    /// Makes the disk full, or makes room.
    pub fn set_full(&mut self, full: Full) {
        self.log.set_full(full);
        self.engine.behave(|habits| {
            habits.is_full = matches!(full, Full::All | Full::State);
            habits.is_apply_refused = matches!(full, Full::State | Full::Apply);
        });
    }

    /// From now on its log refuses up to three writes after each that it carries out: the flaky persistence of the official
    /// cases.
    pub fn make_flaky(&mut self, seed: u64) {
        self.log.make_flaky(seed);
    }

    /// The data directory copied as it is, if one that a loss of power has left is.
    ///
    /// # Panics
    /// If that must not be.
    pub fn copy(&self, rng: &mut ChaCha8Rng) -> Self {
        let mut copy = Self::of(self.log.copy(rng), self.options.clone());
        copy.engine = self.engine.clone();
        copy.engine.crash(rng.random_bool(0.5));
        copy
    }

    /// The process ends, now or somewhere in its job. Of the applied state any checkpoint survives, or all.
    ///
    /// # Errors
    /// If what is left must not be.
    pub fn end(&mut self, ending: Ending, rng: &mut ChaCha8Rng) -> Result<Loss, String> {
        if let Some(job) = self.job().cloned()
            && ending != Ending::DiskFailed
            && rng.random_bool(0.7)
        {
            files::cut_soon(self.log.files(), rng);
            // What became of it nobody hears any more.
            let _ = storage::carry_out(&job, &mut self.log, &self.engine);
        }
        let lost = self.log.cease(ending, rng)?;
        let falls_back = rng.random_bool(0.5);
        let state_fell_back = falls_back && self.engine.may_fall_back();
        self.engine.crash(falls_back);
        self.forget_process();
        Ok(Loss {
            entries_lost: lost.entries_lost,
            is_torn: lost.is_torn,
            state_fell_back,
        })
    }
}

impl<L: Medium> Drive for Disk<L> {
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
            if let Job::Save(Save::Install { at, .. }) = job {
                let applied = self.engine.applied();
                assert!(
                    applied <= at.position,
                    "no state is replaced by an older one"
                );
            }
            let outcome = storage::carry_out(job, &mut self.log, &self.engine)?;
            scheduler.done(now, outcome, orders);
        }
        Ok(())
    }

    fn due(&self) -> Option<Instant> {
        self.scheduler.as_ref()?.due()
    }
}

/// What of a disk has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Full {
    /// Nothing: it has room.
    Nothing,
    /// The disk, to the last byte.
    All,
    /// The log has none for entries, while there is some for what a reserve is kept for.
    Log,
    /// The state alone, which then refuses entries as well.
    State,
    /// The state has none for entries, while there is some for what another state is collected in.
    Apply,
}

fn moments_of(save: &Save) -> usize {
    match save {
        Save::Append { entries, .. } => entries.len(),
        // Between the state and the log that follows it.
        Save::Install { .. } => 2,
        Save::Truncate { .. }
        | Save::Meta(_)
        | Save::StageBegin
        | Save::Stage { .. }
        | Save::Arbiter(_) => 1,
    }
}

fn moments_of_job(job: &Job) -> usize {
    match job {
        Job::Save(Save::Append { entries, .. }) => entries.len(),
        Job::Sync | Job::Trim { .. } | Job::Read { .. } => 0,
        Job::Save(
            Save::Truncate { .. }
            | Save::Meta(_)
            | Save::StageBegin
            | Save::Stage { .. }
            | Save::Install { .. }
            | Save::Arbiter(_),
        )
        | Job::Reset { .. } => 1,
    }
}
