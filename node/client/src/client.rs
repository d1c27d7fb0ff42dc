//! A client of a cluster over QUIC: how it comes to be. What it can do is `Handle`'s.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use lockstep_core::Handle;
use lockstep_core::config::Address;
use lockstep_core::driver;
use lockstep_core::driver::handle::{ClientOptions, ReadError};
use lockstep_transport_quic::address::{BadAddress, Target};
use lockstep_transport_quic::tls::TlsError;
use lockstep_transport_quic::{QuicError, QuicTransport};

use crate::tls::Tls;

/// A client of a cluster: cheap to clone, usable from many tasks at once. It ends with its last clone, or with `close`.
///
/// Its calls are those of [`Handle`].
#[derive(Clone, Debug)]
pub struct Client {
    handle: Handle,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No address was given.
    #[error("no address is given: name some replicas of the cluster, as in 10.0.0.1:7101")]
    NoAddress,
    /// One of the addresses is none.
    #[error(transparent)]
    Address(#[from] BadAddress),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// There is no socket to be had.
    #[error(transparent)]
    Socket(#[from] QuicError),
    /// No replica answered before the deadline.
    #[error("the cluster is not reached")]
    Unreachable(#[source] ReadError),
}

impl Client {
    /// Connects to the cluster that has replicas at `addresses`, `HOST:PORT` or `NAME@HOST:PORT`, of which one must be reachable:
    /// the client learns of the others. `tls` is the directory with `ca.pem` and the certificate of the client, or its
    /// [`Credentials`](crate::Credentials).
    ///
    /// Returns when a replica has answered. From then on the client finds the cluster again by itself.
    ///
    /// # Errors
    /// See [`ConnectError`]; `Unreachable` after 5 seconds.
    pub async fn connect(
        addresses: impl IntoIterator<Item = impl AsRef<str>>,
        tls: impl Into<Tls>,
    ) -> Result<Self, ConnectError> {
        Self::connect_with(addresses, tls, &ClientOptions::default()).await
    }

    /// The same, with options; `Unreachable` after the deadline in them.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect_with(
        addresses: impl IntoIterator<Item = impl AsRef<str>>,
        tls: impl Into<Tls>,
        options: &ClientOptions,
    ) -> Result<Self, ConnectError> {
        let addresses = addresses
            .into_iter()
            .map(|address| Target::parse(address.as_ref()).map(|_| Address::new(address)))
            .collect::<Result<Vec<_>, BadAddress>>()?;
        if addresses.is_empty() {
            return Err(ConnectError::NoAddress);
        }
        let transport = QuicTransport::client(tls.into().credentials()?)?;
        let handle = driver::connect(Arc::new(transport), addresses, options);
        handle.reach().await.map_err(ConnectError::Unreachable)?;
        Ok(Self { handle })
    }

    /// The same client, whose calls give up after `deadline`.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        self.handle.with_deadline(deadline).into()
    }
}

impl Deref for Client {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

/// Over any transport, as in [`testing`](crate::testing).
impl From<Handle> for Client {
    fn from(handle: Handle) -> Self {
        Self { handle }
    }
}
