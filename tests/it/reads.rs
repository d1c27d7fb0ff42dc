//! What linearizable reads cost: counted in messages.

use lockstep_core::config::Address;
use lockstep_core::message::RequestBody;
use lockstep_core::operation::{Key, ReadLevel, Value};
use lockstep_core::process::Outcome;
use lockstep_tests::cluster::{Cluster, ClusterOptions, MS};
use lockstep_tests::trace::{Detail, Trace};

const SECOND: u64 = 1_000 * MS;

/// Three replicas in sync and a client, which has written a key.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(ClusterOptions::steady(3, 1));
    cluster.start_all();
    cluster.run_until(SECOND);
    call(&mut cluster, write("1"), None);
    // The others hear with the next Beacon that it is committed.
    cluster.run_until(2 * SECOND);
    cluster
}

fn write(value: &str) -> RequestBody {
    RequestBody::Insert {
        key: Key::from("key"),
        value: Value::from(value),
    }
}

fn read() -> RequestBody {
    RequestBody::Get {
        key: Key::from("key"),
        level: ReadLevel::Linearizable,
    }
}

/// Asks that replica, or any.
fn call(cluster: &mut Cluster, request: RequestBody, replica: Option<Address>) -> Option<Outcome> {
    let client = cluster.clients().start;
    let call = cluster.call_at(client, request, replica, SECOND);
    cluster.run_until(cluster.now() + 5 * MS);
    let record = cluster.history.record(call);
    record.and_then(|record| Some(record.ended.as_ref()?.1.clone()))
}

/// The messages of this kind in a conversation.
fn count(lines: &[String], from: &str, to: &str, kind: &str) -> usize {
    let arrow = format!("{from} → {to}");
    let lines = lines.iter();
    lines
        .filter(|line| line.contains(&arrow) && line.contains(kind))
        .count()
}

#[test]
fn reads_of_clean_keys_at_all_replicas_send_nothing_to_the_primary() {
    let mut cluster = cluster();
    cluster.trace = Trace::new(Detail::All);
    // Sixteen at each in turn.
    for _ in 0..288 {
        let outcome = call(&mut cluster, read(), None);
        assert!(
            matches!(outcome, Some(Outcome::Answered { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(cluster.violation(), None);
    let lines = cluster.trace.take_lines();
    for replica in ["r1", "r2", "r3"] {
        assert_eq!(count(&lines, replica, "c1", "GetResult"), 96, "{replica}");
    }
    for secondary in ["r2", "r3"] {
        let all = count(&lines, secondary, "r1", "");
        assert!(all > 0, "leases are kept up");
        assert_eq!(
            all,
            count(&lines, secondary, "r1", "BeaconAck"),
            "{secondary}"
        );
        assert_eq!(
            count(&lines, "r1", secondary, ""),
            count(&lines, "r1", secondary, "Beacon")
        );
    }
}

#[test]
fn reads_of_a_key_that_may_have_changed_ask_the_primary() {
    let mut cluster = cluster();
    let slow = cluster.index_of("r3").expect("there are three");
    cluster.hang_disk(slow, 100 * MS);
    cluster.trace = Trace::new(Detail::All);
    assert_eq!(call(&mut cluster, write("2"), None), None);
    let replica = cluster.index_of("r2").expect("there are three");
    let replica = cluster.nodes()[replica].address.clone();
    let outcome = call(&mut cluster, read(), Some(replica));
    assert!(
        matches!(outcome, Some(Outcome::Answered { .. })),
        "{outcome:?}"
    );
    let lines = cluster.trace.take_lines();
    assert_eq!(count(&lines, "r2", "r1", "CommittedQuery"), 1);
}
