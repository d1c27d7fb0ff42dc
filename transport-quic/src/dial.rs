//! Connecting to a peer: again and again, while there is something to send; with growing pauses where that fails.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use async_std::future::timeout;
use async_std::net::ToSocketAddrs;
use async_std::task;
use quinn::Endpoint;
use quinn::crypto::rustls::QuicClientConfig;

use crate::address::Target;
use crate::closing::{self, Code};
use crate::connection::{self, Ended};
use crate::identity::Identity;
use crate::opening::{self, OpenError, Opened};
use crate::peer::{Active, OpenedBy, Peer};
use crate::settings;
use crate::shared::Shared;
use crate::verifier;

/// One address of a peer gets this long. Nobody answers at the port of a program that is not there, so this also is
/// how soon a peer that has come back is tried again.
const ATTEMPT: Duration = Duration::from_millis(1500);

/// The next address is tried when the one before has not answered for so long: what is tried first is answered first where
/// all is well, and nobody notices the others.
const HEAD_START: Duration = Duration::from_millis(250);

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
        let expired = Arc::default();
        match attempt(&shared, &endpoint, target, &expired).await {
            Ok(opened) => {
                drop(endpoint);
                shared.peers.on_found(&peer, &opened.active.address);
                match connection::run(&shared, &peer, opened).await {
                    Ended::Done => return,
                    Ended::Dial => {}
                }
            }
            Err(reason) => {
                let expired = expired.get().copied();
                shared.failures.note_expired(&peer.address, expired);
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

/// Tries every address of the target, side by side: the first that answers is it. The error has the reason for each, and
/// `expired` the time if one is that the certificate has.
async fn attempt(
    shared: &Shared,
    endpoint: &Endpoint,
    target: &Target,
    expired: &Arc<OnceLock<SystemTime>>,
) -> Result<Opened, String> {
    let tls = verifier::client(&shared.credentials(), target, expired);
    let tls = Arc::new(tls.map_err(|error| error.to_string())?);
    let addresses = in_turn(resolve(target).await?);
    if addresses.is_empty() {
        return Err(format!("{} has no address", target.host));
    }
    let attempts = (0..).zip(addresses).map(|(number, address)| {
        let tls = Arc::clone(&tls);
        async move {
            task::sleep(HEAD_START * number).await;
            timeout(ATTEMPT, connect(shared, endpoint, tls, address))
                .await
                .unwrap_or_else(|_| Err(format!("no answer from {address}")))
        }
    });
    first(attempts.collect()).await
}

/// IPv6 and IPv4 in turn, since one of them may lead nowhere; within a family in the order of the system.
fn in_turn(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let begins_with_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == begins_with_ipv6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::new();
    loop {
        let turn = [first.next(), second.next()];
        if turn == [None, None] {
            return turns;
        }
        turns.extend(turn.into_iter().flatten());
    }
}

/// What the first of the attempts gives that succeeds, or else why none did.
async fn first<T>(attempts: Vec<impl Future<Output = Result<T, String>>>) -> Result<T, String> {
    let mut attempts: Vec<_> = attempts.into_iter().map(Box::pin).collect();
    let mut reasons = Vec::new();
    poll_fn(|cx| {
        let mut number = 0;
        while let Some(attempt) = attempts.get_mut(number) {
            match attempt.as_mut().poll(cx) {
                Poll::Ready(Ok(found)) => return Poll::Ready(Ok(found)),
                Poll::Ready(Err(reason)) => {
                    drop(attempts.remove(number));
                    if !reasons.contains(&reason) {
                        reasons.push(reason);
                    }
                }
                Poll::Pending => number += 1,
            }
        }
        match attempts.is_empty() {
            true => Poll::Ready(Err(reasons.join("; "))),
            false => Poll::Pending,
        }
    })
    .await
}

/// Looks the host up, for every connection anew: the machine may have come back under another address.
async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, String> {
    #[cfg(test)]
    if let Some(address) = tests::NAMES.lock().unwrap().get(&target.host) {
        return Ok(vec![SocketAddr::new(*address, target.port)]);
    }
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
    config.transport_config(settings::dialling(shared.credentials().identity.kind()));
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
            let identity = Identity::of_peer(&connection).map_err(|error| error.to_string())?;
            if let Err(reason) = hello.target(&identity) {
                closing::close(&connection, Code::Identity, &reason);
                return Err(reason);
            }
            // Should it come back from there, it is let in before strangers.
            shared.gate.know(connection.remote_address());
            let active = Active {
                connection,
                start: hello.start,
                address: hello.address,
                opened_by: OpenedBy::Us,
            };
            Ok(Opened {
                active,
                streams,
                control,
                fare: None,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::{pending, ready};
    use std::net::IpAddr;
    use std::sync::Mutex;

    use bytes::Bytes;
    use futures_lite::FutureExt;
    use futures_lite::future::block_on;
    use lockstep_core::config::Address;
    use lockstep_core::transport::{Lane, Transport};

    use super::*;
    use crate::authority::{self, Existing, Order};
    use crate::{Credentials, QuicConfig, QuicTransport};

    /// Names that only tests know.
    pub(super) static NAMES: Mutex<BTreeMap<String, IpAddr>> = Mutex::new(BTreeMap::new());

    #[test]
    fn a_host_that_comes_back_under_another_address_is_found_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        authority::init(dir.path()).unwrap();
        let host = ["moves.test".to_owned()];
        for order in [Order::node("n", &host), Order::client("c")] {
            authority::issue(dir.path(), &order.unwrap(), Existing::Keep).unwrap();
        }
        block_on(async {
            let client = Credentials::load_client(dir.path(), None).unwrap();
            let client = QuicTransport::client(client).unwrap();
            let mut port = 0;
            for ip in ["127.0.0.1", "::1"] {
                let ip: IpAddr = ip.parse().unwrap();
                NAMES.lock().unwrap().insert("moves.test".to_owned(), ip);
                let node = Credentials::load_node(dir.path(), None).unwrap();
                let mut config = QuicConfig::new(SocketAddr::new(ip, port), node);
                config.advertise = Some("moves.test:0".to_owned());
                let node = QuicTransport::bind(config).unwrap();
                port = node.listens_at().port();
                let to = Address::new(format!("moves.test:{port}"));
                let sending = async {
                    loop {
                        let frames = vec![Bytes::from_static(b"found")];
                        let _ = client.send(&to, Lane::Log, frames).await;
                        task::sleep(Duration::from_millis(10)).await;
                    }
                };
                let arrives = async { node.recv().await.is_ok() };
                let in_time = timeout(Duration::from_secs(30), sending.or(arrives));
                assert!(in_time.await.expect("it is found"), "at {ip}");
            }
        });
    }

    #[test]
    fn an_address_that_does_not_answer_keeps_nobody_from_another() {
        type Attempt = futures_lite::future::Boxed<Result<u8, String>>;
        let failed = |reason: &str| -> Attempt { ready(Err(reason.to_owned())).boxed() };
        let hangs = || -> Attempt { pending().boxed() };
        let answers: Attempt = ready(Ok(7)).boxed();
        assert_eq!(block_on(first(vec![hangs(), failed("a"), answers])), Ok(7));
        let none = block_on(first(vec![failed("a"), failed("b"), failed("a")]));
        assert_eq!(none, Err("a; b".to_owned()));
    }

    #[test]
    fn families_take_turns() {
        let check = |given: &[&str], expected: &[&str]| {
            let addresses = |texts: &[&str]| -> Vec<SocketAddr> {
                texts.iter().map(|text| text.parse().unwrap()).collect()
            };
            assert_eq!(in_turn(addresses(given)), addresses(expected));
        };
        let (six, seven, four, five) = ("[::6]:1", "[::7]:1", "10.0.0.4:1", "10.0.0.5:1");
        check(&[six, seven, four, five], &[six, four, seven, five]);
        check(&[four, six, seven], &[four, six, seven]);
        check(&[four, five], &[four, five]);
        check(&[], &[]);
    }
}
