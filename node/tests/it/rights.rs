//! Who may do what, with real certificates and processes.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use lockstep_core::transport::SenderKind;
use lockstep_tests::processes::Hosts;
use lockstep_transport_quic::authority::{self, Existing, Order};

use crate::support::{Cluster, Ended, Server, eventually, place, program};

/// Where the certificates of further clients are; beside that of the usual one they would need a name each time.
const OTHERS: &str = "others";

fn certs(cluster: &Cluster, tls_dir: &str, arguments: &[&str]) {
    let mut command = cluster.place().command(&[&["certs"], arguments].concat());
    let output = command.args(["--tls-dir", tls_dir]).output().unwrap();
    Ended::new(output).expect(0, arguments);
}

/// Makes the certificate of another client.
fn client(cluster: &Cluster, arguments: &[&str]) {
    let path = cluster.place().path();
    std::fs::create_dir_all(path.join(OTHERS)).unwrap();
    for file in ["ca.pem", "ca.key"] {
        std::fs::copy(path.join("tls").join(file), path.join(OTHERS).join(file)).unwrap();
    }
    certs(cluster, OTHERS, &[&["client"], arguments].concat());
}

/// Runs a command as another client.
fn run_as(cluster: &Cluster, name: &str, arguments: &[&str]) -> Ended {
    let addresses = cluster.addresses();
    let addresses: Vec<&str> = addresses.iter().map(|address| address.as_str()).collect();
    let mut command = cluster.place().command(arguments);
    command.args(["--cluster", &addresses.join(",")]);
    command.args(["--tls-dir", OTHERS, "--name", name]);
    Ended::new(command.output().unwrap())
}

#[test]
fn a_client_does_what_its_certificate_says_and_is_told_what_else_would_need() {
    let cluster = Cluster::start(program(), Hosts::LOCAL).unwrap();
    client(&cluster, &["reader", "--role", "read"]);
    client(&cluster, &["writer", "--prefix", "a/", "--prefix", "b/"]);
    client(&cluster, &["boss", "--role", "admin"]);
    let check = |name: &str, arguments: &[&str], code: i32, words: &str| {
        let ended = run_as(&cluster, name, arguments);
        assert!(
            ended.code == code && ended.errors.contains(words),
            "{name} {arguments:?}: {ended:?}"
        );
    };
    let keys = "a certificate for these keys";
    let admin = "a certificate of the role admin";
    check("writer", &["put", "a/1", "v"], 0, "");
    check("writer", &["put", "c", "v"], 3, keys);
    check("writer", &["get", "c"], 3, keys);
    let own = "begin with \"a/\" or \"b/\"";
    check("writer", &["get", "c"], 3, own);
    check("writer", &["export"], 3, own);
    check("writer", &["export"], 3, "export --prefix");
    check("writer", &["export", "--prefix", "a"], 3, own);
    check("writer", &["drain", "r1", "--role-only"], 3, admin);
    check("reader", &["get", "a/1"], 0, "");
    check("reader", &["status"], 0, "");
    let write = "a certificate of the role write";
    check("reader", &["put", "a/1", "w"], 3, write);
    check("reader", &["remove", "a/1"], 3, "--role");
    let unresolved = run_as(&cluster, "reader", &["resolve", "1f-1-0.Yy8x"]);
    assert!(
        unresolved.code == 4 && unresolved.errors.contains(write),
        "{unresolved:?}"
    );
    assert!(!unresolved.errors.contains("ask again:"), "{unresolved:?}");
    assert_eq!(run_as(&cluster, "reader", &["get", "a/1"]).text(), "v\n");
    check("boss", &["drain", "r1", "--role-only"], 0, "");

    // Both tries, who made them and from where, at the level that is logged unless told otherwise.
    let log = cluster.replica(0).log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("drain")).collect();
    let [refused, begun] = lines[..] else {
        panic!("{lines:?}");
    };
    let check = |line: &str, client: &str, outcome: &str| {
        for word in ["WARN", client, "@127.0.0.1:", outcome] {
            assert!(line.contains(word), "{word} in {line}");
        }
    };
    check(refused, "client:writer#", "refused");
    check(begun, "client:boss#", "begun");
}

#[test]
fn a_client_exports_and_scans_the_keys_that_it_may_name() {
    let cluster = Cluster::start(program(), Hosts::LOCAL).unwrap();
    client(&cluster, &["some", "--prefix", "b/", "--prefix", "d/"]);
    for key in ["a", "b/1", "b/2", "c", "d/1", "e"] {
        cluster.place().ok(&["put", key, "v"]);
    }
    let address = cluster.addresses()[0].to_string();
    let check = |name: &str, arguments: &[&str], expected: &[&str]| {
        // One replica: another one may not have applied the last record yet.
        let arguments = [arguments, &["--replica", &address]].concat();
        let ended = run_as(&cluster, name, &arguments);
        let lines = expected.iter();
        let lines = lines.map(|key| format!("{{\"key\":\"{key}\",\"value\":\"v\"}}\n"));
        let lines: String = lines.collect();
        assert_eq!(ended.text(), lines, "{arguments:?}: {ended:?}");
        assert_eq!(ended.code, 0, "{ended:?}");
    };
    check("some", &["export", "--prefix", "d/"], &["d/1"]);
    let all = ["export", "--prefix", "d/", "--prefix", "b/"];
    check("some", &all, &["b/1", "b/2", "d/1"]);
    check("some", &["export", "--prefix", "b/2"], &["b/2"]);
    check("some", &["export", "--prefix", "b/3"], &[]);

    let scan = |line: &str, expected: &[&str]| {
        let addresses = cluster.addresses();
        let addresses: Vec<&str> = addresses.iter().map(|address| address.as_str()).collect();
        let mut command = cluster.place().command(&["shell", "--tls-dir", OTHERS]);
        command.args(["--name", "some", "--cluster", &addresses.join(",")]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        drop(input);
        let ended = Ended::new(child.wait_with_output().unwrap());
        assert_eq!(ended.code, 0, "{line}: {ended:?}");
        let text = ended.text();
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let keys: Vec<&str> = lines
            .iter()
            .map(|line| line.split('"').nth(3).unwrap())
            .collect();
        assert_eq!(keys, expected, "{line}");
    };
    eventually("every replica has the last record", || {
        let status = cluster.place().json(&["status"]);
        let mut replicas = status["replicas"].as_array().unwrap().iter();
        replicas
            .all(|replica| replica["committed"] == 5)
            .then_some(())
    });
    scan("scan", &["b/1", "b/2", "d/1"]);
    scan("scan b/2 2", &["b/2", "d/1"]);
    scan("scan c 1", &["d/1"]);
    scan("scan e", &[]);
}

#[test]
fn a_node_is_what_its_certificate_says() {
    let cluster = Cluster::start(program(), Hosts::LOCAL).unwrap();
    let node = |name: &str, role: &str| {
        let arguments = ["node", name, "--host", "127.0.0.1", "--role", role];
        certs(&cluster, "tls", &arguments);
    };
    let start = |command: &str, name: &str, data_dir: &str| {
        let arbiter = cluster.replica_arguments(0).pop().unwrap();
        let mut arguments = vec![command, "--listen", "127.0.0.1:0", "--tls-dir", "tls"];
        arguments.extend(["--data-dir", data_dir, "--name", name]);
        if command == "replica" {
            arguments.extend(["--arbiter", &arbiter]);
        }
        let server = Server::start(cluster.place(), data_dir, &arguments).unwrap();
        server.end()
    };
    node("r4", "arbiter");
    let (code, log) = start("replica", "r4", "r4.d");
    assert_eq!(code, 2, "{log}");
    let command = "lockstep certs node r4 --renew --role replica --tls-dir tls";
    assert!(log.contains(command), "{log}");
    node("b", "replica");
    let (code, log) = start("arbiter", "b", "b.d");
    assert_eq!(code, 2, "{log}");
    assert!(log.contains("--role arbiter"), "{log}");

    // A second node of a name that lives.
    let (code, log) = start("replica", "r2", "second.d");
    assert_eq!(code, 3, "{log}");
    let words = "the name of this node is that of another one";
    assert!(log.contains(words), "{log}");
    cluster.place().all_in_sync(3);
}

#[test]
fn certificates_and_deny_list_are_taken_up_while_the_nodes_run() {
    let mut cluster = Cluster::start(program(), Hosts::LOCAL).unwrap();
    client(&cluster, &["lost"]);
    client(&cluster, &["kept"]);
    let get = |cluster: &Cluster, name| run_as(cluster, name, &["get", "k", "--deadline", "1s"]);
    assert_eq!(get(&cluster, "lost").code, 1);
    cluster.place().write("tls/denied.txt", "client lost\n");
    eventually("the deny list is taken up", || {
        let ended = get(&cluster, "lost");
        ended.errors.contains("on the deny list").then_some(())
    });
    assert_eq!(get(&cluster, "kept").code, 1);

    let renewal = ["node", "r1", "--renew", "--days", "20"];
    certs(&cluster, "tls", &renewal);
    let log = eventually("the new certificate is taken up", || {
        let log = cluster.replica(0).log();
        log.contains("the certificate expires").then_some(log)
    });
    let command = "lockstep certs node r1 --renew --tls-dir tls";
    assert!(log.contains(command) && log.contains("days=19"), "{log}");
    let status = cluster.place().all_in_sync(3);
    assert_eq!(status["epoch"], 1, "nobody noticed: {status}");
    let check = cluster.place().run(&["status", "--check"]);
    let words = "the certificate of r1 expires in 19 days";
    assert!(check.code != 0 && check.text().contains(words), "{check:?}");
    let certified = |number: usize| status["replicas"][number]["certificate_expires"].as_u64();
    assert!(certified(0) < certified(1), "{status}");

    let renewal = ["node", "arbiter", "--renew", "--days", "20"];
    certs(&cluster, "tls", &renewal);
    let log = eventually("the arbiter warns as well", || {
        let log = cluster.arbiter().log();
        log.contains("the certificate expires").then_some(log)
    });
    let command = "lockstep certs node arbiter --renew --tls-dir tls";
    assert!(log.contains(command) && log.contains("days=19"), "{log}");

    // What cannot be used changes nothing, and a signal makes it look at once.
    cluster.place().write("tls/denied.txt", "whoever\n");
    cluster.replica(1).hang_up();
    eventually("the list is found wanting", || {
        let log = cluster.replica(1).log();
        log.contains("line 1 of tls/denied.txt denies nobody")
            .then_some(())
    });
    cluster.place().write("tls/denied.txt", "client lost\n");
    cluster.arbiter().hang_up();
    cluster.place().all_in_sync(3);
    assert!(!cluster.arbiter_has_ended() && !cluster.replica_has_ended(1));
}

#[test]
fn a_command_says_once_that_its_own_certificate_expires() {
    let place = place();
    let tls = ["--tls-dir", "tls"];
    let run = |arguments: &[&str]| place.run(&[arguments, &tls].concat());
    assert_eq!(run(&["certs", "init"]).code, 0);
    for (name, days) in [("short", "20"), ("long", "40")] {
        assert_eq!(run(&["certs", "client", name, "--days", days]).code, 0);
    }
    let bench = ["bench", "get", "--connections", "3", "--clients", "3"];
    let bench = [&bench[..], &["--duration", "1s"]].concat();
    for command in [&["get", "k"][..], &bench] {
        // Nobody is there.
        let more = ["--cluster", "127.0.0.1:9", "--deadline", "100ms", "--name"];
        let more = [command, &more].concat();
        let told = run(&[&more[..], &["short"]].concat()).errors;
        let words = "the certificate of client short expires at ";
        assert_eq!(told.matches(words).count(), 1, "{told}");
        let advice =
            "(19 days left): renew it with `lockstep certs client short --renew --tls-dir tls`";
        assert!(told.contains(advice), "{told}");
        let told = run(&[&more[..], &["long"]].concat()).errors;
        assert!(!told.contains("certificate"), "{told}");
    }
}

#[test]
fn that_the_certificate_of_the_primary_has_expired_is_logged_and_told_by_status() {
    let cluster = Cluster::start(program(), Hosts::LOCAL).unwrap();
    cluster.place().ok(&["put", "k", "v"]);
    let order = Order::renewal(&cluster.tls_dir(), SenderKind::Node, "r1").unwrap();
    let order = Order {
        // Long enough to be taken up.
        valid_for: Duration::from_secs(6),
        ..order
    };
    authority::issue(&cluster.tls_dir(), &order, Existing::Replace).unwrap();
    cluster.replica(0).hang_up();
    let log = eventually("it has expired", || {
        let log = cluster.replica(0).log();
        log.contains("has expired").then_some(log)
    });
    let line = log.lines().find(|line| line.contains("has expired"));
    let told = "the certificate of r1 has expired: clients are refused";
    let command = "`lockstep certs node r1 --renew --tls-dir tls`";
    for part in ["ERROR", told, command] {
        assert!(line.unwrap().contains(part), "{part}: {log}");
    }
    let check = cluster.place().run(&["status", "--check"]);
    let problem = format!("{told}: renew it with `lockstep certs node r1 --renew`");
    assert!(
        check.code == 8 && check.text().contains(&problem),
        "{check:?}"
    );
    let put = cluster.place().run(&["put", "k", "w", "--deadline", "3s"]);
    assert!(put.code == 5 && put.errors.contains(&problem), "{put:?}");

    certs(&cluster, "tls", &["node", "r1", "--renew"]);
    cluster.replica(0).hang_up();
    let status = cluster.place().all_in_sync(3);
    assert_eq!(status["epoch"], 1, "it has kept its role: {status}");
    cluster.place().ok(&["put", "k", "w"]);
}
