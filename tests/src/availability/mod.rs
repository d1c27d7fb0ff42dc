//! Availability: how long a cluster goes without a success while something is broken.
//!
//! Three replicas, of which r1 is primary, and one arbiter are well; then something breaks and stays so for some seconds.
//! One client writes and one reads, each call as soon as the one before is answered. What counts is the longest time
//! without a success of either. `links` breaks every set of directed links; `faults` has single faults, with bounds; `drawn`
//! has one of these happen to the cluster of a seed.

pub mod drawn;
pub mod faults;
pub mod links;

use lockstep_core::message::RequestBody;
use lockstep_core::operation::{Key, ReadLevel, Value};
use lockstep_core::process::{CallId, Outcome};

use crate::chaos::{Report, guarded};
use crate::cluster::{Cluster, ClusterOptions, MS};
use crate::invariants::Violation;
use crate::network::NetworkOptions;
use crate::trace::{Detail, Trace};

/// From when on it is measured: everybody is in sync.
const START: u64 = 1_000 * MS;

/// For how long.
pub const OBSERVED: u64 = 2_500 * MS;

/// How often clients look whether they are answered, in nanoseconds.
pub const LOOK: u64 = MS;

/// A call that is not answered for as long as it is observed is not answered.
const PATIENCE: u64 = 2 * OBSERVED;

/// A time without a success that counts as a pause, in nanoseconds.
const PAUSE: u64 = 50 * MS;

/// The longest time without a success, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Longest {
    /// Of a write.
    pub writes: u64,
    /// Of a linearizable read.
    pub reads: u64,
    /// All pauses of writes together.
    pub writes_paused: u64,
}

impl Longest {
    /// The longer of each.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            writes: self.writes.max(other.writes),
            reads: self.reads.max(other.reads),
            writes_paused: self.writes_paused.max(other.writes_paused),
        }
    }
}

/// What is asked of a cluster, and when something breaks in it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// What it draws from.
    pub seed: u64,
    /// Is anything written?
    pub writes: bool,
    /// Is anything read?
    pub reads: bool,
    /// How much later than at the first moment, in nanoseconds, a multiple of [`LOOK`]: leases are as old as they are then.
    pub delay: u64,
}

impl Setting {
    /// Clients write and read, and it breaks at the first moment.
    pub fn of(seed: u64) -> Self {
        Self {
            seed,
            writes: true,
            reads: true,
            delay: 0,
        }
    }
}

/// A cluster that has been observed.
pub struct Run {
    longest: Longest,
    cluster: Cluster,
}

impl Run {
    /// The longest times without a success.
    ///
    /// # Errors
    /// If an invariant broke.
    pub fn longest(&self) -> Result<Longest, Violation> {
        match self.cluster.violation() {
            Some(violation) => Err(violation.clone()),
            None => Ok(self.longest),
        }
    }

    /// The same as of other simulations.
    pub fn report(mut self) -> Report {
        Report::of(&mut self.cluster)
    }
}

/// Calls of one client, one after the other.
struct Caller {
    request: fn(u64) -> RequestBody,
    client: usize,
    open: Option<CallId>,
    succeeded: u64,
    longest: u64,
    paused: u64,
    number: u64,
}

impl Caller {
    fn new(client: usize, request: fn(u64) -> RequestBody) -> Self {
        Self {
            request,
            client,
            open: None,
            succeeded: START,
            longest: 0,
            paused: 0,
            number: 0,
        }
    }

    /// Takes an answer, and calls again.
    fn tick(&mut self, cluster: &mut Cluster) {
        if let Some((ended, outcome)) = self.open.and_then(|call| ended(cluster, call)) {
            self.open = None;
            if matches!(outcome, Outcome::Answered { .. }) {
                self.note(ended);
                self.succeeded = ended;
            }
        }
        if self.open.is_none() {
            self.number += 1;
            self.open = Some(cluster.call(self.client, (self.request)(self.number), PATIENCE));
        }
    }

    fn note(&mut self, now: u64) {
        let time = now.saturating_sub(self.succeeded);
        self.longest = self.longest.max(time);
        if time > PAUSE {
            self.paused += time;
        }
    }
}

fn ended(cluster: &Cluster, call: CallId) -> Option<(u64, Outcome)> {
    cluster.history.record(call)?.ended.clone()
}

fn write(number: u64) -> RequestBody {
    RequestBody::Insert {
        key: Key::from("key"),
        value: Value::from(format!("{number}")),
    }
}

fn read(_: u64) -> RequestBody {
    RequestBody::Get {
        key: Key::from("key"),
        level: ReadLevel::Linearizable,
    }
}

/// A cluster of which `disturb` breaks something: the longest time without a success from then on. `disturb` is called every
/// millisecond, with the time that has passed.
pub fn measure(
    setting: Setting,
    detail: Detail,
    mut disturb: impl FnMut(&mut Cluster, u64),
) -> Run {
    let mut cluster = Cluster::new(ClusterOptions {
        seed: setting.seed,
        network: NetworkOptions {
            latency: MS / 10..MS,
            ..NetworkOptions::steady(MS)
        },
        disk_latency: MS / 4..MS,
        ..ClusterOptions::steady(3, 2)
    });
    cluster.trace = Trace::new(detail);
    cluster.start_all();
    let clients = cluster.clients();
    let mut writer = Caller::new(clients.start, write);
    let mut reader = Caller::new(clients.start + 1, read);
    let mut callers: Vec<&mut Caller> = Vec::new();
    callers.extend(setting.writes.then_some(&mut writer));
    callers.extend(setting.reads.then_some(&mut reader));
    // Clients know the primary, and have their lists.
    cluster.run_until(START - 100 * MS);
    let start = START + setting.delay;
    guarded(&mut cluster, |cluster| {
        while cluster.now() < start + OBSERVED && cluster.violation().is_none() {
            if let Some(passed) = cluster.now().checked_sub(start) {
                disturb(cluster, passed);
            } else {
                callers
                    .iter_mut()
                    .for_each(|caller| (caller.longest, caller.paused) = (0, 0));
            }
            for caller in &mut callers {
                caller.tick(cluster);
            }
            cluster.run_until(cluster.now() + LOOK);
        }
    });
    for caller in &mut callers {
        caller.note(cluster.now());
    }
    let longest = Longest {
        writes: writer.longest,
        reads: reader.longest,
        writes_paused: writer.paused,
    };
    Run { longest, cluster }
}
