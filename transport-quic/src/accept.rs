//! Taking connections that others open: who they are, what they claim, and how many there may be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_std::future::timeout;
use lockstep_core::transport::SenderKind;
use quinn::{Connection, Endpoint, Incoming};
use rustls::pki_types::CertificateDer;
use tracing::{debug, warn};

use crate::address::Target;
use crate::closing::{self, Code, Weight};
use crate::connection::{self, OpenError};
use crate::endpoint::Shared;
use crate::hello::Hello;
use crate::identity::Identity;
use crate::peer::{Active, OpenedBy, Peer};
use crate::socket;

/// From the first packet to the Hello.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Handshakes at the same time above which others have to prove first that they receive at their address.
const HANDSHAKES_UNPROVEN_MAX: usize = 64;

/// Handshakes at the same time; more are refused.
const HANDSHAKES_MAX: usize = 1024;

/// Takes connections until the transport is closed.
pub(crate) async fn run(shared: Arc<Shared>, endpoint: Endpoint) {
    let handshakes = Arc::new(AtomicUsize::new(0));
    while let Some(incoming) = endpoint.accept().await {
        let under_way = handshakes.load(Ordering::Relaxed);
        if under_way >= HANDSHAKES_MAX {
            incoming.refuse();
        } else if under_way >= HANDSHAKES_UNPROVEN_MAX && incoming.may_retry() {
            // Fails only where `may_retry` is false.
            let _ = incoming.retry();
        } else {
            let handshake = Counted::new(&handshakes);
            shared
                .runtime
                .spawn(take(Arc::clone(&shared), incoming, handshake));
        }
    }
}

/// One of a bounded number, for as long as it lives.
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }

    /// One more, unless there are `max`.
    fn within(count: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let one_more = |number: usize| (number < max).then_some(number + 1);
        count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| Self(Arc::clone(count)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes one connection, and runs it until it ends.
async fn take(shared: Arc<Shared>, incoming: Incoming, handshake: Counted) {
    let remote = incoming.remote_address();
    let connection = match timeout(HANDSHAKE, async { incoming.accept()?.await }).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            log_failure(remote, OpenError::Connection(error));
            return;
        }
        Err(_) => {
            debug!(%remote, "the handshake was not finished in time");
            return;
        }
    };
    let greeted = timeout(HANDSHAKE, connection::read_hello(&connection)).await;
    let (hello, control) = match greeted {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(error)) => {
            if let OpenError::Hello(error) = &error {
                closing::close(&connection, Code::Hello, &error.to_string());
            }
            log_failure(remote, error);
            return;
        }
        Err(_) => {
            refuse(&connection, Code::Hello, "no Hello came");
            return;
        }
    };
    let (peer, client) = match admit(&shared, &connection, &hello) {
        Ok(admitted) => admitted,
        Err((code, reason)) => {
            refuse(&connection, code, &reason);
            return;
        }
    };
    drop(handshake);
    match connection::open_streams(&connection, &shared.hello).await {
        Ok(streams) => {
            let active = Active {
                connection,
                session: hello.session,
                opened_by: OpenedBy::Them,
            };
            connection::run(
                Arc::clone(&shared),
                Arc::clone(&peer),
                active,
                streams,
                control,
            )
            .await;
        }
        Err(error) => log_failure(remote, error),
    }
    if client.is_some() {
        shared.peers.remove(&peer.address);
    }
}

/// Finds the peer that this connection belongs to, or the reason why it is not wanted. For a client, counts it.
fn admit(
    shared: &Shared,
    connection: &Connection,
    hello: &Hello,
) -> Result<(Arc<Peer>, Option<Counted>), (Code, String)> {
    let identity = identity_of(connection)?;
    match identity.kind {
        SenderKind::Node => {
            let wrong = |reason: String| (Code::Identity, reason);
            let target =
                Target::parse(hello.address.as_str()).map_err(|error| wrong(error.to_string()))?;
            if target.name.as_ref() != Some(&identity.name) {
                return Err(wrong(format!(
                    "the Hello says {}, the certificate is of {identity}",
                    hello.address
                )));
            }
            if hello.address == shared.local {
                return Err(wrong(format!(
                    "{} is the address of this node itself",
                    hello.address
                )));
            }
            connection.set_receive_window(socket::node_window());
            let peer = shared.peers.node(&hello.address, target, shared.dial);
            let peer = peer.ok_or((Code::TooMany, "too many nodes are connected".to_owned()))?;
            Ok((peer, None))
        }
        SenderKind::Client => {
            let counted =
                Counted::within(&shared.clients, shared.clients_max).ok_or_else(|| {
                    let reason = format!(
                        "{} clients are connected, which is the limit",
                        shared.clients_max
                    );
                    (Code::TooMany, reason)
                })?;
            Ok((shared.peers.client(&identity.name), Some(counted)))
        }
    }
}

fn identity_of(connection: &Connection) -> Result<Identity, (Code, String)> {
    let chain = connection
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok())
        .unwrap_or_default();
    let leaf = chain
        .first()
        .ok_or((Code::Identity, "no certificate was shown".to_owned()))?;
    Identity::of(leaf).map_err(|error| (Code::Identity, error.to_string()))
}

fn refuse(connection: &Connection, code: Code, reason: &str) {
    warn!(remote = %connection.remote_address(), reason, "refused a connection");
    closing::close(connection, code, reason);
}

fn log_failure(remote: SocketAddr, error: OpenError) {
    match &error {
        OpenError::Connection(cause) => match closing::describe(cause) {
            Some((Weight::Unusual, reason)) => warn!(%remote, reason, "a connection failed"),
            Some((Weight::Usual, reason)) => debug!(%remote, reason, "a connection ended"),
            None => {}
        },
        OpenError::Hello(cause) => warn!(%remote, reason = %cause, "refused a connection"),
    }
}
