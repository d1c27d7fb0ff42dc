//! A cluster that stops in good order, one process after the other, and comes back with less.

use lockstep_core::message::{ReplyBody, RequestBody};
use lockstep_core::operation::{Key, ReadLevel, Value};
use lockstep_core::process::Outcome;
use lockstep_tests::cluster::{Cluster, ClusterOptions, MS};

const SECOND: u64 = 1_000 * MS;

/// An arbiter, three replicas that are in sync, and a client.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(ClusterOptions::steady(3, 1));
    cluster.start_all();
    cluster.run_until(SECOND);
    cluster
}

/// Has the client write or read, and returns what it is answered within some seconds.
fn call(cluster: &mut Cluster, request: RequestBody) -> Option<ReplyBody> {
    let client = cluster.clients().start;
    let call = cluster.call(client, request, 8 * SECOND);
    cluster.run_until(cluster.now() + 8 * SECOND);
    let record = cluster.history.record(call);
    match record.and_then(|record| Some(record.ended.as_ref()?.1.clone())) {
        Some(Outcome::Answered { body, .. }) => Some(body),
        _ => None,
    }
}

fn write(cluster: &mut Cluster, value: &str) -> bool {
    let request = RequestBody::Insert {
        key: Key::from("key"),
        value: Value::from(value),
    };
    call(cluster, request).is_some()
}

fn read(cluster: &mut Cluster) -> Option<Value> {
    let request = RequestBody::Get {
        key: Key::from("key"),
        level: ReadLevel::Linearizable,
    };
    match call(cluster, request) {
        Some(ReplyBody::GetResult { record, .. }) => record.map(|record| record.value),
        _ => None,
    }
}

/// All orders of these.
fn orders(of: &[&'static str]) -> Vec<Vec<&'static str>> {
    let [] = of else {
        let first = of.iter().enumerate().flat_map(|(index, first)| {
            let rest = [&of[..index], &of[index + 1..]].concat();
            let begun = |rest: Vec<_>| [vec![*first], rest].concat();
            orders(&rest).into_iter().map(begun).collect::<Vec<_>>()
        });
        return first.collect();
    };
    vec![Vec::new()]
}

/// Stops all in this order, `pause` apart, has all replicas but one lose their disk, and returns whether that one serves.
fn is_served(order: &[&str], pause: u64, survivor: &str) -> bool {
    let mut cluster = cluster();
    assert!(write(&mut cluster, "kept"));
    for name in order {
        let index = cluster.index_of(name).unwrap();
        cluster.leave(index);
        cluster.run_until(cluster.now() + pause);
    }
    cluster.run_until(cluster.now() + 5 * SECOND);
    for index in cluster.replicas() {
        assert!(!cluster.nodes()[index].is_up(), "{order:?}");
        if cluster.nodes()[index].name != survivor {
            cluster.lose_disk(index);
        }
    }
    for name in ["a", survivor] {
        let index = cluster.index_of(name).unwrap();
        cluster.start(index);
    }
    cluster.run_until(cluster.now() + 3 * SECOND);
    let found = read(&mut cluster);
    let is_served = found.is_some();
    if is_served {
        assert_eq!(found, Some("kept".into()), "{order:?}, {survivor}");
        assert!(write(&mut cluster, "new"), "{order:?}, {survivor}");
    }
    cluster.finish();
    assert_eq!(cluster.violation(), None, "{order:?}, {survivor}");
    is_served
}

#[test]
fn after_an_orderly_stop_of_all_each_replica_can_go_on_alone() {
    let replicas = ["r1", "r2", "r3"];
    let mut lost = Vec::new();
    for pause in [0, 300 * MS, 3 * SECOND] {
        for order in orders(&replicas) {
            // The arbiter stops behind them.
            let order = [order, vec!["a"]].concat();
            for survivor in replicas {
                if !is_served(&order, pause, survivor) {
                    lost.push(format!("{order:?} {} ms: {survivor}", pause / MS));
                }
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}

#[test]
fn those_that_stop_behind_the_arbiter_can_go_on_alone() {
    let mut lost = Vec::new();
    for order in orders(&["a", "r1", "r2", "r3"]) {
        let arbiter = order.iter().position(|name| *name == "a").unwrap();
        for survivor in &order[arbiter + 1..] {
            if !is_served(&order, 3 * SECOND, survivor) {
                lost.push(format!("{order:?}: {survivor}"));
            }
        }
    }
    assert!(lost.is_empty(), "{}", lost.join("\n"));
}
