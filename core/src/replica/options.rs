//! What a replica has to be told besides what its disk knows.

use crate::config::Address;
use crate::limits::Limits;

/// What a replica has to be told besides what its disk knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplicaOptions {
    /// The name people gave it.
    pub name: String,
    /// Where others reach it: its transport's `local()`.
    pub address: Address,
    /// Where the arbiters are; at least one.
    pub arbiters: Vec<Address>,
    /// Bounds an operator may choose.
    pub limits: Limits,
    /// The version of the program, for `status`.
    pub software: String,
}
