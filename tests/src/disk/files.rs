//! The durable log of programs over simulated files, and beside it what it must hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockstep_core::config::{NodeId, Position};
use lockstep_core::engine::durable::{Draw, DurableLog, StoreOptions, open_log};
use lockstep_core::engine::{LogStore, StoreError};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::operation::Entry;
use lockstep_core::storage::Meta;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::flaky::Flaky;
use super::medium::Medium;
use super::parts::DiskLog;
use super::{Full, ModelLog, no_room};
use crate::files::world::{Found, World};
use crate::files::{Fault, Injected, SimulatedFiles};

/// The data directory.
pub(super) const PLACE: &str = "/data";

/// Kept free for what must be written on a disk that is full for entries.
const RESERVE_BYTES: u64 = 256 << 10;

/// Read of a log at once.
const READ_BYTES: usize = 1 << 20;

/// Calls to the files that most jobs take; a process may end in any of them.
const CALLS_OF_A_JOB: u64 = 12;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Power is lost, and with it whatever was not synced, or some of it.
    PowerLost,
    /// It is killed; what it wrote is as it left it.
    Killed,
    /// It gives up because its disk has failed, and what was not synced is there or not.
    DiskFailed,
}

/// What the end of a process did to a log.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogLoss {
    /// Entries that were written, or were being written, and are gone.
    pub entries_lost: usize,
    /// Some entries of one append are there, and some are not.
    pub is_torn: bool,
}

/// The log of programs, in a data directory of simulated files.
///
/// Whatever is done to the log is done to a model of it as well; what the end of a process or a start finds is held against
/// that.
#[derive(Debug)]
pub struct FilesLog {
    files: SimulatedFiles,
    /// While a process runs.
    log: Option<DurableLog>,
    model: ModelLog,
    /// What else may be found: what was refused or has failed may be there, or a beginning of it.
    possible: Vec<World>,
    possible_meta: Vec<Meta>,
    /// Up to here it was to be trimmed; a part of that may be done.
    trim_tried: u64,
    segment_bytes: u64,
    flaky: Option<Flaky>,
    rng: ChaCha8Rng,
}

impl FilesLog {
    /// The empty data directory of a node that has never been started.
    pub fn new(node: NodeId, segment_bytes: u64, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Self {
            files: SimulatedFiles::new(rng.random()),
            log: None,
            model: ModelLog::new(node),
            possible: Vec::new(),
            possible_meta: Vec::new(),
            trim_tried: 0,
            segment_bytes,
            flaky: None,
            rng,
        }
    }

    /// What it does to files is done in this directory of the operating system as well.
    pub fn compare_with(&mut self, directory: PathBuf) {
        self.files.compare_with(directory);
    }

    /// The files, to have something go wrong with them.
    pub fn files(&self) -> &SimulatedFiles {
        &self.files
    }

    /// From now on it refuses up to three writes after each that it carries out.
    pub fn make_flaky(&mut self, seed: u64) {
        self.flaky = Some(Flaky::new(seed));
    }

    /// Takes room away, or gives it back.
    pub fn set_full(&mut self, full: Full) {
        set_full(&self.files, full);
        if let Some(log) = &mut self.log {
            // It looks at the room now, and not some MiB later.
            log.set_reserve_bytes(RESERVE_BYTES);
        }
    }

    /// The data directory copied as a loss of power leaves it.
    ///
    /// # Panics
    /// If what that leaves must not be.
    pub fn copy(&self, rng: &mut ChaCha8Rng) -> Self {
        let mut copy = Self {
            files: self.files.clone(),
            log: None,
            model: self.model.clone(),
            possible: self.possible.clone(),
            possible_meta: self.possible_meta.clone(),
            trim_tried: self.trim_tried,
            segment_bytes: self.segment_bytes,
            flaky: None,
            rng: ChaCha8Rng::seed_from_u64(rng.random()),
        };
        copy.cease(Ending::PowerLost, rng)
            .expect("a log that may be");
        copy
    }

    /// The process ends: what that has cost.
    ///
    /// # Errors
    /// If what is left must not be.
    pub fn cease(&mut self, ending: Ending, rng: &mut ChaCha8Rng) -> Result<LogLoss, String> {
        end_process(&mut self.files, ending, rng);
        // Only now: a process that has ended tidies nothing up.
        self.log = None;
        let fork = look_into(&self.files);
        let opened = self.open_on(&fork);
        let (log, found) = opened.map_err(|error| format!("cannot be opened any more: {error}"))?;
        let certain = match ending {
            Ending::Killed => self.model.end(),
            Ending::PowerLost | Ending::DiskFailed => self.model.durable().end(),
        };
        let end = self.model.end().0;
        let before = self.present();
        let whole = self.check(&found, log.meta(), certain)?;
        let loss = LogLoss {
            entries_lost: whole.saturating_sub(found.end()) as usize,
            is_torn: (end + 1..whole).contains(&found.end()),
        };
        match ending {
            Ending::PowerLost => {
                self.possible.clear();
                self.possible_meta.clear();
                self.trim_tried = 0;
                self.model.set(found.into());
            }
            // It is made durable by the start that finds it. Until then a loss of power may bring back what this process
            // had not cut off for good.
            Ending::Killed | Ending::DiskFailed => {
                self.possible.push(before);
                self.possible_meta.push(self.model.meta().clone());
                self.model.set_present(found.into());
            }
        }
        self.model.set_meta(log.meta());
        Ok(loss)
    }

    /// May this be found, and all of it before `certain`? Returns where the log would end that it is all or a part of.
    fn check(&self, found: &Found, meta: &Meta, certain: Position) -> Result<u64, String> {
        if meta != self.model.meta() && !self.possible_meta.contains(meta) {
            return Err(format!("{meta:?} was found, not {:?}", self.model.meta()));
        }
        let present = self.present();
        let mut wrong = Vec::new();
        for world in [&present].into_iter().chain(&self.possible) {
            let certain = certain.0.min(world.end());
            let world = World {
                certain,
                ..world.clone()
            };
            match world.check(found) {
                Ok(()) => return Ok(world.end()),
                Err(what) => wrong.push(what),
            }
        }
        Err(format!("a log was found that {}", wrong.join("; or ")))
    }

    fn open_on(&mut self, files: &SimulatedFiles) -> Result<(DurableLog, Found), StoreError> {
        // The first number that is drawn for a new directory becomes the node's.
        let is_new = !files.has(&Path::new(PLACE).join("meta"));
        let mut first = is_new.then_some(self.model.meta().node.0);
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng.random());
        let draw = Draw::from(move || first.take().unwrap_or_else(|| rng.random()));
        let options = StoreOptions {
            segment_bytes: self.segment_bytes,
            reserve_bytes: RESERVE_BYTES,
            ..StoreOptions::default()
        };
        let mut log = open_log(files.handle(), Path::new(PLACE), &options, draw)?;
        let found = Found::read(&mut log, READ_BYTES)?;
        Ok((log, found))
    }

    fn present(&self) -> World {
        let present = World::of_log(self.model.present(), self.model.durable().hint());
        present.trimmed_by(self.trim_tried)
    }

    fn log(&mut self) -> &mut DurableLog {
        self.log.as_mut().expect("a process runs")
    }

    fn running(&self) -> &DurableLog {
        self.log.as_ref().expect("a process runs")
    }

    /// Something was done to the log; or not, and `effect` may be there, until what is written next has taken its place.
    fn judge<T>(
        &mut self,
        done: Result<T, StoreError>,
        effect: impl FnOnce(World) -> World,
    ) -> Result<T, StoreError> {
        if done.is_err() {
            let effect = effect(self.present());
            if self.possible.last() != Some(&effect) {
                self.possible.push(effect);
            }
        }
        done
    }

    fn check_flaky(&mut self) -> Result<(), StoreError> {
        match self.flaky.as_mut().is_some_and(Flaky::refuses) {
            true => Err(no_room()),
            false => Ok(()),
        }
    }
}

/// Takes room away, or gives it back. Where there is none at all the file system copies what is written over: on others a
/// log goes on to the end of its segment.
pub(super) fn set_full(files: &SimulatedFiles, full: Full) {
    files.set_copies_on_write(full == Full::All);
    files.set_room(match full {
        Full::Nothing | Full::State | Full::Apply => u64::MAX,
        Full::Log => RESERVE_BYTES / 2,
        Full::All => 0,
    });
}

/// Nothing is answered any more from some call of the next job on.
pub(super) fn cut_soon(files: &SimulatedFiles, rng: &mut ChaCha8Rng) {
    let spared = rng.random_range(0..CALLS_OF_A_JOB);
    files.inject(spared, Injected::random(Fault::Cut, rng));
}

pub(super) fn end_process(files: &mut SimulatedFiles, ending: Ending, rng: &mut ChaCha8Rng) {
    files.clear_faults();
    match ending {
        Ending::PowerLost => files.crash(rng),
        Ending::Killed => files.end_process(),
        Ending::DiskFailed => {
            files.end_process();
            files.evict(rng);
        }
    }
}

/// The same files with all the room there can be, to look into them.
pub(super) fn look_into(files: &SimulatedFiles) -> SimulatedFiles {
    let fork = files.clone();
    set_full(&fork, Full::Nothing);
    fork
}

impl Medium for FilesLog {
    fn durable(&self) -> &DiskLog {
        self.model.durable()
    }

    fn open(&mut self) -> Result<(), StoreError> {
        let files = self.files.same();
        let opened = self.open_on(&files);
        let (log, found) = opened.inspect_err(|_| self.files.end_process())?;
        let end = self.model.end();
        self.check(&found, log.meta(), end)
            .map_err(|what| StoreError::Mismatch {
                path: PLACE.into(),
                what,
            })?;
        self.model.set_meta(log.meta());
        self.model.set(found.into());
        self.possible.clear();
        self.possible_meta.clear();
        self.trim_tried = 0;
        self.log = Some(log);
        Ok(())
    }

    fn close(&mut self) {
        self.files.end_process();
        self.log = None;
    }
}

impl LogStore for FilesLog {
    fn append(&mut self, entries: &[Arc<Entry>], committed: Position) -> Result<(), StoreError> {
        self.check_flaky()?;
        let done = self.log().append(entries, committed);
        self.judge(done, |world| world.with(entries, committed.0))?;
        self.possible.clear();
        self.model.append(entries, committed)
    }

    fn truncate(&mut self, end: Position) -> Result<(), StoreError> {
        self.check_flaky()?;
        let done = self.log().truncate(end);
        self.judge(done, |world| world.cut(end.0))?;
        self.possible.clear();
        self.model.truncate(end)
    }

    fn reset(&mut self, start: Position, history: &EpochHistory) -> Result<(), StoreError> {
        self.check_flaky()?;
        let done = self.log().reset(start, history);
        self.judge(done, |_| World::begun(start.0, history.clone()))?;
        self.possible.clear();
        self.model.reset(start, history)
    }

    fn trim(&mut self, before: Position, bytes_max: u64) -> Result<Position, StoreError> {
        let done = self.log().trim(before, bytes_max);
        let start = done.inspect_err(|_| {
            self.trim_tried = self.trim_tried.max(before.0);
            for world in &mut self.possible {
                *world = world.clone().trimmed_by(before.0);
            }
        })?;
        self.model.trim_to(start);
        for world in &mut self.possible {
            world.trim(start.0.max(world.start));
        }
        Ok(start)
    }

    fn save_meta(&mut self, meta: &Meta) -> Result<(), StoreError> {
        self.check_flaky()?;
        let done = self.log().save_meta(meta);
        if done.is_err() && !self.possible_meta.contains(meta) {
            self.possible_meta.push(meta.clone());
        }
        done?;
        self.possible_meta.clear();
        self.model.save_meta(meta)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        let done = self.log().sync();
        self.judge(done, |world| world)?;
        self.model.sync()
    }

    fn read(&mut self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Entry>>, StoreError> {
        self.log().read(from, bytes_max)
    }

    fn start(&self) -> Position {
        self.running().start()
    }

    fn end(&self) -> Position {
        self.running().end()
    }

    fn history(&self) -> &EpochHistory {
        self.running().history()
    }

    fn committed_hint(&self) -> Position {
        self.running().committed_hint()
    }

    fn meta(&self) -> &Meta {
        self.model.meta()
    }

    fn path(&self) -> &Path {
        Path::new(PLACE)
    }
}
