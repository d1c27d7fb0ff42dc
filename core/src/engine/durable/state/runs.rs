//! Sorted runs: how changes come to fjall, past its journal and its memtables.
//!
//! A run is durable and there as a whole when this returns, and not there at all if power is lost before. The journal cannot
//! say that of a batch of more than a block: fjall does not open one of which a loss of power has left the end and not the
//! middle.

use std::collections::BTreeMap;

use fjall::Keyspace;

use super::codec::{FORGOTTEN, REACHED, encode, encode_into, failed, record_key, session_key};
use crate::config::Position;
use crate::engine::StoreError;
use crate::operation::{Key, Keyed, Moment, Record};
use crate::sessions::{SessionChanges, SessionRow, SessionRows};

/// Gives fjall these changes as one run. The records are in the order of their keys.
pub(super) fn write<'a>(
    state: &Keyspace,
    reached: Option<Moment>,
    records: impl IntoIterator<Item = (&'a Key, &'a Option<Record>)>,
    sessions: &SessionChanges,
) -> Result<(), StoreError> {
    let write_failed = || failed("write out the state");
    let mut run = state.start_ingestion().map_err(write_failed())?;
    // A value in every run also keeps fjall's numbering from falling back when compaction drops what was deleted.
    if let Some(reached) = reached {
        run.write(REACHED, encode(&reached))
            .map_err(write_failed())?;
    }
    let mut encoded = Vec::new();
    for (key, record) in records {
        let key = record_key(key);
        match record {
            Some(record) => {
                encode_into(&mut encoded, record);
                run.write(key, encoded.as_slice())
            }
            None => run.write_tombstone(key),
        }
        .map_err(write_failed())?;
    }
    for (client, row) in &sessions.rows {
        let key = session_key(*client);
        match row {
            Some(row) => run.write(key, encode(row)),
            None => run.write_tombstone(key),
        }
        .map_err(write_failed())?;
    }
    if sessions.forgotten > Position::ZERO {
        run.write(FORGOTTEN, encode(&sessions.forgotten))
            .map_err(write_failed())?;
    }
    run.finish().map_err(write_failed())
}

/// A state that comes from another replica, piece by piece.
pub(super) struct Collected {
    /// `N` in the name of its keyspace.
    pub(super) generation: u64,
    pub(super) state: Keyspace,
    /// A run holds about as many bytes.
    run_bytes: u64,
    records: BTreeMap<Key, Option<Record>>,
    sessions: SessionChanges,
    /// Of both.
    bytes: u64,
}

impl Collected {
    pub(super) fn new(generation: u64, state: Keyspace, run_bytes: u64) -> Self {
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
        let SessionRows { rows, forgotten } = sessions.clone();
        self.sessions.extend(SessionChanges {
            rows: rows
                .into_iter()
                .map(|(client, row)| (client, Some(row)))
                .collect(),
            forgotten,
        });
        if self.bytes >= self.run_bytes {
            self.write(None)?;
        }
        Ok(())
    }

    /// Writes out the rest: it is the state at `at`, durably.
    pub(super) fn finish(&mut self, at: Moment) -> Result<(), StoreError> {
        self.write(Some(at))
    }

    fn write(&mut self, reached: Option<Moment>) -> Result<(), StoreError> {
        write(&self.state, reached, &self.records, &self.sessions)?;
        self.records.clear();
        self.sessions = SessionChanges::default();
        self.bytes = 0;
        Ok(())
    }
}
