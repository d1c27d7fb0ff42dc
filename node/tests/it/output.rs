//! Output that nobody reads: the reader of a pipe has gone, or a log is to end in a file.

use std::process::{Child, Command, Stdio};

use lockstep_tests::processes::Hosts;

use crate::support::{Cluster, Place, eventually, place, program};

/// Runs a command to its end whose standard output nobody reads.
fn unread(place: &Place, arguments: &[&str]) -> i32 {
    let mut command = place.command(arguments);
    command.args(place.flags()).stdin(Stdio::null());
    let mut child = closed(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    child.wait().unwrap().code().unwrap()
}

/// Starts a process and closes the other ends of its pipes.
fn closed(command: &mut Command) -> Child {
    let mut child = command.spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    child
}

#[test]
fn nodes_go_on_when_nobody_reads_what_they_say() {
    let mut cluster = Cluster::start(program(), Hosts::LOCAL).unwrap();
    cluster.take_replica(2).kill();
    let mut arguments = cluster.replica_arguments(2);
    let level = arguments.iter().position(|argument| argument == "info");
    arguments[level.unwrap()] = "trace".to_owned();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = cluster.place().command(&arguments);
    command.stdin(Stdio::null());
    let mut deaf = closed(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    cluster.place().all_in_sync(3);
    cluster.place().ok(&["put", "k", "v"]);
    let read = cluster.place().ok(&["get", "k", "--replica", "r3"]);
    assert_eq!(read, "v\n");
    assert!(deaf.try_wait().unwrap().is_none(), "it has ended");
    cluster.place().ok(&["drain", "r3"]);
    let ended = eventually("it ends", || deaf.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn the_exit_code_is_that_of_what_was_done_whoever_reads() {
    let cluster = Cluster::start(program(), Hosts::LOCAL).unwrap();
    let place = cluster.place();
    assert_eq!(unread(place, &["put", "k", "v"]), 0);
    assert_eq!(unread(place, &["get", "absent"]), 1);
    assert_eq!(unread(place, &["get", "absent", "--output", "json"]), 1);
    let long = "k".repeat(5_000);
    let put = ["put", long.as_str(), "v", "--output", "json"];
    assert_eq!(unread(place, &put), 3);
    place.write("bad.ndjson", "{\"key\":\"a\",\"value\":\"\"}\nnonsense\n");
    assert_eq!(unread(place, &["import", "bad.ndjson"]), 2);

    // A script whose output nobody wants is carried out to its end.
    place.write("script", "put a 1\nget a\nput b 2\n");
    let script = std::fs::File::open(place.path().join("script")).unwrap();
    let mut command = place.command(&["shell"]);
    command.args(place.flags()).stdin(script);
    let mut child = closed(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(place.ok(&["get", "b"]), "2\n");
}

#[test]
fn errors_that_nobody_reads_leave_the_exit_code() {
    let place = place();
    let mut command = place.command(&["get", "k"]);
    let mut child = closed(command.stdin(Stdio::null()).stderr(Stdio::piped()));
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn a_log_can_go_to_a_file() {
    let place = place();
    place.ok(&["certs", "init", "--tls-dir", "tls"]);
    let node = ["certs", "node", "r1", "--host", "127.0.0.1"];
    place.ok(&[&node[..], &["--tls-dir", "tls"]].concat());
    let replica = [
        "replica",
        "--arbiter",
        "127.0.0.1:9",
        "--listen",
        "127.0.0.1:0",
        "--tls-dir",
        "tls",
        "--data-dir",
        "not/to/be",
    ];
    place.write("not", "a file");
    let ended = place.run(&[&replica[..], &["--log-file", "log"]].concat());
    assert_eq!(ended.code, 6, "{ended:?}");
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    assert!(log.contains("ERROR") && log.contains("not/to/be"), "{log}");
    let nowhere = place.run(&[&replica[..], &["--log-file", "no/such/log"]].concat());
    assert_eq!(nowhere.code, 2, "{nowhere:?}");
    assert!(
        nowhere.errors.contains("--log-file no/such/log"),
        "{nowhere:?}"
    );
}
