//! The official cases O-01 to O-18, each exact to the millisecond and ending with a silence in which nobody hears
//! anything that was not expected.
//!
//! Where a case names an actor of the original exercise, the bench has a double of that name; see `course`.

use lockstep_tests::course::{Bench, Persistence};

/// Times of the first sending and of all repetitions up to a second: `0 X`, `100 X`, … `1000 X`.
fn every_100_ms(what: &str) -> Vec<String> {
    (0..=10)
        .map(|tenth| format!("{} {what}", tenth * 100))
        .collect()
}

fn expect_all(bench: &mut Bench, double: &str, lines: &[String]) {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    bench.expect(double, &lines);
}

/// O-01: a replica that starts registers itself with the arbiter.
#[test]
fn o_01_a_replica_joins_when_it_starts() {
    let mut bench = Bench::new(Persistence::Steady);
    bench.expect("arbiter", &["0 Join"]);
    // Until it is answered, since the Join or its answer may be lost.
    bench.pass_until(250);
    bench.expect("arbiter", &["100 Join", "200 Join"]);
}

/// O-02: the primary answers Insert, Remove and Get.
#[test]
fn o_02_the_primary_inserts_removes_and_reads() {
    let mut bench = Bench::primary(Persistence::Steady);
    bench.expect_value("client", "k1", None);
    let id = bench.insert("client", "k1", "v1");
    bench.expect("client", &[&format!("0 OperationAck {id}")]);
    bench.expect_value("client", "k1", Some("v1"));
    bench.expect_value("client", "k2", None);
    let id = bench.insert("client", "k2", "v2");
    bench.expect("client", &[&format!("0 OperationAck {id}")]);
    bench.expect_value("client", "k2", Some("v2"));
    let id = bench.remove("client", "k1");
    bench.expect("client", &[&format!("0 OperationAck {id}")]);
    bench.expect_value("client", "k1", None);
    bench.expect_silence();
}

/// O-03: as O-01 for a replica that becomes a secondary; once it is one, it does not ask again.
#[test]
fn o_03_a_secondary_joins_once() {
    let mut bench = Bench::secondary(Persistence::Steady);
    bench.expect_silence();
}

/// O-04: a secondary takes Snapshots in order.
#[test]
fn o_04_a_secondary_takes_snapshots_in_order() {
    let mut bench = Bench::secondary(Persistence::Steady);
    bench.expect_value("client", "k1", None);
    bench.snapshot("k1", None, 0);
    bench.expect("replicator", &["0 SnapshotAck 0"]);
    bench.expect_value("client", "k1", None);
    bench.snapshot("k1", Some("v1"), 1);
    bench.expect("replicator", &["0 SnapshotAck 1"]);
    bench.expect_value("client", "k1", Some("v1"));
    bench.snapshot("k1", None, 2);
    bench.expect("replicator", &["0 SnapshotAck 2"]);
    bench.expect_value("client", "k1", None);
    bench.expect_silence();
}

/// O-05: old Snapshots change nothing and are acknowledged at once. Acknowledgements are cumulative, so that of an old
/// number names the newest one persisted.
#[test]
fn o_05_an_old_snapshot_is_acknowledged_and_changes_nothing() {
    let mut bench = Bench::secondary(Persistence::Steady);
    bench.expect_value("client", "k1", None);
    bench.snapshot("k1", Some("v1"), 0);
    bench.expect("replicator", &["0 SnapshotAck 0"]);
    bench.expect_value("client", "k1", Some("v1"));
    bench.snapshot("k1", None, 0);
    bench.expect("replicator", &["0 SnapshotAck 0"]);
    bench.expect_value("client", "k1", Some("v1"));
    bench.snapshot("k1", Some("v2"), 1);
    bench.expect("replicator", &["0 SnapshotAck 1"]);
    bench.expect_value("client", "k1", Some("v2"));
    bench.snapshot("k1", None, 0);
    bench.expect("replicator", &["0 SnapshotAck 1"]);
    bench.expect_value("client", "k1", Some("v2"));
    bench.expect_silence();
}

/// O-06: future Snapshots are dropped, and not kept for later.
#[test]
fn o_06_a_future_snapshot_is_dropped() {
    let mut bench = Bench::secondary(Persistence::Steady);
    bench.expect_value("client", "k1", None);
    bench.snapshot("k1", Some("v1"), 1);
    bench.pass_until(300);
    bench.expect("replicator", &[]);
    bench.expect_value("client", "k1", None);
    bench.snapshot("k1", Some("v2"), 0);
    bench.expect("replicator", &["300 SnapshotAck 0"]);
    bench.expect_value("client", "k1", Some("v2"));
    bench.expect_silence();
}

/// O-07: each write becomes a Snapshot, numbered 0, 1, 2, 3, and is complete once, when it is acknowledged.
#[test]
fn o_07_writes_become_snapshots_numbered_from_0() {
    let mut bench = Bench::primary(Persistence::Steady);
    bench.replicas(&["secondary"]);
    let rounds = [
        ("k1", Some("v1"), "0 Snapshot k1=v1 0"),
        ("k1", Some("v2"), "0 Snapshot k1=v2 1"),
        ("k2", Some("v1"), "0 Snapshot k2=v1 2"),
        ("k1", None, "0 Snapshot k1=absent 3"),
    ];
    for (seq, (key, value, snapshot)) in (0..).zip(rounds) {
        let id = match value {
            Some(value) => bench.insert("client", key, value),
            None => bench.remove("client", key),
        };
        bench.expect("secondary", &[snapshot]);
        bench.expect("client", &[]);
        bench.acknowledge("secondary", seq);
        bench.expect("client", &[&format!("0 OperationAck {id}")]);
        // Acknowledged once more: nobody hears anything.
        bench.acknowledge("secondary", seq);
    }
    bench.expect_silence();
}

/// O-08: a Snapshot goes out at once and again every 100 ms until it is acknowledged.
#[test]
fn o_08_a_snapshot_is_repeated_until_it_is_acknowledged() {
    let mut bench = Bench::primary(Persistence::Steady);
    bench.replicas(&["secondary"]);
    bench.pass_until(37);
    bench.mark();
    let id = bench.insert("client", "k1", "v1");
    bench.pass_until(250);
    bench.expect(
        "secondary",
        &[
            "0 Snapshot k1=v1 0",
            "100 Snapshot k1=v1 0",
            "200 Snapshot k1=v1 0",
        ],
    );
    bench.acknowledge("secondary", 0);
    bench.expect("client", &[&format!("250 OperationAck {id}")]);
    bench.expect_silence();
}

/// O-09: a secondary acknowledges only what is persisted, and serves it before.
#[test]
fn o_09_a_secondary_acknowledges_what_is_persisted() {
    let mut bench = Bench::secondary(Persistence::Probe);
    bench.expect_value("client", "k1", None);
    bench.snapshot("k1", Some("v1"), 0);
    bench.expect("persistence", &["0 Persist k1=v1"]);
    bench.expect_value("client", "k1", Some("v1"));
    bench.pass_until(500);
    bench.forget("persistence");
    bench.expect("replicator", &[]);
    // A repetition that comes while the disk is busy is not acknowledged either.
    bench.snapshot("k1", Some("v1"), 0);
    bench.expect("replicator", &[]);
    bench.persisted();
    bench.expect("replicator", &["500 SnapshotAck 0"]);
    bench.expect_value("client", "k1", Some("v1"));
    bench.expect_silence();
}

/// O-10: a secondary repeats the identical Persist every 100 ms.
#[test]
fn o_10_a_secondary_repeats_its_persist() {
    let mut bench = Bench::secondary(Persistence::Probe);
    bench.expect_value("client", "k1", None);
    bench.snapshot("k1", Some("v1"), 0);
    bench.pass_until(250);
    bench.expect(
        "persistence",
        &["0 Persist k1=v1", "100 Persist k1=v1", "200 Persist k1=v1"],
    );
    bench.pass_until(750);
    bench.forget("persistence");
    bench.expect("replicator", &[]);
    bench.persisted();
    bench.expect("replicator", &["750 SnapshotAck 0"]);
    bench.expect_value("client", "k1", Some("v1"));
    bench.expect_silence();
}

/// O-11: the primary acknowledges only what is persisted.
#[test]
fn o_11_the_primary_acknowledges_what_is_persisted() {
    let mut bench = Bench::primary(Persistence::Probe);
    let id = bench.insert("client", "foo", "bar");
    bench.expect("persistence", &["0 Persist foo=bar"]);
    bench.pass_until(99);
    bench.expect("client", &[]);
    bench.persisted();
    bench.expect("client", &[&format!("99 OperationAck {id}")]);
    bench.expect_silence();
}

/// O-12: the primary repeats the identical Persist every 100 ms.
#[test]
fn o_12_the_primary_repeats_its_persist() {
    let mut bench = Bench::primary(Persistence::Probe);
    let id = bench.insert("client", "foo", "bar");
    bench.pass_until(299);
    bench.expect(
        "persistence",
        &[
            "0 Persist foo=bar",
            "100 Persist foo=bar",
            "200 Persist foo=bar",
        ],
    );
    bench.expect("client", &[]);
    bench.persisted();
    bench.expect("client", &[&format!("299 OperationAck {id}")]);
    bench.expect_silence();
}

/// O-13: a write that is never persisted fails when its second is over, and not before. Persisting goes on.
#[test]
fn o_13_a_write_that_is_not_persisted_fails_after_a_second() {
    let mut bench = Bench::primary(Persistence::Probe);
    let id = bench.insert("client", "foo", "bar");
    bench.pass_until(999);
    bench.expect("client", &[]);
    bench.pass_until(1_000);
    bench.expect("client", &[&format!("1000 OperationFailed {id}")]);
    expect_all(&mut bench, "persistence", &every_100_ms("Persist foo=bar"));
    // What comes too late stays without an effect that the client sees.
    bench.persisted();
    bench.expect_value("client", "foo", Some("bar"));
    bench.expect_silence();
}

/// O-14: a write that a secondary never acknowledges fails when its second is over. The Snapshot is repeated for ever.
#[test]
fn o_14_a_write_that_a_secondary_does_not_acknowledge_fails_after_a_second() {
    let mut bench = Bench::primary(Persistence::Steady);
    bench.replicas(&["secondary"]);
    let id = bench.insert("client", "foo", "bar");
    bench.pass_until(999);
    bench.expect("client", &[]);
    bench.pass_until(1_000);
    bench.expect("client", &[&format!("1000 OperationFailed {id}")]);
    expect_all(&mut bench, "secondary", &every_100_ms("Snapshot foo=bar 0"));
    bench.pass_until(1_200);
    bench.expect(
        "secondary",
        &["1100 Snapshot foo=bar 0", "1200 Snapshot foo=bar 0"],
    );
    bench.acknowledge("secondary", 0);
    bench.expect_silence();
}

/// O-15: a write is acknowledged when it is persisted and every secondary has acknowledged it.
#[test]
fn o_15_a_write_waits_for_every_secondary() {
    let mut bench = Bench::primary(Persistence::Steady);
    bench.replicas(&["A", "B"]);
    let id = bench.insert("client", "foo", "bar");
    bench.pass_until(300);
    bench.expect("client", &[]);
    bench.acknowledge("A", 0);
    bench.pass_until(600);
    bench.expect("client", &[]);
    bench.acknowledge("B", 0);
    bench.expect("client", &[&format!("600 OperationAck {id}")]);
    let repeated = every_100_ms("Snapshot foo=bar 0");
    expect_all(&mut bench, "A", &repeated[..=3]);
    expect_all(&mut bench, "B", &repeated[..=6]);
    bench.expect_silence();
}

/// O-16: a new secondary gets what exists, numbered from 0, and then the updates.
#[test]
fn o_16_a_new_secondary_gets_what_exists_and_then_updates() {
    let mut bench = Bench::primary(Persistence::Steady);
    let id = bench.insert("client", "k1", "v1");
    bench.expect("client", &[&format!("0 OperationAck {id}")]);
    bench.replicas_joining(&["secondary"]);
    bench.expect("secondary", &["0 Snapshot k1=v1 0"]);
    bench.acknowledge("secondary", 0);
    let id = bench.insert("client", "k1", "v2");
    bench.expect("secondary", &["0 Snapshot k1=v2 1"]);
    bench.expect("client", &[]);
    bench.acknowledge("secondary", 1);
    bench.expect("client", &[&format!("0 OperationAck {id}")]);
    let id = bench.remove("client", "k1");
    bench.expect("secondary", &["0 Snapshot k1=absent 2"]);
    bench.acknowledge("secondary", 2);
    bench.expect("client", &[&format!("0 OperationAck {id}")]);
    bench.expect_silence();
}

/// O-17: the Replicator of a secondary that has left sends nothing any more.
#[test]
fn o_17_a_secondary_that_has_left_hears_nothing() {
    let mut bench = Bench::primary(Persistence::Steady);
    bench.replicas(&["secondary"]);
    let id = bench.insert("client", "k1", "v1");
    bench.expect("secondary", &["0 Snapshot k1=v1 0"]);
    bench.acknowledge("secondary", 0);
    bench.expect("client", &[&format!("0 OperationAck {id}")]);
    bench.replicas(&[]);
    let id = bench.insert("client", "k1", "v2");
    bench.expect("client", &[&format!("0 OperationAck {id}")]);
    bench.expect_silence();
}

/// O-18: leaving waives what the secondary has not acknowledged; the write is acknowledged at that moment.
#[test]
fn o_18_leaving_waives_missing_acknowledgements() {
    let mut bench = Bench::primary(Persistence::Steady);
    bench.replicas(&["secondary"]);
    let id = bench.insert("client", "k1", "v1");
    bench.expect("secondary", &["0 Snapshot k1=v1 0"]);
    bench.acknowledge("secondary", 0);
    bench.expect("client", &[&format!("0 OperationAck {id}")]);
    let id = bench.insert("client", "k1", "v2");
    bench.pass_until(50);
    bench.expect("secondary", &["0 Snapshot k1=v2 1"]);
    bench.expect("client", &[]);
    bench.replicas(&[]);
    bench.expect("client", &[&format!("50 OperationAck {id}")]);
    bench.expect_silence();
}
