//! What is typed wrongly, and what needs no cluster.

use crate::support::place;

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
