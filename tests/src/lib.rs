//! The laboratory: what every implementation of a seam must do, and the instruments that show it.
//!
//! - `conformance`: what every transport and every engine must do.
//! - `files`: what the durable log and the records stand on: files that forget, lie, fail and fill up.
//! - `cluster`: whole clusters on virtual time, with `disk`, `record` and `network` that can fail.
//! - `chaos`: one simulation from its seed; `campaign`: many of them. What must hold in them is in `invariants`, what
//!   goes wrong and what rarely happens in `faults`, what clients do in `workload` and what they learn in `history`.
//! - `oracle`: whether what clients learned, in a simulation or of real processes, can be an answer of such a store.
//! - `explore`: everything that a tiny cluster can do, looked at one by one.
//! - `availability`: how long a cluster goes without a success while something is broken.
//! - `script`: golden conversations, in the notation of `trace`.
//! - `leases`: the lease argument, as a model with discrete time that is searched whole.
//! - `processes`: clusters of real processes, killed, stopped and cut off under load.
//! - `planted` (with the feature of that name): mistakes in the protocol, to see that all this finds them.
//! - `course`: the bench of the official cases.
//! - `hot`: the operations whose cost is watched.

pub mod conformance;

pub mod files;

pub mod cluster;
pub mod disk;
pub mod network;
pub mod shadow;

pub mod campaign;
pub mod chaos;
pub mod faults;
pub mod history;
pub mod invariants;
pub mod paths;
pub mod repeats;
pub mod workload;

pub mod oracle;

pub mod explore;

pub mod availability;

pub mod script;
pub mod trace;

pub mod leases;

pub mod processes;

#[cfg(feature = "planted")]
pub mod planted;

pub mod course;

pub mod hot;
