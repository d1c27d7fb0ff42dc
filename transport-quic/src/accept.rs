//! Taking connections that others open: who they are, what they claim, and how many there may be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_std::future::timeout;
use lockstep_core::transport::SenderKind;
use quinn::{Connection, Incoming};
use tracing::{debug, warn};

use crate::address::Target;
use crate::clients::Place;
use crate::closing::{self, Code, Weight};
use crate::config::Admit;
use crate::connection::{self, Ended};
use crate::dial;
use crate::hello::Hello;
use crate::identity::{Identity, peer_certificate};
use crate::opening::{self, OpenError, Opened};
use crate::peer::{Active, OpenedBy, Peer};
use crate::permits::{Permit, Permits};
use crate::settings;
use crate::shared::Shared;
use crate::verifier;

/// From the first packet to the Hello.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Handshakes at the same time above which others have to prove first that they receive at their address.
const HANDSHAKES_UNPROVEN_MAX: usize = 64;

/// Handshakes at the same time; more are refused.
const HANDSHAKES_MAX: usize = 1024;

/// Takes connections until the transport is closed.
pub(crate) async fn run(shared: Arc<Shared>) {
    let Some(endpoint) = shared.endpoint() else {
        return;
    };
    let handshakes = Permits::new(HANDSHAKES_MAX);
    while let Some(incoming) = endpoint.accept().await {
        let under_way = handshakes.given();
        let Some(handshake) = handshakes.give() else {
            incoming.refuse();
            continue;
        };
        if under_way >= HANDSHAKES_UNPROVEN_MAX && incoming.may_retry() {
            // Fails only where `may_retry` is false.
            let _ = incoming.retry();
            continue;
        }
        shared
            .runtime
            .spawn(take(Arc::clone(&shared), incoming, handshake));
    }
}

/// Takes one connection, and runs it until it ends.
async fn take(shared: Arc<Shared>, incoming: Incoming, handshake: Permit) {
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
    let greeted = timeout(HANDSHAKE, opening::read_hello(&connection)).await;
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
    let (peer, as_client) = match admit(&shared, &connection, &hello) {
        Ok(admitted) => admitted,
        Err((code, reason)) => {
            refuse(&connection, code, &reason);
            return;
        }
    };
    drop(handshake);
    match opening::open_streams(&connection, &shared.hello).await {
        Ok(streams) => {
            let active = Active {
                connection,
                start: hello.start,
                opened_by: OpenedBy::Them,
            };
            let opened = Opened {
                active,
                streams,
                control,
            };
            match connection::run(&shared, &peer, opened).await {
                Ended::Done => {}
                Ended::Dial => dial::spawn(&shared, &peer),
            }
        }
        Err(error) => log_failure(remote, error),
    }
    if as_client.is_some() {
        shared.peers.remove(&peer.address);
    }
}

/// Finds the peer that this connection belongs to, or the reason why it is not wanted. A client needs a place.
fn admit(
    shared: &Shared,
    connection: &Connection,
    hello: &Hello,
) -> Result<(Arc<Peer>, Option<Place>), (Code, String)> {
    let refused = |reason: String| (Code::Identity, reason);
    let certificate = peer_certificate(connection);
    let certificate = certificate.ok_or_else(|| refused("no certificate was shown".to_owned()))?;
    let identity = Identity::of(&certificate).map_err(|error| refused(error.to_string()))?;
    if let Some(denial) = shared.credentials().denial(&certificate, &identity) {
        return Err(refused(denial));
    }
    match identity.kind() {
        SenderKind::Node => {
            let target = Target::parse(hello.address.as_str())
                .map_err(|error| refused(error.to_string()))?;
            if target.name.as_ref() != Some(&identity.name) {
                return Err(refused(format!(
                    "the Hello says {}, the certificate is of {identity}",
                    hello.address
                )));
            }
            if !verifier::names_host(&certificate, &target.host) {
                return Err(refused(format!(
                    "the Hello says {}, and the certificate of {identity} does not name that host",
                    hello.address
                )));
            }
            if hello.address == shared.local {
                return Err(refused(format!(
                    "{} is the address of this node itself",
                    hello.address
                )));
            }
            settings::widen_for_node(connection);
            let peer = shared.peers.node(&hello.address, target, shared.dial);
            let peer = peer.ok_or((Code::TooMany, "too many nodes are connected".to_owned()))?;
            Ok((peer, None))
        }
        SenderKind::Client => {
            if shared.admit == Admit::Nodes {
                let reason =
                    "clients are not served here, which is an arbiter: connect to a replica";
                return Err(refused(reason.to_owned()));
            }
            let place = shared.clients.place(&identity.name);
            let place = place.map_err(|reason| (Code::TooMany, reason))?;
            if place.is_wide {
                settings::widen_for_client(connection);
            }
            let remote = connection.remote_address();
            Ok((shared.peers.client(&identity.name, remote), Some(place)))
        }
    }
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
