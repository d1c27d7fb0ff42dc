//! What operators are told while something is wrong, and what they are kept from doing.

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Child, Stdio};

use lockstep_tests::processes::{Condition, Failure, Hosts, PATIENCE};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Cluster, Ended, Place, Server, eventually, place, program};

fn start() -> Cluster {
    Cluster::start(program(), Hosts::LOCAL).unwrap()
}

/// Waits until those who are missing have these names.
fn gone(place: &Place, expected: &[&str]) {
    eventually("those are missing", || {
        let status = place.json(&["status"]);
        let gone = status["gone"].as_array().unwrap().iter();
        let names: Vec<&str> = gone.map(|gone| gone["name"].as_str().unwrap()).collect();
        (names == expected).then_some(())
    });
}

/// Waits until nothing is wrong: who has just come back, or begun its role, has no lease for a moment.
fn well(place: &Place) {
    eventually("all is well", || {
        let status = place.run(&["status", "--check"]);
        (status.code == 0).then_some(())
    });
}

#[test]
fn who_is_missing_is_shown_until_it_is_back_or_drained() {
    let mut cluster = start();
    well(cluster.place());
    cluster.take_replica(2).kill();
    gone(cluster.place(), &["r3"]);
    let unwell = cluster.place().run(&["status", "--check"]);
    assert_eq!(unwell.code, 8, "{unwell:?}");
    let table = unwell.text();
    for part in [
        "2 of 3 expected in sync",
        "r3    gone",
        "r3 has been gone for",
    ] {
        assert!(table.contains(part), "{part} is missing in {table}");
    }
    // Nobody is left who has seen it go.
    cluster.take_replica(0).kill();
    cluster.take_replica(1).kill();
    cluster.start_replica(0).unwrap();
    cluster.start_replica(1).unwrap();
    gone(cluster.place(), &["r3"]);
    cluster.start_replica(2).unwrap();
    cluster.place().all_in_sync(3);
    well(cluster.place());

    let status = cluster.place().all_in_sync(3);
    let node = status["replicas"].as_array().unwrap().iter();
    let node = node.filter(|replica| replica["name"] == "r3");
    let node: String = node.map(|r3| r3["node"].as_str().unwrap()).collect();
    cluster.take_replica(2).kill();
    gone(cluster.place(), &["r3"]);
    cluster.take_arbiter().kill();
    eventually("the replicas notice that the arbiter is silent", || {
        let status = cluster.place().json(&["status"]);
        (status["arbiter"]["reachable"] == false).then_some(())
    });
    let refused = cluster.place().run(&["drain", "r3"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.errors.contains("the arbiter"), "{refused:?}");
    cluster.start_arbiter().unwrap();
    let forgotten = eventually("the arbiter is heard again, and it is drained", || {
        let drained = cluster.place().run(&["drain", "r3"]);
        (drained.code == 0).then(|| drained.text())
    });
    // Whoever looks for what was done reads who it was.
    let logs = [0, 1].map(|number| cluster.replica(number).log()).concat();
    let begun = logs.lines().find(|line| line.contains("begun"));
    let begun = begun.unwrap_or_else(|| panic!("{logs}"));
    assert!(begun.contains(&node) && begun.contains("gone"), "{begun}");
    assert!(forgotten.contains("expected no more"), "{forgotten}");
    well(cluster.place());
    // Who was drained is not missing.
    cluster.place().ok(&["drain", "r2"]);
    let drained = cluster.take_replica(1);
    drained.line("left: r2").unwrap();
    let (code, log) = drained.end();
    assert!(
        code == 0 && log.contains("ends, as it was told to"),
        "{log}"
    );
    gone(cluster.place(), &[]);
}

#[test]
fn a_drain_that_would_not_end_well_does_nothing() {
    let mut cluster = start();
    cluster.place().ok(&["put", "k", "v"]);
    cluster.take_arbiter().kill();
    eventually("the replicas notice that the arbiter is silent", || {
        let status = cluster.place().json(&["status"]);
        (status["arbiter"]["reachable"] == false).then_some(())
    });
    for arguments in [
        &["drain", "r2"][..],
        &["drain", "r1"],
        &["drain", "r1", "--role-only"],
    ] {
        let refused = cluster.place().run(arguments);
        assert_eq!(refused.code, 3, "{arguments:?}: {refused:?}");
        assert!(refused.errors.contains("arbiter"), "{refused:?}");
        assert!(
            !refused.errors.contains("nothing was executed"),
            "{refused:?}"
        );
    }
    cluster.start_arbiter().unwrap();
    cluster.place().all_in_sync(3);
    for (number, name) in [(1, "r2"), (2, "r3")] {
        eventually("the arbiter is heard again, and it is drained", || {
            (cluster.place().run(&["drain", name]).code == 0).then_some(())
        });
        assert_eq!(cluster.take_replica(number).end().0, 0);
    }
    for arguments in [
        &["drain", "r1"][..],
        &["drain", "r1", "--force"],
        &["drain", "r1", "--role-only"],
    ] {
        let refused = cluster.place().run(arguments);
        assert_eq!(refused.code, 3, "{arguments:?}: {refused:?}");
        assert!(
            refused.errors.contains("no other replica is in sync"),
            "{refused:?}"
        );
    }
    cluster.place().ok(&["put", "k", "w"]);
    assert!(!cluster.replica_has_ended(0));
}

#[test]
fn a_cluster_that_waits_is_told_from_one_that_is_not_there() {
    let mut cluster = start();
    cluster.place().ok(&["put", "k", "v"]);
    for number in [1, 2] {
        cluster.take_replica(number).kill();
    }
    gone(cluster.place(), &["r2", "r3"]);
    cluster.take_replica(0).kill();
    cluster.start_replica(1).unwrap();
    for arguments in [&["put", "k", "w"][..], &["remove", "k"]] {
        let waits = cluster
            .place()
            .run(&[arguments, &["--deadline", "2s"]].concat());
        assert_eq!(waits.code, 5, "{waits:?}");
        let named = waits
            .errors
            .contains("r2 answered, but: reads and writes wait for r1");
        assert!(named, "{waits:?}");
    }
}

#[test]
fn how_much_room_a_full_disk_needs_is_told() {
    let cluster = match Cluster::start_on_disks(program(), Hosts::LOCAL) {
        Err(Failure::NoDisks { reason }) => return eprintln!("skipped: {reason}"),
        cluster => cluster.unwrap(),
    };
    let place = cluster.place();
    cluster.disturb_replica(2, Condition::Full).unwrap();
    place.ok(&["put", "k", "v"]);
    let status = eventually("its disk is full", || {
        let status = place.json(&["status"]);
        let replica = &status["replicas"][2];
        (replica["disk_full"] == true).then_some(status)
    });
    let usage = &status["replicas"][2]["usage"];
    // The reserve.
    assert!(usage["disk_needed"].as_u64() >= Some(64 << 20), "{status}");
    assert!(usage["disk_free"].as_u64() > Some(0), "{status}");
    let problems = status["problems"].to_string();
    let told = "the disk of r3 is full: ";
    assert!(problems.contains(told), "{problems}");
    // This disk refuses writes although it says that it has room.
    let told = "a write was refused; looked at later, ";
    assert!(
        problems.contains(told) && problems.contains(" needed"),
        "{problems}"
    );
    let log = cluster.replica(2).log();
    let line = log.lines().find(|line| line.contains("has no room"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    for part in [
        "r3.d",
        "free=",
        "needed=",
        "by itself",
        "a moment after the write was refused",
    ] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
    cluster.disturb_replica(2, Condition::Sound).unwrap();
    place.all_in_sync(3);
    eventually("it has room", || {
        let status = place.json(&["status"]);
        (status["replicas"][2]["disk_full"] == false).then_some(())
    });
}

/// A cluster with a key, in which nobody confirms a write from now on, and nobody takes out who does not.
fn unconfirming() -> Cluster {
    let cluster = start();
    cluster.place().ok(&["put", "k", "v"]);
    cluster.place().all_in_sync(3);
    cluster.arbiter().pause();
    cluster.replica(1).pause();
    cluster
}

#[test]
fn a_write_of_unknown_outcome_is_resolved_by_the_name_it_was_given() {
    let cluster = unconfirming();
    let place = cluster.place();
    let unknown = place.run(&["put", "k", "w", "--deadline", "3s"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    let (_, hint) = unknown.errors.split_once("`lockstep ").unwrap();
    let hint: Vec<&str> = hint.split_once('`').unwrap().0.split(' ').collect();
    assert_eq!((hint.len(), hint[0]), (2, "resolve"), "{unknown:?}");
    let still = place.run(&[&hint[..], &["--deadline", "2s"]].concat());
    assert_eq!(still.code, 4, "{still:?}");
    assert!(!still.errors.contains("nothing was"), "{still:?}");
    cluster.replica(1).resume();
    cluster.arbiter().resume();
    let resolved = eventually("it is known", || {
        let ended = place.run(&hint);
        (ended.code != 4).then_some(ended)
    });
    assert!([0, 1].contains(&resolved.code), "{resolved:?}");
    assert!(resolved.text().contains("executed"), "{resolved:?}");
}

/// Starts a command that lasts.
fn begin(place: &Place, arguments: &[&str]) -> Child {
    let mut command = place.command(arguments);
    command.args(place.flags()).args(["--deadline", "5m"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends it a signal, and waits until it ends.
fn interrupt(child: Child, signal: Signal) -> Ended {
    kill_process(Pid::from_child(&child), signal).unwrap();
    Ended::new(child.wait_with_output().unwrap())
}

#[test]
fn a_write_that_a_signal_ends_is_named_if_it_may_have_been_executed() {
    let cluster = unconfirming();
    let place = cluster.place();
    let is_sent = |key: &str, value: &str| {
        let arguments = ["get", key, "--level", "local", "--replica"];
        let address = cluster.addresses()[0].to_string();
        eventually("the primary has it", || {
            let read = place.run(&[&arguments[..], &[&address]].concat());
            (read.bytes == value.as_bytes()).then_some(())
        });
    };
    let put = begin(place, &["put", "k", "w"]);
    is_sent("k", "w\n");
    let put = interrupt(put, Signal::INT);
    let mut shell = begin(place, &["shell"]);
    let mut input = shell.stdin.take().unwrap();
    input.write_all(b"put k x\n").unwrap();
    is_sent("k", "x\n");
    let shell = interrupt(shell, Signal::TERM);
    drop(input);
    let remove = begin(place, &["remove", "k"]);
    is_sent("k", "");
    let remove = interrupt(remove, Signal::TERM);
    for ended in [&put, &shell, &remove] {
        assert_eq!(ended.code, 4, "{ended:?}");
        assert!(ended.errors.contains("`lockstep resolve "), "{ended:?}");
    }
    cluster.replica(1).resume();
    cluster.arbiter().resume();
    for ended in [put, shell, remove] {
        let (_, name) = ended.errors.split_once("resolve ").unwrap();
        let (name, _) = name.split_once('`').unwrap();
        let resolved = eventually("it is known", || {
            let resolved = place.run(&["resolve", name]);
            (resolved.code != 4).then_some(resolved)
        });
        assert_eq!(resolved.code, 0, "{resolved:?}");
    }
}

#[test]
fn a_write_that_a_signal_ends_before_it_was_sent_is_interrupted() {
    let mut place = place();
    place.ok(&["certs", "init", "--tls-dir", "tls"]);
    place.ok(&["certs", "client", "me", "--tls-dir", "tls"]);
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    nobody.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    place.set_flags(&["--tls-dir", "tls", "--cluster", &address]);
    for (arguments, line) in [
        (&["put", "k", "v"][..], &b""[..]),
        (&["shell"], b"put k v\n"),
        (&["shell"], b"get k\n"),
    ] {
        let mut child = begin(&place, arguments);
        let mut input = child.stdin.take().unwrap();
        input.write_all(line).unwrap();
        let knocked = nobody.recv(&mut [0; 2048]);
        assert!(knocked.is_ok(), "{knocked:?}");
        let ended = interrupt(child, Signal::TERM);
        drop(input);
        assert_eq!(ended.code, 130, "{arguments:?}: {ended:?}");
        assert!(ended.errors.contains("interrupted"), "{ended:?}");
        nobody.set_nonblocking(true).unwrap();
        while nobody.recv(&mut [0; 2048]).is_ok() {}
        nobody.set_nonblocking(false).unwrap();
    }
}

/// Begins a cluster of its own in `place`: its arbiter and where that is.
fn first_arbiter(place: &Place) -> (Server, String) {
    place.ok(&["certs", "init", "--tls-dir", "tls"]);
    place.ok(&["init", "--arbiter-dir", "a"]);
    node(place, "a", "arbiter", &[])
}

/// Starts a node with a certificate of its own, and says where it is.
fn node(place: &Place, name: &str, command: &str, more: &[&str]) -> (Server, String) {
    let tls = ["--tls-dir", "tls"];
    let certificate = ["certs", "node", name, "--host", "127.0.0.1"];
    let mut issue = place.command(&[&certificate[..], &tls].concat());
    Ended::new(issue.output().unwrap()).expect(0, &certificate);
    let flags = [
        "--listen",
        "127.0.0.1:0",
        "--name",
        name,
        "--data-dir",
        name,
    ];
    let arguments = [&[command], &flags[..], &tls, more].concat();
    let server = Server::start(place, name, &arguments).unwrap();
    let ready = server.line("ready:").unwrap();
    let address = ready.split([' ', ',']).nth(2).unwrap().to_owned();
    (server, address)
}

#[test]
fn writes_are_acknowledged_while_as_many_are_in_sync_as_are_required() {
    let mut place = place();
    let (_arbiter, address) = first_arbiter(&place);
    place.ok(&["certs", "client", "me", "--tls-dir", "tls"]);
    let flags = ["--arbiter", &address, "--min-in-sync", "2"];
    let (_first, first) = node(&place, "r1", "replica", &flags);
    place.set_flags(&["--tls-dir", "tls", "--cluster", &first]);
    let rejected = |who| {
        for arguments in [&["put", "k", "v"][..], &["remove", "k"]] {
            let ended = place.run(&[arguments, &["--deadline", "2s"]].concat());
            assert_eq!(ended.code, 3, "{ended:?}");
            let words = "rejected, nothing was executed: 1 replicas are in sync, writes require 2";
            assert!(ended.errors.contains(words), "{ended:?}");
            let advice = "start the missing replicas, see `lockstep status`";
            assert!(ended.errors.contains(advice), "{ended:?}");
        }
        let check = place.run(&["status", "--check"]);
        let words = "writes are rejected: 1 in sync, and 2 required (--min-in-sync)";
        assert!(
            check.code == 8 && check.text().contains(words),
            "{who}: {check:?}"
        );
    };
    rejected("the first alone");
    let (second, _) = node(&place, "r2", "replica", &flags);
    place.all_in_sync(2);
    place.ok(&["put", "k", "v"]);
    second.kill();
    gone(&place, &["r2"]);
    rejected("one that is left");
    assert_eq!(place.ok(&["get", "k"]), "v\n");
    let (_third, _) = node(&place, "r3", "replica", &flags);
    place.all_in_sync(2);
    place.ok(&["put", "k", "w"]);
}

#[test]
fn what_changes_the_cluster_is_logged_unless_told_otherwise() {
    let place = place();
    let (arbiter, address) = first_arbiter(&place);
    let (replica, _) = node(&place, "r1", "replica", &["--arbiter", &address]);
    assert!(
        arbiter.log().contains("accepted a join"),
        "{}",
        arbiter.log()
    );
    assert!(
        replica.log().contains("is primary from now on"),
        "{}",
        replica.log()
    );
    let quiet = ["--arbiter", &address, "--log", "warn"];
    let (quiet, _) = node(&place, "r2", "replica", &quiet);
    assert!(!quiet.log().contains("from now on"), "{}", quiet.log());
}
