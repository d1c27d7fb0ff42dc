//! Frames between the processes of one program, through queues in memory and a network that tests can disturb.
//!
//! Undisturbed, a frame is in its receiver's queue when `send` returns: no timers, no tasks. Disturbed, frames are lost,
//! delayed, duplicated and overtaken as a seed decides, per link and direction.
//!
//! Reading order: [`conditions`] (what can be wrong with a link, and what is counted), `inbox` (what waits for a
//! receiver), [`network`] (who is there, and how a frame gets from one to the other), `transport` (one end of it), [`cluster`] (all of it
//! in use: a cluster for the tests of other programs).

pub mod cluster;
pub mod conditions;
mod disk;
mod inbox;
pub mod network;
mod transport;

#[cfg(test)]
mod tests;

pub use cluster::Cluster;
pub use conditions::{Conditions, Counts};
pub use network::Network;
pub use transport::MemTransport;
