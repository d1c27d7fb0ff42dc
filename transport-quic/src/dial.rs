//! Connecting to a peer: again and again, while there is something to send; with growing pauses where that fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_std::future::timeout;
use async_std::net::ToSocketAddrs;
use async_std::task;
use quinn::Endpoint;
use quinn::crypto::rustls::QuicClientConfig;

use crate::address::Target;
use crate::closing::{self, Code};
use crate::connection::{self, Ended};
use crate::opening::{self, OpenError, Opened};
use crate::peer::{Active, OpenedBy, Peer};
use crate::settings;
use crate::shared::Shared;
use crate::verifier;

/// One address of a peer gets this long. Nobody answers at the port of a program that is not there, so this also is
/// how soon a peer that has come back is tried again.
const ATTEMPT: Duration = Duration::from_millis(1500);

/// Looking up a DNS name may take longer than any peer deserves.
const LOOKUP: Duration = Duration::from_millis(3000);

/// Addresses tried for one name.
const ADDRESSES_MAX: usize = 8;

/// Starts the task that dials, and runs the connections it gets; whoever calls this was told to by `Peer::begin_dialling`.
/// It ends with the transport, and when nothing is left to be sent.
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
            Ok(opened) => {
                drop(endpoint);
                match connection::run(&shared, &peer, opened).await {
                    Ended::Done => return,
                    Ended::Dial => {}
                }
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

/// Tries every address of the target; the error is the last one's.
async fn attempt(shared: &Shared, endpoint: &Endpoint, target: &Target) -> Result<Opened, String> {
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
            Ok(Ok(opened)) => return Ok(opened),
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
) -> Result<Opened, String> {
    let mut config = quinn::ClientConfig::new(tls);
    config.transport_config(settings::dialling(shared.credentials.identity.kind));
    let connection = endpoint
        .connect_with(config, address, verifier::SERVER_NAME)
        .map_err(|error| format!("cannot reach {address} from where this end listens: {error}"))?
        .await
        .map_err(|error| reason_of(OpenError::Connection(error)))?;
    let greeting = async {
        let streams = opening::open_streams(&connection, &shared.hello).await?;
        let (hello, control) = opening::read_hello(&connection).await?;
        Ok((hello, streams, control))
    };
    match greeting.await {
        Ok((hello, streams, control)) => {
            let active = Active {
                connection,
                start: hello.start,
                opened_by: OpenedBy::Us,
            };
            Ok(Opened {
                active,
                streams,
                control,
            })
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
