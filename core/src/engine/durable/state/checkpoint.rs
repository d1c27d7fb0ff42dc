//! A checkpoint: the tables go to fjall as one sorted run, durable and all at once.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fjall::Keyspace;

use crate::config::Position;
use crate::engine::StoreError;
use crate::sessions::{SessionChanges, SessionRow};

use super::codec::{decode, failed, session_key};
use super::keyspaces::Keyspaces;
use super::present::{Base, Present};
use super::runs;
use super::table::{self, Table};

/// Sorted runs of fjall's above which a checkpoint waits for compaction.
const RUNS_MAX: usize = 24;

/// How often a checkpoint looks whether compaction has come further, and how often it does so at most.
const RUNS_INTERVAL: Duration = Duration::from_millis(10);
const RUNS_LOOKS_MAX: usize = 1000;

/// What has changed before a position, and where it goes.
pub(super) struct Checkpoint {
    base: Arc<Base>,
    /// The newest last.
    tables: Vec<Arc<Table>>,
    position: Position,
}

impl Checkpoint {
    /// Of everything that is applied: it is set aside.
    pub(super) fn begin(present: &mut Present) -> Self {
        present.set_aside();
        Self {
            base: present.base.clone(),
            tables: present.aside.clone(),
            position: present.reached.position,
        }
    }

    /// Gives fjall what the tables have changed. Nobody else may do so meanwhile.
    pub(super) fn write(&self, keyspaces: &Keyspaces) -> Result<(), StoreError> {
        let Base { state, records } = &*self.base;
        if state.l0_table_count() > RUNS_MAX {
            keyspaces.check()?;
            await_compaction(state);
        }
        let Some(last) = self.tables.last() else {
            return Ok(());
        };
        let mut sessions = SessionChanges::default();
        for table in &self.tables {
            sessions.extend(&table.sessions);
        }
        complete(&keyspaces.path, state, &mut sessions)?;
        let merged = table::merged(&self.tables);
        let changes = merged.iter().map(|change| (&change.key, &change.record));
        runs::write(state, Some(last.reached), changes, &sessions)?;
        for change in &merged {
            records.change(&change.key, &change.record);
        }
        Ok(())
    }

    /// fjall has the tables: they leave what is in force. Their memory is given back only with this, when no reader waits.
    pub(super) fn end(&self, present: &mut Present) {
        // Others may have been set aside meanwhile, behind these.
        present.aside.drain(..self.tables.len());
    }

    /// fjall has everything before it in the end.
    pub(super) fn position(&self) -> Position {
        self.position
    }
}

/// Makes whole rows of what has changed in those that fjall has, in `path`.
fn complete(
    path: &Path,
    state: &Keyspace,
    sessions: &mut SessionChanges,
) -> Result<(), StoreError> {
    for (client, changed) in &mut sessions.rows {
        let Some(changed) = changed else { continue };
        let stored = state.get(session_key(*client));
        if let Some(stored) = stored.map_err(failed("read the state"))? {
            let mut row: SessionRow = decode(path, &stored)?;
            row.extend(changed);
            *changed = row;
        }
    }
    Ok(())
}

/// Checkpoints make sorted runs, and compaction makes one of many: where it cannot keep up, those who write have to wait for
/// it, or every read would look into ever more of them.
#[expect(clippy::disallowed_methods, reason = "a thread of the disk waits")]
fn await_compaction(state: &Keyspace) {
    for _ in 0..RUNS_LOOKS_MAX {
        if state.l0_table_count() <= RUNS_MAX {
            return;
        }
        thread::sleep(RUNS_INTERVAL);
    }
}
