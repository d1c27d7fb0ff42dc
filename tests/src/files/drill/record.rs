//! Drives the arbiter's record.

use lockstep_core::arbiter::{self, offline};
use lockstep_core::config::{ArbiterId, ClusterId};
use lockstep_core::engine::ArbiterStore;
use lockstep_core::engine::durable::{DurableArbiter, open_arbiter_on};
use lockstep_core::storage::ArbiterKeeper;
use rand::Rng;

use super::trouble::{Outcome, Trouble};
use super::{Faults, Passage, Report};
use crate::trace::Detail;

const STEPS: usize = 30;

/// Runs a drill of the record.
pub(super) fn run(seed: u64, faults: Faults, detail: Detail) -> Report {
    let mut drill = RecordDrill {
        trouble: Trouble::new(seed, faults, detail),
        store: None,
        records: vec![None],
        next: 1,
    };
    let violation = drill.run().err();
    drill.trouble.report(violation)
}

struct RecordDrill {
    trouble: Trouble,
    store: Option<DurableArbiter>,
    /// What may be found at the next start. While a process runs, the first is what it has.
    records: Vec<Option<ArbiterKeeper>>,
    next: u64,
}

impl RecordDrill {
    fn run(&mut self) -> Result<(), String> {
        for step in 0..STEPS {
            self.step().map_err(|what| format!("step {step}: {what}"))?;
        }
        self.trouble.make_room();
        self.trouble.calm();
        while self.store.is_none() {
            self.open().map_err(|what| format!("at the end: {what}"))?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        if self.store.is_none() {
            return self.open();
        }
        match self.trouble.rng.random_range(0..10) {
            0..7 => self.save(),
            7 => {
                self.trouble.end_process();
                self.store = None;
                Ok(())
            }
            _ => {
                self.crash();
                Ok(())
            }
        }
    }

    fn crash(&mut self) {
        self.trouble.crash();
        self.store = None;
    }

    fn fall(&mut self) {
        if self.trouble.rng.random_bool(0.5) {
            self.crash();
        } else {
            self.trouble.end_process();
            self.trouble.evict();
            self.store = None;
        }
    }

    fn open(&mut self) -> Result<(), String> {
        self.trouble.say(|| "a process starts".to_owned());
        self.trouble.begin();
        let opened = open_arbiter_on(self.trouble.handle(), self.trouble.path());
        self.trouble.calm();
        let store = match opened {
            Ok(store) => store,
            Err(error) => {
                self.trouble.judge(&error)?;
                self.trouble.pass(Passage::OpenFailed);
                self.fall();
                return Ok(());
            }
        };
        if self.find(&store)? > 0 {
            self.trouble.pass(Passage::EffectFound);
        }
        self.trouble.pass(Passage::Opened);
        self.records = vec![store.load().cloned()];
        self.store = Some(store);
        self.check_fork()
    }

    /// The index of the record that it has.
    fn find(&self, store: &DurableArbiter) -> Result<usize, String> {
        let found = store.load().cloned();
        let is_found = self.records.iter().position(|record| *record == found);
        is_found.ok_or_else(|| format!("a start found {found:?}, not {:?}", self.records))
    }

    fn save(&mut self) -> Result<(), String> {
        let mut record = arbiter::first_record(ClusterId(9), self.next);
        self.next += 1;
        let name = "n".repeat(self.trouble.rng.random_range(0..2000));
        record.config.version.0 = self.next;
        record.secret = self.next ^ name.len() as u64;
        self.trouble
            .say(|| format!("the record of version {} is saved", record.config.version));
        let record = offline::found(ArbiterId(1), record);
        self.trouble.begin();
        let store = self.store.as_mut().expect("a process runs");
        let saved = store.save(&record);
        self.trouble.calm();
        match saved {
            Ok(()) => {
                self.trouble.pass(Passage::Saved);
                self.records = vec![Some(record)];
            }
            Err(error) => match self.trouble.judge(&error)? {
                Outcome::Refused => self.trouble.pass(Passage::SaveRefused),
                Outcome::Fatal => {
                    self.trouble.pass(Passage::Failed);
                    self.records.push(Some(record));
                    self.fall();
                    return Ok(());
                }
            },
        }
        let store = self.store.as_ref().expect("a process runs");
        if store.load() != self.records[0].as_ref() {
            return Err(format!("the record is {:?}", store.load()));
        }
        self.check_fork()
    }

    /// Opens what a loss of power would leave at this moment.
    fn check_fork(&mut self) -> Result<(), String> {
        for files in self.trouble.forks() {
            let store = open_arbiter_on(files.handle(), self.trouble.path())
                .map_err(|error| format!("after a loss of power: {error:?}"))?;
            self.find(&store)?;
        }
        Ok(())
    }
}
