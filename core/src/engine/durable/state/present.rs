//! The state in force, as readers find it: tables of what has changed lately, over what fjall has.

use std::path::Path;
use std::sync::Arc;

use fjall::{Keyspace, Snapshot};

use crate::config::Position;
use crate::engine::StoreError;
use crate::epochs::EpochHistory;
use crate::operation::{Key, Moment, Record};

use super::cache::Records;
use super::codec::{decode, failed, record_key};
use super::table::Table;
use super::view::Layers;

/// Changes in memory from which on whoever applies more waits for a checkpoint: several times what is collected before one
/// is made, so that it only happens where the disk cannot keep up.
const TABLES_BYTES_MAX: usize = 128 << 20;

/// Changes that a scan copies; more are set aside.
const EXCERPT_MAX: usize = 4096;

/// Tables above which scans set nothing aside: every read looks into all of them.
const ASIDE_MAX: usize = 8;

/// What is in force: `base`, over it the `aside` in their order, over them the `latest`.
pub(super) struct Present {
    /// Given to the `install` that put it in force, if it was one.
    pub(super) installed: Option<(Position, EpochHistory)>,
    pub(super) reached: Moment,
    pub(super) base: Arc<Base>,
    /// On their way to fjall, or held by views; the newest last.
    pub(super) aside: Vec<Arc<Table>>,
    pub(super) latest: Table,
}

impl Present {
    pub(super) fn new(
        base: Base,
        reached: Moment,
        installed: Option<(Position, EpochHistory)>,
    ) -> Self {
        Self {
            installed,
            reached,
            base: Arc::new(base),
            aside: Vec::new(),
            latest: Table::default(),
        }
    }

    /// What is in memory of a key's changes.
    pub(super) fn change(&self, key: &Key) -> Option<Option<Record>> {
        let aside = || self.aside.iter().rev().find_map(|table| table.change(key));
        self.latest.change(key).or_else(aside)
    }

    /// Bytes of the changes in memory.
    pub(super) fn bytes(&self) -> usize {
        let aside = self.aside.iter().map(|table| table.bytes);
        self.latest.bytes + aside.sum::<usize>()
    }

    /// Has so much changed that a checkpoint comes before the next change?
    pub(super) fn is_full(&self) -> bool {
        self.bytes() >= TABLES_BYTES_MAX
    }

    /// Is it cheaper for a scan to set the latest changes aside than to copy those it needs?
    pub(super) fn is_set_aside_by_scans(&self) -> bool {
        self.latest.len() > EXCERPT_MAX && self.aside.len() < ASIDE_MAX
    }

    /// Sets the latest changes aside.
    pub(super) fn set_aside(&mut self) {
        if !self.latest.is_empty() {
            self.aside.push(Arc::new(std::mem::take(&mut self.latest)));
        }
    }

    /// The same over a snapshot of what fjall has, without the latest changes.
    pub(super) fn layers(&self, path: &Path, snapshot: Snapshot) -> Layers {
        Layers {
            path: path.to_owned(),
            state: self.base.state.clone(),
            snapshot,
            tables: self.aside.clone(),
        }
    }
}

/// What fjall has, and the records of it that are in memory.
pub(super) struct Base {
    pub(super) state: Keyspace,
    pub(super) records: Records,
}

impl Base {
    pub(super) fn new(state: Keyspace, records_bytes: u64) -> Self {
        Self {
            state,
            records: Records::new(records_bytes),
        }
    }

    /// The record, from memory or from fjall, which has it in `path`.
    pub(super) fn read(&self, path: &Path, key: &Key) -> Result<Option<Record>, StoreError> {
        self.records.read(key, || {
            let record = self.state.get(record_key(key));
            let record = record.map_err(failed("read the state"))?;
            record.map(|record| decode(path, &record)).transpose()
        })
    }
}
