//! What a disk has after its process or its power was gone, and what the next process finds.

use lockstep_core::limits::SessionLimits;
use lockstep_core::planted;
use lockstep_core::process::Input;
use lockstep_core::sessions::Sessions;
use lockstep_core::storage::{Recovered, Write};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::Disk;

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

impl Disk {
    /// Power is lost: of what is under way any beginning survives, of the applied state any checkpoint or all.
    pub fn crash(&mut self, rng: &mut ChaCha8Rng) -> Loss {
        let mut loss = Loss::default();
        if let Some(end) = self.unsynced_from.take() {
            self.log.truncate(end);
        }
        let synced = self.log.end();
        let whole = rng.random_range(0..=self.batch.len());
        let waiting = self.batch.split_off(whole);
        for (_, write) in std::mem::take(&mut self.batch) {
            self.carry_out(write);
        }
        let under_way = usize::from(!waiting.is_empty());
        let unsynced = waiting.into_iter().chain(std::mem::take(&mut self.queue));
        for (index, (_, write)) in unsynced.enumerate() {
            let Write::Append { mut entries, .. } = write else {
                continue;
            };
            let kept = if index < under_way {
                rng.random_range(0..=entries.len())
            } else {
                0
            };
            loss.entries_lost += entries.len() - kept;
            loss.is_torn |= kept > 0 && kept < entries.len();
            entries.truncate(kept);
            self.append(entries);
        }
        if rng.random_bool(0.5) {
            loss.state_fell_back = self.checkpoint.applied < self.state.applied;
            self.state = self.checkpoint.clone();
        }
        self.checkpoint = self.state.clone();
        self.forget_process();
        if planted!(RecoveredIsPersisted) {
            // The page cache has the log, the platter not yet.
            self.unsynced_from = Some(synced).filter(|end| *end < self.log.end());
        }
        loss
    }

    /// How many different moments power could be lost at while what waits is being written; every entry is one.
    pub fn moments(&self) -> usize {
        self.batch
            .iter()
            .chain(&self.queue)
            .map(|(_, write)| moments_of(write))
            .sum()
    }

    /// Power is lost at one of the `moments`, and the state falls back to its checkpoint if that is wanted.
    pub fn crash_at(&mut self, moment: usize, falls_back: bool) {
        let mut left = moment;
        let waiting: Vec<_> = self.batch.drain(..).chain(self.queue.drain(..)).collect();
        for (_, mut write) in waiting {
            let moments = moments_of(&write);
            if left < moments {
                if let Write::Append { entries, .. } = &mut write {
                    let entries = entries.drain(..left).collect();
                    self.append(entries);
                }
                break;
            }
            left -= moments;
            self.carry_out(write);
        }
        if falls_back {
            self.state = self.checkpoint.clone();
        }
        self.checkpoint = self.state.clone();
        self.forget_process();
    }

    /// Is there something in the state that its checkpoint does not have?
    pub fn may_fall_back(&self) -> bool {
        self.checkpoint.applied < self.state.applied
    }

    /// The process has ended in good order; what it asked for is on the disk.
    pub fn stop(&mut self) {
        let mut ignored: Vec<Input<()>> = Vec::new();
        self.finish(&mut ignored);
        self.begin();
        self.finish(&mut ignored);
        self.finish_applies(&mut ignored);
        self.forget_process();
    }

    fn forget_process(&mut self) {
        self.batch.clear();
        self.queue.clear();
        self.applies.clear();
        self.staged = None;
        self.views.clear();
        self.views_closed_early.clear();
        self.accepted = None;
        self.done = None;
        self.asked = None;
        self.refused = None;
        self.retain = None;
    }

    /// A process starts: raises the incarnation, applies what is known to be committed, and tells what there is.
    pub fn start(&mut self, limits: &SessionLimits) -> Recovered {
        self.meta.incarnation = self.meta.incarnation.next();
        let committed = self.log.hint.min(self.log.end());
        let mut sessions = Sessions::open(self.state.sessions.clone(), limits.clone());
        while self.state.applied < committed {
            let entry = self
                .log
                .entry(self.state.applied.next_seq())
                .expect("the log is trimmed only below a checkpoint")
                .clone();
            self.state.apply(&entry);
            sessions.apply(&entry);
        }
        self.state.change(sessions.take_changes());
        let tail = self
            .log
            .entries
            .iter()
            .filter(|entry| !self.state.applied.covers(entry.seq))
            .cloned()
            .collect();
        Recovered {
            meta: self.meta.clone(),
            log_start: self.log.start,
            log_end: self.log.end(),
            history: self.log.history.clone(),
            applied: self.state.applied,
            sessions: self.state.sessions.clone(),
            tail,
        }
    }
}

fn moments_of(write: &Write) -> usize {
    match write {
        Write::Append { entries, .. } => entries.len(),
        Write::Truncate { .. }
        | Write::Meta(_)
        | Write::StageBegin
        | Write::Stage { .. }
        | Write::Install { .. }
        | Write::Arbiter(_) => 1,
    }
}
