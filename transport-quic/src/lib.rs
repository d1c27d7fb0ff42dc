#![doc = include_str!("../README.md")]
//!
//! # Connections and streams
//! One connection for each pair of nodes, and for each client and node; on it one stream for each lane and direction,
//! which live as long as the connection. On a stream, frames are preceded by their length. Who somebody is and what he may
//! say stands in his certificate, which the cluster's own authority issues ([`authority`]).
//!
//! # How a connection begins
//! The TLS handshake establishes that both belong to the cluster, and that a node has the name it was dialled by. Then each
//! side sends a Hello as the first frame of its control stream: a number drawn at its start and, from a node, the
//! address at which it is reached. The side that was dialled checks that the address has the name of the certificate, answers
//! with its own Hello, and from then on takes frames. An end that disagrees closes the connection with a reason, which both log.
//!
//! # One connection for each pair
//! Two nodes that dial each other at the same time get two connections. Both compare the same addresses, so both
//! choose the same one: the one dialled by the node with the smaller address. What was sent on the other is still read for a
//! while. A connection with another start of the peer takes the place of the old one at once: the peer has restarted.
//!
//! # The parts, in reading order
//! [`identity`] and [`address`] (who, and where); [`authority`], [`tls`], `denied` and `verifier` (certificates); [`config`]; `frame`,
//! `streams`, `hello` and `closing` (what goes over the wire); `socket`, `settings` (of QUIC) and `runtime` (what everything
//! runs on, the processes over it included); `budget` (what clients' frames may hold), `inbox` and `outbox` (what waits); `allowance`, `backoff`, `peer` and `peers` (the other
//! ends), `failures` (why one is not reached), `gate` and `strangers` (who may knock, and who is not let in), `traffic`, `clients` and `shared` (what the tasks share); `opening` (the
//! Hellos), `reader`, `connection` (how one lives and ends), `dial` and `accept` (who gets them); `farewell` (how all end)
//! and `transport` (the transport itself).

pub mod address;
pub mod authority;
pub mod config;
pub mod identity;
pub mod tls;

mod accept;
mod allowance;
mod backoff;
mod budget;
mod clients;
mod closing;
mod connection;
mod denied;
mod dial;
mod failures;
mod farewell;
mod frame;
mod gate;
mod hello;
mod inbox;
mod opening;
mod outbox;
mod peer;
mod peers;
mod reader;
mod runtime;
mod settings;
mod shared;
mod socket;
mod strangers;
mod streams;
mod traffic;
mod transport;
mod verifier;

pub use address::endpoint_of;
pub use config::{Admit, QuicConfig, QuicError};
pub use tls::Credentials;
pub use transport::QuicTransport;
