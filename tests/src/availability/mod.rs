//! Availability: how long a cluster goes without a success while something is broken.
//!
//! Three replicas, of which r1 is primary, and one arbiter are well; then something breaks and stays so for some seconds.
//! One client writes and one reads, each call as soon as the one before is answered. What counts is the longest time
//! without a success of either. `links` breaks every set of directed links; `faults` has single faults, with bounds.

pub mod faults;
pub mod links;

use lockstep_core::operation::{Key, ReadLevel, Value};
use lockstep_core::process::{CallBody, CallId, Outcome};

use crate::cluster::{Cluster, ClusterOptions, MS};
use crate::invariants::Violation;
use crate::network::NetworkOptions;

/// From when on it is measured: everybody is in sync.
const START: u64 = 1_000 * MS;

/// For how long.
pub const OBSERVED: u64 = 2_500 * MS;

/// How often clients look whether they are answered.
const LOOK: u64 = MS;

/// A call that is not answered for as long as it is observed is not answered.
const PATIENCE: u64 = 2 * OBSERVED;

/// The longest time without a success, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    /// Of a write.
    pub writes: u64,
    /// Of a linearizable read.
    pub reads: u64,
}

impl Longest {
    /// The longer of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            writes: self.writes.max(other.writes),
            reads: self.reads.max(other.reads),
        }
    }
}

/// Calls of one client, one after the other.
struct Caller {
    client: usize,
    open: Option<CallId>,
    succeeded: u64,
    longest: u64,
    number: u64,
}

impl Caller {
    fn new(client: usize, now: u64) -> Self {
        Self {
            client,
            open: None,
            succeeded: now,
            longest: 0,
            number: 0,
        }
    }

    /// Takes an answer, and calls again.
    fn tick(&mut self, cluster: &mut Cluster, body: impl Fn(u64) -> CallBody) {
        if let Some((ended, outcome)) = self.open.and_then(|call| ended(cluster, call)) {
            self.open = None;
            if matches!(
                outcome,
                Outcome::Acknowledged { .. } | Outcome::Value { .. }
            ) {
                self.note(ended);
                self.succeeded = ended;
            }
        }
        if self.open.is_none() {
            self.number += 1;
            self.open = Some(cluster.call(self.client, body(self.number), PATIENCE));
        }
    }

    fn note(&mut self, now: u64) {
        self.longest = self.longest.max(now.saturating_sub(self.succeeded));
    }
}

fn ended(cluster: &Cluster, call: CallId) -> Option<(u64, Outcome)> {
    cluster.history.record(call)?.ended.clone()
}

/// A cluster of which `disturb` breaks something: the longest time without a success from then on. `disturb` is called every
/// millisecond, with the time that has passed.
///
/// # Errors
/// If an invariant breaks.
pub fn measure(
    seed: u64,
    mut disturb: impl FnMut(&mut Cluster, u64),
) -> Result<Longest, Violation> {
    let mut cluster = Cluster::new(ClusterOptions {
        seed,
        network: NetworkOptions {
            latency: MS / 10..MS,
            ..NetworkOptions::steady(MS)
        },
        disk_latency: MS / 4..MS,
        ..ClusterOptions::steady(3, 2)
    });
    for index in 0..cluster.nodes().len() {
        cluster.start(index);
        cluster.run_until(cluster.now() + 20 * MS);
    }
    let clients = cluster.clients();
    let mut writer = Caller::new(clients.start, START);
    let mut reader = Caller::new(clients.start + 1, START);
    let key = || Key::from("key");
    let write = |number| CallBody::Insert {
        key: key(),
        value: Value::from(format!("{number}")),
    };
    let read = |_| CallBody::Get {
        key: key(),
        level: ReadLevel::Linearizable,
        replica: None,
    };
    // Clients know the primary, and have their lists.
    cluster.run_until(START - 100 * MS);
    while cluster.now() < START + OBSERVED && cluster.violation().is_none() {
        if let Some(passed) = cluster.now().checked_sub(START) {
            disturb(&mut cluster, passed);
        } else {
            (writer.longest, reader.longest) = (0, 0);
        }
        writer.tick(&mut cluster, write);
        reader.tick(&mut cluster, read);
        let next = cluster.now() + LOOK;
        cluster.run_until(next);
    }
    for caller in [&mut writer, &mut reader] {
        caller.note(cluster.now());
    }
    match cluster.violation() {
        Some(violation) => Err(violation.clone()),
        None => Ok(Longest {
            writes: writer.longest,
            reads: reader.longest,
        }),
    }
}
