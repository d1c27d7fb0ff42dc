//! A state that comes from another replica: it is collected in a keyspace beside the one in force, and put in its place.

use std::collections::BTreeMap;

use fjall::Keyspace;

use crate::engine::StoreError;
use crate::epochs::EpochHistory;
use crate::operation::{Key, Keyed, Moment, Record};
use crate::sessions::{SessionChanges, SessionRow, SessionRows};

use super::keyspaces::{Current, Keyspaces};
use super::runs;

/// What whoever collects a state has done before.
const BEGUN: &str = "collecting a state begins with `stage_begin`";

/// The state that is being collected.
pub(super) struct Staging {
    /// No keyspace of this generation or a higher one has ever been.
    next_generation: u64,
    collected: Option<Collected>,
}

impl Staging {
    pub(super) fn new(next_generation: u64) -> Self {
        Self {
            next_generation,
            collected: None,
        }
    }

    /// Begins anew.
    pub(super) fn begin(&mut self, keyspaces: &Keyspaces) -> Result<(), StoreError> {
        if let Some(collected) = self.collected.take() {
            keyspaces.remove(collected.state)?;
        }
        let generation = self.next_generation;
        self.next_generation += 1;
        let state = keyspaces.make(generation)?;
        let collected = Collected::new(generation, state, keyspaces.memtable_bytes);
        self.collected = Some(collected);
        Ok(())
    }

    /// What has been collected since `begin`.
    pub(super) fn collected(&mut self) -> &mut Collected {
        self.collected.as_mut().expect(BEGUN)
    }

    /// The same, which is collected no longer.
    pub(super) fn take(&mut self) -> Collected {
        self.collected.take().expect(BEGUN)
    }
}

/// What has come of the state, piece by piece.
pub(super) struct Collected {
    /// `N` in the name of its keyspace.
    generation: u64,
    state: Keyspace,
    /// A run holds about as many bytes.
    run_bytes: u64,
    records: BTreeMap<Key, Option<Record>>,
    sessions: SessionChanges,
    /// Of both.
    bytes: u64,
}

impl Collected {
    fn new(generation: u64, state: Keyspace, run_bytes: u64) -> Self {
        Self {
            generation,
            state,
            run_bytes,
            records: BTreeMap::new(),
            sessions: SessionChanges::default(),
            bytes: 0,
        }
    }

    /// Bytes that are not written out.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes a piece, and writes out what there is when it is enough for a run.
    pub(super) fn add(
        &mut self,
        records: &[Keyed],
        sessions: &SessionRows,
    ) -> Result<(), StoreError> {
        for keyed in records {
            self.bytes += keyed.size() as u64;
            let Keyed { key, record } = keyed.clone();
            self.records.insert(key, Some(record));
        }
        let sizes = sessions.rows.values().map(SessionRow::size);
        self.bytes += sizes.sum::<usize>() as u64;
        let rows = sessions.rows.iter();
        let rows = rows.map(|(client, row)| (*client, Some(row.clone())));
        self.sessions.rows.extend(rows);
        self.sessions.forgotten = self.sessions.forgotten.max(sessions.forgotten);
        if self.bytes >= self.run_bytes {
            self.write(None)?;
        }
        Ok(())
    }

    /// Puts it in force as the state at `at`: its keyspace, and what is noted of it.
    pub(super) fn install(
        mut self,
        keyspaces: &Keyspaces,
        at: Moment,
        history: &EpochHistory,
    ) -> Result<(Keyspace, Current), StoreError> {
        // The state must be whole on the disk before anything says that it is the one in force.
        self.write(Some(at))?;
        let current = Current {
            generation: self.generation,
            installed: Some((at.position, history.clone())),
        };
        keyspaces.put_in_force(&current)?;
        Ok((self.state, current))
    }

    /// Writes out what there is as one run.
    fn write(&mut self, reached: Option<Moment>) -> Result<(), StoreError> {
        runs::write(&self.state, reached, &self.records, &self.sessions)?;
        self.records.clear();
        self.sessions = SessionChanges::default();
        self.bytes = 0;
        Ok(())
    }
}
