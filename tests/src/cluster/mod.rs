//! The simulator: a whole cluster in one thread on virtual time, the same for the same seed.
//!
//! Everything that happens is an event in one queue, ordered by time and then by when it was planned. Processes are
//! the real ones, messages go through the codec. What can go wrong is in `faults`; when it does is up to `chaos`.
//! The invariants are told every fact and see everything.

mod around;
mod effects;
mod faults;
mod holds;
mod node;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use lockstep_core::arbiter::{self, Arbiter};
use lockstep_core::client::Client;
use lockstep_core::config::{Address, ClusterId, Config, NodeId, StartId};
use lockstep_core::engine::StoreError;
use lockstep_core::host::Host;
use lockstep_core::host::intake::Intake;
use lockstep_core::limits::{Limits, Timing};
use lockstep_core::message::Message;
use lockstep_core::operation::{ClientId, Key};
use lockstep_core::process::{Call, CallBody, CallId};
use lockstep_core::replica::{Replica, ReplicaOptions};
use lockstep_core::storage::Ticket;
use lockstep_core::storage::committed::Committed;
use lockstep_core::storage::desk::Desk;
use lockstep_core::storage::writer::Report;
use lockstep_core::transport::SenderKind;
use lockstep_core::wire::{self, GroupId};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::around::Around;
use self::node::Inbox;
pub use self::node::{Clock, Machine, Node, Role};
use crate::disk::{Disk, DiskOptions, FilesLog, Full, RecordDisk};
use crate::faults::{Counts, Fault, Path};
use crate::history::History;
use crate::invariants::{self, Fact, Invariant, Ledger, Violation};
use crate::network::{Fate, Network, NetworkOptions};
use crate::paths::PathFinder;
use crate::shadow::Shadow;
use crate::trace::Trace;

/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Everything that is drawn is drawn from this.
    pub seed: u64,
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

/// Something planned.
enum Plan {
    /// A frame arrives.
    Arrive {
        from: usize,
        to: usize,
        frame: Bytes,
    },
    /// A process takes what waits for it.
    Turn { node: usize },
    /// The disk is done with its job.
    Worked { node: usize, start: u64 },
    /// The disk looks up.
    DiskDue { node: usize, start: u64 },
    /// The state has applied what it was to.
    Applied {
        node: usize,
        start: u64,
        committed: Committed,
    },
    /// The state is durable.
    Checkpointed { node: usize, start: u64 },
    /// The state answers a Get.
    Get {
        node: usize,
        start: u64,
        ticket: Ticket,
        key: Key,
        /// Nanoseconds until the process has the answer.
        way_back: u64,
    },
    /// The state answers what is read in bulk.
    Bulk { node: usize, start: u64 },
    /// A process hears of what its disk did a while ago.
    Report {
        node: usize,
        start: u64,
        report: Report,
    },
    /// A crashed node starts.
    Start { node: usize },
    /// The disk has room again.
    Room { node: usize },
}

struct Planned {
    at: u64,
    order: u64,
    plan: Plan,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// A simulated cluster: node 0 is the arbiter, then come the replicas, then the clients.
pub struct Cluster {
    /// How often what went wrong and what rarely happens did.
    pub counts: Counts,
    /// What the clients did and learned.
    pub history: History,
    /// The conversation, if it is recorded.
    pub trace: Trace,
    options: ClusterOptions,
    now: u64,
    planned: u64,
    queue: BinaryHeap<Reverse<Planned>>,
    rng: ChaCha8Rng,
    /// What starts are numbered by, and told.
    starts: ChaCha8Rng,
    network: Network,
    holds: Vec<holds::Hold>,
    nodes: Vec<Node>,
    addresses: BTreeMap<Address, usize>,
    /// Disks that are gone for good, kept because acknowledgements once rested on them.
    lost_disks: Vec<Disk<FilesLog>>,
    ledger: Ledger,
    invariants: Vec<Box<dyn Invariant>>,
    paths: PathFinder,
    violation: Option<Violation>,
    calls: u64,
    turns_at_once: u32,
}

/// Turns of processes, and looks of disks, without time passing that none in order takes.
const TURNS_AT_ONCE_MAX: u32 = 20_000;

impl Cluster {
    /// A cluster with everything switched off; `start` starts a node.
    pub fn new(options: ClusterOptions) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let starts = ChaCha8Rng::seed_from_u64(options.seed ^ 0x0005_7a27);
        let cluster = ClusterId(rng.random());
        let record = arbiter::first_record(cluster, rng.random());
        let mut nodes = vec![Node::new(
            "a".to_owned(),
            Role::Arbiter(Box::new(RecordDisk::over_files(record, rng.random()))),
        )];
        for number in 1..=options.replicas {
            let disk = new_disk(&mut rng, &options);
            nodes.push(Node::new(
                format!("r{number}"),
                Role::Replica(Box::new(disk), Box::default()),
            ));
        }
        for number in 1..=options.clients {
            nodes.push(Node::new(format!("c{number}"), Role::Client));
        }
        let addresses = nodes
            .iter()
            .enumerate()
            .map(|(index, node)| (node.address.clone(), index))
            .collect();
        Self {
            counts: Counts::default(),
            history: History::default(),
            trace: Trace::default(),
            now: 0,
            planned: 0,
            queue: BinaryHeap::new(),
            network: Network::new(nodes.len(), options.network.clone()),
            holds: Vec::new(),
            rng,
            starts,
            nodes,
            addresses,
            lost_disks: Vec::new(),
            ledger: Ledger::default(),
            invariants: invariants::all(),
            paths: PathFinder::default(),
            violation: None,
            calls: 0,
            turns_at_once: 0,
            options,
        }
    }

    // -------------------------------------------------------------------------------------- what one sees

    /// Nanoseconds since the simulation began.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What the cluster is made of.
    pub fn options(&self) -> &ClusterOptions {
        &self.options
    }

    /// All participants.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The indices of the replicas.
    pub fn replicas(&self) -> Range<usize> {
        1..1 + self.options.replicas
    }

    /// The indices of the clients.
    pub fn clients(&self) -> Range<usize> {
        1 + self.options.replicas..self.nodes.len()
    }

    /// The index of the node of a name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.addresses.get(&Address::new(name)).copied()
    }

    /// The configuration as the arbiter has it on its disk.
    pub fn config(&self) -> &Config {
        let Role::Arbiter(disk) = &self.nodes[0].role else {
            unreachable!("node 0 is the arbiter");
        };
        &disk.record().config
    }

    /// The configuration the arbiter has decided on, which may not be on its disk yet.
    pub fn config_decided(&self) -> &Config {
        match &self.nodes[0].machine {
            Some(Machine::Arbiter(host)) => host.process().config(),
            Some(Machine::Replica(_) | Machine::Client(_)) | None => self.config(),
        }
    }

    /// The index of the recorded primary.
    pub fn primary(&self) -> Option<usize> {
        let primary = self.config().primary?;
        self.replicas()
            .find(|index| self.node_id(*index) == Some(primary))
    }

    /// The identity in a replica's data directory.
    pub fn node_id(&self, index: usize) -> Option<NodeId> {
        self.nodes[index].disk().map(|disk| disk.meta().node)
    }

    /// The disk of a node, also of one that is gone.
    pub fn disk_of(&self, node: NodeId) -> Option<&Disk<FilesLog>> {
        // Those that are gone first: a copy in their place is not what acknowledgements rested on.
        self.lost_disks
            .iter()
            .find(|disk| disk.meta().node == node)
            .or_else(|| {
                // Where one is a copy of the other, the one that has joined.
                let member = self.config().members.get(&node);
                let is_its = |index: &usize| self.node_id(*index) == Some(node);
                let mut copies = self.replicas().filter(is_its);
                let has_joined = |index: &usize| {
                    member.is_some_and(|member| member.address == self.nodes[*index].address)
                };
                let joined = copies.clone().find(has_joined);
                joined
                    .or_else(|| copies.next())
                    .and_then(|index| self.nodes[index].disk())
            })
    }

    /// The entries that are committed, for ever.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The first invariant that was violated.
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// Draws from the cluster's randomness.
    pub fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }

    // -------------------------------------------------------------------------------------- what one does

    /// Starts a node that is down, from what its disk has.
    pub fn start(&mut self, index: usize) {
        if self.nodes[index].is_up() {
            return;
        }
        let drawn = Clock {
            offset: self.rng.random_range(0..60_000) * MS,
            drift: self
                .rng
                .random_range(-self.options.drift..=self.options.drift),
        };
        let replica_addresses: Vec<_> = self
            .replicas()
            .map(|replica| self.nodes[replica].address.clone())
            .collect();
        let arbiter = self.nodes[0].address.clone();
        let client = ClientId(self.rng.random());
        let start = StartId(self.starts.random());
        let limits = self.draw_limits(index);
        let node = &mut self.nodes[index];
        node.clock = node.clock_set.unwrap_or(drawn);
        node.starts += 1;
        node.busy_until = self.now;
        node.hung_until = 0;
        node.is_leaving = false;
        node.has_begun = false;
        node.asked = None;
        node.disk_due_at = None;
        node.bulk.clear();
        node.inbox = Inbox::default();
        let (local, address) = (node.clock.local(self.now), node.address.clone());
        node.machine = Some(match &mut node.role {
            Role::Arbiter(disk) => {
                let (record, desk) = match disk.start() {
                    Ok(started) => started,
                    Err(error) => return self.not_started(index, &error),
                };
                let host = Host::new(Arbiter::open(record), desk, address);
                Machine::Arbiter(Box::new(host))
            }
            Role::Replica(disk, shadow) => {
                let started = disk.start(local, &self.options.limits.sessions, start);
                let (recovered, desk) = match started {
                    Ok(started) => started,
                    Err(error) => return self.not_started(index, &error),
                };
                **shadow = Shadow::of(disk);
                let options = ReplicaOptions {
                    name: node.name.clone(),
                    address: node.address.clone(),
                    arbiter,
                    limits,
                    software: "simulated".to_owned(),
                };
                let host = Host::new(Replica::open(options, recovered), desk, address);
                Machine::Replica(Box::new(host))
            }
            Role::Client => {
                let process = Client::new(client, replica_addresses);
                let host = Host::new(process, Desk::none(), address);
                Machine::Client(Box::new(host))
            }
        });
        if let Some(id) = self.node_id(index) {
            self.trace.name(id, &self.nodes[index].name);
        }
        self.trace
            .note(self.now, format_args!("{} starts", self.nodes[index].name));
        self.tell(&Fact::Started { node: index });
        self.plan_turn(index);
    }

    /// The disk kept a node from starting, which is tried again if that is for now.
    fn not_started(&mut self, index: usize, error: &StoreError) {
        match error {
            StoreError::NoRoom { .. } => self.counts.path(Path::StartWithoutRoom),
            StoreError::Io { .. } => self.counts.path(Path::StartFailed),
            error => {
                let what = format!("{}: {error}", self.nodes[index].name);
                return self.violate("a replica can be started", what);
            }
        }
        self.start_later(index, 100 * MS);
    }

    /// What a node is told at its start.
    fn draw_limits(&mut self, index: usize) -> Limits {
        let mut limits = self.options.limits.clone();
        if let Some(timing) = &self.nodes[index].timing_set {
            limits.timing = timing.clone();
        } else if let Some(lease) = self.options.leases.choose(&mut self.starts) {
            limits.timing.lease = *lease;
            limits.timing.beacon = *lease / 5;
            let greater = self.starts.random_range(0..40);
            let drift = limits.timing.drift_permille + greater;
            limits.timing.drift_permille = drift.min(Timing::DRIFT_CEILING);
            self.counts.fault(Fault::Terms);
        }
        limits
    }

    /// Starts a node some time later.
    pub fn start_later(&mut self, index: usize, delay: u64) {
        self.plan(self.now + delay, Plan::Start { node: index });
    }

    /// Calls to files that had the same outcome with those of the operating system.
    pub fn files_compared(&self) -> u64 {
        let disks = self.nodes.iter().filter_map(Node::disk);
        let disks = disks.chain(&self.lost_disks);
        disks.map(|disk| disk.files().compared()).sum()
    }

    /// Hands a call to a client. Its outcome goes to the history.
    pub fn call(&mut self, client: usize, body: CallBody, patience: u64) -> CallId {
        let id = CallId(self.calls);
        self.calls += 1;
        let node = &mut self.nodes[client];
        let deadline = node.clock.local(self.now + patience);
        self.history.begin(id, client, body.clone(), self.now);
        node.inbox.calls.push_back((id, Call { body, deadline }));
        self.plan_turn(client);
        id
    }

    /// Sends a message in the name of a node whose process knows nothing of it.
    pub fn inject(&mut self, from: usize, to: usize, message: &Message) {
        let to = self.nodes[to].address.clone();
        self.tell(&Fact::Sent {
            node: from,
            to: &to,
            message,
        });
        let frame = wire::encode(GroupId::default(), message);
        self.send(from, &to, frame);
    }

    /// Lets everything happen that is due up to `time`, unless an invariant breaks before.
    pub fn run_until(&mut self, time: u64) {
        while self.violation.is_none() {
            match self.queue.peek() {
                Some(Reverse(next)) if next.at <= time => {}
                Some(_) | None => {
                    self.now = self.now.max(time);
                    return;
                }
            }
            let Reverse(next) = self.queue.pop().expect("it was just seen");
            if next.at > self.now {
                self.turns_at_once = 0;
            }
            self.now = next.at;
            self.carry_out(next.plan);
        }
    }

    fn carry_out(&mut self, plan: Plan) {
        match plan {
            Plan::Arrive { from, to, frame } => self.arrive(from, to, frame),
            Plan::Turn { node } => {
                if self.nodes[node].turn_at == Some(self.now) {
                    self.nodes[node].turn_at = None;
                    self.turn(node);
                }
            }
            Plan::Worked { node, start } => self.worked(node, start),
            Plan::DiskDue { node, start } => self.disk_due(node, start),
            Plan::Applied {
                node,
                start,
                committed,
            } => self.applied(node, start, committed),
            Plan::Checkpointed { node, start } => self.checkpointed(node, start),
            Plan::Get {
                node,
                start,
                ticket,
                key,
                way_back,
            } => self.get(node, start, ticket, key, way_back),
            Plan::Bulk { node, start } => self.bulk(node, start),
            Plan::Report {
                node,
                start,
                report,
            } => self.deliver_report(node, start, report),
            Plan::Start { node } => self.start(node),
            Plan::Room { node } => self.set_full(node, Full::Nothing),
        }
    }

    fn plan(&mut self, at: u64, plan: Plan) {
        self.planned += 1;
        self.queue.push(Reverse(Planned {
            at: at.max(self.now),
            order: self.planned,
            plan,
        }));
    }

    /// Sees to it that the node has a turn as soon as there is something for it to do.
    fn plan_turn(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(machine) = &node.machine else { return };
        let is_hurried = !node.inbox.is_empty() || !node.has_begun || machine.is_hurried();
        let wanted = if !is_hurried {
            match machine.due() {
                Some(instant) => node.clock.global(instant),
                None => return,
            }
        } else {
            self.now
        };
        let at = wanted.max(node.busy_until).max(self.now);
        if node.turn_at.is_none_or(|planned| planned > at) {
            node.turn_at = Some(at);
            self.plan(at, Plan::Turn { node: index });
        }
    }

    /// A process takes what waits for it and what its timers want, then its effects are carried out.
    fn turn(&mut self, index: usize) {
        if self.nodes[index].busy_until > self.now {
            return self.plan_turn(index);
        }
        if self.spins(index) {
            return;
        }
        let Some(mut machine) = self.nodes[index].machine.take() else {
            return;
        };
        let node = &mut self.nodes[index];
        let local = node.clock.local(self.now);
        let has_begun = std::mem::replace(&mut node.has_begun, true);
        let mut arrivals = Vec::new();
        if has_begun {
            self.options.intake.take(&mut node.inbox, &mut arrivals);
        }
        let mut around = Around {
            cluster: self,
            node: index,
            local,
        };
        let rounded = match has_begun {
            true => machine.round(arrivals, &mut around),
            false => machine.start(&mut around),
        };
        if let Err(error) = rounded {
            let what = format!("{}: {error}", self.nodes[index].name);
            self.violate("the storage works", what);
        }
        let passed = std::mem::take(machine.passed());
        self.nodes[index].machine = Some(machine);
        let has_ended = self.pass_on(index, passed);
        self.tell(&Fact::Stepped { node: index });
        let turn_time = self.rng.random_range(self.options.turn_time.clone());
        let node = &mut self.nodes[index];
        node.turned = self.now;
        node.busy_until = node.busy_until.max(self.now + turn_time);
        if has_ended {
            self.end_in_good_order(index);
        } else {
            self.plan_turn(index);
        }
    }

    /// What the transport would say of who sends.
    fn sender_kind(&self, index: usize) -> SenderKind {
        match self.nodes[index].role {
            Role::Arbiter(_) | Role::Replica(..) => SenderKind::Node,
            Role::Client => SenderKind::Client,
        }
    }

    /// Counts what happens without time passing. True if it does not come to an end.
    fn spins(&mut self, index: usize) -> bool {
        self.turns_at_once += 1;
        let spins = self.turns_at_once > TURNS_AT_ONCE_MAX;
        if spins {
            self.violate("liveness", format!("{} spins", self.nodes[index].name));
        }
        spins
    }

    /// Tells the invariants, and stops at the first that breaks.
    fn tell(&mut self, fact: &Fact<'_>) {
        let mut paths = std::mem::take(&mut self.paths);
        let mut counts = std::mem::take(&mut self.counts);
        paths.observe(self, fact, &mut counts);
        self.paths = paths;
        self.counts = counts;
        let mut invariants = std::mem::take(&mut self.invariants);
        for invariant in &mut invariants {
            if self.violation.is_some() {
                break;
            }
            if let Err(what) = invariant.observe(self, fact) {
                self.violate(invariant.name(), what);
            }
        }
        self.invariants = invariants;
    }

    /// Asks the invariants that speak of the end of a simulation.
    pub fn finish(&mut self) {
        self.tell(&Fact::Ended);
    }

    /// Notes a violation, unless there is one already.
    pub fn violate(&mut self, invariant: &'static str, what: String) {
        if self.violation.is_none() {
            self.trace
                .note(self.now, format_args!("VIOLATED {invariant}: {what}"));
            self.violation = Some(Violation {
                invariant,
                what,
                at: self.now,
            });
        }
    }

    fn fate(&mut self, from: usize, to: usize) -> Fate {
        self.network.draw(&mut self.rng, self.now, from, to)
    }
}

/// The empty disk of a new node.
fn new_disk(rng: &mut ChaCha8Rng, options: &ClusterOptions) -> Disk<FilesLog> {
    let node = NodeId(rng.random());
    let mut disk = Disk::over_files(node, options.disk.clone(), rng.random());
    if let Some(real_files) = &options.real_files {
        disk.compare_with(real_files.join(node.to_string()));
    }
    let is_prompt = options.is_state_prompt;
    disk.engine().behave(|habits| {
        habits.is_cached = is_prompt;
        habits.applies_late = !is_prompt;
    });
    disk
}
