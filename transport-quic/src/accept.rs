//! Taking connections that others open: who may begin, who they are, and what they claim.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_std::future::timeout;
use lockstep_core::transport::SenderKind;
use quinn::{Connection, ConnectionError, Incoming};
use tracing::debug;

use crate::clients::Place;
use crate::closing::{self, Code, Weight};
use crate::config::Admit;
use crate::connection::{self, Ended};
use crate::dial;
use crate::gate::{Pass, Verdict};
use crate::hello::Hello;
use crate::identity::{Identity, peer_certificate};
use crate::opening::{self, OpenError, Opened};
use crate::peer::{Active, OpenedBy, Peer};
use crate::settings;
use crate::shared::Shared;
use crate::strangers::Strangers;
use crate::verifier;

/// From the first packet to the Hello.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// Takes connections until the transport is closed.
pub(crate) async fn run(shared: Arc<Shared>) {
    let Some(endpoint) = shared.endpoint() else {
        return;
    };
    while let Some(incoming) = endpoint.accept().await {
        let (remote, now) = (incoming.remote_address(), Instant::now());
        let is_proven = incoming.remote_address_validated();
        let verdict = match shared.gate.judge(remote, is_proven, now) {
            Verdict::Prove if !incoming.may_retry() => shared.gate.refuse(now),
            verdict => verdict,
        };
        match verdict {
            Verdict::Take(pass) => {
                let shared_by = Arc::clone(&shared);
                shared.runtime.spawn(take(shared_by, incoming, pass));
            }
            // Fails only where `may_retry` is false.
            Verdict::Prove => drop(incoming.retry()),
            Verdict::Refuse => {
                incoming.refuse();
                Strangers::on_refused(&shared, remote);
            }
            Verdict::Ignore => {
                incoming.ignore();
                Strangers::on_refused(&shared, remote);
            }
        }
    }
}

/// Takes one connection, and runs it until it ends.
async fn take(shared: Arc<Shared>, incoming: Incoming, pass: Pass) {
    let remote = incoming.remote_address();
    let begun = Instant::now();
    let connecting = async { incoming.accept()?.await };
    let connection = match timeout(HANDSHAKE, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            on_failed(&shared, remote, &error.into());
            return;
        }
        Err(_) => {
            let reason = "the handshake was not finished in time";
            Strangers::on_failed(&shared, remote, reason.to_owned());
            return;
        }
    };
    let left = HANDSHAKE.saturating_sub(begun.elapsed());
    let (hello, control) = match timeout(left, opening::read_hello(&connection)).await {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(error)) => {
            if let OpenError::Hello(error) = &error {
                closing::close(&connection, Code::Hello, &error.to_string());
            }
            on_failed(&shared, remote, &error);
            return;
        }
        Err(_) => {
            let reason = "no Hello came in time";
            closing::close(&connection, Code::Hello, reason);
            Strangers::on_failed(&shared, remote, reason.to_owned());
            return;
        }
    };
    let (peer, as_client) = match admit(&shared, &connection, &hello) {
        Ok(admitted) => admitted,
        Err((code, reason)) => {
            closing::close(&connection, code, &reason);
            Strangers::on_failed(&shared, remote, closing::shortened(reason.as_bytes()));
            return;
        }
    };
    if as_client.is_none() {
        shared.gate.know(remote);
    }
    let fare = Arc::new(pass.succeeded());
    if as_client.is_none() {
        fare.pay_back();
    }
    match opening::open_streams(&connection, &shared.hello).await {
        Ok(streams) => {
            let active = Active {
                connection: connection.clone(),
                start: hello.start,
                address: hello.address,
                opened_by: OpenedBy::Them,
            };
            let opened = Opened {
                active,
                streams,
                control,
                fare: Some(Arc::clone(&fare)),
            };
            match connection::run(&shared, &peer, opened).await {
                Ended::Done => {}
                Ended::Dial => dial::spawn(&shared, &peer),
            }
        }
        Err(error) => on_failed(&shared, remote, &error),
    }
    // Who ends it by himself, or is lost, has done nothing wrong.
    if let Some(ConnectionError::LocallyClosed) = connection.close_reason() {
        fare.withdraw();
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
            let target = hello.target(&identity).map_err(refused)?;
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
            let peer = shared.peers.comer(&hello.address, target);
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

fn on_failed(shared: &Arc<Shared>, remote: SocketAddr, error: &OpenError) {
    match error {
        OpenError::Connection(cause) => match closing::describe(cause) {
            Some((Weight::Unusual, reason)) => Strangers::on_failed(shared, remote, reason),
            Some((Weight::Usual, reason)) => debug!(%remote, reason, "a connection ended"),
            None => {}
        },
        OpenError::Hello(cause) => Strangers::on_failed(shared, remote, cause.to_string()),
    }
}
