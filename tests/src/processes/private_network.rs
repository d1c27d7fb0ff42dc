//! A network of its own for a whole experiment, in which packets from one node to another can be made to vanish.
//!
//! A program that wants one runs itself again, in a network namespace that goes with it. There every node has an address
//! on the loopback device, and packets that are to vanish are routed into a device that nobody listens to. That needs
//! Linux, `unshare` and `ip`, and either root or user namespaces; nothing of it shows outside.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::process::{Command, Output, Stdio};

use super::{Failure, Hosts};

/// Is set where this is the program that was run again.
const INSIDE: &str = "LOCKSTEP_PRIVATE_NETWORK";

/// Local addresses are looked up first, unless a rule is put before that.
const PREPARE: &str = "\
set -e
ip link set dev lo up
for address in 10.77.0.1 10.77.0.11 10.77.0.12 10.77.0.13; do ip address add $address/32 dev lo; done
ip link add name hole type veth peer name bottom
ip link set dev hole arp off up
ip link set dev bottom up
ip route add default dev hole table 77
ip rule add pref 100 lookup local
ip rule del pref 0
";

const HOSTS: Hosts = Hosts {
    arbiter: Ipv4Addr::new(10, 77, 0, 1),
    replicas: [
        Ipv4Addr::new(10, 77, 0, 11),
        Ipv4Addr::new(10, 77, 0, 12),
        Ipv4Addr::new(10, 77, 0, 13),
    ],
};

/// Ways to get a namespace: as root, and as anybody where that is allowed.
const WAYS: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];

/// Where a program stands that wants a network of its own.
pub enum Whereabouts {
    /// It has one.
    Inside(PrivateNetwork),
    /// It gets one if it is run by this command, to which it and its arguments are to be added.
    Outside(Command),
    /// It gets none on this machine; why, in words for people.
    Nowhere(String),
}

/// A network of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrivateNetwork(());

impl PrivateNetwork {
    /// Finds out whether this program has a network of its own, or can get one.
    pub fn find() -> Whereabouts {
        if std::env::var_os(INSIDE).is_some() {
            return Whereabouts::Inside(Self(()));
        }
        let mut problem = String::new();
        for way in WAYS {
            let mut probe = unshare(way, PREPARE);
            match probe.stdin(Stdio::null()).output() {
                Ok(output) if output.status.success() => {
                    let mut command = unshare(way, &format!("{PREPARE}exec \"$0\" \"$@\""));
                    command.env(INSIDE, "1");
                    return Whereabouts::Outside(command);
                }
                Ok(output) => problem = first_line(&output),
                Err(error) => problem = format!("unshare: {error}"),
            }
        }
        Whereabouts::Nowhere(format!(
            "no network of its own is to be had, which takes Linux, util-linux, iproute2, and root or user namespaces: {problem}"
        ))
    }

    /// Where nodes are to listen.
    pub fn hosts(self) -> Hosts {
        HOSTS
    }

    /// From now on, what `from` sends to `to` vanishes.
    ///
    /// # Errors
    /// If that cannot be arranged.
    pub fn cut(self, from: Ipv4Addr, to: Ipv4Addr) -> Result<(), Failure> {
        rule("add", from, to)
    }

    /// From now on, what `from` sends to `to` arrives again.
    ///
    /// # Errors
    /// If that cannot be arranged.
    pub fn mend(self, from: Ipv4Addr, to: Ipv4Addr) -> Result<(), Failure> {
        rule("del", from, to)
    }
}

fn unshare(way: &[impl AsRef<OsStr>], script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(way).args(["--", "sh", "-c", script]);
    command
}

fn rule(verb: &str, from: Ipv4Addr, to: Ipv4Addr) -> Result<(), Failure> {
    let arguments = format!("rule {verb} pref 10 from {from} to {to} lookup 77");
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|source| Failure::Run {
        program: "ip".into(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::Network {
        command: format!("ip {arguments}"),
        errors: first_line(&output),
    })
}

fn first_line(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    errors.lines().next().unwrap_or("it failed").to_owned()
}
