//! Why a process ended otherwise than it was told to.

use std::any::Any;
use std::io;

use crate::config::ClusterId;
use crate::engine::StoreError;
use crate::message::JoinRefusal;
use crate::storage::desk::DeskError;

/// Why a process ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The disk did not do what it was asked for; the next start finds out what it has.
    #[error("the disk failed")]
    Disk(#[from] StoreError),
    /// The disk did not come to an end when the process did. What was acknowledged is safe; the next start takes longer.
    #[error("the disk did not finish what it was doing in reasonable time")]
    DiskHangs,
    /// The process asked for a disk it was not given.
    #[error("this kind of process has no disk for what it wanted to save")]
    NoDisk,
    /// An arbiter was to start on a disk without a record.
    #[error(
        "the arbiter's directory has no cluster: if it is to begin a new one, make it with `init`; if it had one, its data is \
         elsewhere or lost, and `adopt` has it take up the replicas that are there"
    )]
    NoCluster,
    /// A cluster was to begin on a disk that has one.
    #[error("the arbiter's directory is of cluster {0} already")]
    ClusterBegun(ClusterId),
    /// The arbiter does not take this node.
    #[error("this node has no place in the cluster: {0}")]
    JoinRefused(JoinRefusal),
    /// A replica knows of a configuration that the arbiter does not.
    #[error(
        "the record of the arbiter was put back to an older copy: replicas know of later decisions; put the newest record back"
    )]
    RecordBehind,
    /// The network was closed under it.
    #[error("the transport was closed while the process was running")]
    TransportClosed,
    /// A defect: what was assumed to hold did not.
    #[error("the process panicked, please report it: {0}")]
    Panicked(String),
    /// The runtime ended before it.
    #[error("the runtime of the process ended, and the process with it")]
    Abandoned,
    /// The operating system gave no thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

impl From<DeskError> for DriverError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::NoDisk => Self::NoDisk,
            DeskError::Store(error) => Self::Disk(error),
        }
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it did not say why".to_owned())
}
