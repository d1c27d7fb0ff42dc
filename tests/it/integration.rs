//! The official integration cases O-19 to O-21: a primary, a secondary that is there from the start and one that comes
//! later, with flaky disks, lossy links to the secondaries, or both. In the simulator, with many seeds each.

use std::fmt::Write as _;

use lockstep_core::config::Address;
use lockstep_core::limits::Limits;
use lockstep_core::message::{ReplyBody, RequestBody};
use lockstep_core::operation::{Key, ReadLevel, Value};
use lockstep_core::process::{CallId, Outcome};
use lockstep_tests::cluster::{Cluster, ClusterOptions, MS};
use lockstep_tests::network::NetworkOptions;

const SEEDS: u64 = 100;
const PRIMARY: usize = 1;
const SECONDARY_1: usize = 2;
const SECONDARY_2: usize = 3;

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

struct Case {
    cluster: Cluster,
}

impl Case {
    fn new(seed: u64, disks: Disks, links: Links) -> Self {
        let options = ClusterOptions {
            seed,
            limits: Limits::default(),
            network: NetworkOptions::steady(MS / 10),
            drift: 1_000,
            ..ClusterOptions::steady(3, 1)
        };
        let mut cluster = Cluster::new(options);
        for replica in cluster.replicas() {
            if disks == Disks::Flaky {
                cluster.make_flaky(replica);
            }
            if links == Links::Lossy && replica != PRIMARY {
                cluster.make_lossy(PRIMARY, replica);
            }
        }
        cluster.start(0);
        for client in cluster.clients() {
            cluster.start(client);
        }
        Self { cluster }
    }

    /// Lets a replica start, and waits until the arbiter has handed out its role.
    fn start(&mut self, replica: usize) {
        self.cluster.start(replica);
        let node = self.cluster.node_id(replica).expect("a replica");
        self.wait_for(3_000, |cluster| cluster.config().is_member(node));
    }

    fn wait_for(&mut self, millis: u64, is_reached: impl Fn(&Cluster) -> bool) {
        let end = self.cluster.now() + millis * MS;
        while !is_reached(&self.cluster) {
            assert!(self.cluster.now() < end, "not within {millis} ms");
            self.cluster.run_until(self.cluster.now() + MS);
            assert_eq!(self.cluster.violation(), None);
        }
    }

    fn call(&mut self, request: RequestBody, replica: Option<Address>) -> Outcome {
        let client = self.cluster.clients().start;
        let patience = 3_000 * MS;
        let call = self.cluster.call_at(client, request, replica, patience);
        let outcome = |cluster: &Cluster, call: CallId| {
            let record = cluster.history.record(call).expect("it was made");
            record.ended.as_ref().map(|ended| ended.1.clone())
        };
        self.wait_for(3_100, |cluster| outcome(cluster, call).is_some());
        outcome(&self.cluster, call).expect("it was waited for")
    }

    /// Writes, and is acknowledged.
    fn write(&mut self, key: &str, value: Option<&str>) {
        let key = Key::from(key);
        let request = match value {
            Some(value) => RequestBody::Insert {
                key,
                value: Value::from(value),
            },
            None => RequestBody::Remove { key },
        };
        let outcome = self.call(request.clone(), None);
        assert!(
            matches!(outcome, Outcome::Answered { .. }),
            "{request:?}: {outcome:?}"
        );
    }

    fn read(&mut self, replica: usize, key: &str) -> Option<String> {
        let replica = self.cluster.nodes()[replica].address.clone();
        let get = RequestBody::Get {
            key: Key::from(key),
            level: ReadLevel::Local,
        };
        match self.call(get, Some(replica)) {
            Outcome::Answered {
                body: ReplyBody::GetResult { record, .. },
                ..
            } => record.map(|found| String::from_utf8_lossy(&found.value.0).into_owned()),
            other => panic!("{key} was read with {other:?}"),
        }
    }

    /// The primary has exactly that.
    fn verify(&mut self, key: &str, value: Option<&str>) {
        assert_eq!(self.read(PRIMARY, key).as_deref(), value, "{key}");
    }

    /// Within three seconds the replica has exactly that.
    fn await_state(&mut self, replica: usize, state: &[(&str, Option<&str>)]) {
        let end = self.cluster.now() + 3_000 * MS;
        loop {
            let mut differences = String::new();
            for (key, value) in state {
                let held = self.read(replica, key);
                if held.as_deref() != *value {
                    write!(differences, " {key} is {held:?}").expect("a string takes it");
                }
            }
            if differences.is_empty() {
                return;
            }
            assert!(self.cluster.now() < end, "replica {replica}:{differences}");
            self.cluster.run_until(self.cluster.now() + 100 * MS);
        }
    }
}

/// The script that the three cases have in common.
fn run(seed: u64, disks: Disks, links: Links) {
    let mut case = Case::new(seed, disks, links);
    case.start(PRIMARY);
    case.start(SECONDARY_1);
    case.verify("k1", None);
    case.write("k1", Some("v1"));
    case.verify("k1", Some("v1"));
    case.write("k1", Some("v11"));
    case.verify("k2", None);
    case.write("k2", Some("v2"));
    case.verify("k2", Some("v2"));
    case.await_state(SECONDARY_1, &[("k1", Some("v11")), ("k2", Some("v2"))]);
    case.write("k1", None);
    case.verify("k1", None);
    case.await_state(SECONDARY_1, &[("k2", Some("v2"))]);
    case.start(SECONDARY_2);
    case.await_state(SECONDARY_2, &[("k2", Some("v2")), ("k1", None)]);
    case.write("k1", Some("v111"));
    case.write("k3", Some("v3"));
    case.write("k2", None);
    let end = [("k2", None), ("k1", Some("v111")), ("k3", Some("v3"))];
    case.await_state(SECONDARY_1, &end);
    case.await_state(SECONDARY_2, &end);
}

fn run_all(disks: Disks, links: Links) {
    for seed in 0..SEEDS {
        let case = std::panic::catch_unwind(|| run(seed, disks, links));
        assert!(case.is_ok(), "with seed {seed}");
    }
}

/// O-19: flaky disks, reliable links.
#[test]
fn o_19_flaky_disks_delay_but_lose_nothing() {
    run_all(Disks::Flaky, Links::Reliable);
}

/// O-20: steady disks, lossy links to the secondaries.
#[test]
fn o_20_lossy_links_delay_but_lose_nothing() {
    run_all(Disks::Steady, Links::Lossy);
}

/// O-21: both.
#[test]
fn o_21_flaky_disks_and_lossy_links_delay_but_lose_nothing() {
    run_all(Disks::Flaky, Links::Lossy);
}
