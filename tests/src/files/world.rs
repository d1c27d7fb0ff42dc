//! What a start may find of a log.

use std::sync::Arc;

use lockstep_core::config::Position;
use lockstep_core::engine::{LogStore, StoreError};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::operation::Entry;

use crate::disk::DiskLog;

/// A log as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) start: u64,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) history: EpochHistory,
    pub(crate) hint: u64,
}

impl Found {
    /// Reads a log, in pieces of about `bytes`.
    pub(crate) fn read(log: &mut dyn LogStore, bytes: usize) -> Result<Self, StoreError> {
        let mut entries = Vec::new();
        let mut from = log.start();
        while from < log.end() {
            let read = log.read(from, bytes)?;
            if read.is_empty() {
                break;
            }
            from = Position(from.0 + read.len() as u64);
            entries.extend(read);
        }
        Ok(Self {
            start: log.start().0,
            entries,
            history: log.history().clone(),
            hint: log.committed_hint().0,
        })
    }

    pub(crate) fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }
}

impl From<Found> for DiskLog {
    fn from(found: Found) -> Self {
        Self::found(
            Position(found.start),
            found.entries,
            found.history,
            Position(found.hint),
        )
    }
}

/// A log as it may be found: it begins in `start..=start_max`, has all entries before `certain`, and of the others any
/// beginning.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct World {
    pub(crate) start: u64,
    pub(crate) start_max: u64,
    /// From `start` on.
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) certain: u64,
    /// With all entries.
    pub(crate) history: EpochHistory,
    /// What was said to be known as committed, durably.
    pub(crate) hint_min: u64,
    /// What can be known as committed of these entries.
    pub(crate) hint_max: u64,
}

impl World {
    pub(crate) fn empty() -> Self {
        Self::begun(0, EpochHistory::new())
    }

    /// A log that begins anew.
    pub(crate) fn begun(start: u64, history: EpochHistory) -> Self {
        Self {
            start,
            start_max: start,
            entries: Vec::new(),
            certain: start,
            history,
            hint_min: start,
            hint_max: start,
        }
    }

    /// This one, of which `hint` is durably known to be committed.
    pub(crate) fn of_log(log: &DiskLog, hint: Position) -> Self {
        Self {
            start: log.start().0,
            start_max: log.start().0,
            entries: log.entries().cloned().collect(),
            certain: log.end().0,
            history: log.history().clone(),
            hint_min: hint.min(log.hint()).0,
            hint_max: log.hint().0,
        }
    }

    /// Exactly this one, all of it durable.
    pub(crate) fn of(found: Found) -> Self {
        Self {
            start: found.start,
            start_max: found.start,
            certain: found.end(),
            entries: found.entries,
            history: found.history,
            hint_min: found.hint,
            hint_max: found.hint,
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }

    /// With these entries behind the others.
    pub(crate) fn with(&self, added: &[Arc<Entry>], committed: u64) -> Self {
        let mut with = self.clone();
        for entry in added {
            with.history.append(entry.epoch, entry.seq);
        }
        with.entries.extend_from_slice(added);
        with.hint_max = with.hint_max.max(committed.min(with.end()));
        with
    }

    /// Cut off, durably.
    pub(crate) fn cut(&self, end: u64) -> Self {
        let mut cut = self.clone();
        cut.entries.truncate((end - cut.start) as usize);
        cut.history.truncate(Position(end));
        cut.certain = end;
        cut.hint_min = cut.hint_min.min(end);
        cut.hint_max = cut.hint_max.min(end);
        cut
    }

    /// Of which entries before `start` may be gone.
    pub(crate) fn trimmed_by(self, start: u64) -> Self {
        let start_max = start.clamp(self.start_max, self.end().max(self.start_max));
        Self { start_max, ..self }
    }

    /// Without old entries.
    pub(crate) fn trim(&mut self, start: u64) {
        self.entries.drain(..(start - self.start) as usize);
        self.start = start;
        self.start_max = start;
    }

    /// Can this be found?
    pub(crate) fn check(&self, found: &Found) -> Result<(), String> {
        if !(self.start..=self.start_max).contains(&found.start) {
            return Err(format!("begins at {}", found.start));
        }
        let (end, from) = (found.end(), (found.start - self.start) as usize);
        if end < self.certain {
            return Err(format!(
                "ends at {end}, although {} was durable",
                self.certain
            ));
        }
        let held = self.entries.get(from..from + found.entries.len());
        if held != Some(&found.entries[..]) {
            let same = self.entries[from..].iter().zip(&found.entries);
            let same = same.take_while(|(held, found)| held == found).count();
            return Err(format!(
                "holds from {} to {end} what was not written",
                found.start + same as u64
            ));
        }
        let mut history = self.history.clone();
        history.truncate(Position(end));
        if history != found.history {
            return Err(format!(
                "has the epochs {:?}, not {history:?}",
                found.history
            ));
        }
        if found.hint < self.hint_min {
            return Err(format!(
                "forgot that {} is committed: {}",
                self.hint_min, found.hint
            ));
        }
        if found.hint > self.hint_max.min(end) {
            return Err(format!(
                "takes {} for committed, of {end} entries of which {} can be",
                found.hint, self.hint_max
            ));
        }
        Ok(())
    }
}
