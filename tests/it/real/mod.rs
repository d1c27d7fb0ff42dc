//! The official integration cases O-19 to O-21 once more, in real time: over QUIC, with real disks that are made flaky
//! and real links that are made lossy.

mod faults;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_std::task::{self, block_on};
use lockstep_core::Handle;
use lockstep_core::arbiter::ArbiterOptions;
use lockstep_core::config::Address;
use lockstep_core::driver::{self, Running, handle::ClientOptions};
use lockstep_core::engine::LogStore;
use lockstep_core::engine::durable::{StoreOptions, open_arbiter, open_replica};
use lockstep_core::event::Event;
use lockstep_core::limits::Limits;
use lockstep_core::operation::ReadLevel;
use lockstep_core::replica::ReplicaOptions;
use lockstep_core::transport::Transport;
use lockstep_transport_quic::authority::{self, Existing, Order};
use lockstep_transport_quic::{Credentials, QuicConfig, QuicTransport};
use tempfile::TempDir;

use self::faults::{FlakyLog, LossyTransport};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Disks {
    Steady,
    Flaky,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Links {
    Reliable,
    Lossy,
}

/// A cluster that grows, and one client.
struct Case {
    dir: TempDir,
    disks: Disks,
    links: Links,
    arbiter: Address,
    running: Vec<Running>,
    replicas: Vec<Address>,
}

impl Case {
    async fn new(disks: Disks, links: Links) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        authority::init(dir.path()).expect("a CA");
        let order = Order::client("c").expect("a name");
        authority::issue(dir.path(), &order, Existing::Keep).expect("a certificate");
        let mut case = Self {
            dir,
            disks,
            links,
            arbiter: Address::new("127.0.0.1:0"),
            running: Vec::new(),
            replicas: Vec::new(),
        };
        let transport = case.bind("arbiter");
        let endpoint = transport.listens_at().to_string();
        let mut store = open_arbiter(&case.dir.path().join("arbiter.d")).expect("a disk");
        driver::begin_cluster(&mut store).expect("it is new");
        let arbiter = driver::start_arbiter(
            ArbiterOptions::alone("arbiter", transport.local().clone()),
            Box::new(store),
            Arc::new(transport),
            unwatched(),
        );
        case.running.push(arbiter.expect("it has a cluster"));
        case.arbiter = Address::new(endpoint);
        case
    }

    fn bind(&self, name: &str) -> QuicTransport {
        let hosts = ["127.0.0.1".to_owned()];
        let order = Order::node(name, &hosts).expect("a name");
        authority::issue(self.dir.path(), &order, Existing::Keep).expect("a certificate");
        let credentials = Credentials::load_node(self.dir.path(), Some(name)).expect("it is there");
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        QuicTransport::bind(QuicConfig::new(listen, credentials)).expect("a port")
    }

    /// Starts the next replica, and waits until it has a role.
    async fn start(&mut self) {
        let number = self.replicas.len() as u64 + 1;
        let name = format!("r{number}");
        let quic = self.bind(&name);
        let address = quic.local().clone();
        let is_lossy = self.links == Links::Lossy && number > 1;
        let transport: Arc<dyn Transport> = match is_lossy {
            true => Arc::new(LossyTransport::new(quic, self.replicas.clone(), number)),
            false => Arc::new(quic),
        };
        let directory = self.dir.path().join(format!("{name}.d"));
        let store = open_replica(&directory, &StoreOptions::default()).expect("a disk");
        let log: Box<dyn LogStore> = match self.disks {
            Disks::Flaky => Box::new(FlakyLog::new(store.log, number)),
            Disks::Steady => Box::new(store.log),
        };
        let options = ReplicaOptions {
            name,
            address: address.clone(),
            arbiters: vec![self.arbiter.clone()],
            limits: Limits::default(),
            software: "test".to_owned(),
        };
        let engine = Arc::new(store.engine);
        let running = driver::start_replica(options, log, engine, transport, unwatched());
        self.running.push(running.expect("it starts"));
        self.replicas.push(address);
        let client = self.client();
        let last = self.replicas.len() - 1;
        until("a role", async || {
            let status = client.status(&self.replicas[last]).await;
            status.is_ok_and(|status| status.config.is_some())
        })
        .await;
    }

    fn client(&self) -> Handle {
        let credentials = Credentials::load_client(self.dir.path(), None).expect("it is there");
        let transport = QuicTransport::client(credentials).expect("a port");
        driver::connect(
            Arc::new(transport),
            self.replicas.clone(),
            &ClientOptions::default(),
        )
    }
}

fn unwatched() -> Arc<dyn driver::Watch> {
    Arc::new(|_: &Event| {})
}

/// Looks every 100 ms whether it is so, for three seconds at most.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !is_so().await {
        assert!(
            begin.elapsed() < Duration::from_secs(3),
            "not in time: {what}"
        );
        task::sleep(Duration::from_millis(100)).await;
    }
}

async fn read(client: &Handle, replica: &Address, key: &str) -> Option<String> {
    let read = client
        .get_at(replica, key, ReadLevel::Local)
        .await
        .expect("it answers");
    read.into_value()
        .map(|value| String::from_utf8_lossy(&value.0).into_owned())
}

async fn await_state(client: &Handle, replica: &Address, state: &[(&str, Option<&str>)]) {
    for (key, value) in state {
        let what = format!("{key} at {replica}");
        until(&what, async || {
            read(client, replica, key).await.as_deref() == *value
        })
        .await;
    }
}

/// The script that the three cases have in common.
async fn run(disks: Disks, links: Links) {
    let mut case = Case::new(disks, links).await;
    case.start().await;
    case.start().await;
    let client = case.client().with_deadline(Duration::from_secs(3));
    let (primary, secondary) = (case.replicas[0].clone(), case.replicas[1].clone());
    assert_eq!(read(&client, &primary, "k1").await, None);
    for (key, value) in [("k1", "v1"), ("k1", "v11"), ("k2", "v2")] {
        client.insert(key, value).await.expect("an acknowledgement");
        assert_eq!(read(&client, &primary, key).await.as_deref(), Some(value));
    }
    await_state(
        &client,
        &secondary,
        &[("k1", Some("v11")), ("k2", Some("v2"))],
    )
    .await;
    client.remove("k1").await.expect("an acknowledgement");
    assert_eq!(read(&client, &primary, "k1").await, None);
    await_state(&client, &secondary, &[("k2", Some("v2"))]).await;
    case.start().await;
    let late = case.replicas[2].clone();
    await_state(&client, &late, &[("k2", Some("v2")), ("k1", None)]).await;
    client
        .insert("k1", "v111")
        .await
        .expect("an acknowledgement");
    client.insert("k3", "v3").await.expect("an acknowledgement");
    client.remove("k2").await.expect("an acknowledgement");
    let end = [("k2", None), ("k1", Some("v111")), ("k3", Some("v3"))];
    await_state(&client, &secondary, &end).await;
    await_state(&client, &late, &end).await;
    client.close().await;
    for running in case.running {
        running.stop().await.expect("it stops in good order");
    }
}

/// O-19: flaky disks, reliable links.
#[test]
fn o_19_over_quic() {
    block_on(run(Disks::Flaky, Links::Reliable));
}

/// O-20: steady disks, lossy links to the secondaries.
#[test]
fn o_20_over_quic() {
    block_on(run(Disks::Steady, Links::Lossy));
}

/// O-21: both.
#[test]
fn o_21_over_quic() {
    block_on(run(Disks::Flaky, Links::Lossy));
}
