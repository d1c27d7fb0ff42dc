//! The simulator: a whole cluster in one thread on virtual time, the same for the same seed.
//!
//! Everything that happens is an event in one queue, ordered by time and then by when it was planned. Processes are
//! the real ones, messages go through the codec. What can go wrong is in `faults`; when it does is up to `chaos`.
//! The invariants are told every fact and see everything.

mod around;
mod chosen;
mod effects;
mod faults;
mod holds;
mod node;
mod options;
mod queue;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use lockstep_core::arbiter::{self, Arbiter, ArbiterOptions, Drawn};
use lockstep_core::client::Client;
use lockstep_core::config::{
    Address, ArbiterId, ArbiterPlace, ClusterId, Config, NodeId, Round, StartId, Step,
};
use lockstep_core::engine::StoreError;
use lockstep_core::host::Host;
use lockstep_core::host::intake::Intake;
use lockstep_core::limits::{Limits, Timing};
use lockstep_core::message::{Message, RequestBody};
use lockstep_core::operation::{ClientId, Key};
use lockstep_core::process::{Call, CallId};
use lockstep_core::register::{Arbiters, Ballot, Held, Keeper, Mark};
use lockstep_core::replica::{Replica, ReplicaOptions};
use lockstep_core::storage::committed::Committed;
use lockstep_core::storage::desk::Desk;
use lockstep_core::storage::scheduler::Report;
use lockstep_core::storage::{ArbiterRecord, Ticket};
use lockstep_core::transport::SenderKind;
use lockstep_core::wire;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::around::Around;
use self::chosen::Chosen;
use self::node::Inbox;
pub use self::node::{AnyHost, Clock, Node, Role};
pub use self::options::ClusterOptions;
use self::queue::{Plan, Planned};
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

/// What is sent in the place of a message; `None`: that message itself.
pub type Forge = Box<dyn FnMut(&Message) -> Option<Message>>;

/// What holds only while all keep to the protocol, beside the invariants.
const OF_THE_HONEST: [&str; 3] = [
    "replicas are let in",
    "committed entries are identical for ever",
    "messages go to known nodes",
];

/// A simulated cluster: first come the arbiters, then the replicas, then the clients.
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
    chosen: Chosen,
    /// When an operator last wanted other arbiters.
    set_change_at: Option<u64>,
    ledger: Ledger,
    invariants: Vec<Box<dyn Invariant>>,
    forge: Option<Forge>,
    paths: PathFinder,
    violation: Option<Violation>,
    calls: u64,
    turns_at_once: u32,
}

impl Cluster {
    /// A cluster with everything switched off; `start` starts a node.
    pub fn new(options: ClusterOptions) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let starts = ChaCha8Rng::seed_from_u64(options.seed ^ 0x0005_7a27);
        let cluster = ClusterId(rng.random());
        let record = arbiter::first_record(cluster, rng.random());
        let first = first_held(record, options.arbiters);
        let mut nodes = Vec::new();
        for number in 1..=options.arbiters {
            let keeper = Keeper::holding(ArbiterId(number as u64), first.clone());
            let disk = RecordDisk::over_files(keeper, rng.random());
            let name = arbiter_name(number, options.arbiters);
            nodes.push(Node::new(name, Role::Arbiter(Box::new(disk))));
        }
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
            chosen: Chosen::new(first),
            set_change_at: None,
            ledger: Ledger::default(),
            invariants: invariants::all(),
            forge: None,
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

    /// The indices of the arbiters.
    pub fn arbiters(&self) -> Range<usize> {
        0..self.options.arbiters
    }

    /// The indices of the replicas.
    pub fn replicas(&self) -> Range<usize> {
        let first = self.options.arbiters;
        first..first + self.options.replicas
    }

    /// The indices of the clients.
    pub fn clients(&self) -> Range<usize> {
        self.replicas().end..self.nodes.len()
    }

    /// The index of the node of a name.
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.addresses.get(&Address::new(name)).copied()
    }

    /// The configuration that is chosen, on the disks of a majority of the arbiters.
    pub fn config(&self) -> &Config {
        self.chosen.config()
    }

    /// The arbiters that keep what is chosen.
    pub fn arbiters_chosen(&self) -> &Arbiters {
        self.chosen.arbiters()
    }

    /// The identity in an arbiter's data directory.
    pub fn arbiter_id(&self, index: usize) -> Option<ArbiterId> {
        match &self.nodes[index].role {
            Role::Arbiter(disk) => Some(disk.keeper().id()),
            Role::Replica(..) | Role::Client => None,
        }
    }

    /// Would the arbiters whose data directories there are still be a majority of those that keep any record without `index`?
    pub(crate) fn may_lose_arbiter(&self, index: usize) -> bool {
        let others = self.arbiters().filter(|other| *other != index);
        let left: BTreeSet<_> = others.filter_map(|other| self.arbiter_id(other)).collect();
        let held = self.arbiters().filter_map(|arbiter| {
            let Role::Arbiter(disk) = &self.nodes[arbiter].role else {
                return None;
            };
            Some(&disk.keeper().held()?.arbiters)
        });
        let mut sets = held.chain([self.arbiters_chosen()]);
        sets.all(|set| set.is_majority(&left))
    }

    /// An operator wants other arbiters.
    pub(crate) fn note_set_change(&mut self) {
        self.set_change_at = Some(self.now);
    }

    /// Did an operator want other arbiters, which may be about to come about? One that is lost in that moment may be one too many for
    /// the smaller set, and nothing would be decided any more: so it is for the operator to wait.
    pub(crate) fn is_set_to_change(&self) -> bool {
        self.set_change_at
            .is_some_and(|at| self.now - at < 3_000 * MS)
    }

    /// Those of the arbiters that keep what is chosen whose data directories are lost.
    pub(crate) fn arbiters_lost(&self) -> BTreeSet<ArbiterId> {
        let there: BTreeSet<_> = self
            .arbiters()
            .filter_map(|index| self.arbiter_id(index))
            .collect();
        &self.arbiters_chosen().all() - &there
    }

    /// The configurations that an arbiter has decided on and that may not be chosen yet; without any, the chosen one.
    pub fn configs_decided(&self) -> Vec<&Config> {
        let chosen = self.chosen.mark();
        let decided = self.arbiters().filter_map(|index| {
            let Some(AnyHost::Arbiter(host)) = &self.nodes[index].host else {
                return None;
            };
            let held = host.process().register().keeper().held()?;
            (held.mark > chosen).then_some(&held.value.config)
        });
        let mut configs: Vec<_> = decided.collect();
        if configs.is_empty() || self.options.arbiters > 1 {
            configs.push(self.config());
        }
        configs
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
        let arbiters: Vec<_> = self
            .arbiters()
            .map(|arbiter| self.nodes[arbiter].address.clone())
            .collect();
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
        node.host = Some(match &mut node.role {
            Role::Arbiter(disk) => {
                let (keeper, desk) = match disk.start() {
                    Ok(started) => started,
                    Err(error) => return self.not_started(index, &error),
                };
                let mut options = ArbiterOptions::alone(node.name.clone(), address.clone());
                options.peers = arbiters;
                // It was drawn for another purpose, which is as good.
                let drawn = Drawn {
                    arbiter: ArbiterId(start.0),
                    cluster: ClusterId(start.0),
                    secret: start.0,
                };
                let host = Host::new(Arbiter::open(options, drawn, keeper), desk, address);
                AnyHost::Arbiter(Box::new(host))
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
                    arbiters,
                    limits,
                    software: "simulated".to_owned(),
                };
                let host = Host::new(Replica::open(options, recovered), desk, address);
                AnyHost::Replica(Box::new(host))
            }
            Role::Client => {
                let process = Client::new(client, replica_addresses);
                let host = Host::new(process, Desk::none(), address);
                AnyHost::Client(Box::new(host))
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

    /// Starts everybody, one after the other, so that the first replica is primary.
    pub fn start_all(&mut self) {
        for index in 0..self.nodes.len() {
            self.start(index);
            self.run_until(self.now + 20 * MS);
        }
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

    /// Something more is told every fact, and what it says does not hold is a violation.
    pub fn watch(&mut self, invariant: Box<dyn Invariant>) {
        self.invariants.push(invariant);
    }

    /// From now on, `forge` is asked about every message. What holds while all keep to the protocol is
    /// not looked for any more.
    pub fn forge(&mut self, forge: Forge) {
        self.forge = Some(forge);
        self.invariants.clear();
    }

    /// Has a client ask wherever the request has to go. Its outcome goes to the history.
    pub fn call(&mut self, client: usize, request: RequestBody, patience: u64) -> CallId {
        self.call_at(client, request, None, patience)
    }

    /// Has a client ask that replica, or any if there is none.
    pub fn call_at(
        &mut self,
        client: usize,
        request: RequestBody,
        replica: Option<Address>,
        patience: u64,
    ) -> CallId {
        let id = CallId(self.calls);
        self.calls += 1;
        let node = &mut self.nodes[client];
        let call = Call {
            request,
            name: None,
            replica,
            deadline: node.clock.local(self.now + patience),
        };
        self.history
            .begin(id, client, call.request.clone(), self.now);
        node.inbox.calls.push_back((id, call));
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
        let frame = wire::encode(message);
        self.send(from, &to, frame);
    }

    /// What the transport would say of who sends.
    fn sender_kind(&self, index: usize) -> SenderKind {
        match self.nodes[index].role {
            Role::Arbiter(_) | Role::Replica(..) => SenderKind::Node,
            Role::Client => SenderKind::Client,
        }
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
        let is_looked_for = self.forge.is_none() || !OF_THE_HONEST.contains(&invariant);
        if self.violation.is_none() && is_looked_for {
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

/// What all arbiters hold when a cluster begins.
fn first_held(mut record: ArbiterRecord, arbiters: usize) -> Held<ArbiterRecord> {
    let ids = 1..=arbiters;
    let place = |number| {
        let name = arbiter_name(number, arbiters);
        ArbiterPlace {
            address: Address::new(&name),
            name,
        }
    };
    record.config.arbiters = ids
        .clone()
        .map(|number| (ArbiterId(number as u64), place(number)))
        .collect();
    let ids = ids.map(|number| ArbiterId(number as u64)).collect();
    Held {
        mark: Mark {
            ballot: Ballot {
                round: Round(1),
                arbiter: ArbiterId(1),
            },
            step: Step::ZERO,
        },
        arbiters: Arbiters::new(ids).expect("a cluster has arbiters"),
        value: record,
    }
}

fn arbiter_name(number: usize, arbiters: usize) -> String {
    match arbiters {
        1 => "a".to_owned(),
        _ => format!("a{number}"),
    }
}
