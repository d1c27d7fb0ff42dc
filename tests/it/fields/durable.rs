//! The cluster as programs have it: drivers, threads, and disks with the engine of programs. Only the network is in memory.

use std::sync::Arc;
use std::time::Duration;

use async_std::future::timeout;
use async_std::task::{self, block_on};
use lockstep_core::arbiter::ArbiterOptions;
use lockstep_core::config::Address;
use lockstep_core::driver::{self, Exit, Running};
use lockstep_core::engine::durable::{StoreOptions, open_arbiter, open_replica};
use lockstep_core::event::Event;
use lockstep_core::limits::{Limits, Timing};
use lockstep_core::message::{Message, Reply, ReplyBody, Request, RequestBody, RoleName};
use lockstep_core::operation::{ClientId, Origin, RequestId};
use lockstep_core::replica::ReplicaOptions;
use lockstep_core::transport::Transport;
use lockstep_core::wire;
use lockstep_transport_mem::{MemTransport, Network};
use tempfile::TempDir;

use super::suite::Lab;

/// Replies come long before, on the slowest disk.
const PATIENCE: Duration = Duration::from_secs(30);

/// A cluster at work.
pub(super) struct Durable {
    _dir: TempDir,
    running: Vec<Running>,
    replicas: Vec<Address>,
    client: MemTransport,
    asked: u64,
}

impl Durable {
    /// Three replicas that are in sync.
    pub(super) fn new(limits: Limits) -> Self {
        let limits = Limits {
            // Leases that last on a machine that is busy with other things.
            timing: Timing {
                lease: Duration::from_secs(30),
                ..Timing::default()
            },
            ..limits
        };
        let dir = tempfile::tempdir().expect("a directory");
        let network = Network::new(1);
        let arbiter = network.node("a");
        let address = arbiter.local().clone();
        let mut store = open_arbiter(&dir.path().join("a")).expect("a disk");
        driver::begin_cluster(&mut store).expect("it is new");
        let arbiter = driver::start_arbiter(
            ArbiterOptions::alone("a", address.clone()),
            Box::new(store),
            Arc::new(arbiter),
            unwatched(),
        );
        let mut lab = Self {
            running: vec![arbiter.expect("it has a cluster")],
            replicas: Vec::new(),
            client: network.client("c"),
            _dir: dir,
            asked: 0,
        };
        for name in ["r1", "r2", "r3"] {
            let transport = network.node(name);
            let own = transport.local().clone();
            let options = ReplicaOptions {
                name: name.to_owned(),
                address: own.clone(),
                arbiters: vec![address.clone()],
                limits: limits.clone(),
                software: "tested".to_owned(),
            };
            let directory = lab._dir.path().join(name);
            let store = open_replica(&directory, &StoreOptions::default()).expect("a disk");
            let (log, engine) = (Box::new(store.log), Arc::new(store.engine));
            let running =
                driver::start_replica(options, log, engine, Arc::new(transport), unwatched());
            lab.running.push(running.expect("it starts"));
            lab.replicas.push(own);
            lab.await_role();
        }
        lab
    }

    /// Waits until the replica that was started last is in sync.
    fn await_role(&mut self) {
        let last = self.replicas.len() - 1;
        loop {
            self.asked += 1;
            let client = ClientId(u64::MAX / 2);
            let request = Request {
                origin: Origin::plain(client, RequestId(self.asked)),
                attempt: Default::default(),
                body: RequestBody::Status,
            };
            let reply = self.ask(last, &[request]).pop();
            if let Some(ReplyBody::Status(status)) = reply.map(|reply| reply.body)
                && matches!(status.role, RoleName::Primary | RoleName::Secondary)
                && status
                    .config
                    .is_some_and(|config| config.in_sync.len() > last)
            {
                return;
            }
            self.rest();
        }
    }

    /// Stops all. None has ended before, and nobody was answered twice.
    pub(super) fn finish(self) {
        block_on(async {
            for running in self.running {
                let exit = running.stop().await.expect("it stops in good order");
                assert_eq!(exit, Exit::Stopped);
            }
            // What they have sent is here now.
            let more = timeout(Duration::ZERO, self.client.recv()).await;
            assert!(more.is_err(), "replies to nothing: {more:?}");
        });
    }
}

impl Lab for Durable {
    fn ask(&mut self, replica: usize, requests: &[Request]) -> Vec<Reply> {
        block_on(async {
            for request in requests {
                let lane = request.body.lane();
                let frame = wire::encode(&Message::Request(request.clone()));
                let to = &self.replicas[replica];
                let sent = self.client.send(to, lane, vec![frame]).await;
                sent.expect("the network takes it");
            }
            let mut replies = Vec::new();
            while replies.len() < requests.len() {
                let received = timeout(PATIENCE, self.client.recv()).await;
                let received = received.expect("a reply").expect("it is open");
                for frame in received.frames {
                    match wire::decode(&frame) {
                        Ok(Message::Reply(reply)) => replies.push(reply),
                        other => panic!("a client hears {other:?}"),
                    }
                }
            }
            replies
        })
    }

    fn rest(&mut self) {
        block_on(task::sleep(Duration::from_millis(5)));
    }
}

fn unwatched() -> Arc<dyn driver::Watch> {
    Arc::new(|_: &Event| {})
}
