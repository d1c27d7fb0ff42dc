//! Connecting to a peer: again and again with growing pauses, while there is something to send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_std::future::timeout;
use async_std::net::ToSocketAddrs;
use async_std::task;
use lockstep_core::transport::SenderKind;
use quinn::Endpoint;
use quinn::crypto::rustls::QuicClientConfig;

use crate::address::Target;
use crate::closing::{self, Code};
use crate::connection::{self, Control, OpenError};
use crate::endpoint::Shared;
use crate::peer::{Active, OpenedBy, Peer, Streams};
use crate::socket::{self, Dialler};
use crate::verifier;

/// One address of a peer gets this long. Nobody answers at the port of a program that is not there, so this also is
/// how soon a peer that has come back is tried again.
const ATTEMPT: Duration = Duration::from_millis(1500);

/// Looking up a DNS name may take longer than any peer deserves.
const LOOKUP: Duration = Duration::from_millis(3000);

/// Addresses tried for one name.
const ADDRESSES_MAX: usize = 8;

/// Starts the task that dials; whoever calls this was told to by `Peer::begin_dialling`. It ends with the transport, when
/// nothing is left to be sent, or as the task of the connection.
pub(crate) fn spawn(shared: &Arc<Shared>, peer: &Arc<Peer>) {
    shared
        .runtime
        .spawn(dial(Arc::clone(shared), Arc::clone(peer)));
}

async fn dial(shared: Arc<Shared>, peer: Arc<Peer>) {
    let Some(target) = &peer.target else {
        return;
    };
    while let Some(pause) = peer.pause_before_dialling() {
        task::sleep(pause).await;
        let Some(endpoint) = shared.endpoint() else {
            return;
        };
        match attempt(&shared, &endpoint, target).await {
            Ok((active, streams, control)) => {
                drop(endpoint);
                peer.end_dialling();
                connection::run(
                    Arc::clone(&shared),
                    Arc::clone(&peer),
                    active,
                    streams,
                    control,
                )
                .await;
                return;
            }
            Err(reason) => {
                shared
                    .failures
                    .note_and_log(&peer.address, reason, "cannot connect");
                if !peer.on_dial_failed() {
                    return;
                }
            }
        }
    }
}

type Dialled = (Active, Streams, Control);

/// Tries every address of the target; the error is the last one's.
async fn attempt(shared: &Shared, endpoint: &Endpoint, target: &Target) -> Result<Dialled, String> {
    let tls = verifier::client(&shared.credentials, target).map_err(|error| error.to_string())?;
    let tls = Arc::new(tls);
    let mut failure = format!("{} has no address", target.host);
    for address in resolve(target).await? {
        match timeout(
            ATTEMPT,
            connect(shared, endpoint, Arc::clone(&tls), address),
        )
        .await
        {
            Ok(Ok(dialled)) => return Ok(dialled),
            Ok(Err(reason)) => failure = reason,
            Err(_) => failure = format!("no answer from {address}"),
        }
    }
    Err(failure)
}

async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, String> {
    let host = (target.host.as_str(), target.port);
    let addresses = timeout(LOOKUP, host.to_socket_addrs())
        .await
        .map_err(|_| format!("looking up {} takes too long", target.host))?
        .map_err(|error| format!("cannot look up {}: {error}", target.host))?;
    Ok(addresses.take(ADDRESSES_MAX).collect())
}

async fn connect(
    shared: &Shared,
    endpoint: &Endpoint,
    tls: Arc<QuicClientConfig>,
    address: SocketAddr,
) -> Result<Dialled, String> {
    let dialler = match shared.credentials.identity.kind {
        SenderKind::Node => Dialler::Node,
        SenderKind::Client => Dialler::Client,
    };
    let mut config = quinn::ClientConfig::new(tls);
    config.transport_config(socket::dialling(dialler));
    let connection = endpoint
        .connect_with(config, address, verifier::SERVER_NAME)
        .map_err(|error| format!("cannot reach {address} from where this end listens: {error}"))?
        .await
        .map_err(|error| reason_of(OpenError::Connection(error)))?;
    let opened = async {
        let streams = connection::open_streams(&connection, &shared.hello).await?;
        let (hello, control) = connection::read_hello(&connection).await?;
        Ok((hello, streams, control))
    };
    match opened.await {
        Ok((hello, streams, control)) => {
            let active = Active {
                connection,
                session: hello.session,
                opened_by: OpenedBy::Us,
            };
            Ok((active, streams, control))
        }
        Err(error) => {
            let reason = reason_of(error);
            closing::close(&connection, Code::Hello, &reason);
            Err(reason)
        }
    }
}

fn reason_of(error: OpenError) -> String {
    match &error {
        OpenError::Connection(cause) => {
            closing::describe(cause).map_or_else(|| error.to_string(), |(_, reason)| reason)
        }
        OpenError::Hello(cause) => cause.to_string(),
    }
}
