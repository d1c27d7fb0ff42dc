//! The transport itself: one UDP socket, and everything that is shared by its connections.

use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_std::future::timeout;
use async_std::task;
use async_trait::async_trait;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::limits;
use lockstep_core::transport::{Lane, Received, Traffic, Transport, TransportError};
use quinn::{Endpoint, VarInt};

use crate::accept;
use crate::address::{self, Target};
use crate::closing::{self, Code};
use crate::config::{Dial, QuicConfig, QuicError};
use crate::dial;
use crate::failures::Failures;
use crate::hello::Hello;
use crate::inbox::{InQueue, Inbox};
use crate::peer::{Peer, Sent};
use crate::peers::Peers;
use crate::runtime::Runtime;
use crate::socket;
use crate::tls::Credentials;
use crate::traffic::Past;
use crate::verifier;

/// Each step of closing takes this long at most: writing what was handed over, its acknowledgement.
const FAREWELL: Duration = Duration::from_millis(500);

/// Telling peers of the end takes this long: long enough that the packets are on their way. Waiting for the connections
/// to drain, a multiple of the round trip, would hold up every command of a client.
const FAREWELL_SENT: Duration = Duration::from_millis(5);

/// How often closing looks whether queues are empty.
const FAREWELL_STEP: Duration = Duration::from_millis(2);

/// A node's or client's end of the network. Dropping it ends all connections at once; `close` does so in good order.
pub struct QuicTransport {
    shared: Arc<Shared>,
}

/// What the tasks of a transport share.
pub(crate) struct Shared {
    /// `None` once closed, so that the socket is given back.
    endpoint: Mutex<Option<Endpoint>>,
    listens_at: SocketAddr,
    pub(crate) runtime: Runtime,
    pub(crate) local: Address,
    pub(crate) credentials: Credentials,
    pub(crate) hello: Hello,
    pub(crate) dial: Dial,
    pub(crate) frame_bytes_max: usize,
    pub(crate) clients: Arc<AtomicUsize>,
    pub(crate) clients_max: usize,
    pub(crate) inbox: Inbox,
    pub(crate) peers: Peers,
    pub(crate) failures: Failures,
    pub(crate) past: Past,
    /// Frames to this end itself.
    loopback: Arc<InQueue>,
}

impl Shared {
    /// To open connections with; `None` once closed.
    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.lock_endpoint().clone()
    }

    fn take_endpoint(&self) -> Option<Endpoint> {
        self.lock_endpoint().take()
    }

    fn lock_endpoint(&self) -> std::sync::MutexGuard<'_, Option<Endpoint>> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QuicTransport {
    /// Starts a node's end: it listens, and connects to those it has something to send to.
    ///
    /// # Errors
    /// The address cannot be used, or the certificate is refused.
    pub fn bind(config: QuicConfig) -> Result<Self, QuicError> {
        let listen = config.listen;
        let socket = socket::open(listen).map_err(|source| QuicError::socket(listen, source))?;
        let bound = socket
            .local_addr()
            .map_err(|source| QuicError::socket(listen, source))?;
        let advertised = advertised(config.advertise.as_deref(), bound)?;
        let local = Address::new(format!("{}@{advertised}", config.credentials.name()));

        let tls = verifier::server(&config.credentials)?;
        let mut server = quinn::ServerConfig::with_crypto(Arc::new(tls));
        server.transport_config(socket::accepting());
        let runtime = Runtime::get().map_err(|source| QuicError::socket(listen, source))?;
        let endpoint = Endpoint::new(
            socket::endpoint_config(&config.credentials.key),
            Some(server),
            socket,
            Arc::new(runtime.clone()),
        )
        .map_err(|source| QuicError::socket(listen, source))?;
        let transport = Self::new(runtime.clone(), endpoint.clone(), bound, local, config);
        runtime.spawn(accept::run(Arc::clone(&transport.shared), endpoint));
        Ok(transport)
    }

    /// Starts a client's end: it connects to nodes, over IPv4 and IPv6, and nobody connects to it.
    ///
    /// # Errors
    /// No socket is to be had, or the certificate is refused.
    pub fn client(credentials: Credentials) -> Result<Self, QuicError> {
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let socket = socket::open_any().map_err(|source| QuicError::socket(any, source))?;
        let bound = socket
            .local_addr()
            .map_err(|source| QuicError::socket(any, source))?;
        let runtime = Runtime::get().map_err(|source| QuicError::socket(any, source))?;
        let endpoint = Endpoint::new(
            socket::endpoint_config(&credentials.key),
            None,
            socket,
            Arc::new(runtime.clone()),
        )
        .map_err(|source| QuicError::socket(any, source))?;
        let local = address::of_self_as_client(credentials.name());
        let config = QuicConfig::new(any, credentials);
        Ok(Self::new(runtime, endpoint, bound, local, config))
    }

    fn new(
        runtime: Runtime,
        endpoint: Endpoint,
        listens_at: SocketAddr,
        local: Address,
        config: QuicConfig,
    ) -> Self {
        let inbox = Inbox::new();
        let shared = Shared {
            endpoint: Mutex::new(Some(endpoint)),
            listens_at,
            runtime,
            hello: Hello {
                session: rand::random(),
                address: local.clone(),
            },
            dial: config.dial,
            frame_bytes_max: config.frame_bytes_max.min(limits::FRAME_BYTES_MAX),
            clients: Arc::new(AtomicUsize::new(0)),
            clients_max: config.clients_max,
            loopback: inbox.queue(local.clone(), config.credentials.identity.kind),
            inbox,
            peers: Peers::default(),
            failures: Failures::default(),
            past: Past::default(),
            credentials: config.credentials,
            local,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Where it listens, or sends from; not necessarily where others reach it.
    pub fn listens_at(&self) -> SocketAddr {
        self.shared.listens_at
    }

    /// The peer at `to`, which is added if it is new.
    fn peer(&self, to: &Address) -> Result<Arc<Peer>, TransportError> {
        if let Some(peer) = self.shared.peers.get(to) {
            return Ok(peer);
        }
        let not_connected = || TransportError::NotConnected {
            address: to.clone(),
        };
        if address::is_client(to) {
            return Err(not_connected());
        }
        let target = Target::parse(to.as_str()).map_err(|_| TransportError::BadAddress {
            address: to.clone(),
        })?;
        match self.shared.dial {
            Dial::Peers => self
                .shared
                .peers
                .node(to, target, Dial::Peers)
                .ok_or_else(not_connected),
            Dial::Never => Err(not_connected()),
        }
    }

    fn send_to_self(&self, frames: Vec<Bytes>) -> Result<(), TransportError> {
        if self.shared.loopback.is_full() {
            return Err(TransportError::QueueFull {
                address: self.shared.local.clone(),
            });
        }
        self.shared.loopback.push(frames);
        Ok(())
    }

    /// Waits until everything is written that connected peers take.
    async fn write_out(&self) {
        let peers = self.shared.peers.all();
        let is_writing = |peer: &Arc<Peer>| peer.active().is_some() && peer.is_waiting();
        while peers.iter().any(is_writing) {
            task::sleep(FAREWELL_STEP).await;
        }
    }

    /// Ends all streams, and waits until the peers have what was written to them.
    async fn end_streams(&self) {
        let peers = self.shared.peers.all();
        let mut streams: Vec<_> = peers.iter().flat_map(|peer| peer.take_streams()).collect();
        for stream in &mut streams {
            // Fails only if the stream has ended already.
            let _ = stream.finish();
        }
        for stream in &streams {
            let _ = stream.stopped().await;
        }
    }
}

#[async_trait]
impl Transport for QuicTransport {
    fn local(&self) -> &Address {
        &self.shared.local
    }

    fn frame_bytes_max(&self) -> usize {
        self.shared.frame_bytes_max
    }

    async fn send(
        &self,
        to: &Address,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<(), TransportError> {
        let limit = self.shared.frame_bytes_max;
        if let Some(frame) = frames.iter().find(|frame| frame.len() > limit) {
            return Err(TransportError::TooLarge {
                size: frame.len(),
                limit,
            });
        }
        if self.shared.inbox.is_closed() {
            return Err(TransportError::Closed);
        }
        if *to == self.shared.local {
            return self.send_to_self(frames);
        }
        let peer = self.peer(to)?;
        match peer.send(lane, frames) {
            Sent::Done => Ok(()),
            Sent::Dial => {
                dial::spawn(&self.shared, &peer);
                Ok(())
            }
            Sent::Full => Err(TransportError::QueueFull {
                address: to.clone(),
            }),
            Sent::NoConnection => Err(TransportError::NotConnected {
                address: to.clone(),
            }),
        }
    }

    async fn recv(&self) -> Result<Received, TransportError> {
        self.shared.inbox.pop().await.ok_or(TransportError::Closed)
    }

    async fn disconnect(&self, peer: &Address, reason: &str) {
        let connection = self.shared.peers.get(peer).and_then(|peer| peer.active());
        if let Some(connection) = connection {
            closing::close(&connection, Code::Disconnected, reason);
        }
    }

    async fn close(&self) {
        self.shared.inbox.close();
        let Some(endpoint) = self.shared.take_endpoint() else {
            return;
        };
        // Who does not take what is left within the time loses it: that was never promised.
        let _ = timeout(FAREWELL, self.write_out()).await;
        let _ = timeout(FAREWELL, self.end_streams()).await;
        endpoint.close(
            VarInt::from_u32(Code::Closed as u32),
            b"the program there ends",
        );
        let _ = timeout(FAREWELL_SENT, endpoint.wait_idle()).await;
    }

    fn runtime(&self) -> Option<Arc<dyn lockstep_core::runtime::Runtime>> {
        Some(Arc::new(self.shared.runtime.clone()))
    }

    fn traffic(&self) -> Traffic {
        self.shared.past.with_present(&self.shared.peers)
    }

    fn last_failure(&self, peer: &Address) -> Option<String> {
        self.shared.failures.last(peer)
    }
}

impl Drop for QuicTransport {
    fn drop(&mut self) {
        self.shared.inbox.close();
        if let Some(endpoint) = self.shared.take_endpoint() {
            endpoint.close(
                VarInt::from_u32(Code::Closed as u32),
                b"the program there ends",
            );
        }
    }
}

/// The `HOST:PORT` to tell others.
fn advertised(advertise: Option<&str>, bound: SocketAddr) -> Result<String, QuicError> {
    let Some(advertise) = advertise else {
        if bound.ip().is_unspecified() {
            return Err(QuicError::NoAdvertisedAddress { listen: bound });
        }
        return Ok(bound.to_string());
    };
    match Target::parse(advertise) {
        Ok(mut target) if target.name.is_none() => {
            if target.port == 0 {
                target.port = bound.port();
            }
            Ok(target.to_string())
        }
        Ok(_) | Err(_) => Err(QuicError::BadAdvertisedAddress {
            advertise: advertise.to_owned(),
        }),
    }
}
