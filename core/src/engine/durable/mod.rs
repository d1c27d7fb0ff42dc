//! Log, state and arbiter's record on a disk.
//!
//! ```text
//! DIR/lock      locked for the life of the process, with its id
//! DIR/format    what the directory holds, in plain text
//! DIR/meta      a replica: what the node knows about itself
//! DIR/log/      a replica: segments of the log
//! DIR/engine/   a replica: the state, kept by fjall
//! DIR/arbiter   an arbiter: its record
//! ```
//!
//! The log is what makes a write durable; the state follows in batches without syncs of its own. Everything that is
//! written is checksummed and has a format version. What is damaged is reported with file and offset, never skipped.

#[cfg(test)]
mod crashes;
mod directory;
mod draw;
mod files;
mod log;
mod options;
mod record;
mod state;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use crate::config::{Epoch, Incarnation, NodeId, Token};
use crate::engine::{ArbiterStore, StoreError};
use crate::storage::{ArbiterRecord, Meta};
use directory::{DataDir, Kind};
use files::mismatch;
use record::RecordFile;

pub use log::DurableLog;
pub use options::StoreOptions;
pub use state::FjallEngine;

/// What a replica keeps on its disk. The data directory is locked until both parts, and all views, are dropped.
#[derive(Debug)]
pub struct ReplicaStore {
    /// The log.
    pub log: DurableLog,
    /// The state. Still to be brought together with the log by [`recover`](crate::engine::recovery::recover).
    pub engine: FjallEngine,
}

/// Opens the data directory of a replica, or makes one of an empty or missing directory.
///
/// # Errors
/// `Locked` if another process uses it, `Mismatch` if it holds something else, `Damaged` and `Format` if it cannot be read.
pub fn open_replica(path: &Path, options: &StoreOptions) -> Result<ReplicaStore, StoreError> {
    let directory = Arc::new(DataDir::open(path, Kind::Replica)?);
    let meta_file = RecordFile::new(directory.path().join("meta"), *b"LKSTPMET");
    let meta = match meta_file.load()? {
        Some(meta) => meta,
        None => begin(directory.path(), &meta_file)?,
    };
    let is_first_start = meta.incarnation == Incarnation::ZERO;
    let engine_path = directory.path().join("engine");
    if !is_first_start && !engine_path.is_dir() {
        return Err(mismatch(
            directory.path(),
            "has no state, though the node has been started before: remove the data directory and let the node join anew",
        ));
    }
    let log = DurableLog::open(directory.clone(), meta_file, meta, options)?;
    let engine = FjallEngine::open(directory, engine_path, options)?;
    Ok(ReplicaStore { log, engine })
}

/// Gives a new node its identity.
fn begin(directory: &Path, meta_file: &RecordFile) -> Result<Meta, StoreError> {
    if directory.join("log").exists() || directory.join("engine").exists() {
        return Err(mismatch(
            meta_file.path(),
            "is missing: remove the data directory and let the node join anew",
        ));
    }
    let meta = Meta {
        node: NodeId(draw::number()),
        cluster: None,
        incarnation: Incarnation::ZERO,
        token: Token(0),
        epoch: Epoch::ZERO,
    };
    meta_file.save(&meta)?;
    Ok(meta)
}

/// The arbiter's record on its disk. The data directory is locked until this is dropped.
#[derive(Debug)]
pub struct DurableArbiter {
    file: RecordFile,
    record: Option<ArbiterRecord>,
    _directory: DataDir,
}

/// Opens the data directory of an arbiter, or makes one of an empty or missing directory.
///
/// # Errors
/// `Locked` if another process uses it, `Mismatch` if it holds something else, `Damaged` and `Format` if it cannot be read.
pub fn open_arbiter(path: &Path) -> Result<DurableArbiter, StoreError> {
    let directory = DataDir::open(path, Kind::Arbiter)?;
    let file = RecordFile::new(directory.path().join("arbiter"), *b"LKSTPARB");
    Ok(DurableArbiter {
        record: file.load()?,
        file,
        _directory: directory,
    })
}

impl ArbiterStore for DurableArbiter {
    fn load(&self) -> Option<&ArbiterRecord> {
        self.record.as_ref()
    }

    fn save(&mut self, record: &ArbiterRecord) -> Result<(), StoreError> {
        self.file.save(record)?;
        self.record = Some(record.clone());
        Ok(())
    }
}
