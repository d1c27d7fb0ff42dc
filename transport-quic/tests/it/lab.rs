//! A cluster's certificates in a temporary directory, and ends that use them.

use std::net::SocketAddr;
use std::time::Duration;

use async_std::future::timeout;
use async_std::task;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::transport::{Lane, Received, Transport};
use lockstep_transport_quic::authority::{self, Existing, Order};
use lockstep_transport_quic::{Credentials, QuicConfig, QuicError, QuicTransport};
use tempfile::TempDir;

/// Whatever happens on a loaded machine happens within this time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Lab {
    pub(crate) dir: TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        authority::init(dir.path()).expect("an authority");
        Self { dir }
    }

    /// Issues it, in the place of what is there.
    pub(crate) fn issue(&self, order: &Order) {
        authority::issue(self.dir.path(), order, Existing::Replace).expect("issued");
    }

    pub(crate) fn node_credentials(&self, name: &str) -> Credentials {
        let hosts = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
        if !self.dir.path().join(format!("nodes/{name}.pem")).exists() {
            self.issue(&Order::node(name, &hosts).expect("a name"));
        }
        Credentials::load_node(self.dir.path(), Some(name)).expect("credentials")
    }

    pub(crate) fn client_credentials(&self, name: &str) -> Credentials {
        if !self.dir.path().join(format!("clients/{name}.pem")).exists() {
            self.issue(&Order::client(name).expect("a name"));
        }
        Credentials::load_client(self.dir.path(), Some(name)).expect("credentials")
    }

    pub(crate) fn config(&self, name: &str) -> QuicConfig {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        QuicConfig::new(listen, self.node_credentials(name))
    }

    pub(crate) fn node(&self, name: &str) -> QuicTransport {
        QuicTransport::bind(self.config(name)).expect("bound")
    }

    pub(crate) fn client(&self, name: &str) -> QuicTransport {
        QuicTransport::client(self.client_credentials(name)).expect("a client")
    }
}

/// Binds where another transport was bound until a moment ago.
pub(crate) async fn bind_again(config: QuicConfig) -> QuicTransport {
    loop {
        match QuicTransport::bind(config.clone()) {
            Ok(transport) => return transport,
            Err(QuicError::AddressInUse { .. }) => task::sleep(Duration::from_millis(5)).await,
            Err(error) => panic!("cannot bind: {error}"),
        }
    }
}

/// The address as `HOST:PORT` where `to` listens.
pub(crate) fn listen_of(transport: &QuicTransport) -> SocketAddr {
    lockstep_transport_quic::endpoint_of(transport.local())
        .parse()
        .expect("tests advertise IP addresses")
}

/// Sends `frame` every now and then until `at` has it, and tells who it came from.
pub(crate) async fn send_until_received(
    from: &QuicTransport,
    to: &Address,
    at: &QuicTransport,
    frame: &'static [u8],
) -> Received {
    let frame = Bytes::from_static(frame);
    within_patience(async {
        loop {
            let _ = from.send(to, Lane::Log, vec![frame.clone()]).await;
            while let Ok(received) = timeout(Duration::from_millis(100), at.recv()).await {
                let received = received.expect("open");
                if received.frames.contains(&frame) {
                    return received;
                }
            }
        }
    })
    .await
}

/// Waits until `peer` is known not to be reachable for a reason that contains `text`.
pub(crate) async fn failure_containing(at: &QuicTransport, peer: &Address, text: &str) -> String {
    within_patience(async {
        loop {
            let _ = at
                .send(peer, Lane::Log, vec![Bytes::from_static(b"?")])
                .await;
            if let Some(reason) = at.last_failure(peer)
                && reason.contains(text)
            {
                return reason;
            }
            task::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
}

pub(crate) async fn within_patience<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .expect("it happens in the end")
}
