#![doc = include_str!("../README.md")]
//!
//! # The parts, in reading order
//! [`conditions`] (what can be wrong with a link), [`counts`], `links` (all of them, and what becomes of
//! frames), `address`, `inbox` (what waits for a receiver), `switch` (who is there, and how a frame gets from one end to
//! another), `transport` (one end), [`network`] (what its users hold), [`cluster`] (all of it in use: a cluster for the
//! tests of other programs).

pub mod cluster;
pub mod conditions;
pub mod counts;
pub mod network;

mod address;
mod disk;
mod inbox;
mod links;
mod switch;
mod transport;

#[cfg(test)]
mod tests;

pub use cluster::Cluster;
pub use conditions::Conditions;
pub use counts::Counts;
pub use network::Network;
pub use transport::MemTransport;
