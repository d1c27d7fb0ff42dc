//! One simulation from its seed: a cluster and a mix of faults of its own, chaos for some seconds, then calm, and then
//! everything must be well again within a bounded time ([invariant 8](lockstep_core::docs::protocol#invariants)).

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::Duration;

use lockstep_core::config::{Config, NodeId};
use lockstep_core::host::intake::Intake;
use lockstep_core::limits::{Limits, SessionLimits};
use lockstep_core::message::{ArbitersChange, Drain, RequestBody};
use lockstep_core::operation::{Key, Value};
use lockstep_core::process::Outcome;
use lockstep_core::storage::scheduler::SchedulerOptions;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::availability::drawn;
use crate::cluster::{Cluster, ClusterOptions, MS};
use crate::disk::DiskOptions;
use crate::faults::{Counts, Fault};
use crate::invariants::Violation;
use crate::network::NetworkOptions;
use crate::repeats::Repeats;
use crate::trace::{Detail, Trace};
use crate::workload::Workload;

/// After the last fault everything is well within this time: silences are noticed, everybody joins, catches up and is added.
const RECOVERY: u64 = 8_000 * MS;

/// How often it is looked whether it is.
const LOOK: u64 = 50 * MS;

/// What a simulation gave.
#[derive(Debug)]
pub struct Report {
    /// What happened how often.
    pub counts: Counts,
    /// Calls made by clients.
    pub calls: u64,
    /// Entries committed.
    pub committed: u64,
    /// Calls to files that had the same outcome with those of the operating system; none if that was not asked for.
    pub files_compared: u64,
    /// Single faults whose cost in time was looked at.
    pub single_faults: u64,
    /// Virtual nanoseconds it took.
    pub time: u64,
    /// What went wrong.
    pub violation: Option<Violation>,
    /// The conversation, if it was to be recorded.
    pub lines: Vec<String>,
}

impl Report {
    /// What this cluster gave.
    pub(crate) fn of(cluster: &mut Cluster) -> Self {
        Self {
            counts: cluster.counts.clone(),
            calls: cluster.history.records().count() as u64,
            committed: cluster.ledger().end().0,
            files_compared: cluster.files_compared(),
            single_faults: 0,
            time: cluster.now(),
            violation: cluster.violation().cloned(),
            lines: cluster.trace.take_lines(),
        }
    }

    /// Adds what another cluster gave.
    fn add(&mut self, other: Self) {
        self.counts.add(&other.counts);
        self.calls += other.calls;
        self.committed += other.committed;
        self.files_compared += other.files_compared;
        self.time += other.time;
        self.violation = self.violation.take().or(other.violation);
        self.lines.extend(other.lines);
    }
}

/// Faults that happen now and then, as opposed to those of single frames.
const EVENTS: &[Fault] = &[
    Fault::CutBothWays,
    Fault::CutOneWay,
    Fault::Isolation,
    Fault::SlowLink,
    Fault::Pause,
    Fault::CrashPrimary,
    Fault::CrashSecondary,
    Fault::CrashArbiter,
    Fault::CrashClient,
    Fault::DiskHang,
    Fault::DiskFull,
    Fault::DiskError,
    Fault::Wipe,
    Fault::PutBack,
    Fault::Leave,
    Fault::Drain,
    Fault::HandOver,
];

/// What a seed stands for.
struct Plan {
    cluster: ClusterOptions,
    workload: Workload,
    /// The faults of this seed.
    mix: Vec<Fault>,
    /// Mean nanoseconds between two of them.
    interval: u64,
    chaos: u64,
    /// In the end everybody is primary once.
    tours: bool,
}

impl Plan {
    fn draw(seed: u64, arbiters: Option<usize>) -> Self {
        // Not the stream the cluster draws from, so that its draws do not repeat these.
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x05ee_d0fc_4a05);
        let mut of_some = |often: f64, max: f64| {
            if rng.random_bool(often) {
                rng.random_range(0.0..max)
            } else {
                0.0
            }
        };
        let (loss, duplication, reordering) =
            (of_some(0.5, 0.2), of_some(0.4, 0.2), of_some(0.4, 0.2));
        let latency = [20_000, 200_000, 2 * MS, 10 * MS];
        let latency = *latency.choose(&mut rng).expect("not empty");
        let disk = [50_000, MS, 10 * MS];
        let disk = *disk.choose(&mut rng).expect("not empty");
        let network = NetworkOptions {
            latency: latency / 2..2 * latency,
            loss,
            duplication,
            reordering,
            echoes: 0.0,
        };
        let is_tight = rng.random_bool(0.5);
        let limits = Limits {
            uncommitted_bytes_max: if is_tight { 1_500 } else { 64 << 10 },
            window_bytes_max: if is_tight { 600 } else { 16 << 10 },
            tail_bytes_max: if is_tight { 800 } else { 4 << 10 },
            log_bytes_max: if rng.random_bool(0.6) { 1_500 } else { 1 << 20 },
            sessions: SessionLimits {
                results_per_client_max: if is_tight { 8 } else { 4096 },
                ..SessionLimits::default()
            },
            ..Limits::default()
        };
        let cluster = ClusterOptions {
            seed,
            arbiters: arbiters.unwrap_or_else(|| draw_arbiters(seed)),
            replicas: *[2, 3, 3, 3, 4].choose(&mut rng).expect("not empty"),
            clients: rng.random_range(1..=3),
            network,
            disk_latency: disk / 2..2 * disk,
            read_latency: disk / 10..disk,
            apply_latency: match rng.random_bool(0.8) {
                true => disk / 10..disk,
                false => disk..300 * MS,
            },
            kills: 0.25,
            crashes_at_jobs: *[0.0, 0.0, 0.02, 0.2].choose(&mut rng).expect("not empty"),
            disk: DiskOptions {
                scheduler: SchedulerOptions {
                    group_bytes_max: *[1, 400, 4 << 20].choose(&mut rng).expect("not empty"),
                    apply_bytes_max: *[1, 64 << 10].choose(&mut rng).expect("not empty"),
                    checkpoint_bytes: *[1, 200, 2_000].choose(&mut rng).expect("not empty"),
                    checkpoint_interval: Duration::from_millis(rng.random_range(50..4_000)),
                    ..SchedulerOptions::for_log(limits.log_bytes_max)
                },
                told_bytes: *[1, 300].choose(&mut rng).expect("not empty"),
                segment_bytes: *[1, 500, 4 << 10].choose(&mut rng).expect("not empty"),
            },
            is_state_prompt: rng.random_bool(0.6),
            intake: Intake {
                arrivals_max: *[1, 4, 64, 1024].choose(&mut rng).expect("not empty"),
                ..Intake::default()
            },
            turn_time: 1_000..20_000,
            limits,
            leases: Vec::new(),
            drift: 0,
            is_drift_bounded: true,
            returns: true,
            real_files: None,
        };
        let mut mix: Vec<_> = EVENTS
            .iter()
            .filter(|_| rng.random_bool(0.35))
            .copied()
            .collect();
        if mix.is_empty() {
            mix.push(Fault::CrashSecondary);
        }
        let mut plan = Self {
            cluster,
            workload: Workload::draw(&mut rng),
            mix,
            interval: rng.random_range(80..700) * MS,
            chaos: rng.random_range(1_500..4_500) * MS,
            tours: false,
        };
        plan.draw_clocks(&mut rng);
        plan.draw_memory(&mut rng);
        if rng.random_bool(0.35) {
            plan.mix.push(Fault::CutOff);
        }
        if rng.random_bool(0.3) {
            plan.cluster.network.echoes = rng.random_range(0.0..0.1);
        }
        plan.tours = rng.random_bool(0.25);
        plan
    }

    /// How long leases last, by how much clocks may drift apart, and whether they keep to that.
    fn draw_clocks(&mut self, rng: &mut ChaCha8Rng) {
        let timing = &mut self.cluster.limits.timing;
        if rng.random_bool(0.3) {
            let lease = *[250, 350, 800].choose(rng).expect("not empty");
            timing.lease = Duration::from_millis(lease);
            timing.beacon = timing.lease / 5;
            timing.drift_permille = *[0, 10, 40, 100].choose(rng).expect("not empty");
        }
        if rng.random_bool(0.3) {
            self.cluster.leases = [150, 500, 900].map(Duration::from_millis).into();
        }
        // Two clocks, one slow and one fast by this much, differ in their rates by just what the replicas were told.
        let bound = i64::from(timing.drift_permille);
        let each = bound * 1_000_000 / (2_000 + bound);
        self.cluster.is_drift_bounded = rng.random_bool(0.95);
        self.cluster.drift = match self.cluster.is_drift_bounded {
            true => rng.random_range(0..=each),
            false => rng.random_range(each + 1..200_000),
        };
    }

    /// Now and then replicas remember fewer clients than there are.
    fn draw_memory(&mut self, rng: &mut ChaCha8Rng) {
        if rng.random_bool(0.1) {
            self.cluster.limits.sessions.clients_max = rng.random_range(2..=4);
        }
    }
}

/// One seed in so many also has a single fault happen to a cluster that is well, and looks how long that stops the service.
const SINGLE_FAULT_EVERY: u64 = 16;

/// How many arbiters a seed has. Of a stream of its own: with one of them, everything else is as it was drawn before there
/// were several.
fn draw_arbiters(seed: u64) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x0a4b_17e2);
    *[1, 1, 1, 3, 3, 5].choose(&mut rng).expect("not empty")
}

/// Runs the simulation of a seed; with so many `arbiters`, however many the seed has.
pub fn run(seed: u64, arbiters: Option<usize>, detail: Detail) -> Report {
    simulate(Plan::draw(seed, arbiters), detail)
}

/// The same, with the logs of all replicas on files of the operating system as well, below `directory`: each call to these
/// has the same outcome as that to the simulated ones, unless something was injected there.
pub fn run_on_files(seed: u64, directory: &Path, detail: Detail) -> Report {
    let mut plan = Plan::draw(seed, None);
    plan.cluster.real_files = Some(directory.to_owned());
    simulate(plan, detail)
}

fn simulate(plan: Plan, detail: Detail) -> Report {
    let seed = plan.cluster.seed;
    let mut cluster = Cluster::new(plan.cluster.clone());
    let tours = plan.tours;
    cluster.trace = Trace::new(detail);
    guarded(&mut cluster, |cluster| {
        disturb(cluster, plan);
        if cluster.violation().is_none() {
            cluster.heal();
            recover(cluster, tours);
        }
    });
    let mut report = Report::of(&mut cluster);
    if seed.is_multiple_of(SINGLE_FAULT_EVERY) && report.violation.is_none() {
        report.add(drawn::run(seed, detail).report());
        report.single_faults += 1;
    }
    report
}

/// Does something with a cluster. A panic of a process is a violation like others.
pub(crate) fn guarded(cluster: &mut Cluster, run: impl FnOnce(&mut Cluster)) {
    let whole = panic::catch_unwind(AssertUnwindSafe(|| run(cluster)));
    if let Err(payload) = whole {
        cluster.violate("no process panics", panic_text(&*payload));
    }
}

/// What a panic said.
fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned()))
        .unwrap_or_else(|| "panic".to_owned())
}

/// Everybody starts at some time, clients call, and faults happen.
fn disturb(cluster: &mut Cluster, plan: Plan) {
    if !plan.cluster.is_drift_bounded {
        cluster.counts.fault(Fault::ClockDrift);
    }
    let mut workload = plan.workload;
    let mut repeats = Repeats::default();
    for index in 0..cluster.nodes().len() {
        let delay = cluster.rng().random_range(0..200) * MS;
        cluster.start_later(index, delay);
    }
    let mut next_call = workload.pause(cluster);
    let mut next_fault = 300 * MS + cluster.rng().random_range(0..2 * plan.interval);
    while cluster.violation().is_none() {
        let next = next_call.min(next_fault);
        if next > plan.chaos {
            return;
        }
        cluster.run_until(next);
        if next == next_call {
            workload.tick(cluster);
            if cluster.rng().random_bool(0.3) {
                repeats.tick(cluster);
            }
            next_call = cluster.now() + workload.pause(cluster).max(1);
        } else {
            let fault = *plan.mix.choose(cluster.rng()).expect("never empty");
            inject(cluster, fault);
            next_fault = cluster.now() + cluster.rng().random_range(1..2 * plan.interval);
        }
    }
}

fn inject(cluster: &mut Cluster, fault: Fault) {
    let replicas = cluster.replicas();
    let nodes = cluster.nodes().len();
    let primary = cluster.primary();
    let replica = cluster.rng().random_range(replicas.clone());
    let secondary = replicas
        .clone()
        .filter(|index| Some(*index) != primary)
        .collect::<Vec<_>>();
    let secondary = *secondary.choose(cluster.rng()).unwrap_or(&replica);
    // Links between nodes matter most; those of clients fail now and then.
    let ends = if cluster.rng().random_bool(0.8) {
        replicas.end
    } else {
        nodes
    };
    let one = cluster.rng().random_range(0..ends);
    let other = cluster.rng().random_range(0..ends);
    let time = match cluster.rng().random_range(0..3) {
        0 => cluster.rng().random_range(5..100) * MS,
        1 => cluster.rng().random_range(100..700) * MS,
        _ => cluster.rng().random_range(700..2_500) * MS,
    };
    // An arbiter's disk may hang as well as that of a replica; clients have none.
    let is_arbiter = cluster.arbiters().contains(&one);
    let disk = if is_arbiter { one } else { replica };
    match fault {
        Fault::CutBothWays => cluster.cut(one, other, time),
        Fault::CutOneWay => cluster.cut_one_way(one, other, time),
        Fault::Isolation => cluster.isolate(one, time),
        Fault::CutOff => {
            let is_primary = cluster.rng().random_bool(0.5);
            let cut_off = primary.filter(|_| is_primary).unwrap_or(replica);
            cluster.cut_off(cut_off, time);
        }
        Fault::SlowLink => cluster.slow_down(one, other, time),
        Fault::Pause => cluster.pause(one, time),
        Fault::CrashPrimary => cluster.crash(primary.unwrap_or(replica), time),
        Fault::CrashSecondary => cluster.crash(secondary, time),
        Fault::CrashArbiter => {
            let arbiter = an_arbiter(cluster);
            disturb_arbiter(cluster, arbiter, time);
        }
        Fault::CrashClient => {
            let clients = cluster.clients();
            let client = cluster.rng().random_range(clients);
            cluster.crash(client, time);
        }
        Fault::DiskHang => cluster.hang_disk(disk, time),
        Fault::DiskFull => cluster.fill_disk(disk, time),
        Fault::DiskError | Fault::NoRoomForOnce => cluster.fail_disk(disk),
        Fault::Wipe | Fault::PutBack => {
            // It may be about to take the primary's place.
            let wiped = cluster.node_id(secondary);
            let may_be_wiped = |config: &&Config| {
                config.primary.is_some()
                    && config.primary != wiped
                    && may_go(cluster, config, wiped, &[config.primary, wiped])
            };
            if cluster.configs_decided().iter().all(may_be_wiped) {
                match fault {
                    Fault::PutBack => cluster.save_or_put_back(secondary, time),
                    _ => cluster.wipe(secondary, time),
                }
            }
        }
        // Its primary may have lost its disk.
        Fault::Leave => {
            let leaving = cluster.node_id(replica);
            if may_leave(cluster, leaving) {
                cluster.leave(replica);
            }
        }
        Fault::Drain => {
            let leaving = cluster.node_id(replica);
            if may_leave(cluster, leaving) {
                cluster.counts.fault(fault);
                drain(cluster, replica, Drain::Node, time);
            }
        }
        Fault::HandOver => {
            cluster.counts.fault(fault);
            drain(cluster, primary.unwrap_or(replica), Drain::Primary, time);
        }
        Fault::Loss
        | Fault::Duplication
        | Fault::Echo
        | Fault::Reordering
        | Fault::ClockDrift
        | Fault::WipeArbiter
        | Fault::ChangeArbiters
        | Fault::Terms => {
            unreachable!(
                "these are properties of the network, of the clocks, and of starts, or go with others"
            )
        }
    }
}

/// An arbiter loses power; one of several also loses its disk now and then, or an operator has the set changed.
fn disturb_arbiter(cluster: &mut Cluster, arbiter: usize, time: u64) {
    if cluster.arbiters().len() == 1 {
        return cluster.crash(arbiter, time);
    }
    match cluster.rng().random_range(0..4) {
        0 if cluster.may_lose_arbiter(arbiter) && !cluster.is_set_to_change() => {
            cluster.wipe_arbiter(arbiter, time);
        }
        1 if cluster.arbiters_lost().is_empty() => change_arbiters(cluster, arbiter, time),
        _ => cluster.crash(arbiter, time),
    }
}

/// A client that is up has `arbiter` taken in, in the place of another or beside it, if it is none of those that keep the record. Else it
/// has that one sent away, if enough are left.
fn change_arbiters(cluster: &mut Cluster, arbiter: usize, patience: u64) {
    let (Some(id), set) = (
        cluster.arbiter_id(arbiter),
        cluster.arbiters_chosen().clone(),
    ) else {
        return;
    };
    let present: Vec<_> = set.present().iter().copied().collect();
    let change = if set.next().is_some() {
        return;
    } else if !set.has(id) && cluster.rng().random_bool(0.5) {
        ArbitersChange::Add(id)
    } else if !set.has(id) {
        let former = *present.choose(cluster.rng()).expect("there is one");
        ArbitersChange::Replace { former, next: id }
    } else if present.len() > 2 {
        ArbitersChange::Remove(id)
    } else {
        return;
    };
    let replicas = cluster.replicas();
    let replica = cluster.rng().random_range(replicas);
    let replica = cluster.nodes()[replica].address.clone();
    let mut clients = cluster.clients();
    if let Some(client) = clients.find(|client| cluster.nodes()[*client].is_up()) {
        cluster.counts.fault(Fault::ChangeArbiters);
        cluster.note_set_change();
        let request = RequestBody::Arbiters(change);
        cluster.call_at(client, request, Some(replica), patience);
    }
}

/// One of them; the only one, if it is alone.
fn an_arbiter(cluster: &mut Cluster) -> usize {
    match cluster.arbiters().len() {
        1 => 0,
        count => cluster.rng().random_range(0..count),
    }
}

fn may_leave(cluster: &Cluster, node: Option<NodeId>) -> bool {
    let mut configs = cluster.configs_decided().into_iter();
    configs.all(|config| may_go(cluster, config, node, &[node]))
}

/// Is `node` not in sync, or is a replica in sync besides `others` that still has its disk? The last copy of the data must
/// not go: the store promises nothing then.
fn may_go(
    cluster: &Cluster,
    config: &Config,
    node: Option<NodeId>,
    others: &[Option<NodeId>],
) -> bool {
    let in_sync = &config.in_sync;
    // One that was put back lacks something, or is refused.
    let replicas = cluster.replicas();
    let mut nodes = replicas
        .filter(|index| !cluster.nodes()[*index].is_copied())
        .map(|index| cluster.node_id(index));
    node.is_some_and(|node| !in_sync.contains(&node))
        || nodes.any(|other| {
            !others.contains(&other) && other.is_some_and(|other| in_sync.contains(&other))
        })
}

/// A client that is up has a replica drain.
fn drain(cluster: &mut Cluster, replica: usize, drain: Drain, patience: u64) {
    let replica = cluster.nodes()[replica].address.clone();
    let mut clients = cluster.clients();
    if let Some(client) = clients.find(|client| cluster.nodes()[*client].is_up()) {
        cluster.call_at(client, RequestBody::Drain(drain), Some(replica), patience);
    }
}

/// Waits until everybody is in sync and has the same, then writes once more.
fn recover(cluster: &mut Cluster, tours: bool) {
    await_calm(cluster);
    if tours {
        tour(cluster);
    }
    if cluster.violation().is_none() {
        write_once_more(cluster);
    }
    if cluster.violation().is_none() {
        await_calm(cluster);
    }
    if cluster.violation().is_none() {
        cluster.finish();
    }
}

/// Has everybody be primary once: no state of a process is left from which only a restart helps.
fn tour(cluster: &mut Cluster) {
    for _ in cluster.replicas() {
        let Some(primary) = cluster.primary().filter(|_| cluster.violation().is_none()) else {
            return;
        };
        let deadline = cluster.now() + 4_000 * MS;
        while cluster.primary() == Some(primary) && cluster.violation().is_none() {
            if cluster.now() >= deadline {
                let what = format!("{} does not hand over", cluster.nodes()[primary].name);
                return cluster.violate("everything is well again when faults stop", what);
            }
            // More than once: it may not know yet that it is primary, or that another one is in sync.
            drain(cluster, primary, Drain::Primary, 2_000 * MS);
            cluster.run_until(cluster.now() + 10 * LOOK);
        }
        write_once_more(cluster);
        await_calm(cluster);
    }
}

/// Waits until everybody is in sync and has the same, for as long as that may take after the last fault.
pub(crate) fn await_calm(cluster: &mut Cluster) {
    let deadline = cluster.now() + RECOVERY;
    while cluster.violation().is_none() {
        let Some(missing) = missing_for_calm(cluster) else {
            return;
        };
        if cluster.now() >= deadline {
            cluster.violate("everything is well again when faults stop", missing);
        } else {
            cluster.run_until(cluster.now() + LOOK);
        }
    }
}

/// Once more after the first try, where the client may turn out to be forgotten: with its next write it is a new one.
fn write_once_more(cluster: &mut Cluster) {
    let clients_max = cluster.options().limits.sessions.clients_max;
    let is_remembered = clients_max == SessionLimits::default().clients_max;
    let tries = if is_remembered { 1 } else { 2 };
    let mut outcome = None;
    for number in 1..=tries {
        let client = cluster.clients().start;
        let call = cluster.call(
            client,
            RequestBody::Insert {
                key: Key::from("last"),
                value: Value::from(format!("write {number} at {}", cluster.now())),
            },
            2_000 * MS,
        );
        let end = cluster.now() + 2_500 * MS;
        outcome = None;
        while outcome.is_none() && cluster.now() < end && cluster.violation().is_none() {
            cluster.run_until(cluster.now() + LOOK);
            let record = cluster.history.record(call);
            outcome = record.and_then(|record| record.ended.clone());
        }
        let is_acknowledged = matches!(&outcome, Some((_, Outcome::Answered { .. })));
        if is_acknowledged || cluster.violation().is_some() {
            return;
        }
    }
    let what = format!("the last write: {outcome:?}");
    cluster.violate("everything is well again when faults stop", what);
}

/// What is not yet as it must be some time after the last fault.
fn missing_for_calm(cluster: &Cluster) -> Option<String> {
    let config = cluster.config();
    for index in cluster.replicas() {
        let node = &cluster.nodes()[index];
        let disk = node.disk().expect("a replica has a disk");
        if !node.is_up() {
            return Some(format!("{} is down", node.name));
        }
        if !config.in_sync.contains(&disk.meta().node) {
            return Some(format!("{} is not in sync", node.name));
        }
        let end = cluster.ledger().end();
        if disk.log().end() != end || disk.state().applied != end {
            return Some(format!(
                "{} has a log up to {} and a state of {}, committed are {end}",
                node.name,
                disk.log().end(),
                disk.state().applied
            ));
        }
    }
    // A first Join of a node that is gone may arrive late: that one is joining until its silence is noticed.
    if config.in_sync.len() != cluster.replicas().len() {
        return Some("nodes that are gone are still in sync".to_owned());
    }
    if cluster.arbiters_chosen().next().is_some() || !cluster.arbiters_lost().is_empty() {
        let lost = cluster.arbiters_lost();
        return Some(format!(
            "the set of arbiters changes, or nobody took the place of {lost:?}"
        ));
    }
    for client in cluster.clients() {
        if cluster.history.open(client) > 0 {
            return Some(format!("{} waits", cluster.nodes()[client].name));
        }
    }
    None
}
