//! Machines that are all started by the same command.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::net::UnixDatagram;

use lockstep_tests::processes::{Machines, PATIENCE};

use crate::support::{eventually, place, program};

fn machines(host: impl Into<IpAddr>, count: usize) -> Machines {
    Machines::new(program(), &vec![host.into(); count], count).unwrap()
}

/// What a service manager is told.
struct Manager(UnixDatagram);

impl Manager {
    fn listen(machines: &Machines) -> (Self, std::path::PathBuf) {
        let path = machines.place().path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        (Self(socket), path)
    }

    /// What comes next, apart from that which is not `about` it.
    #[track_caller]
    fn next(&self, about: &str) -> String {
        loop {
            let mut buffer = [0; 1024];
            let length = self.0.recv(&mut buffer).expect("something is told");
            let told = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if told.contains(about) {
                return told;
            }
        }
    }
}

/// The number of the machine whose replica is primary.
fn primary(machines: &Machines) -> usize {
    let status = machines.place().all_in_sync(3);
    let replicas = status["replicas"].as_array().unwrap();
    let mut replicas = replicas.iter();
    let primary = replicas.find(|replica| replica["role"] == "primary");
    machines.number(primary.unwrap()["name"].as_str().unwrap())
}

#[test]
fn a_machine_alone_is_a_cluster_once_it_is_begun() {
    let mut machines = machines(Ipv4Addr::LOCALHOST, 1);
    machines.begin(0, &[]).unwrap();
    let (code, log) = machines.take(0).end();
    assert!(
        code == 2 && log.contains("make it with `init`"),
        "{code}: {log}"
    );

    let init = ["init", "--arbiter-dir", "n1.d/arbiter"];
    let begun = machines.place().command(&init).output().unwrap();
    assert!(begun.status.success(), "{begun:?}");
    let (manager, socket) = Manager::listen(&machines);
    machines.begin(0, &[("NOTIFY_SOCKET", &socket)]).unwrap();
    let ready = machines.machine(0).line("ready: n1").unwrap();
    assert!(ready.ends_with("primary"), "{ready}");
    assert_eq!(manager.next("READY=1"), "READY=1\nSTATUS=primary\n");
    machines.place().ok(&["put", "k", "v"]);
    assert_eq!(machines.place().ok(&["get", "k"]), "v\n");
    assert_eq!(machines.take(0).terminate(), 0);
    assert!(manager.next("STOPPING=1").contains("STATUS="));
}

#[test]
fn what_a_machine_cannot_be_is_said_before_anything_is_made() {
    let place = place();
    place.ok(&["certs", "init", "--tls-dir", "tls"]);
    place.ok(&[
        "certs",
        "node",
        "n1",
        "--host",
        "127.0.0.1",
        "--tls-dir",
        "tls",
    ]);
    let check = |flags: &[&str], expected: &str| {
        let usual = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            "d",
            "--tls-dir",
            "tls",
        ];
        let ended = place.run(&[&usual[..], flags].concat());
        assert!(
            ended.code == 2 && ended.errors.contains(expected),
            "{ended:?}"
        );
        assert!(!place.path().join("d").exists(), "{flags:?}");
    };
    check(&[], "--peers");
    check(
        &["--peers", "n1=127.0.0.1"],
        "port is missing; write NAME=HOST:PORT",
    );
    check(&["--peers", "N1=127.0.0.1:1"], "is not a name");
    check(
        &["--peers", "n1=127.0.0.1:1,n1=127.0.0.1:2"],
        "\"n1\" twice",
    );
    check(
        &["--peers", "n1=127.0.0.1:1", "--arbiters", "n2"],
        "\"n2\", which is not in --peers",
    );
    check(&["--peers", "n1=127.0.0.1:1", "--name", "n2"], "n2");
    check(
        &["--peers", "n1=127.0.0.1:1", "--advertise", "localhost:1"],
        "--advertise localhost:1, but others know n1 at 127.0.0.1:1",
    );
    let example = place.ok(&["serve", "--example-config"]);
    assert!(example.contains("[serve]"), "{example}");
    let unit = place.ok(&["serve", "--example-unit"]);
    assert!(unit.contains("Type=notify"), "{unit}");
}

/// The identity of the arbiter of a machine, if it is heard.
fn arbiter(machines: &Machines, number: usize) -> Option<String> {
    let status = machines.place().json(&["status"]);
    let mut members = status["arbiters"]["members"].as_array()?.iter();
    let is_it = |name: &str| machines.number(name) == number;
    let member = members.find(|member| member["name"].as_str().is_some_and(is_it))?;
    let is_heard = member["silent_seconds"].is_null();
    is_heard.then(|| member["id"].as_str().unwrap().to_owned())
}

fn begin_all(machines: &mut Machines, numbers: &[usize]) {
    for number in numbers {
        machines.begin(*number, &[]).unwrap();
    }
    for number in numbers {
        machines.machine(*number).line("ready:").unwrap();
    }
}

#[test]
fn three_equal_commands_are_a_cluster_that_outlives_any_one_machine() {
    let mut machines = machines(Ipv6Addr::LOCALHOST, 3);
    let (manager, socket) = Manager::listen(&machines);
    machines.begin(2, &[("NOTIFY_SOCKET", &socket)]).unwrap();
    let waiting = machines.machine(2).line("waiting: n3").unwrap();
    let awaited = "for n1, n2: a cluster begins when all its arbiters run";
    assert!(waiting.ends_with(awaited), "{waiting}");
    assert_eq!(
        manager.next("READY=1"),
        format!("READY=1\nSTATUS=waiting {awaited}\n")
    );
    begin_all(&mut machines, &[0, 1]);
    machines.machine(2).line("ready: n3").unwrap();
    machines.place().all_in_sync(3);
    machines.place().ok(&["put", "k", "0"]);

    // Whichever machine is killed, those that are left go on, and it comes back.
    for round in ["1", "2"] {
        let number = primary(&machines);
        machines.take(number).kill();
        machines.place().ok(&["put", "k", round]);
        machines.start(number).unwrap();
    }

    // One that has lost everything comes back as well, its arbiter included: without that the next loss would stop the cluster.
    let wiped = primary(&machines);
    let former = arbiter(&machines, wiped).expect("it is heard");
    machines.take(wiped).kill();
    std::fs::remove_dir_all(machines.data_dir(wiped)).unwrap();
    machines.place().ok(&["put", "k", "3"]);
    machines.start(wiped).unwrap();
    eventually("another arbiter is in its place", || {
        arbiter(&machines, wiped).filter(|arbiter| *arbiter != former)
    });
    let next = (0..3).find(|number| *number != wiped).unwrap();
    primary(&machines);
    machines.take(next).kill();
    machines.place().ok(&["put", "k", "4"]);
    machines.start(next).unwrap();
    machines.place().all_in_sync(3);

    // Off and on.
    for number in [1, 0, 2] {
        assert_eq!(machines.take(number).terminate(), 0);
    }
    begin_all(&mut machines, &[2, 0, 1]);
    assert_eq!(machines.place().ok(&["get", "k"]), "4\n");
}

#[test]
fn a_machine_is_added_that_names_those_that_run() {
    let mut machines = Machines::new(program(), &[Ipv4Addr::LOCALHOST.into(); 4], 3).unwrap();
    begin_all(&mut machines, &[1, 2, 0]);
    machines.start(3).unwrap();
    machines.place().all_in_sync(4);
}
