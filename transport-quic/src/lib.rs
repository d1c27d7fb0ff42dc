//! Frames over QUIC, always with mutual TLS 1.3.
//!
//! One connection for each pair of nodes, and for each client and node; on it one stream for each lane and direction,
//! which live as long as the connection. On a stream, frames are preceded by their length. Who somebody is and what he may
//! say stands in his certificate, which the cluster's own authority issues ([`authority`]).
//!
//! # How a connection begins
//! The TLS handshake establishes that both belong to the cluster, and that a node has the name it was dialled by. Then each
//! side sends a Hello as the first frame of its control stream: the session (drawn at every start) and, from a node, the
//! address at which it is reached. The side that was dialled checks that the address has the name of the certificate, answers
//! with its own Hello, and from then on takes frames. An end that disagrees closes the connection with a reason, which both log.
//!
//! # One connection for each pair
//! Two nodes that dial each other at the same time get two connections. Both know both sessions, so both choose the same
//! one: the one dialled by the node with the smaller address. What was sent on the other is still read for a while. A
//! connection of another session takes the place of the old one at once: the peer has restarted.
//!
//! # The parts, in reading order
//! [`identity`] and [`address`] (who, and where); [`authority`], [`tls`] and `verifier` (certificates); `frame`, `hello` and
//! `closing` (what goes over the wire); `socket` (the settings of QUIC) and `runtime`
//! (what everything runs on, the processes over it included); `inbox` and `outbox` (what waits); `peer` and `peers` (the
//! other ends), `failures` (why one is not reached), `dial` and `accept` (how connections begin), `connection` (how they live and end); [`config`] and
//! `endpoint` (the transport itself).

pub mod address;
pub mod authority;
pub mod config;
pub mod identity;
pub mod tls;

mod accept;
mod closing;
mod connection;
mod dial;
mod endpoint;
mod failures;
mod frame;
mod hello;
mod inbox;
mod outbox;
mod peer;
mod peers;
mod runtime;
mod socket;
mod traffic;
mod verifier;

pub use address::endpoint_of;
pub use config::{Dial, QuicConfig, QuicError};
pub use endpoint::QuicTransport;
pub use tls::Credentials;
