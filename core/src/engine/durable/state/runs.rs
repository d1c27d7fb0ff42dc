//! Sorted runs: how changes come to fjall, past its journal and its memtables.
//!
//! A run is durable and there as a whole when this returns, and not there at all if power is lost before. The journal cannot
//! say that of a batch of more than a block: fjall does not open one of which a loss of power has left the end and not the
//! middle.

use fjall::Keyspace;

use super::codec::{FORGOTTEN, REACHED, encode, encode_into, failed, record_key, session_key};
use crate::config::Position;
use crate::engine::StoreError;
use crate::operation::{Key, Moment, Record};
use crate::sessions::SessionChanges;

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
