//! A cluster at work, attacked for a while, and what that showed.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockstep_transport_quic::authority::{self, Existing, Order};
use serde_json::{Value as Json, json};

use super::attack::{Attack, Target};
use super::node;
use super::raid::Raid;
use super::work::{Latencies, Work};
use crate::processes::{Cluster, Failure, Hosts, Observer, PATIENCE, REPLICAS, Subject, until};

/// The certificate of the attackers.
const ATTACKER: &str = "hostile";

/// Writes are watched without an attack for no longer than this: more of them tell the same.
const PEACE_MAX: Duration = Duration::from_secs(20);

/// A cluster of processes that is attacked.
pub struct Siege {
    cluster: Cluster,
    target: Target,
    raider: PathBuf,
    writers: usize,
}

/// What an attack showed.
#[derive(Clone, Debug)]
pub struct Showing {
    /// Which.
    pub attack: Attack,
    /// How often something was tried.
    pub attempts: u64,
    /// What writes took without it.
    pub without: Latencies,
    /// What they took with it.
    pub with: Latencies,
    /// Nodes that ended.
    pub ended: Vec<String>,
    /// The primary before and after, by number.
    pub primary: [Option<usize>; 2],
    /// All are in sync and have their leases afterwards.
    pub is_whole: bool,
    /// Of each node: its name, what it had in memory before, and the most that it had.
    pub memory: Vec<(String, u64, u64)>,
    /// Handshakes that failed or were refused, at all replicas.
    pub handshakes: [u64; 2],
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// The 99th percentile of writes grows by no more than this factor.
    pub p99_factor: f64,
    /// Below as many milliseconds it is good anyway.
    pub p99_ms_good: f64,
    /// Bytes that no node has more of in memory.
    pub memory_bytes: u64,
}

impl Siege {
    /// A new cluster, which `writers` write to, and which `raider` attacks when it is told to as [`raid`](super::raid) does.
    ///
    /// # Errors
    /// If it does not come about.
    pub fn new(program: &Path, raider: &Path, writers: usize) -> Result<Self, Failure> {
        let cluster = Cluster::start(program, Hosts::LOCAL)?;
        let tls_dir = attackers_dir(&cluster)?;
        let mut nodes: Vec<SocketAddr> = Vec::new();
        for address in cluster.node_addresses() {
            nodes.push(address.parse().map_err(|_| Failure::Hostile {
                reason: format!("{address} is no address of a socket"),
            })?);
        }
        Ok(Self {
            cluster,
            target: Target {
                nodes,
                tls_dir,
                name: ATTACKER.to_owned(),
            },
            raider: raider.to_owned(),
            writers,
        })
    }

    /// Works for `time`, if that is no longer than `PEACE_MAX`, then for `time` under attack.
    ///
    /// # Errors
    /// If no attack can be made.
    pub fn bear(&mut self, attack: Attack, time: Duration) -> Result<Showing, Failure> {
        let observer = Observer::new(&self.cluster)?;
        until("all replicas are in sync", PATIENCE, || {
            observer.look().is_whole().then_some(())
        })?;
        let work = Work::start(&self.cluster, self.writers)?;
        let before = observer.look().primary();
        let handshakes = observer.look().handshakes();
        // What is done for the first time takes longer.
        let peace = time.min(PEACE_MAX);
        work.watch(peace / 4);
        let without = work.watch(peace);
        let memory = self.memory(node::resident);
        self.each(node::forget_peak);
        let raid = Raid::begin(&self.raider, attack, &self.target)?;
        let with = work.watch(time);
        let attempts = raid.end()?;
        let peak = self.memory(node::peak);
        drop(work);
        let mut is_whole = false;
        let after = until("the cluster is whole", PATIENCE, || {
            let view = observer.look();
            is_whole = view.is_whole();
            is_whole.then(|| (view.primary(), view.handshakes()))
        });
        let (after, failed) = after.unwrap_or_default();
        Ok(Showing {
            attack,
            attempts,
            without,
            with,
            ended: self.ended(),
            primary: [before, after],
            is_whole,
            memory: memory
                .into_iter()
                .zip(peak)
                .map(|((name, before), (_, peak))| (name, before, peak))
                .collect(),
            handshakes: [
                failed[0].saturating_sub(handshakes[0]),
                failed[1].saturating_sub(handshakes[1]),
            ],
        })
    }

    /// Keeps the directory of the cluster, with the logs of its processes, and says where it is.
    pub fn keep(&mut self) -> PathBuf {
        self.cluster.keep()
    }

    fn memory(&self, of: impl Fn(u32) -> u64) -> Vec<(String, u64)> {
        let mut memory = Vec::new();
        for (name, process) in self.processes() {
            memory.push((name, of(process)));
        }
        memory
    }

    fn each(&self, mut what: impl FnMut(u32)) {
        self.processes()
            .iter()
            .for_each(|(_, process)| what(*process));
    }

    fn processes(&self) -> Vec<(String, u32)> {
        let replicas = (0..REPLICAS).map(|number| self.cluster.replica(number));
        let all = std::iter::once(self.cluster.arbiter()).chain(replicas);
        all.map(|server| (server.name().to_owned(), server.id()))
            .collect()
    }

    fn ended(&mut self) -> Vec<String> {
        let mut ended = Vec::new();
        if self.cluster.arbiter_has_ended() {
            ended.push("arbiter".to_owned());
        }
        for number in 0..REPLICAS {
            if self.cluster.replica_has_ended(number) {
                ended.push(format!("r{}", number + 1));
            }
        }
        ended
    }
}

/// A directory with a certificate of the cluster for attackers, apart from those of others.
fn attackers_dir(cluster: &Cluster) -> Result<PathBuf, Failure> {
    let dir = cluster.place().path().join("attackers");
    let failed = |error: std::io::Error| Failure::Hostile {
        reason: error.to_string(),
    };
    fs::create_dir(&dir).map_err(failed)?;
    for file in ["ca.pem", "ca.key"] {
        fs::copy(cluster.tls_dir().join(file), dir.join(file)).map_err(failed)?;
    }
    let order = Order::client(ATTACKER).expect("a name");
    authority::issue(&dir, &order, Existing::Keep)?;
    Ok(dir)
}

impl Showing {
    /// What does not hold.
    pub fn broken(&self, limits: Limits) -> Vec<String> {
        let mut broken: Vec<String> = self
            .ended
            .iter()
            .map(|name| format!("{name} ended"))
            .collect();
        if self.primary[0] != self.primary[1] {
            broken.push("the primary lost its role".to_owned());
        }
        if !self.is_whole {
            broken.push("not all are in sync afterwards".to_owned());
        }
        let p99_max = (limits.p99_factor * self.without.p99_ms).max(limits.p99_ms_good);
        if self.with.p99_ms > p99_max {
            broken.push(format!(
                "99 of 100 writes took {:.1} ms, not {p99_max:.1}",
                self.with.p99_ms
            ));
        }
        if self.with.failed > 0 {
            broken.push(format!("{} writes failed", self.with.failed));
        }
        for (name, _, peak) in &self.memory {
            if *peak > limits.memory_bytes {
                broken.push(format!("{name} had {} MiB in memory", peak >> 20));
            }
        }
        broken
    }

    /// For people.
    pub fn text(&self) -> String {
        let latencies = |name: &str, of: Latencies| {
            format!(
                "  writes {name:<8} {:>7}, {} failed; p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms\n",
                of.writes, of.failed, of.p50_ms, of.p99_ms, of.max_ms
            )
        };
        let memory = self.memory.iter();
        let memory: Vec<String> = memory
            .map(|(name, before, peak)| format!("{name} {} to {}", before >> 20, peak >> 20))
            .collect();
        format!(
            "{:?}: {} attempts, {} handshakes failed, {} refused (at the replicas)\n{}{}  memory, MiB     {}",
            self.attack,
            self.attempts,
            self.handshakes[0],
            self.handshakes[1],
            latencies("without", self.without),
            latencies("with", self.with),
            memory.join(", "),
        )
    }

    /// For programs.
    pub fn json(&self, limits: Limits) -> Json {
        let latencies = |of: Latencies| json!({ "writes": of.writes, "failed": of.failed, "p50_ms": of.p50_ms, "p99_ms": of.p99_ms, "max_ms": of.max_ms });
        let memory = self.memory.iter().map(|(name, before, peak)| {
            json!({ "node": name, "before_bytes": before, "peak_bytes": peak })
        });
        json!({
            "attack": format!("{:?}", self.attack),
            "attempts": self.attempts,
            "handshakes_failed": self.handshakes[0],
            "handshakes_refused": self.handshakes[1],
            "without": latencies(self.without),
            "with": latencies(self.with),
            "memory": memory.collect::<Vec<_>>(),
            "broken": self.broken(limits),
        })
    }
}
