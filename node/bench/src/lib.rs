//! The load generator of Lockstep: what clients do, when, with which keys and values, what came of it, and whether what
//! they read is what was written.
//!
//! - What is done: [`workload`] draws operations, [`keys`] names and chooses keys, [`schedule`] says when the next operation
//!   is due.
//! - What is written and known: [`values`] tell who wrote them, the [`ledger`] judges what is read.
//! - What comes of it: [`tally`] counts, with [`latencies`]; [`pauses`] are the times without a success, [`notes`] what is noted
//!   down besides; [`findings`] are what was wrong.
//! - Who does it: a [`client`] works on a [`target`] operation by operation, with [`scan`]s over pages; [`spread`] does the same
//!   for every key, many at once.
//!
//! `lockstep bench` uses all of it. The laboratory's rounds with real processes use keys, schedule, pauses and latencies; their
//! clients are their own, because each call becomes part of a history that an oracle judges as a whole, removals included, while
//! the ledger here keeps some bytes a key. What drives other systems for comparison (`tests/peers`) uses workload, keys, values and
//! tally; its clients are its own, because one request there carries the operations of many of them.
//!
//! It knows no runtime, no network and no flags: clients wait and run where their [`Target`] says.

pub mod client;
pub mod findings;
pub mod keys;
pub mod latencies;
pub mod ledger;
pub mod notes;
pub mod pauses;
pub mod scan;
pub mod schedule;
pub mod spread;
pub mod tally;
pub mod target;
pub mod values;
pub mod workload;

pub use target::{Failure, Target};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
