//! Processes that are a cluster, however they are laid out: what is done to one of them, and where clients find them.

use std::path::PathBuf;

use lockstep_core::config::Address;
use lockstep_transport_quic::{Credentials, QuicTransport};

use super::cluster::TLS_DIR;
use super::{Condition, Failure, Place, Server};

/// Which process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The arbiter that is a process of its own.
    Arbiter,
    /// A replica, with all else that its process does.
    Replica(usize),
}

/// What an experiment is made with. Its processes are killed when this is dropped.
pub trait Subject {
    /// The directory of the cluster, and commands for it.
    fn place(&self) -> &Place;

    /// Keeps the directory of the cluster, with the logs of its processes, and says where it is.
    fn keep(&mut self) -> PathBuf;

    /// Where the replicas are, in the order of their numbers.
    fn addresses(&self) -> Vec<Address>;

    /// A process that runs.
    fn server(&self, who: Who) -> &Server;

    /// A process that runs, which is the cluster's no more.
    fn take(&mut self, who: Who) -> Server;

    /// Has a process ended by itself?
    fn has_ended(&mut self, who: Who) -> bool;

    /// Starts a process, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not get ready.
    fn start(&mut self, who: Who) -> Result<(), Failure>;

    /// Where a process has its data.
    fn data_dir(&self, who: Who) -> PathBuf;

    /// The disk of a process does that from now on.
    ///
    /// # Errors
    /// If it is one that cannot be disturbed.
    fn disturb(&self, who: Who, condition: Condition) -> Result<(), Failure>;

    /// The network end of a client of this cluster.
    ///
    /// # Errors
    /// If there is no socket for it.
    fn client(&self) -> Result<QuicTransport, Failure> {
        let tls_dir = self.place().path().join(TLS_DIR);
        let credentials = Credentials::load_client(&tls_dir, None)?;
        Ok(QuicTransport::client(credentials)?)
    }
}
