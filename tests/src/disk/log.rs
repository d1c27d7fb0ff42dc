//! A model of the durable log: what is appended, and what of it a loss of power leaves.

use std::path::Path;
use std::sync::Arc;

use lockstep_core::config::{Epoch, Incarnation, NodeId, Position, Token};
use lockstep_core::engine::{LogStore, StoreError};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::operation::Entry;
use lockstep_core::storage::Meta;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::no_room;
use super::parts::DiskLog;

/// The log of one data directory, and what the node knows about itself.
///
/// - `durable` survives a loss of power, and of what `present` has beyond it any beginning may.
/// - A truncation, a beginning anew and the node's meta data are durable once they are done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelLog {
    meta: Meta,
    present: DiskLog,
    durable: DiskLog,
    /// There is no room for entries.
    pub(super) is_full: bool,
    /// There is no room for anything else either, for which a reserve is kept.
    pub(super) is_reserve_full: bool,
    /// It says that it syncs, and does not.
    pub(super) lies: bool,
    /// It refuses what takes room now and then.
    pub(super) flaky: Option<Flaky>,
}

/// The flaky persistence of the official cases: after each request that it carries out it refuses up to three.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flaky {
    left: u32,
    /// What is drawn from.
    seed: u64,
}

impl Flaky {
    pub(super) fn new(seed: u64) -> Self {
        Self { left: 0, seed }
    }

    fn refuses(&mut self) -> bool {
        if self.left > 0 {
            self.left -= 1;
            return true;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        self.seed = rng.random();
        self.left = rng.random_range(0..=3);
        false
    }
}

impl ModelLog {
    /// The empty log of a node that has never been started.
    pub fn new(node: NodeId) -> Self {
        Self {
            meta: Meta {
                node,
                cluster: None,
                incarnation: Incarnation::ZERO,
                token: Token(0),
                epoch: Epoch::ZERO,
                starts: Vec::new(),
            },
            present: DiskLog::default(),
            durable: DiskLog::default(),
            is_full: false,
            is_reserve_full: false,
            lies: false,
            flaky: None,
        }
    }

    /// What survives a loss of power, whatever happens.
    pub fn durable(&self) -> &DiskLog {
        &self.durable
    }

    /// Entries that are appended and may be lost.
    pub fn unsynced(&self) -> usize {
        (self.present.end().0 - self.durable.end().0) as usize
    }

    /// Power is lost, and of what was not synced `kept` entries are left.
    pub fn crash(&mut self, kept: usize) {
        let end = Position(self.durable.end().0 + kept as u64);
        if end < self.present.end() {
            self.present.truncate(end);
            // It came with an entry that is lost, or with none.
            self.present.hint = self.durable.hint;
        }
        self.durable = self.present.clone();
    }

    fn make_durable(&mut self) {
        for entry in self.present.read(self.durable.end(), usize::MAX) {
            self.durable.push(entry);
        }
        self.durable.hint = self.present.hint;
    }

    fn check_room(&mut self, is_full: bool) -> Result<(), StoreError> {
        let is_refused = self.flaky.as_mut().is_some_and(Flaky::refuses);
        match is_full || is_refused {
            true => Err(no_room()),
            false => Ok(()),
        }
    }
}

impl LogStore for ModelLog {
    fn append(&mut self, entries: &[Arc<Entry>], committed: Position) -> Result<(), StoreError> {
        self.check_room(self.is_full)?;
        for entry in entries {
            assert_eq!(
                Position::before(entry.seq),
                self.present.end(),
                "entries are appended without gaps"
            );
            assert!(
                entry.epoch >= self.present.history.last_epoch(),
                "no epoch is appended behind a later one"
            );
            self.present.push(entry.clone());
        }
        self.present.hint = committed.max(self.present.hint);
        Ok(())
    }

    fn truncate(&mut self, end: Position) -> Result<(), StoreError> {
        assert!(
            self.present.start <= end,
            "a log is not truncated before its beginning"
        );
        self.check_room(self.is_reserve_full)?;
        self.sync()?;
        self.present.truncate(end);
        if !self.lies {
            self.durable.truncate(end);
        }
        Ok(())
    }

    fn reset(&mut self, start: Position, history: &EpochHistory) -> Result<(), StoreError> {
        self.check_room(self.is_reserve_full)?;
        self.present = DiskLog {
            start,
            history: history.clone(),
            hint: start,
            ..DiskLog::default()
        };
        self.durable = self.present.clone();
        Ok(())
    }

    fn trim(&mut self, before: Position, bytes_max: u64) -> Result<Position, StoreError> {
        while self.present.bytes > bytes_max && self.present.start < before {
            self.present.trim_one();
            self.durable.trim_one();
        }
        Ok(self.present.start)
    }

    fn save_meta(&mut self, meta: &Meta) -> Result<(), StoreError> {
        self.check_room(self.is_reserve_full)?;
        self.meta = meta.clone();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if !self.lies {
            self.make_durable();
        }
        Ok(())
    }

    fn read(&mut self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Entry>>, StoreError> {
        Ok(self.present.read(from, bytes_max))
    }

    fn start(&self) -> Position {
        self.present.start
    }

    fn end(&self) -> Position {
        self.present.end()
    }

    fn history(&self) -> &EpochHistory {
        &self.present.history
    }

    fn committed_hint(&self) -> Position {
        self.durable.hint
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn path(&self) -> &Path {
        Path::new("(simulated)")
    }
}
