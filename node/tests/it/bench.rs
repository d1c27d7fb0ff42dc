//! `bench`, on a cluster of `dev` and in memory: what it prints, and that it sees what is wrong.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, Server, place};

/// Enough to see everything once.
const SHORT: [&str; 8] = [
    "--clients",
    "4",
    "--keys",
    "200",
    "--duration",
    "1s",
    "--warm-up",
    "200ms",
];

fn cluster() -> (Place, Server) {
    let place = place();
    let dev = Server::start(&place, "dev", &["dev", "--listen", "127.0.0.1:0"]).unwrap();
    dev.line("ready:").unwrap();
    (place, dev)
}

fn bench(place: &Place, arguments: &[&str]) -> Value {
    let mut all = vec!["bench"];
    all.extend(arguments);
    all.extend(SHORT);
    place.json(&all)
}

fn check(outcome: &Value, kinds: &[&str]) {
    let found: Vec<&String> = outcome["kinds"].as_object().unwrap().keys().collect();
    assert_eq!(found, kinds, "{outcome}");
    for kind in kinds {
        let kind = &outcome["kinds"][kind];
        let quantiles = ["min", "p50", "p99", "p99.99", "max"].map(|name| {
            let quantile = kind["latency_ms"][name].as_f64();
            quantile.unwrap_or_else(|| panic!("{name} in {outcome}"))
        });
        assert!(quantiles.is_sorted(), "{outcome}");
    }
    assert!(
        outcome["operations_per_second"].as_f64() > Some(0.0),
        "{outcome}"
    );
    assert!(
        !outcome["series"].as_array().unwrap().is_empty(),
        "{outcome}"
    );
    assert_eq!(outcome["errors"]["first"], Value::Null, "{outcome}");
    assert_eq!(outcome["verification"]["mismatches"], 0, "{outcome}");
    let nodes = outcome["costs"]["nodes"].as_array().unwrap();
    assert!(nodes.len() >= 2, "{outcome}");
    for node in nodes {
        assert!(
            node["per_operation"]["cpu_micros"].as_f64() > Some(0.0),
            "{outcome}"
        );
        assert!(node["used"]["packets_sent"].as_u64() > Some(0), "{outcome}");
    }
    if kinds == ["write"] {
        let together = &outcome["costs"]["together"];
        assert!(
            together["entries_per_sync"].as_f64() > Some(0.0),
            "{outcome}"
        );
    }
}

#[test]
fn writes_are_measured_and_read_back() {
    let (place, _dev) = cluster();
    let outcome = bench(
        &place,
        &["put", "--keep", "--connections", "2", "--value-size", "300"],
    );
    check(&outcome, &["write"]);
    let read_back = outcome["verification"]["keys"].as_u64().unwrap();
    assert!((1..=200).contains(&read_back), "{outcome}");
    let exported = place.ok(&["export"]);
    assert_eq!(exported.lines().count() as u64, read_back);
    assert!(exported.starts_with(r#"{"key":"bench/00000"#), "{exported}");

    assert_eq!(outcome["keys"]["left"], "kept", "{outcome}");

    let mixed = ["mixed", "--keep", "--reads", "0.5", "--rate", "500"];
    let outcome = bench(&place, &mixed);
    check(&outcome, &["read", "write"]);
    assert_eq!(outcome["loaded"]["keys"], 200, "{outcome}");
    assert_eq!(outcome["settings"]["rate"], 500);

    let outcome = bench(
        &place,
        &[
            "get",
            "--no-load",
            "--level",
            "local",
            "--replica",
            "replica-2",
        ],
    );
    check(&outcome, &["read"]);
    assert_eq!(outcome["loaded"], Value::Null, "{outcome}");
    assert_eq!(
        outcome["verification"]["keys"], 0,
        "nothing was written: {outcome}"
    );
    // Keys of an earlier run are not its own.
    assert_eq!(place.ok(&["export"]).lines().count(), 200);
}

#[test]
fn what_a_bench_wrote_is_taken_away_again() {
    let (place, dev) = cluster();
    place.ok(&["put", "bench/mine", "v"]);
    let outcome = bench(&place, &["mixed"]);
    assert_eq!(outcome["keys"]["removed"], 200, "{outcome}");
    assert_eq!(outcome["keys"]["left"], Value::Null, "{outcome}");
    // What it did not write is not its own.
    let left = place.ok(&["export"]);
    assert_eq!(left, "{\"key\":\"bench/mine\",\"value\":\"v\"}\n");

    // A cluster that goes away before the keys do.
    let mut arguments = vec!["bench", "failover"];
    arguments.extend(SHORT);
    arguments.extend(["--no-verify", "--deadline", "500ms"]);
    let mut command = place.command(&arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // The first line tells that the warm-up is over, and that keys were written.
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    dev.kill();
    let mut errors = String::new();
    lines.read_to_string(&mut errors).unwrap();
    let ended = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(8), "{text}{errors}");
    let told = "the keys that begin with bench/ may still be in the cluster: ";
    assert!(text.contains(told), "{text}{errors}");
}

#[test]
fn every_workload_runs_in_memory() {
    let place = place();
    let check = |arguments: &[&str], kinds: &[&str]| {
        let mut all = arguments.to_vec();
        all.extend(["--mem", "2"]);
        check(&bench(&place, &all), kinds);
    };
    check(&["put", "--distribution", "sequential"], &["write"]);
    check(&["get", "--level", "at-least"], &["read"]);
    check(&["ycsb-a", "--read-from", "primary"], &["read", "write"]);
    check(&["ycsb-b"], &["read", "write"]);
    check(&["ycsb-c"], &["read"]);
    check(&["ycsb-d"], &["read", "write"]);
    check(&["ycsb-e"], &["scan", "write"]);
    check(&["ycsb-f"], &["read", "read-modify-write"]);
}

#[test]
fn a_hand_over_is_seen_with_what_clients_noticed_of_it() {
    let place = place();
    let arguments = [
        "bench",
        "failover",
        "--mem",
        "2",
        "--drain",
        "replica-0",
        "--keys",
        "100",
        "--rate",
        "200",
        "--duration",
        "3s",
    ];
    let outcome = place.json(&arguments);
    let events = outcome["besides"]["events"].as_array().unwrap();
    let changes = events[0]["changes"][0].as_str().unwrap();
    assert_eq!(
        changes, "primary replica-0 replaced by replica-1",
        "{outcome}"
    );
    assert_eq!(outcome["verification"]["mismatches"], 0, "{outcome}");

    let ended = place.run(&["bench", "failover", "--mem", "2", "--drain", "replica-1"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.errors.contains("replica-0 is"), "{ended:?}");

    let arguments = [
        "bench",
        "catch-up",
        "--mem",
        "1",
        "--rate",
        "200",
        "--duration",
        "500ms",
    ];
    let outcome = place.json(&arguments);
    assert_eq!(
        outcome["besides"]["joins"],
        serde_json::json!([]),
        "{outcome}"
    );
    assert!(
        outcome["besides"]["latency_ms"]["before"]["max"].as_f64() > Some(0.0),
        "{outcome}"
    );
}

#[test]
fn a_value_that_was_not_written_ends_it_with_a_code_of_its_own() {
    let (place, _dev) = cluster();
    place.ok(&["put", "bench/0000000000", "nonsense"]);
    let arguments = [
        "bench",
        "get",
        "--keys",
        "1",
        "--no-load",
        "--duration",
        "100ms",
    ];
    let ended = place.run(&arguments);
    assert_eq!(ended.code, 7, "{ended:?}");
    assert!(
        ended
            .text()
            .contains("bench/0000000000: it holds a value that was never written"),
        "{ended:?}"
    );
    let ended = place.run(&[&arguments[..], &["--output", "json"]].concat());
    assert_eq!(ended.code, 7, "{ended:?}");
    let outcome: Value = serde_json::from_slice(&ended.bytes).unwrap();
    assert!(
        outcome["verification"]["mismatches"].as_u64() > Some(0),
        "{outcome}"
    );
}

#[test]
fn what_cannot_be_measured_is_refused_with_a_reason() {
    let place = place();
    let check = |arguments: &[&str], code: i32, expected: &str| {
        let mut all = vec!["bench"];
        all.extend(arguments);
        let ended = place.run(&all);
        assert_eq!(ended.code, code, "{arguments:?}: {ended:?}");
        assert!(ended.errors.contains(expected), "{arguments:?}: {ended:?}");
    };
    check(&[], 2, "Workloads");
    check(&["mixed", "--reads", "1.5"], 2, "from 0 to 1");
    check(&["put", "--level", "local"], 2, "--level");
    check(&["ycsb-e", "--level", "linearizable"], 2, "--level");
    check(&["ycsb-e", "--read-from", "primary"], 2, "--read-from");
    check(&["put", "--mem", "1", "--key-size", "7"], 2, "--key-size");
    check(
        &["put", "--mem", "1", "--value-size", "8"],
        2,
        "--value-size",
    );
    check(&["put", "--mem", "1", "--value-size", "2MiB"], 3, "limit");
    check(&["put", "--cluster", "127.0.0.1:1"], 2, "--tls-dir");
}
