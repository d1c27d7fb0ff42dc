//! What is typed wrongly, and what needs no cluster.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Ended, Server, eventually, place};

#[test]
fn the_program_says_its_version() {
    let text = place().ok(&["--version"]);
    assert_eq!(
        text.trim(),
        format!("lockstep {}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn help_teaches_the_first_steps_and_the_exit_codes() {
    let help = place().ok(&["--help"]);
    for part in [
        "lockstep dev",
        "lockstep put greeting hello",
        "Exit codes:",
        "LOCKSTEP_CLUSTER",
    ] {
        assert!(help.contains(part), "{part} is missing in {help}");
    }
}

#[test]
fn wrong_usage_ends_with_code_2_and_says_what_is_wrong() {
    let place = place();
    place.write("bad.toml", "tsl-dir = 'x'");
    place.write("wrong.toml", "[dev]\nreplicas = 'many'");
    let check = |arguments: &[&str], expected: &str| {
        let ended = place.run(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        assert!(ended.errors.contains(expected), "{arguments:?}: {ended:?}");
        assert!(ended.bytes.is_empty(), "{arguments:?}: {ended:?}");
    };
    check(&["frobnicate"], "frobnicate");
    check(&["put", "key"], "<VALUE>");
    check(&["get", "key", "--deadline", "soon"], "500ms");
    check(&["dev", "--replicas", "0"], "1..=16");
    check(&["replica", "--listen", "127.0.0.1:0"], "--arbiter");
    check(&["get", "key"], "lockstep dev");
    check(&["get", "key", "--cluster", "127.0.0.1:1"], "--tls-dir");
    check(&["get", "key", "--config", "none.toml"], "none.toml");
    check(
        &["get", "key", "--config", "bad.toml"],
        "unknown key `tsl-dir`",
    );
    check(&["dev", "--config", "wrong.toml"], "wrong.toml");
    check(&["get", "key", "--log", "a=b=c"], "--log");
    check(&["dev", "--value-bytes-max", "1GiB"], "--value-bytes-max");
    check(
        &[
            "import",
            "no-such-file",
            "--cluster",
            "127.0.0.1:1",
            "--tls-dir",
            ".",
        ],
        "no-such-file",
    );
}

#[test]
fn separate_processes_are_told_that_mem_is_not_for_them() {
    let place = place();
    let arguments = [
        "arbiter",
        "--transport",
        "mem",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        "a",
        "--tls-dir",
        "t",
    ];
    let ended = place.run(&arguments);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended.errors.contains("lockstep dev --transport mem"),
        "{ended:?}"
    );
}

#[test]
fn with_json_output_an_error_is_an_object() {
    let ended = place().run(&["get", "key", "--output", "json"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    let object: serde_json::Value = serde_json::from_slice(&ended.bytes).unwrap();
    assert_eq!(object["error"]["kind"], "usage");
}

#[test]
fn a_cluster_that_is_not_there_ends_with_code_5_and_the_addresses() {
    let mut place = place();
    place.ok(&["certs", "init", "--tls-dir", "tls"]);
    place.ok(&["certs", "client", "me", "--tls-dir", "tls"]);
    // Nobody listens at the discard port, and nobody may.
    place.set_flags(&[
        "--cluster",
        "127.0.0.1:9",
        "--tls-dir",
        "tls",
        "--deadline",
        "1s",
    ]);
    for arguments in [
        &["get", "key"][..],
        &["put", "key", "value"],
        &["remove", "key"],
        &["export"],
        &["status"],
    ] {
        let ended = place.run(arguments);
        assert_eq!(ended.code, 5, "{arguments:?}: {ended:?}");
        assert!(
            ended.errors.contains("127.0.0.1:9"),
            "{arguments:?}: {ended:?}"
        );
        assert!(ended.bytes.is_empty(), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn variables_that_are_empty_count_as_unset_and_those_that_are_none_are_told() {
    let place = place();
    let run = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.envs(variables.iter().copied());
        Ended::new(command.output().unwrap())
    };
    let get = ["get", "key"];
    let empty = [
        ("LOCKSTEP_OUTPUT", ""),
        ("LOCKSTEP_DEADLINE", ""),
        ("LOCKSTEP_TLS_DIR", ""),
    ];
    let ended = run(&empty, &get);
    assert!(
        ended.errors.contains("start one with `lockstep dev`"),
        "{ended:?}"
    );
    let ended = run(&[("LOCKSTEP_TSL_DIR", "tls")], &get);
    assert!(ended.errors.contains("LOCKSTEP_TSL_DIR"), "{ended:?}");
    // What is typed needs no cluster.
    let cluster = [
        ("LOCKSTEP_CLUSTER", "127.0.0.1:9"),
        ("LOCKSTEP_DEADLINE", "3s"),
    ];
    let export = ["export", "--data-dir", "nowhere"];
    let ended = run(&cluster, &export);
    assert!(
        ended.errors.contains("nowhere") && !ended.errors.contains("--cluster"),
        "{ended:?}"
    );
    let ended = run(
        &cluster,
        &[&export[..], &["--cluster", "127.0.0.1:9"]].concat(),
    );
    assert!(
        ended.code == 2 && ended.errors.contains("--cluster"),
        "{ended:?}"
    );
    // Of a node, not of a client, and never a confirmation.
    std::fs::create_dir(place.path().join("a")).unwrap();
    let loss = [("LOCKSTEP_ACCEPT_DATA_LOSS", "true")];
    let ended = run(&loss, &["force-primary", "r1", "--arbiter-dir", "a"]);
    assert!(
        ended.errors.contains("LOCKSTEP_ACCEPT_DATA_LOSS"),
        "{ended:?}"
    );
}

#[test]
fn an_address_to_advertise_is_checked() {
    let place = place();
    place.ok(&["certs", "init", "--tls-dir", "tls"]);
    let certificate = [
        "certs",
        "node",
        "r1",
        "--host",
        "127.0.0.1,::1",
        "--tls-dir",
        "tls",
    ];
    place.ok(&certificate);
    let arbiter = [
        "arbiter",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        "d",
        "--tls-dir",
        "tls",
    ];
    for wrong in ["0.0.0.0:7100", "somewhere", "r1@127.0.0.1:7100"] {
        let ended = place.run(&[&arbiter[..], &["--advertise", wrong]].concat());
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(
            ended.errors.contains(&format!("--advertise {wrong}")),
            "{ended:?}"
        );
    }
    place.ok(&["init", "--arbiter-dir", "d"]);
    let flags = [&arbiter[..], &["--advertise", "[::1]:7100"]].concat();
    let arbiter = Server::start(&place, "arbiter", &flags).unwrap();
    arbiter.line("ready:").unwrap();
    assert!(
        arbiter.log().contains("over IPv6, but it listens for IPv4"),
        "{}",
        arbiter.log()
    );
}

#[test]
fn the_first_process_of_a_container_obeys_signals() {
    let place = place();
    place.ok(&["certs", "init", "--tls-dir", "tls"]);
    place.ok(&["certs", "client", "me", "--tls-dir", "tls"]);
    // Not every system lets everybody make a container; where it is not so, there is nothing to try.
    let contain = |program: &OsStr| {
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--pid", "--fork"])
            .arg(program);
        command
    };
    let may_contain = contain(OsStr::new("true")).output();
    if !may_contain.is_ok_and(|output| output.status.success()) {
        return;
    }
    let mut command = contain(place.program().as_os_str());
    command.args(["shell", "--cluster", "127.0.0.1:9", "--tls-dir", "tls"]);
    command
        .current_dir(place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut unshare = command.stderr(Stdio::null()).spawn().unwrap();
    let mut input = unshare.stdin.take().unwrap();
    input.write_all(b"help\n").unwrap();
    // It is there once it has answered.
    let mut line = String::new();
    let mut output = BufReader::new(unshare.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let children = format!("/proc/{0}/task/{0}/children", unshare.id());
    let child = std::fs::read_to_string(children).unwrap();
    let child = Pid::from_raw(child.trim().parse().unwrap()).unwrap();
    kill_process(child, Signal::TERM).unwrap();
    let ended = eventually("it ends", || unshare.try_wait().unwrap());
    assert_eq!(ended.code(), Some(130));
    drop(input);
}
