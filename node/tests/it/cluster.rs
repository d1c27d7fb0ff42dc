//! A cluster of separate processes, as in production, and what goes wrong there.

use std::process::{Child, Command, Stdio};

use lockstep_tests::processes::Hosts;

use crate::import::records;
use crate::support::{Cluster, Ended, Place, Server, eventually, place, program};

fn start() -> Cluster {
    Cluster::start(program(), Hosts::LOCAL).unwrap()
}

/// Starts an import and returns once part of it is written.
fn begin_import(place: &Place, file: &str, first_key: &str) -> Child {
    let child = place
        .command(&["import", file, "--in-flight", "8", "--output", "json"])
        .args(place.flags())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("a part of the import is written", || {
        (place.run(&["get", first_key]).code == 0).then_some(())
    });
    child
}

fn finish(child: Child) -> serde_json::Value {
    let output = child.wait_with_output().unwrap();
    let ended = Ended::new(output);
    let text = ended.expect(0, &["import"]);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_secondary_killed_under_an_import_returns_and_has_everything() {
    let mut cluster = start();
    let input = records(6_000);
    cluster.place().write("in.ndjson", &input);
    let import = begin_import(cluster.place(), "in.ndjson", "key 000100");
    cluster.take_replica(2).kill();
    cluster.start_replica(2).unwrap();
    let summary = finish(import);
    assert_eq!(summary["records"], 6_000, "{summary}");
    cluster.place().all_in_sync(3);
    for name in ["r1", "r2", "r3"] {
        let exported = cluster.place().ok(&["export", "--replica", name]);
        assert!(exported == input, "{name} differs from what was imported");
    }
}

#[test]
fn reads_and_writes_go_on_without_the_arbiter() {
    let mut cluster = start();
    cluster.take_arbiter().kill();
    cluster.place().ok(&["put", "k", "v"]);
    assert_eq!(cluster.place().ok(&["get", "k"]), "v\n");
    eventually("the replicas notice that the arbiter is silent", || {
        let status = cluster.place().json(&["status"]);
        (status["arbiter"]["reachable"] == false).then_some(())
    });
    cluster.place().ok(&["put", "k", "w"]);
    assert_eq!(cluster.place().ok(&["get", "k", "--replica", "r2"]), "w\n");

    cluster.start_arbiter().unwrap();
    cluster.take_replica(1).kill();
    cluster.start_replica(1).unwrap();
    let status = cluster.place().all_in_sync(3);
    assert_eq!(status["epoch"], 1, "nobody noticed: {status}");
    cluster.place().ok(&["put", "k", "x"]);
}

#[test]
fn a_terminated_secondary_keeps_its_place_until_something_is_written_and_returns() {
    let mut cluster = start();
    assert_eq!(cluster.take_replica(1).terminate(), 0);
    let roles = |cluster: &Cluster| {
        let status = cluster.place().json(&["status"]);
        let replicas = status["replicas"].as_array().unwrap();
        let role = |r: &serde_json::Value| {
            let text = |field: &str| r[field].as_str().unwrap().to_owned();
            format!("{} {}", text("name"), text("role"))
        };
        replicas.iter().map(role).collect::<Vec<_>>()
    };
    assert_eq!(
        roles(&cluster),
        ["r1 primary", "r2 stopped", "r3 secondary"]
    );
    // Nobody has to wait until it is missed.
    cluster.place().ok(&["put", "k", "v"]);
    assert_eq!(roles(&cluster), ["r1 primary", "r3 secondary"]);
    cluster.start_replica(1).unwrap();
    cluster.place().all_in_sync(3);
    assert_eq!(cluster.place().ok(&["get", "k", "--replica", "r2"]), "v\n");
}

#[test]
fn a_cluster_that_was_stopped_goes_on_without_the_disk_of_the_last() {
    let mut cluster = start();
    cluster.place().ok(&["put", "k", "v"]);
    for number in [1, 2, 0] {
        assert_eq!(cluster.take_replica(number).terminate(), 0);
    }
    assert_eq!(cluster.take_arbiter().terminate(), 0);
    std::fs::remove_dir_all(cluster.place().path().join("r1.d")).unwrap();
    cluster.start_arbiter().unwrap();
    cluster.start_replica(1).unwrap();
    cluster.start_replica(2).unwrap();
    assert_eq!(cluster.place().ok(&["get", "k"]), "v\n");
    cluster.place().ok(&["put", "k", "w"]);
}

#[test]
fn a_killed_primary_is_replaced_and_comes_back_as_a_secondary() {
    let mut cluster = start();
    cluster.place().ok(&["put", "k", "v"]);
    cluster.take_replica(0).kill();
    // Whoever writes waits for the new primary, and is told of no failure.
    cluster.place().ok(&["put", "k", "w"]);
    assert_eq!(cluster.place().ok(&["get", "k"]), "w\n");
    cluster.start_replica(0).unwrap();
    let status = cluster.place().all_in_sync(3);
    assert_eq!(status["epoch"], 2);
    for name in ["r1", "r2", "r3"] {
        assert_eq!(cluster.place().ok(&["get", "k", "--replica", name]), "w\n");
    }
}

#[test]
fn a_drained_primary_hands_its_role_over() {
    let mut cluster = start();
    cluster.place().ok(&["put", "k", "v"]);
    cluster.place().ok(&["drain", "r1", "--role-only"]);
    let status = cluster.place().all_in_sync(3);
    assert_eq!(status["epoch"], 2, "another one is primary: {status}");
    cluster.place().ok(&["put", "k", "w"]);
    cluster.place().ok(&["drain", "r1"]);
    assert_eq!(cluster.take_replica(0).end().0, 0);
    assert_eq!(cluster.place().ok(&["get", "k"]), "w\n");
    cluster.start_replica(0).unwrap();
    let status = cluster.place().all_in_sync(3);
    let mut names = ["r1", "r2", "r3"].iter();
    let primary = names.position(|name| is_primary(&status, name)).unwrap();
    // Drained altogether, it hands over and ends.
    cluster.place().ok(&["drain", &format!("r{}", primary + 1)]);
    assert_eq!(cluster.take_replica(primary).end().0, 0);
    cluster.place().ok(&["put", "k", "x"]);
    cluster.start_replica(primary).unwrap();
    cluster.place().all_in_sync(3);
}

fn is_primary(status: &serde_json::Value, name: &str) -> bool {
    let replicas = status["replicas"].as_array().unwrap();
    let mut replicas = replicas.iter();
    replicas.any(|replica| replica["name"] == name && replica["role"] == "primary")
}

#[test]
fn a_replica_that_cannot_run_ends_with_the_reason() {
    let mut cluster = start();
    // Its data directory is in use.
    let arguments = cluster.replica_arguments(0);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let second = Server::start(cluster.place(), "second", &arguments).unwrap();
    let (code, log) = second.end();
    assert_eq!(code, 6, "{log}");
    assert!(log.contains("in use by another process"), "{log}");

    // Its data directory is a copy: another process has gone on with the original.
    cluster.take_replica(2).kill();
    let (original, copy) = (
        cluster.place().path().join("r3.d"),
        cluster.place().path().join("copy"),
    );
    let copied = Command::new("cp")
        .arg("-r")
        .arg(&original)
        .arg(&copy)
        .status()
        .unwrap();
    assert!(copied.success());
    for _ in 0..2 {
        cluster.start_replica(2).unwrap();
        cluster.place().all_in_sync(3);
        cluster.take_replica(2).kill();
    }
    std::fs::remove_dir_all(&original).unwrap();
    std::fs::rename(&copy, &original).unwrap();
    let arguments = cluster.replica_arguments(2);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let copy = Server::start(cluster.place(), "copy", &arguments).unwrap();
    let (code, log) = copy.end();
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("copy"), "{log}");
}

#[test]
fn a_certificate_of_another_authority_is_turned_away_with_a_reason() {
    let cluster = start();
    let mut stranger = place();
    stranger.ok(&["certs", "init", "--tls-dir", "tls"]);
    stranger.ok(&["certs", "client", "me", "--tls-dir", "tls"]);
    let flags: Vec<&str> = cluster.place().flags().iter().map(String::as_str).collect();
    stranger.set_flags(&flags);
    let ended = stranger.run(&["get", "k", "--deadline", "2s"]);
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(
        ended.errors.contains("authority") || ended.errors.contains("certificate"),
        "{ended:?}"
    );
}

/// Where the arbiter has said what was done to its record, by whom, and when.
fn told(cluster: &Cluster, what: &str) -> Vec<String> {
    eventually("the arbiter says what was done", || {
        let log = cluster.arbiter().log();
        let told = log.lines().filter(|line| line.contains(what));
        let told: Vec<String> = told.map(str::to_owned).collect();
        for part in ["while this arbiter did not run", "by=\"user ", "at="] {
            let is_there = told.iter().all(|line| line.contains(part));
            assert!(is_there, "{part} is missing in {told:?}");
        }
        (!told.is_empty()).then_some(told)
    })
}

#[test]
fn a_primary_is_forced_when_everybody_in_sync_is_lost() {
    let mut cluster = start();
    cluster.place().ok(&["put", "kept", "1"]);
    for number in [1, 2] {
        cluster.take_replica(number).kill();
    }
    // Acknowledged by the primary alone.
    cluster.place().ok(&["put", "lost", "1"]);
    cluster.take_replica(0).kill();
    cluster.start_replica(1).unwrap();

    let force = |cluster: &Cluster, name, directory, flags: &[&str]| {
        let arguments = ["force-primary", name, "--arbiter-dir", directory];
        let mut command = cluster.place().command(&arguments);
        let ended = Ended::new(command.args(flags).output().unwrap());
        (ended.code, ended.text() + &ended.errors)
    };
    let check = |(code, text): (i32, String), expected, words| {
        assert!(code == expected && text.contains(words), "{code}: {text}");
    };
    let confirmed = ["--accept-data-loss"];
    let running = force(&cluster, "r2", "arbiter.d", &confirmed);
    check(running, 6, "stop that one first");
    cluster.take_arbiter().kill();
    let unconfirmed = force(&cluster, "r2", "arbiter.d", &[]);
    check(unconfirmed, 2, "--accept-data-loss");
    let needless = force(&cluster, "r1", "arbiter.d", &confirmed);
    check(needless, 2, "r1 is in sync");
    check(force(&cluster, "r2", "nowhere", &confirmed), 2, "nowhere");
    let forced = force(&cluster, "r2", "arbiter.d", &confirmed);
    check(forced, 0, "refuses r1, r3");

    cluster.start_arbiter().unwrap();
    told(&cluster, "force-primary r2: primary of epoch");
    cluster.place().ok(&["put", "new", "1"]);
    assert_eq!(cluster.place().ok(&["get", "kept"]).trim(), "1");
    assert_eq!(cluster.place().run(&["get", "lost"]).code, 1);
    // The former primary knows the lost write to be committed. It must not bring it back, nor be overwritten.
    let arguments = cluster.replica_arguments(0);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (code, log) = Server::start(cluster.place(), "r1", &arguments)
        .unwrap()
        .end();
    assert!(
        code == 3 && log.contains("made primary by force"),
        "{code}: {log}"
    );
    std::fs::remove_dir_all(cluster.place().path().join("r1.d")).unwrap();
    cluster.start_replica(0).unwrap();
    cluster.place().all_in_sync(2);
}

#[test]
fn a_new_arbiter_adopts_the_cluster_of_one_that_lost_its_directory() {
    let mut cluster = start();
    cluster.place().ok(&["put", "kept", "1"]);
    let early = cluster.place().run(&["adopt", "--arbiter-dir", "early"]);
    assert_eq!(early.code, 2, "{early:?}");
    assert!(early.errors.contains("heard the arbiter"), "{early:?}");
    cluster.take_arbiter().kill();
    let directory = cluster.place().path().join("arbiter.d");
    std::fs::remove_dir_all(&directory).unwrap();
    let error = cluster.start_arbiter().unwrap_err().to_string();
    assert!(error.contains("no cluster"), "{error}");
    let log = std::fs::read_to_string(cluster.place().path().join("arbiter.log")).unwrap();
    assert!(log.contains("init: begins cluster"), "{log}");

    // One that begins a cluster of its own is none of theirs.
    let init = ["init", "--arbiter-dir", "arbiter.d"];
    let run = |cluster: &Cluster, arguments: &[&str]| {
        let output = cluster.place().command(arguments).output().unwrap();
        let ended = Ended::new(output);
        (ended.code, ended.text() + &ended.errors)
    };
    assert_eq!(run(&cluster, &init).0, 0);
    let (code, text) = run(&cluster, &init);
    assert!(code == 2 && text.contains("already"), "{code}: {text}");
    cluster.start_arbiter().unwrap();
    eventually("the replicas notice that it is foreign", || {
        let status: serde_json::Value = cluster.place().json(&["status"]);
        status["arbiter"]["foreign"].is_string().then_some(())
    });
    cluster.take_arbiter().kill();
    std::fs::remove_dir_all(&directory).unwrap();

    let adopt = ["adopt", "--arbiter-dir", "arbiter.d"];
    cluster.replica(2).pause();
    let missing = cluster.place().run(&adopt);
    assert_eq!(missing.code, 2, "{missing:?}");
    for part in ["r3", "--missing-are-gone"] {
        assert!(missing.errors.contains(part), "{part}: {missing:?}");
    }
    cluster.replica(2).resume();
    cluster.place().ok(&adopt);
    cluster.start_arbiter().unwrap();
    told(&cluster, "adopt: takes up cluster");
    cluster.place().all_in_sync(3);
    cluster.take_arbiter().kill();
    cluster.start_arbiter().unwrap();
    // It can do again what an arbiter is there for.
    cluster.take_replica(0).kill();
    cluster.place().ok(&["put", "new", "1"]);
    cluster.start_replica(0).unwrap();
    cluster.place().all_in_sync(3);
    assert_eq!(cluster.place().ok(&["get", "kept"]).trim(), "1");
    assert_eq!(told(&cluster, "adopt: takes up cluster").len(), 1);
}
