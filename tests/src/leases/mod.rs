//! The lease argument, searched whole: why no replica ever answers a linearizable read with what is no longer true.
//!
//! The argument is about time: a secondary may answer alone until its read lease ends, a primary may answer until its
//! own does, and whoever could change what is true waits for that, on another clock. A simulation tries some
//! interleavings of clocks, pauses and messages; this model is small enough for all of them. It knows nothing of the
//! implementation: what it checks is the protocol. A rule that is changed there is to be changed here.
//!
//! # What there is
//!
//! - Two or three nodes and the arbiter, a register that is compared and swapped.
//! - A log of at most one entry, named by the epoch it was made in. A write is acknowledged when the entry is committed.
//! - Discrete time. A lease lasts two ticks, a promise three, so `rho` is a half. Each clock may stand still for one tick
//!   of a run, and between two clocks that is the drift that such a `rho` allows (`time`).
//! - The last message of each kind between any two nodes. It may arrive late, several times, or never. In scopes
//!   of three nodes, Beacons and acknowledgements arrive at once or never; their delays are for scopes of two.
//! - Crashes and restarts, of the nodes that a scope names. The disk survives, the clock begins anew.
//! - Pauses: every action may wait for as long as it likes.
//!
//! # What must hold
//!
//! In every state, for every replica that would answer a read which arrives there and then (`property`): it answers with
//! the entry if its write was acknowledged, no two replicas answer as primary, and the arbiter's primary has the entry.
//! Only what is acknowledged is ever answered, so that a read that was answered binds no more than a write does.
//!
//! # What it shows
//!
//! [`search`] finds nothing in any [`Scope`]. It finds a trace for each rule that is left out ([`Omission::FATAL`]), save
//! those that others make up for ([`Omission::HARMLESS`]). The traces are the shortest there are, in words (`words`).
//!
//! # What it does not show
//!
//! - More than one entry, and so nothing about truncation within a log, or full state.
//! - Reads that wait: a dirty key's question and answer happen in the moment of the read.
//! - Disks that lose or delay: what is in a log is persisted.
//! - An arbiter that is away, save as messages to and from it that wait.
//! - That anything ever happens: no liveness.

mod time;

mod state;

mod arbiter;
mod beacons;
mod membership;
mod model;
mod omissions;
mod proposals;
mod scope;
mod writes;

mod property;
mod reached;

mod search;
mod words;

pub use omissions::Omission;
pub use property::Violation;
pub use reached::Reached;
pub use scope::Scope;
pub use search::{Outcome, search};
