//! The laboratory: what every implementation of a seam must do, and the instruments that show it. `tests/README.md` says which
//! to use when, and how to replay what they have found.
//!
//! - `conformance`: what every transport and every engine must do.
//! - `files`: what the durable log and the records stand on: files that forget, lie, fail and fill up.
//! - `cluster`: whole clusters on virtual time, with a `disk` for each node and a `network`, which can fail.
//! - `chaos`: one simulation from its seed; `campaign`: many of them. What must hold in them is in `invariants`, what
//!   goes wrong and what rarely happens in `faults`, what clients do in `workload` and what they learn in `history`.
//! - `oracle`: whether what clients learned, in a simulation or of real processes, can be an answer of such a store.
//! - `explore`: everything that a tiny cluster can do, looked at one by one.
//! - `register`: the same of a few arbiters that keep one value together.
//! - `availability`: how long a cluster goes without a success while something is broken.
//! - `script`: golden conversations, in the notation of `trace`.
//! - `leases`: the lease argument, as a model with discrete time that is searched whole.
//! - `power`: the state of programs, at any call to whose files power is lost.
//! - `processes`: clusters of real processes, killed, stopped and cut off under load.
//! - `hostile`: the same, while clients and strangers mean harm to them.
//! - `planted` (with the feature of that name): mistakes in the protocol, to see that all this finds them.
//! - `course`: the bench of the official cases.
//! - `hot`: the operations whose cost is watched.
//!
//! # What is simulated and what is not
//!
//! What decides is the same code in a program and in the simulator; what carries out differs.
//!
//! | what | in a program | in a simulated cluster |
//! | --- | --- | --- |
//! | the protocol: arbiter, replica, client | itself | itself |
//! | a round: what is taken in, in which order, at which time, within which bounds, and what is passed on (`host`) | itself; the loop waits and sends | itself; the simulation says when something arrives |
//! | the order of saves, groups under one sync, refusal and resumption, installation, trimming, checkpoints, what is applied at once (`storage`: the scheduler and the desk) | themselves, in two threads | themselves, job by job, on virtual time |
//! | the durable log and the records | themselves, over files of the operating system | themselves, over [`files`] that tear, lose, reorder, refuse and fail |
//! | the state | fjall | a model, with a cache and without, that falls back to any checkpoint |
//! | a start: recovery from log and state | itself | itself |
//! | encoding, quotas, who may say what | itself | itself |
//!
//! Only in a program, each with what is done instead:
//!
//! - **Waiting**: timers, channels and wake-ups of the runtimes (`core/src/driver/run.rs`), threads and their scheduling
//!   (`driver/disk/threads.rs`), answers to a caller's futures (`driver/handle`). They decide nothing; the driver's own
//!   tests, the integration tests and the real processes run them.
//! - **Transports**, QUIC's congestion control and certificates among them: they promise little ([`lockstep_core::transport`]),
//!   the simulated network promises no more, and `conformance` holds every one to it.
//! - **fjall's files**: the contract of engines is one, and its suite runs on fjall and on the model; fjall's process is ended at
//!   any moment in `core/src/engine/durable/crashes.rs`; and `power` records its calls to files, has simulated ones lose what was
//!   not synced at some of them, and opens what that leaves.
//! - **The files of the operating system** themselves: a test has seeds do to them what they do to simulated ones, and compares
//!   every call.
//! - **Putting a node together**, its command line, signals and the lock on its directory (`node`): tests and scripts with
//!   processes.
//!
//! The explorer copies and compares whole clusters and has a model for the log as well (`disk::ModelLog`); the scheduler and the
//! desk are the real ones there, too.

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
pub mod register;

pub mod availability;

pub mod script;
pub mod trace;

pub mod leases;

pub mod hostile;
pub mod power;
pub mod processes;

#[cfg(feature = "planted")]
pub mod planted;

pub mod course;

pub mod hot;
