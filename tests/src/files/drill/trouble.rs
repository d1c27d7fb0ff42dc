//! What goes wrong in a drill, and whether an error that was returned has its reason in that.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lockstep_core::engine::StoreError;
use lockstep_core::engine::durable::Draw;
use lockstep_core::engine::files::Files;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::{Fault, Injected, Mishap, SimulatedFiles, Survival};
use super::{Faults, Passage, Report};
use crate::trace::Detail;

/// Where the data directory of a drill is: its parents are made as well.
pub(super) const PLACE: &str = "/srv/data";

/// The files of a drill, and what is to go wrong with them.
pub(super) struct Trouble {
    pub(super) files: SimulatedFiles,
    pub(super) rng: ChaCha8Rng,
    /// What can go wrong with a call, by this seed.
    kinds: Vec<Fault>,
    /// How often something does.
    probability: f64,
    /// Calls that go well before that.
    spared_max: u64,
    /// Does what is written over need room as well?
    copies_on_write: bool,
    /// Is room short at times?
    fills_up: bool,
    is_short: bool,
    /// What had happened when a call began.
    before: u64,
    /// May something go wrong with it but a disk that is full?
    is_injected: bool,
    passages: BTreeMap<Passage, u64>,
    detail: Detail,
    lines: Vec<String>,
}

/// What an error means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing was changed.
    Refused,
    /// The process must end.
    Fatal,
}

impl Trouble {
    pub(super) fn new(seed: u64, faults: Faults, detail: Detail) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let files = SimulatedFiles::new(rng.random());
        let mut kinds = Fault::ALL.to_vec();
        kinds.retain(|_| rng.random_bool(0.7));
        let probability = *[0.0, 0.1, 0.3].choose(&mut rng).expect("not empty");
        let spared_max = *[2, 6, 14].choose(&mut rng).expect("not empty");
        let fills_up = rng.random_bool(0.4);
        let copies_on_write = rng.random_bool(0.3);
        files.set_copies_on_write(copies_on_write);
        let is_drawn = faults == Faults::Drawn;
        if let Faults::One { call, fault } = faults {
            files.inject(call, Injected::random(fault, &mut rng));
        }
        Self {
            files,
            rng,
            probability: if is_drawn && !kinds.is_empty() {
                probability
            } else {
                0.0
            },
            kinds,
            spared_max,
            copies_on_write,
            fills_up: fills_up && is_drawn,
            is_short: false,
            before: 0,
            is_injected: matches!(faults, Faults::One { .. }),
            passages: BTreeMap::new(),
            detail,
            lines: Vec::new(),
        }
    }

    /// What came of it.
    pub(super) fn report(self, violation: Option<String>) -> Report {
        Report {
            lines: self.lines,
            violation,
            mishaps: self.files.mishaps(),
            passages: self.passages,
            calls: self.files.calls(),
        }
    }

    /// Says what is done.
    pub(super) fn say(&mut self, what: impl FnOnce() -> String) {
        if self.detail != Detail::Off {
            let line = format!("{:>5}  {}", self.files.calls(), what());
            self.lines.push(line);
        }
    }

    pub(super) fn pass(&mut self, passage: Passage) {
        *self.passages.entry(passage).or_default() += 1;
    }

    pub(super) fn handle(&self) -> Arc<dyn Files> {
        self.files.handle()
    }

    pub(super) fn path(&self) -> &'static Path {
        Path::new(PLACE)
    }

    /// Random numbers for a process.
    pub(super) fn draw(&mut self) -> Draw {
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng.random());
        Draw::from(move || rng.random())
    }

    /// Something is to be called: perhaps that goes wrong.
    pub(super) fn begin(&mut self) {
        self.before = self.mishaps();
        self.is_injected &= self.probability == 0.0 || self.files.is_cut();
        if self.rng.random_bool(self.probability) {
            self.is_injected = true;
            for _ in 0..self.rng.random_range(1..=2) {
                let fault = *self.kinds.choose(&mut self.rng).expect("not empty");
                let spared = self.rng.random_range(0..=self.spared_max);
                let injected = Injected::random(fault, &mut self.rng);
                self.say(|| format!("  {fault:?} after {spared} calls"));
                self.files.inject(spared, injected);
            }
        }
        if self.fills_up && self.rng.random_bool(0.15) {
            self.is_short = true;
            let shortest = self.rng.random_bool(0.5);
            let bytes = if shortest {
                0
            } else {
                self.rng.random_range(0..200_000)
            };
            self.say(|| format!("  room for {bytes} bytes"));
            self.files.set_room(bytes);
        } else if self.is_short && self.rng.random_bool(0.3) {
            self.make_room();
        }
    }

    /// Power is lost.
    pub(super) fn crash(&mut self) {
        let survival = self.files.any_survival(&mut self.rng);
        self.say(|| format!("power is lost, and leaves {survival:?}"));
        self.files.crash_leaving(survival, &mut self.rng);
    }

    /// The process is gone.
    pub(super) fn end_process(&mut self) {
        self.say(|| "the process ends".to_owned());
        self.files.end_process();
    }

    /// The cache forgets some of what a failed sync has dropped.
    pub(super) fn evict(&mut self) {
        self.files.evict(&mut self.rng);
    }

    /// What a loss of power would leave at this moment: the least, and something.
    pub(super) fn forks(&mut self) -> [SimulatedFiles; 2] {
        let any = self.files.any_survival(&mut self.rng);
        [Survival::Nothing, any].map(|survival| self.files.after_crash(survival, &mut self.rng))
    }

    /// The files at this moment, to look into them.
    pub(super) fn all_as_it_is(&mut self) -> Arc<dyn Files> {
        let fork = self.files.after_crash(Survival::Everything, &mut self.rng);
        fork.handle()
    }

    pub(super) fn make_room(&mut self) {
        self.is_short = false;
        self.say(|| "  room again".to_owned());
        self.files.set_room(u64::MAX);
    }

    /// What the error means that it has returned, if that has a reason.
    pub(super) fn judge(&mut self, error: &StoreError) -> Result<Outcome, String> {
        self.say(|| format!("  {error:?}"));
        let has_reason = self.mishaps() > self.before || self.is_short || self.files.is_cut();
        let outcome = match error {
            StoreError::NoRoom { .. } => Outcome::Refused,
            StoreError::Io { .. } => Outcome::Fatal,
            StoreError::Damaged { .. }
            | StoreError::Format { .. }
            | StoreError::Locked { .. }
            | StoreError::Mismatch { .. }
            | StoreError::Engine(_) => return Err(format!("returned {error:?}")),
            other => return Err(format!("an error to judge: {other:?}")),
        };
        if !has_reason {
            return Err(format!("returned {error:?}, and nothing went wrong"));
        }
        if outcome == Outcome::Fatal && !self.is_injected && !self.copies_on_write {
            return Err(format!("returned {error:?}, and the disk was only full"));
        }
        Ok(outcome)
    }

    /// It has returned: what was to go wrong and did not does not any more.
    pub(super) fn calm(&mut self) {
        if self.probability > 0.0 {
            self.files.clear_faults();
        }
    }

    /// What has happened that a caller may be told of.
    fn mishaps(&self) -> u64 {
        let mishaps = self.files.mishaps();
        [Mishap::NoRoom, Mishap::Failed, Mishap::Cut]
            .iter()
            .filter_map(|mishap| mishaps.get(mishap))
            .sum()
    }
}
