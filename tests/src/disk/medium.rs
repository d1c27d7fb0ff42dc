//! What keeps the bytes of a simulated disk.

use lockstep_core::engine::{ArbiterStore, LogStore, StoreError};
use lockstep_core::storage::ArbiterKeeper;

use super::parts::DiskLog;

/// Keeps the log of a replica's disk.
///
/// The log of programs over simulated files ([`FilesLog`](super::FilesLog)), or a model that can be copied and compared
/// ([`ModelLog`](super::ModelLog)).
pub trait Medium: LogStore {
    /// What survives a loss of power, whatever happens.
    fn durable(&self) -> &DiskLog;

    /// A process starts.
    ///
    /// # Errors
    /// What keeps it from starting.
    fn open(&mut self) -> Result<(), StoreError>;

    /// The process has ended, and everything is as it was.
    fn close(&mut self);
}

/// Keeps the record of an arbiter's disk; see [`Medium`].
pub trait RecordMedium: ArbiterStore {
    /// What survives a loss of power.
    fn keeper(&self) -> &ArbiterKeeper;

    /// A process starts.
    ///
    /// # Errors
    /// What keeps it from starting.
    fn open(&mut self) -> Result<(), StoreError>;
}
