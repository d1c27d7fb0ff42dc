//! The driver: runs any process over any transport, with a disk of its own, on async-std or what the transport brings.
//!
//! It moves bytes and time in and out and decides nothing: what happens in a round is decided by [`host`](crate::host), what
//! the disk does by [`storage`](crate::storage). Reading order: [`clock`]; `error`, `watch` and `running` (what whoever
//! starts a process has to do with); [`disk`] (on threads of its own); `inbox` (what a process waits for); `usage` (what a
//! node has used); `run` (the loop) and `default_runtime` (what it runs on); `spawn` and `start`; `shared` (one end for two processes); [`handle`] (calls for
//! programs).

#[cfg(test)]
mod bench;
mod calls;
pub mod clock;
mod default_runtime;
mod dice;
pub mod disk;
mod error;
pub mod handle;
mod inbox;
mod run;
mod running;
mod shared;
mod spawn;
mod start;
#[cfg(test)]
mod tests;
mod usage;
mod watch;

pub use self::error::DriverError;
pub use self::running::{Control, Exit, Running};
pub use self::shared::share;
pub use self::spawn::{Parts, runtime_of, spawn};
pub use self::start::{
    begin_cluster, connect, draw_arbiter, draw_secret, start_arbiter, start_replica,
};
pub use self::watch::Watch;
