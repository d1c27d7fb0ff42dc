//! The transport itself: how it starts, sends and receives.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::transport::{Lane, Received, Traffic, Transport, TransportError};
use quinn::{Endpoint, ServerConfig};
use tracing::warn;

use crate::accept;
use crate::address::{self, Target};
use crate::closing::{self, Code};
use crate::config::{self, QuicConfig, QuicError};
use crate::dial;
use crate::farewell;
use crate::identity::{self, Identity, peer_certificate};
use crate::inbox::InQueue;
use crate::peer::{Peer, Sent};
use crate::runtime::Runtime;
use crate::settings;
use crate::shared::Shared;
use crate::socket;
use crate::tls::Credentials;
use crate::verifier;

/// A node's or client's end of the network. Dropping it ends all connections at once; `close` does so in good order.
pub struct QuicTransport {
    shared: Arc<Shared>,
    listens_at: SocketAddr,
    /// Frames to this end itself.
    loopback: Arc<InQueue>,
}

impl QuicTransport {
    /// Starts a node's end: it listens, and connects to those it has something to send to.
    ///
    /// # Errors
    /// The address cannot be used, or the certificate is refused.
    pub fn bind(config: QuicConfig) -> Result<Self, QuicError> {
        let failed = |source| QuicError::socket(config.listen, source);
        let socket = socket::open(config.listen).map_err(failed)?;
        let bound = socket.local_addr().map_err(failed)?;
        let advertised = config.advertised(bound)?;
        let local = Address::new(format!("{}@{advertised}", config.credentials.name()));
        let server = server_config(&config.credentials)?;
        let transport = Self::start(socket, Some(server), local, config)?;
        let accepting = accept::run(Arc::clone(&transport.shared));
        transport.shared.runtime.spawn(accepting);
        Ok(transport)
    }

    /// Starts a client's end: it connects to nodes, over IPv4 and IPv6, and nobody connects to it.
    ///
    /// # Errors
    /// No socket is to be had, or the certificate is refused.
    pub fn client(credentials: Credentials) -> Result<Self, QuicError> {
        let any = SocketAddr::from(([0, 0, 0, 0], 0));
        let socket = socket::open_any().map_err(|source| QuicError::socket(any, source))?;
        let local = address::of_self_as_client(credentials.name());
        Self::start(socket, None, local, QuicConfig::new(any, credentials))
    }

    fn start(
        socket: UdpSocket,
        server: Option<ServerConfig>,
        local: Address,
        config: QuicConfig,
    ) -> Result<Self, QuicError> {
        let failed = |source| QuicError::socket(config.listen, source);
        let listens_at = socket.local_addr().map_err(failed)?;
        let runtime = Runtime::get().map_err(failed)?;
        let endpoint = Endpoint::new(
            settings::endpoint(&config.credentials.key),
            server,
            socket,
            Arc::new(runtime.clone()),
        )
        .map_err(failed)?;
        let sender = config.credentials.identity.sender();
        let shared = Shared::new(runtime, endpoint, local, config);
        Ok(Self {
            loopback: shared.inbox.queue(shared.local.clone(), sender),
            shared: Arc::new(shared),
            listens_at,
        })
    }

    /// Takes up the credentials for connections that begin from now on, and ends those with whom they deny. Other connections
    /// stay, with the certificates that they began with.
    ///
    /// # Errors
    /// They are not of this node or client, or do not name the host at which others reach it. Nothing has changed.
    pub fn renew(&self, credentials: Credentials) -> Result<(), QuicError> {
        let (own, theirs) = (
            self.shared.credentials().identity.to_string(),
            credentials.identity.to_string(),
        );
        if own != theirs {
            return Err(QuicError::AnotherIdentity { theirs, own });
        }
        if !address::is_client(&self.shared.local) {
            let local = Target::parse(self.shared.local.as_str());
            let host = local.expect("it is told to others").host;
            config::check_host(&credentials, &host)?;
            let server = server_config(&credentials)?;
            if let Some(endpoint) = self.shared.endpoint() {
                endpoint.set_server_config(Some(server));
            }
        }
        self.shared.set_credentials(credentials);
        self.cut_denied();
        Ok(())
    }

    fn cut_denied(&self) {
        let credentials = self.shared.credentials();
        for peer in self.shared.peers.all() {
            let denial = peer.active().and_then(|connection| {
                let certificate = peer_certificate(&connection)?;
                let identity = Identity::of(&certificate).ok()?;
                let reason = credentials.denial(&certificate, &identity)?;
                Some((connection, reason))
            });
            if let Some((connection, reason)) = denial {
                warn!(peer = %peer.address, reason, "cut off");
                closing::close(&connection, Code::Identity, &reason);
            }
        }
    }

    /// Where it listens, or sends from; not necessarily where others reach it.
    pub fn listens_at(&self) -> SocketAddr {
        self.listens_at
    }

    /// Until when the certificate is valid that the node at `peer` has shown; `None` while it is not connected, unless that is
    /// because the certificate has expired.
    pub fn certified_until(&self, peer: &Address) -> Option<SystemTime> {
        let connection = self.shared.peers.get(peer).and_then(|peer| peer.active());
        match connection {
            Some(connection) => identity::expiry_of(&peer_certificate(&connection)?),
            None => self.shared.failures.expired_at(peer),
        }
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
        let peer = self.shared.peers.node(to, target);
        peer.ok_or_else(not_connected)
    }

    fn send_to_self(&self, frames: Vec<Bytes>) -> Result<(), TransportError> {
        if self.loopback.is_full() {
            return Err(TransportError::QueueFull {
                address: self.shared.local.clone(),
            });
        }
        self.loopback.push(frames, None);
        Ok(())
    }
}

#[async_trait]
impl Transport for QuicTransport {
    fn local(&self) -> &Address {
        &self.shared.local
    }

    fn frame_bytes_max(&self) -> usize {
        self.shared.frame_bytes_max_of(self.shared.kind())
    }

    async fn send(
        &self,
        to: &Address,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<(), TransportError> {
        let limit = self.frame_bytes_max();
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
        if let Some(endpoint) = self.shared.close() {
            farewell::in_order(&endpoint, &self.shared.peers).await;
        }
    }

    fn runtime(&self) -> Option<Arc<dyn lockstep_core::runtime::Runtime>> {
        Some(Arc::new(self.shared.runtime.clone()))
    }

    fn traffic(&self) -> Traffic {
        let strangers = &self.shared.strangers;
        Traffic {
            handshakes_failed: strangers.failed.load(Ordering::Relaxed),
            handshakes_refused: strangers.refused.load(Ordering::Relaxed),
            ..self.shared.past.with_present(&self.shared.peers)
        }
    }

    fn last_failure(&self, peer: &Address) -> Option<String> {
        self.shared.failures.last(peer)
    }
}

fn server_config(credentials: &Credentials) -> Result<ServerConfig, QuicError> {
    let tls = verifier::server(credentials)?;
    let mut server = ServerConfig::with_crypto(Arc::new(tls));
    settings::bound_incoming(&mut server);
    server.transport_config(settings::accepting());
    Ok(server)
}

impl Drop for QuicTransport {
    fn drop(&mut self) {
        if let Some(endpoint) = self.shared.close() {
            farewell::at_once(&endpoint);
        }
    }
}
