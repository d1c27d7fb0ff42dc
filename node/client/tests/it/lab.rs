//! A cluster over QUIC in this process, with disks in memory.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use lockstep_core::arbiter::ArbiterOptions;
use lockstep_core::config::NodeId;
use lockstep_core::driver::{self, Running};
use lockstep_core::engine::memory::{MemoryArbiter, MemoryEngine, MemoryLog};
use lockstep_core::event::Event;
use lockstep_core::limits::Limits;
use lockstep_core::replica::ReplicaOptions;
use lockstep_core::transport::Transport;
use lockstep_transport_quic::authority::{self, Existing, Order};
use lockstep_transport_quic::{Credentials, QuicConfig, QuicTransport};
use tempfile::TempDir;

/// It ends when dropped.
pub(crate) struct Lab {
    tls: TempDir,
    pub(crate) addresses: Vec<String>,
    _running: Vec<Running>,
}

impl Lab {
    /// An arbiter and two replicas.
    pub(crate) fn start() -> Self {
        let tls = tempfile::tempdir().unwrap();
        authority::init(tls.path()).unwrap();
        authority::issue(tls.path(), &Order::client("me").unwrap(), Existing::Keep).unwrap();
        let transport = bind(tls.path(), "arbiter");
        let arbiter = transport.local().clone();
        let mut store = MemoryArbiter::new();
        driver::begin_cluster(&mut store).unwrap();
        let started = driver::start_arbiter(
            ArbiterOptions::alone("arbiter", arbiter.clone()),
            Box::new(store),
            transport,
            unwatched(),
        );
        let mut running = vec![started.unwrap()];
        let mut addresses = Vec::new();
        for number in 1..=2 {
            let name = format!("r{number}");
            let transport = bind(tls.path(), &name);
            addresses.push(transport.listens_at().to_string());
            let options = ReplicaOptions {
                name,
                address: transport.local().clone(),
                arbiters: vec![arbiter.clone()],
                limits: Limits::default(),
                software: "test".to_owned(),
            };
            let log = Box::new(MemoryLog::new(NodeId(number)));
            let engine = Arc::new(MemoryEngine::new());
            let replica = driver::start_replica(options, log, engine, transport, unwatched());
            running.push(replica.unwrap());
        }
        Self {
            tls,
            addresses,
            _running: running,
        }
    }

    pub(crate) fn tls(&self) -> &Path {
        self.tls.path()
    }
}

fn bind(tls: &Path, name: &str) -> Arc<QuicTransport> {
    let order = Order::node(name, &["127.0.0.1".to_owned()]).unwrap();
    authority::issue(tls, &order, Existing::Keep).unwrap();
    let credentials = Credentials::load_node(tls, Some(name)).unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    Arc::new(QuicTransport::bind(QuicConfig::new(listen, credentials)).unwrap())
}

fn unwatched() -> Arc<impl Fn(&Event) + Send + Sync> {
    Arc::new(|_: &Event| {})
}
