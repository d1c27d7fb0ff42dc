#![doc = include_str!("../README.md")]
//!
//! # Where what is
//! [`Client`] and [`Tls`] are of this package, [`testing`] is the cluster in the process. All else is shown from where it is: calls,
//! outcomes and errors from [`lockstep_core`], the certificates from [`lockstep_transport_quic`]. What is promised is told in
//! [`behaviour`](lockstep_core::docs::behaviour) and [`guarantees`](lockstep_core::docs::guarantees).

mod client;
mod tls;

pub mod prelude;
pub mod testing;

pub use bytes::Bytes;
pub use lockstep_core::Handle;
pub use lockstep_core::config::{Address, Position, Seq};
pub use lockstep_core::driver::handle::{
    Acknowledged, AdminError, Asked, ClientOptions, Page, PreparedWrite, Read, ReadError, ReadFrom,
    WriteError,
};
pub use lockstep_core::message::{Drain, NodeStatus};
pub use lockstep_core::operation::{
    Key, Keyed, ReadLevel, Record, Rejection, RequestName, Resolution, Revision, Value,
};
pub use lockstep_core::range::KeyRange;
pub use lockstep_transport_quic::Credentials;

pub use client::{Client, ConnectError};
pub use tls::Tls;

/// What the README of the whole shows is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
