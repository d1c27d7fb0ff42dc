//! What an operation costs: counted in messages, writes and syncs, on virtual time.

use lockstep_core::config::Address;
use lockstep_core::host::intake::Intake;
use lockstep_core::message::RequestBody;
use lockstep_core::operation::{Key, ReadLevel, Value};
use lockstep_core::process::Outcome;
use lockstep_tests::cluster::{Cluster, ClusterOptions, MS};
use lockstep_tests::trace::{Detail, Trace};

const SECOND: u64 = 1_000 * MS;

/// What a process takes in one turn, fewer than in programs.
const ARRIVALS_MAX: usize = 64;

/// r1 is primary, r2 and r3 are in sync, and c1 knows it.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(ClusterOptions {
        intake: Intake {
            arrivals_max: ARRIVALS_MAX,
            ..Intake::default()
        },
        ..ClusterOptions::steady(3, 1)
    });
    cluster.start_all();
    cluster.run_until(SECOND);
    costs(&mut cluster, vec![write(0)]);
    // The others hear with the next Beacon that it is committed.
    cluster.run_until(2 * SECOND);
    cluster
}

/// A request, and the replica that is asked if it need not be the primary.
type Asked = (RequestBody, Option<Address>);

fn write(number: usize) -> Asked {
    let insert = RequestBody::Insert {
        key: Key::from(format!("key {number}")),
        value: Value::from("value"),
    };
    (insert, None)
}

/// What was said and done for some calls.
struct Costs {
    lines: Vec<String>,
    /// Of r1, r2 and r3.
    syncs: [u64; 3],
}

/// Has c1 make these calls at once, all of which succeed.
fn costs(cluster: &mut Cluster, asked: Vec<Asked>) -> Costs {
    let client = cluster.clients().start;
    let before = syncs(cluster);
    cluster.trace = Trace::new(Detail::All);
    let calls: Vec<_> = asked
        .into_iter()
        .map(|(request, replica)| cluster.call_at(client, request, replica, SECOND))
        .collect();
    cluster.run_until(cluster.now() + 15 * MS);
    for call in calls {
        let record = cluster.history.record(call);
        let outcome = record.and_then(|record| Some(record.ended.as_ref()?.1.clone()));
        let is_success = matches!(outcome, Some(Outcome::Answered { .. }));
        assert!(is_success, "{outcome:?}");
    }
    assert_eq!(cluster.violation(), None);
    let after = syncs(cluster);
    Costs {
        lines: cluster.trace.take_lines(),
        syncs: [0, 1, 2].map(|index| after[index] - before[index]),
    }
}

fn syncs(cluster: &Cluster) -> [u64; 3] {
    ["r1", "r2", "r3"].map(|name| {
        let index = cluster.index_of(name).expect("there are three replicas");
        cluster.nodes()[index].syncs
    })
}

impl Costs {
    /// The lines that have all of this in them.
    fn count(&self, parts: &[&str]) -> usize {
        let has_all = |line: &&String| parts.iter().all(|part| line.contains(part));
        self.lines.iter().filter(has_all).count()
    }

    /// The messages between these two, but for those that keep leases up whatever is done.
    fn messages(&self, from: &str, to: &str) -> usize {
        let arrow = format!("{from} → {to}");
        self.count(&[&arrow]) - self.count(&[&arrow, "Beacon"])
    }

    /// The messages of this kind between these two, and no others.
    fn check(&self, from: &str, to: &str, kind: &str, expected: usize) {
        let arrow = format!("{from} → {to}");
        let counted = (self.count(&[&arrow, kind]), self.messages(from, to));
        assert_eq!(counted, (expected, expected), "{arrow} {kind}: {self}");
    }
}

impl std::fmt::Display for Costs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "syncs {:?}", self.syncs)?;
        self.lines.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

#[test]
fn a_lone_write_costs_two_messages_a_replica_and_one_sync_on_each() {
    let mut cluster = cluster();
    let costs = costs(&mut cluster, vec![write(1)]);
    costs.check("c1", "r1", "Insert", 1);
    costs.check("r1", "c1", "OperationAck", 1);
    for secondary in ["r2", "r3"] {
        costs.check("r1", secondary, "Snapshots", 1);
        costs.check(secondary, "r1", "SnapshotAck", 1);
        costs.check("c1", secondary, "", 0);
        costs.check(secondary, "c1", "", 0);
    }
    for replica in ["r1", "r2", "r3"] {
        let appends = costs.count(&[&format!("{replica} = append")]);
        assert_eq!(appends, 1, "{replica}: {costs}");
    }
    assert_eq!(costs.syncs, [1; 3], "{costs}");
}

#[test]
fn writes_that_arrive_together_share_messages_and_syncs() {
    /// As many turns as the simulated process takes for them.
    const TURNS: usize = 4;
    const WRITES: usize = ARRIVALS_MAX * TURNS;
    let mut cluster = cluster();
    let costs = costs(&mut cluster, (0..WRITES).map(write).collect());
    costs.check("c1", "r1", "Insert", WRITES);
    costs.check("r1", "c1", "OperationAck", WRITES);
    for secondary in ["r2", "r3"] {
        costs.check("r1", secondary, "Snapshots", TURNS);
        // The first ones come while the disk is idle; the rest shares the next sync, and its acknowledgement.
        costs.check(secondary, "r1", "SnapshotAck", 2);
    }
    for replica in ["r1", "r2", "r3"] {
        let appends = costs.count(&[&format!("{replica} = append")]);
        assert_eq!(appends, TURNS, "{replica}: {costs}");
    }
    assert_eq!(costs.syncs, [2; 3], "{costs}");
}

#[test]
fn a_clean_linearizable_read_at_a_secondary_costs_one_request_and_one_reply() {
    let mut cluster = cluster();
    let secondary = cluster.index_of("r2").expect("there are three replicas");
    let replica = cluster.nodes()[secondary].address.clone();
    let read = RequestBody::Get {
        key: Key::from("key 0"),
        level: ReadLevel::Linearizable,
    };
    let costs = costs(&mut cluster, vec![(read, Some(replica))]);
    costs.check("c1", "r2", "Get", 1);
    costs.check("r2", "c1", "GetResult", 1);
    for (from, to) in [("r2", "r1"), ("r1", "r2"), ("r1", "r3"), ("c1", "r1")] {
        costs.check(from, to, "", 0);
    }
    assert_eq!(costs.syncs, [0; 3], "{costs}");
}
