//! What a system looks like to its load: lanes, on which batches of operations are executed one after the other.

use std::io;

use lockstep_bench::keys::KeysError;
use lockstep_bench::values::ValueSizeError;
use lockstep_core::operation::{Key, Value};
use tokio::time::Instant;

use crate::work::Kind;

/// One operation of one client.
pub(crate) struct Request {
    /// When the client was ready for it.
    pub(crate) since: Instant,
    pub(crate) key: Key,
    /// Empty when it reads.
    pub(crate) value: Value,
}

/// Executes batches, one at a time.
pub(crate) trait Lane {
    /// Executes operations of one kind; done when all are.
    async fn execute(&mut self, kind: Kind, batch: &[Request]) -> Result<(), Failure>;
}

/// Three nodes, and the connections to them.
pub(crate) trait System {
    type Lane: Lane + 'static;

    /// One more lane over the connections of this number.
    fn lane(&self, connection: usize) -> Self::Lane;

    /// How batches are made when so many clients share a connection.
    fn batches(&self, clients: usize) -> Batches;

    /// In words, for people who read the results.
    fn arrangement(&self) -> String;
}

/// How the operations of a connection's clients are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batches {
    /// Operations in one.
    pub(crate) size_max: usize,
    /// Batches under way at once, of each kind.
    pub(crate) lanes: usize,
}

/// An operation failed, or the load could not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It is not known whether operations were executed.
    #[error("Redis: {0}")]
    Redis(#[from] redis::RedisError),
    /// It is not known whether operations were executed.
    #[error("etcd: {0}")]
    Etcd(#[from] etcd_client::Error),
    /// The writes are executed, but the promise is not kept.
    #[error("Redis: a write was confirmed by {confirmed:?} nodes instead of {asked:?}")]
    NotConfirmed {
        asked: Vec<i64>,
        confirmed: Vec<i64>,
    },
    /// Every key should be there.
    #[error("a key is not there: run `fill` with the same --keys and --key-size first")]
    NotFound,
    /// The load cannot begin.
    #[error("no member of etcd at --nodes orders the writes: name all of them")]
    NoOrder,
    /// The load cannot begin.
    #[error("--key-size: {0}")]
    Keys(#[from] KeysError),
    /// The load cannot begin.
    #[error("--value-size: {0}")]
    ValueSize(#[from] ValueSizeError),
    /// The load cannot begin, or the CPU time of the nodes cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}
