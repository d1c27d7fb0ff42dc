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
//! The log is what makes a write durable; the state follows in batches without syncs of its own. Log and records carry
//! checksums and a format version; whoever opens them reports what is damaged with file and offset, and never skips it.

#[cfg(test)]
mod crashes;
mod directory;
mod draw;
mod files;
mod log;
mod options;
mod os;
mod record;
mod state;
mod stopped;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use crate::config::{Epoch, Incarnation, NodeId, Token};
use crate::engine::files::Files;
use crate::engine::{ArbiterStore, StoreError};
use crate::storage::{ArbiterKeeper, Meta};
use directory::{DataDir, Kind};
use files::mismatch;
use record::RecordFile;

pub use draw::Draw;
pub use log::DurableLog;
pub use options::StoreOptions;
pub use os::OsFiles;
pub use state::FjallEngine;
pub use stopped::{Extent, StoppedReplica};

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
    let directory = Arc::new(DataDir::lock(path, Kind::Replica)?);
    let mut draw = Draw::random();
    let (meta_file, meta) = identity(&directory, &mut draw)?;
    if meta.incarnation > Incarnation::ZERO && !directory.has("engine")? {
        return Err(mismatch(
            directory.path(),
            "has no state, though the node has been started before: remove the data directory and let the node join anew",
        ));
    }
    let log = DurableLog::open(directory.clone(), meta_file, meta, options, draw)?;
    let engine_path = directory.path().join("engine");
    let engine = FjallEngine::open(directory, engine_path, options)?;
    Ok(ReplicaStore { log, engine })
}

/// Opens the log of a replica in a data directory on other files than those of the operating system, or makes one of an
/// empty or missing directory.
///
/// # Errors
/// As of `open_replica`, save `Locked`: nobody else must use the directory.
pub fn open_log(
    files: Arc<dyn Files>,
    path: &Path,
    options: &StoreOptions,
    mut draw: Draw,
) -> Result<DurableLog, StoreError> {
    let directory = Arc::new(DataDir::open(files, path, Kind::Replica)?);
    let (meta_file, meta) = identity(&directory, &mut draw)?;
    DurableLog::open(directory, meta_file, meta, options, draw)
}

/// What a node knows about itself, and where it is kept.
fn identity(directory: &DataDir, draw: &mut Draw) -> Result<(RecordFile, Meta), StoreError> {
    let file = RecordFile::new(directory, "meta", *b"LKSTPMET");
    let meta = match file.load()? {
        Some(meta) => meta,
        None => begin(directory, &file, draw)?,
    };
    Ok((file, meta))
}

/// Gives a new node its identity.
fn begin(directory: &DataDir, meta_file: &RecordFile, draw: &mut Draw) -> Result<Meta, StoreError> {
    if directory.has("log")? || directory.has("engine")? {
        return Err(mismatch(
            meta_file.path(),
            "is missing: remove the data directory and let the node join anew",
        ));
    }
    let meta = Meta {
        node: NodeId(draw.number()),
        cluster: None,
        incarnation: Incarnation::ZERO,
        token: Token(0),
        epoch: Epoch::ZERO,
        starts: Vec::new(),
        arbiters: Vec::new(),
    };
    meta_file.save(&meta)?;
    Ok(meta)
}

/// The arbiter's record on its disk. The data directory is locked until this is dropped.
#[derive(Debug)]
pub struct DurableArbiter {
    file: RecordFile,
    record: Option<ArbiterKeeper>,
    _directory: DataDir,
}

/// Opens the data directory of an arbiter, or makes one of an empty or missing directory.
///
/// # Errors
/// `Locked` if another process uses it, `Mismatch` if it holds something else, `Damaged` and `Format` if it cannot be read.
pub fn open_arbiter(path: &Path) -> Result<DurableArbiter, StoreError> {
    DurableArbiter::open(DataDir::lock(path, Kind::Arbiter)?)
}

/// The same on other files than those of the operating system.
///
/// # Errors
/// As of `open_arbiter`, save `Locked`: nobody else must use the directory.
pub fn open_arbiter_on(files: Arc<dyn Files>, path: &Path) -> Result<DurableArbiter, StoreError> {
    DurableArbiter::open(DataDir::open(files, path, Kind::Arbiter)?)
}

impl DurableArbiter {
    fn open(directory: DataDir) -> Result<Self, StoreError> {
        let file = RecordFile::new(&directory, "arbiter", *b"LKSTPARB");
        Ok(Self {
            record: file.load()?,
            file,
            _directory: directory,
        })
    }
}

impl ArbiterStore for DurableArbiter {
    fn load(&self) -> Option<&ArbiterKeeper> {
        self.record.as_ref()
    }

    fn save(&mut self, record: &ArbiterKeeper) -> Result<(), StoreError> {
        self.file.save(record)?;
        self.record = Some(record.clone());
        Ok(())
    }
}
