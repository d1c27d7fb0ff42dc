//! The transport over QUIC.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_std::task::{self, block_on};
use async_trait::async_trait;
use lockstep_core::transport::Transport;
use lockstep_tests::conformance::transport::{Subject, suite};
use lockstep_transport_quic::authority::{self, Existing, Order};
use lockstep_transport_quic::{Credentials, QuicConfig, QuicError, QuicTransport, endpoint_of};
use tempfile::TempDir;

pub(super) struct Quic {
    tls: TempDir,
    nodes: usize,
}

impl Quic {
    pub(super) fn new() -> Self {
        let tls = tempfile::tempdir().unwrap();
        authority::init(tls.path()).unwrap();
        let order = Order::client("c").unwrap();
        authority::issue(tls.path(), &order, Existing::Keep).unwrap();
        Self { tls, nodes: 0 }
    }

    fn config(&self, name: &str, listen: SocketAddr) -> QuicConfig {
        QuicConfig::new(
            listen,
            Credentials::load_node(self.tls.path(), Some(name)).unwrap(),
        )
    }
}

#[async_trait]
impl Subject for Quic {
    async fn node(&mut self) -> Arc<dyn Transport> {
        self.nodes += 1;
        let name = format!("n{}", self.nodes);
        let hosts = ["127.0.0.1".to_owned()];
        let order = Order::node(&name, &hosts).unwrap();
        authority::issue(self.tls.path(), &order, Existing::Keep).unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Arc::new(QuicTransport::bind(self.config(&name, listen)).unwrap())
    }

    async fn client(&mut self) -> Arc<dyn Transport> {
        let credentials = Credentials::load_client(self.tls.path(), None).unwrap();
        Arc::new(QuicTransport::client(credentials).unwrap())
    }

    async fn restart(&mut self, closed: Arc<dyn Transport>) -> Arc<dyn Transport> {
        let listen = endpoint_of(closed.local()).parse().unwrap();
        let (name, _) = closed.local().as_str().split_once('@').unwrap();
        loop {
            // The socket is given back a moment after the transport is closed.
            match QuicTransport::bind(self.config(name, listen)) {
                Ok(transport) => return Arc::new(transport),
                Err(QuicError::AddressInUse { .. }) => task::sleep(Duration::from_millis(2)).await,
                Err(error) => panic!("cannot bind again: {error}"),
            }
        }
    }
}

#[test]
fn the_transport_over_quic_conforms() {
    block_on(suite(&mut Quic::new()));
}
