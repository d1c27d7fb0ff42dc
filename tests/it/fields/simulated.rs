//! The cluster in the simulator.

use std::cell::RefCell;
use std::rc::Rc;

use lockstep_core::limits::Limits;
use lockstep_core::message::{Message, Reply, Request};

use super::suite::Lab;
use lockstep_tests::cluster::{Cluster, ClusterOptions, MS};
use lockstep_tests::disk::Pages;
use lockstep_tests::invariants::{Fact, Invariant};

/// Replies come long before.
const PATIENCE: u64 = 5_000 * MS;

/// A cluster on virtual time. Its client is down, so that only what is asked here is asked.
pub(super) struct Simulated {
    cluster: Cluster,
    heard: Heard,
}

/// All replies that are sent.
#[derive(Clone, Default)]
struct Heard(Rc<RefCell<Vec<Reply>>>);

impl Invariant for Heard {
    fn name(&self) -> &'static str {
        "replies are heard"
    }

    fn observe(&mut self, _cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        if let Fact::Sent {
            message: Message::Reply(reply),
            ..
        } = fact
        {
            self.0.borrow_mut().push(reply.clone());
        }
        Ok(())
    }
}

impl Simulated {
    /// Three replicas that are in sync.
    pub(super) fn new(limits: Limits) -> Self {
        let mut cluster = Cluster::new(ClusterOptions {
            limits,
            ..ClusterOptions::steady(3, 1)
        });
        let heard = Heard::default();
        cluster.watch(Box::new(heard.clone()));
        for node in 0..cluster.clients().start {
            cluster.start(node);
            cluster.run_until(cluster.now() + 20 * MS);
        }
        for replica in cluster.replicas() {
            let disk = cluster.nodes()[replica].disk().expect("it is a replica");
            disk.engine().behave(|habits| habits.pages = Pages::Whole);
        }
        cluster.run_until(1_000 * MS);
        Self { cluster, heard }
    }

    /// The cluster.
    pub(super) fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// Lets everything come to its end. Nobody was answered twice.
    pub(super) fn finish(mut self) {
        self.cluster.run_until(self.cluster.now() + PATIENCE);
        self.cluster.finish();
        assert_eq!(self.cluster.violation(), None);
        assert_eq!(self.heard.0.take(), [], "replies to nothing");
    }
}

impl Lab for Simulated {
    fn ask(&mut self, replica: usize, requests: &[Request]) -> Vec<Reply> {
        let client = self.cluster.clients().start;
        let replica = self.cluster.replicas().start + replica;
        for request in requests {
            let message = Message::Request(request.clone());
            self.cluster.inject(client, replica, &message);
        }
        let end = self.cluster.now() + PATIENCE;
        while self.heard.0.borrow().len() < requests.len() {
            self.cluster.run_until(self.cluster.now() + MS / 10);
            assert_eq!(self.cluster.violation(), None);
            assert!(self.cluster.now() < end, "no reply");
        }
        self.heard.0.take()
    }

    fn rest(&mut self) {
        self.cluster.run_until(self.cluster.now() + 50 * MS);
    }
}
