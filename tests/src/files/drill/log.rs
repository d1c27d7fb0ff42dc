//! Drives the durable log.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockstep_core::config::{Epoch, Owner, Position, Seq};
use lockstep_core::engine::durable::{DurableLog, StoreOptions, open_log};
use lockstep_core::engine::{LogStore, StoreError};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::operation::{
    Author, Change, ClientId, Entry, Key, Origin, RequestId, Revision, Value, Verdict,
};
use lockstep_core::storage::Meta;
use rand::Rng;
use rand::seq::IndexedRandom;

use super::trouble::{Outcome, Trouble};
use super::{Faults, Passage, Report};
use crate::files::world::{Found, World};
use crate::trace::Detail;

/// What is done to a log in one drill.
const STEPS: usize = 40;

/// Read of a log at once, mostly.
const READ_BYTES: usize = 1 << 20;

/// Runs a drill of the log.
pub(super) fn run(seed: u64, faults: Faults, detail: Detail) -> Report {
    let mut drill = LogDrill {
        trouble: Trouble::new(seed, faults, detail),
        log: None,
        worlds: vec![World::empty()],
        metas: Vec::new(),
        cached_end: 0,
        epoch: 1,
        committed: 0,
        missing: Vec::new(),
        appends: BTreeMap::new(),
    };
    let violation = drill.run().err();
    drill.trouble.report(violation)
}

struct LogDrill {
    trouble: Trouble,
    log: Option<DurableLog>,
    /// What may be found at the next start. While there is a log, the first is what it holds.
    worlds: Vec<World>,
    /// The record about the node that may be found; none before the first start.
    metas: Vec<Meta>,
    /// Where the log that a process left without trouble ended: without a loss of power that costs nothing.
    cached_end: u64,
    epoch: u64,
    /// Said to be known as committed last.
    committed: u64,
    /// Entries that were refused or lost, to be asked for again.
    missing: Vec<Arc<Entry>>,
    /// How many entries were appended at once, by the first of them.
    appends: BTreeMap<u64, usize>,
}

impl LogDrill {
    fn run(&mut self) -> Result<(), String> {
        for step in 0..STEPS {
            self.step()
                .and_then(|()| self.check())
                .map_err(|what| format!("step {step}: {what}"))?;
        }
        // At the end it works again.
        self.trouble.make_room();
        self.trouble.calm();
        while self.log.is_none() {
            self.open().map_err(|what| format!("at the end: {what}"))?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        if self.log.is_none() {
            return self.open();
        }
        if !self.missing.is_empty() && self.trouble.rng.random_bool(0.6) {
            return self.append();
        }
        match self.trouble.rng.random_range(0..100) {
            0..38 => self.append(),
            38..56 => self.sync(),
            56..64 => self.truncate(),
            64..68 => self.reset(),
            68..76 => self.trim(),
            76..82 => self.save_meta(),
            82..86 => {
                self.epoch += 1;
                Ok(())
            }
            86..92 => {
                self.cached_end = self.worlds[0].end();
                self.trouble.end_process();
                self.log = None;
                Ok(())
            }
            _ => {
                self.crash();
                Ok(())
            }
        }
    }

    // ------------------------------------------------------------------------------------------- ends and starts

    fn crash(&mut self) {
        self.trouble.crash();
        self.cached_end = 0;
        self.log = None;
    }

    /// The process ends because something has failed, in good order or not, and perhaps power is lost as well.
    fn fall(&mut self) {
        if self.trouble.rng.random_bool(0.3) {
            self.log = None;
        }
        if self.trouble.rng.random_bool(0.5) {
            self.crash();
        } else {
            self.trouble.end_process();
            self.trouble.evict();
            self.cached_end = 0;
            self.log = None;
        }
    }

    fn open(&mut self) -> Result<(), String> {
        let draw = self.trouble.draw();
        self.trouble.say(|| "a process starts".to_owned());
        self.trouble.begin();
        let opened = open_log(self.trouble.handle(), self.trouble.path(), &options(), draw);
        let looked = opened.and_then(|mut log| {
            let found = Found::read(&mut log, READ_BYTES)?;
            Ok((log, found))
        });
        self.trouble.calm();
        let (log, found) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                self.trouble.judge(&error)?;
                self.trouble.pass(Passage::OpenFailed);
                self.fall();
                return Ok(());
            }
        };
        let index = self.find(&found)?;
        self.find_meta(log.meta())?;
        if found.end() < self.cached_end {
            let end = self.cached_end;
            return Err(format!(
                "the end of a process cost the entries {} to {end}",
                found.end()
            ));
        }
        self.cached_end = 0;
        self.trouble.pass(Passage::Opened);
        if found.end() > self.worlds[0].end() || index > 0 {
            self.trouble.pass(Passage::EffectFound);
        }
        self.metas = vec![log.meta().clone()];
        self.missing = self.worlds[0]
            .entries
            .iter()
            .filter(|entry| entry.seq.0 >= found.end())
            .cloned()
            .collect();
        if !self.missing.is_empty() {
            self.trouble.pass(Passage::TailLost);
        }
        self.epoch = self.epoch.max(found.history.last_epoch().0);
        self.trouble.say(|| {
            format!(
                "  which finds the entries {} to {}",
                found.start,
                found.end()
            )
        });
        self.worlds = vec![World::of(found)];
        self.log = Some(log);
        self.check_fork()
    }

    /// The index of the world that this is.
    fn find(&self, found: &Found) -> Result<usize, String> {
        let checked: Vec<_> = self.worlds.iter().map(|world| world.check(found)).collect();
        let is_found = checked.iter().position(Result::is_ok);
        is_found.ok_or_else(|| format!("a start found a log that {checked:?}"))
    }

    fn find_meta(&self, meta: &Meta) -> Result<(), String> {
        if self.metas.is_empty() || self.metas.contains(meta) {
            return Ok(());
        }
        Err(format!("a start found {meta:?}, not {:?}", self.metas))
    }

    // ------------------------------------------------------------------------------------------------ operations

    /// Has the log do something that it does, or refuses, or that fails; then a start may also find `effects`.
    fn call<T>(
        &mut self,
        refusal: Option<Passage>,
        effects: Vec<World>,
        call: impl FnOnce(&mut DurableLog) -> Result<T, StoreError>,
    ) -> Result<Option<T>, String> {
        let log = self.log.as_mut().expect("a log is open");
        self.trouble.begin();
        let result = call(log);
        self.trouble.calm();
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        match (self.trouble.judge(&error)?, refusal) {
            (Outcome::Refused, Some(refusal)) => self.trouble.pass(refusal),
            (Outcome::Refused, None) => return Err(format!("refused: {error:?}")),
            (Outcome::Fatal, _) => {
                self.trouble.pass(Passage::Failed);
                self.worlds.extend(effects);
                self.fall();
            }
        }
        Ok(None)
    }

    fn append(&mut self) -> Result<(), String> {
        let held = &self.worlds[0];
        let (end, last_epoch) = (held.end(), held.history.last_epoch());
        let is_next = self
            .missing
            .first()
            .is_some_and(|first| first.seq.0 == end && first.epoch >= last_epoch);
        let added = if is_next && self.trouble.rng.random_bool(0.8) {
            self.trouble.pass(Passage::AppendedAgain);
            let count = self.missing_count(end);
            self.missing[..count].to_vec()
        } else {
            self.entries(end)
        };
        let ahead = *[0, 0, 5, 60]
            .choose(&mut self.trouble.rng)
            .expect("not empty");
        if self.trouble.rng.random_bool(0.3) {
            self.committed = self.trouble.rng.random_range(0..=end + ahead);
        }
        let committed = self.committed;
        self.appends.insert(end, added.len());
        let with = self.worlds[0].with(&added, committed);
        self.trouble.say(|| {
            let (count, first) = (added.len(), &added[0]);
            let (epoch, size) = (first.epoch, first.size());
            format!("append {count} entries of epoch {epoch} and {size} bytes behind {end}; {committed} committed")
        });
        let files_before = self.trouble.files.calls();
        let appended = self.call(Some(Passage::AppendRefused), vec![with.clone()], |log| {
            log.append(&added, Position(committed))
        })?;
        if appended.is_some() {
            self.trouble.pass(Passage::Appended);
            if self.trouble.files.calls() > files_before + 6 {
                self.trouble.pass(Passage::AppendedOverSegments);
            }
            self.missing.clear();
            self.worlds = vec![with];
        } else if self.log.is_some() {
            // A loss of power, or of the process, may leave a beginning of it.
            self.missing = added;
            self.worlds.push(with);
        }
        Ok(())
    }

    /// How many of the missing entries, of which the first is `first`, to ask for: often as many as when they were written.
    fn missing_count(&mut self, first: u64) -> usize {
        let all = self.missing.len();
        let written = self.appends.get(&first).map_or(1, |count| all.min(*count));
        if self.trouble.rng.random_bool(0.7) {
            written
        } else {
            self.trouble.rng.random_range(1..=all)
        }
    }

    fn entries(&mut self, first: u64) -> Vec<Arc<Entry>> {
        let rng = &mut self.trouble.rng;
        let count = match rng.random_range(0..10) {
            0..5 => 1,
            5..8 => rng.random_range(1..12),
            _ => rng.random_range(1..40),
        };
        let bytes = match rng.random_range(0..40) {
            0 => 60_000,
            1..12 => 6000,
            _ => *[0, 20, 300, 700].choose(rng).expect("not empty"),
        };
        let mut value = vec![rng.random::<u8>(); bytes];
        let changes_epoch = rng.random_bool(0.5);
        if count == 1 && rng.random_bool(0.3) {
            value = self.batch_of_another_segment();
        }
        (first..first + count)
            .map(|seq| {
                self.epoch += u64::from(changes_epoch && self.trouble.rng.random_bool(0.3));
                Arc::new(Entry {
                    epoch: Epoch(self.epoch),
                    seq: Seq(seq),
                    revision: Revision(seq + 2),
                    changes: [Change::insert(
                        Key::from(format!("{seq}")),
                        Value::from(value.clone()),
                        Revision(seq + 2),
                    )]
                    .into(),
                    verdict: Verdict::Executed,
                    author: Author::Client(Origin::plain(ClientId(1), RequestId(seq)), Owner(1)),
                })
            })
            .collect()
    }

    /// A value that contains what a segment before the last one holds: somebody keeps copies of files in the store.
    fn batch_of_another_segment(&mut self) -> Vec<u8> {
        let files = self.trouble.all_as_it_is();
        let segments = self.trouble.path().join("log");
        let names = files.list(&segments).expect("there is a log");
        let mut names: Vec<_> = names
            .iter()
            .filter(|name| name.to_string_lossy().ends_with(".log"))
            .collect();
        names.pop();
        let Some(name) = names.choose(&mut self.trouble.rng) else {
            return Vec::new();
        };
        let file = files.open(&segments.join(name)).expect("it is there");
        let mut contents = vec![0; file.length().expect("it has a length") as usize];
        file.read_at(&mut contents, 0).expect("it can be read");
        let batch = last_batch(&contents).unwrap_or_default();
        let mut value = Vec::new();
        // Wherever the value comes to stand, one of the copies is where a batch could be.
        for shift in 0..8 {
            value.resize(value.len().next_multiple_of(8) + shift, 0);
            value.extend(batch);
        }
        value
    }

    fn sync(&mut self) -> Result<(), String> {
        self.trouble.say(|| "sync".to_owned());
        let synced = self.call(None, Vec::new(), |log| log.sync())?;
        match synced {
            Some(()) => {
                let end = self.worlds[0].end();
                for world in &mut self.worlds {
                    world.certain = end;
                }
                Ok(())
            }
            None => {
                self.trouble.pass(Passage::SyncFailed);
                Ok(())
            }
        }
    }

    fn truncate(&mut self) -> Result<(), String> {
        let held = &self.worlds[0];
        let end = self.trouble.rng.random_range(held.start..=held.end());
        let cut = held.cut(end);
        self.trouble
            .say(|| format!("truncate from {} to {end}", held.end()));
        let truncated = self.call(Some(Passage::TruncationRefused), vec![cut.clone()], |log| {
            log.truncate(Position(end))
        })?;
        if truncated.is_some() {
            self.trouble.pass(Passage::Truncated);
            // What goes on as the log ends is not cut off, and not made durable.
            let certain = if end < self.worlds[0].end() {
                end
            } else {
                self.worlds[0].certain
            };
            self.worlds = vec![World { certain, ..cut }];
            self.missing.clear();
            self.epoch += 1;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), String> {
        let end = self.worlds[0].end();
        let start = self.trouble.rng.random_range(0..end + 30);
        self.epoch += 1;
        let runs = if start == 0 {
            Vec::new()
        } else {
            vec![(Epoch(self.epoch), Position(0))]
        };
        let history = EpochHistory::from_runs(runs).expect("one run at most");
        let begun = World::begun(start, history.clone());
        self.trouble.say(|| format!("begin anew at {start}"));
        let reset = self.call(Some(Passage::ResetRefused), vec![begun.clone()], |log| {
            log.reset(Position(start), &history)
        })?;
        if reset.is_some() {
            self.trouble.pass(Passage::Reset);
            self.worlds = vec![begun];
            self.missing.clear();
        }
        Ok(())
    }

    fn trim(&mut self) -> Result<(), String> {
        let held = &self.worlds[0];
        let before = self.trouble.rng.random_range(held.start..=held.end());
        let bytes_max = *[0, 0, 50_000, 200_000]
            .choose(&mut self.trouble.rng)
            .expect("not empty");
        for world in &mut self.worlds {
            world.start_max = before;
        }
        self.trouble
            .say(|| format!("trim up to {before} where there are more than {bytes_max} bytes"));
        let trimmed = self.call(None, Vec::new(), |log| {
            log.trim(Position(before), bytes_max)
        })?;
        if let Some(Position(start)) = trimmed {
            let held = &self.worlds[0];
            if start < held.start || start > before.max(held.start) {
                return Err(format!("trimmed to {start}, asked for {before}"));
            }
            if start > held.start {
                self.trouble.pass(Passage::Trimmed);
            }
            for world in &mut self.worlds {
                world.trim(start);
            }
        }
        Ok(())
    }

    fn save_meta(&mut self) -> Result<(), String> {
        let log = self.log.as_ref().expect("a log is open");
        let meta = Meta {
            incarnation: log.meta().incarnation.next(),
            epoch: Epoch(self.trouble.rng.random_range(0..1000)),
            ..log.meta().clone()
        };
        self.trouble.say(|| "save meta data".to_owned());
        let saved = self.call(Some(Passage::SaveRefused), Vec::new(), |log| {
            log.save_meta(&meta)
        })?;
        if saved.is_some() {
            self.trouble.pass(Passage::Saved);
            self.metas = vec![meta];
        } else if self.log.is_none() {
            self.metas.push(meta);
        }
        Ok(())
    }

    // ---------------------------------------------------------------------------------------------------- checks

    /// Does the log hold what it should, and would a loss of power leave what it must?
    fn check(&mut self) -> Result<(), String> {
        if self.log.is_none() {
            return Ok(());
        }
        let bytes = if self.trouble.rng.random_bool(0.1) {
            self.trouble.rng.random_range(0..20_000)
        } else {
            READ_BYTES
        };
        let Some(found) = self.call(None, Vec::new(), |log| Found::read(log, bytes))? else {
            return Ok(());
        };
        let held = &mut self.worlds[0];
        World {
            certain: held.end(),
            ..held.clone()
        }
        .check(&found)
        .map_err(|what| format!("the log {what}"))?;
        held.hint_min = found.hint;
        let log = self.log.as_ref().expect("a log is open");
        if !self.metas.contains(log.meta()) {
            return Err(format!(
                "the log says {:?}, not {:?}",
                log.meta(),
                self.metas
            ));
        }
        if self.trouble.rng.random_bool(0.2) {
            self.check_fork()?;
        }
        Ok(())
    }

    /// Opens what a loss of power would leave at this moment.
    fn check_fork(&mut self) -> Result<(), String> {
        for files in self.trouble.forks() {
            let draw = self.trouble.draw();
            let opened = open_log(files.handle(), self.trouble.path(), &options(), draw);
            let looked = opened.and_then(|mut log| {
                let found = Found::read(&mut log, READ_BYTES)?;
                Ok((log, found))
            });
            let (log, found) =
                looked.map_err(|error| format!("after a loss of power: {error:?}"))?;
            self.find(&found)?;
            self.find_meta(log.meta())?;
        }
        Ok(())
    }
}

/// Small segments, and nothing kept in reserve.
fn options() -> StoreOptions {
    StoreOptions {
        segment_bytes: 32 << 10,
        reserve_bytes: 0,
        ..StoreOptions::default()
    }
}

/// The bytes of the last batch in a segment, if they are not many.
fn last_batch(segment: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| Some(u32::from_le_bytes(*segment.get(at..)?.first_chunk()?) as usize);
    let begins = (20 + word(16)?).next_multiple_of(512);
    let salt = segment.get(begins..begins + 8)?;
    let mut places = (begins..segment.len()).step_by(8).rev();
    let place = places.find(|place| segment[*place..].starts_with(salt))?;
    let batch = segment.get(place..place + 56 + word(place + 12)?)?;
    (batch.len() < 4000).then_some(batch)
}
