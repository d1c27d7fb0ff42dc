//! What a cluster is made of.

use super::*;

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Everything that is drawn is drawn from this.
    pub seed: u64,
    /// How many arbiters.
    pub arbiters: usize,
    /// How many replicas.
    pub replicas: usize,
    /// How many clients.
    pub clients: usize,
    /// The same for all replicas, as far as nothing else is said.
    pub limits: Limits,
    /// At each start a replica is told one of these leases, with a bound of the drift that may be greater than that of
    /// `limits`. None: that of `limits`.
    pub leases: Vec<Duration>,
    /// The links.
    pub network: NetworkOptions,
    /// When replicas' disks do what.
    pub disk: DiskOptions,
    /// What replicas' states do at once: find values in memory, apply entries.
    pub is_state_prompt: bool,
    /// Nanoseconds a disk takes for a sync and whatever else it waits for.
    pub disk_latency: Range<u64>,
    /// Nanoseconds an answer from the disk takes.
    pub read_latency: Range<u64>,
    /// Nanoseconds an application takes that is not done at once.
    pub apply_latency: Range<u64>,
    /// How often a process that crashes is killed, and does not lose power.
    pub kills: f64,
    /// How often a process crashes in the middle of a job that there is not all the time, or right behind it: when a state is
    /// put in place, a log begins anew or is cut off, a record is saved. A twentieth of that for other jobs.
    pub crashes_at_jobs: f64,
    /// What a process takes in one turn.
    pub intake: Intake,
    /// Nanoseconds a process takes for a turn.
    pub turn_time: Range<u64>,
    /// Clocks run up to this many millionths fast or slow.
    pub drift: i64,
    /// The replicas were told how much that can be. If not, linearizable reads may be stale, and nothing else is lost.
    pub is_drift_bounded: bool,
    /// A replica that has left starts again by itself some time later.
    pub returns: bool,
    /// What disks do is done to files below this directory as well, and must have the same outcome there.
    pub real_files: Option<PathBuf>,
}

impl ClusterOptions {
    /// A cluster in which everything always takes as long, for scripts.
    pub fn steady(replicas: usize, clients: usize) -> Self {
        Self {
            seed: 0,
            arbiters: 1,
            replicas,
            clients,
            limits: Limits::default(),
            leases: Vec::new(),
            network: NetworkOptions::steady(MS),
            disk: DiskOptions::for_log(Limits::default().log_bytes_max),
            is_state_prompt: true,
            disk_latency: MS / 2..MS / 2 + 1,
            read_latency: MS / 10..MS / 10 + 1,
            apply_latency: MS / 10..MS / 10 + 1,
            kills: 0.0,
            crashes_at_jobs: 0.0,
            intake: Intake::default(),
            turn_time: 1..2,
            drift: 0,
            is_drift_bounded: true,
            returns: false,
            real_files: None,
        }
    }
}
