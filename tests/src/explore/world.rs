//! The state that is explored: processes, disks, messages under way, the time, and what was promised.

use std::sync::Arc;
use std::time::Duration;

use lockstep_core::arbiter::{self, Arbiter};
use lockstep_core::config::{Address, ClusterId, Config, NodeId, Position};
use lockstep_core::event::Event;
use lockstep_core::limits::Limits;
use lockstep_core::message::{Message, Request};
use lockstep_core::operation::{ClientId, Session};
use lockstep_core::process::{Effect, Input, Outbox, Process};
use lockstep_core::replica::{self, Replica, ReplicaOptions};
use lockstep_core::storage::{Query, Ticket, Write};
use lockstep_core::time::Instant;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::Landmark;
use super::fingerprint;
use super::judge::{Evidence, Judge, request_id};
use super::moves::{Move, small};
use super::scope::{Budget, Scope};
use crate::cluster::{Stimulus, typed};
use crate::disk::Disk;
use crate::invariants::{check_applied, check_holdings, check_write};
use crate::network::Fate;
use crate::record::RecordDisk;
use crate::shadow::Shadow;
use crate::trace::{self, Trace};

/// All there is. Node 0 is the arbiter, then come the replicas.
///
/// What a step does not change, two worlds share.
#[derive(Clone, Debug)]
pub struct World {
    scope: Arc<Scope>,
    now: Instant,
    horizon: Instant,
    nodes: Vec<Arc<Node>>,
    messages: Vec<Arc<Underway>>,
    budget: Budget,
    judge: Arc<Judge>,
}

/// A message under way.
#[derive(Debug)]
pub struct Underway {
    /// Who sent it.
    pub from: usize,
    /// To whom.
    pub to: usize,
    /// What.
    pub message: Message,
    fingerprint: u128,
}

/// A process and its disk.
#[derive(Clone, Debug)]
struct Node {
    body: Body,
    fingerprint: u128,
}

#[derive(Clone, Debug, Hash)]
struct Body {
    name: String,
    is_paused: bool,
    machine: Machine,
}

#[derive(Clone, Debug, Hash)]
enum Machine {
    Arbiter(Box<(Arbiter, RecordDisk)>),
    Replica(Box<Host>),
}

#[derive(Clone, Debug, Hash)]
struct Host {
    process: Option<Replica>,
    disk: Disk,
    shadow: Shadow,
    questions: Vec<(Ticket, Query)>,
}

/// What a step works with besides the world.
pub(super) struct Witness<'a> {
    pub(super) trace: &'a mut Trace,
    pub(super) passed: &'a mut Vec<Landmark>,
}

impl World {
    /// The world in which a scope begins.
    ///
    /// # Panics
    /// If it cannot be brought there: then nothing works.
    pub fn new(scope: &Scope, trace: &mut Trace) -> Self {
        let record = arbiter::first_record(ClusterId(0xc1), 1);
        let arbiter = Arbiter::open(record.clone());
        let machine = Machine::Arbiter(Box::new((arbiter, RecordDisk::new(record))));
        let mut nodes = vec![Arc::new(Node::new("a".to_owned(), machine))];
        for number in 1..=scope.replicas() {
            let id = NodeId(0xa0 + number as u64);
            let name = format!("r{number}");
            trace.name(id, &name);
            let disk = Disk::new(id, Limits::default().log_bytes_max);
            let host = Host {
                process: None,
                shadow: Shadow::of(&disk),
                disk,
                questions: Vec::new(),
            };
            nodes.push(Arc::new(Node::new(name, Machine::Replica(Box::new(host)))));
        }
        let mut world = Self {
            judge: Arc::new(Judge::new(scope)),
            scope: Arc::new(scope.clone()),
            now: Instant::from_millis(1_000),
            horizon: Instant(u64::MAX),
            nodes,
            messages: Vec::new(),
            budget: Budget::default(),
        };
        // What is tight or goes wrong does so only once the cluster stands.
        let setup = Arc::make_mut(&mut world.scope);
        setup.disks_lie = false;
        setup.link_messages_max = usize::MAX;
        let mut passed = Vec::new();
        let mut witness = Witness {
            trace,
            passed: &mut passed,
        };
        world
            .feed(0, Input::Start, &mut witness)
            .expect("an arbiter starts");
        for number in 1..=scope.in_sync {
            world.budget.starts += 1;
            let start = Move::Start {
                node: small(number),
            };
            world.take(start, &mut witness).expect("a replica starts");
            world.rest_until(&mut witness, |world| {
                world.config().in_sync.len() == number && world.is_known_to_all()
            });
        }
        world.run(&mut witness, |_| true);
        world.scope = Arc::new(scope.clone());
        (scope.prepare)(&mut world);
        world.horizon = world.now + scope.horizon;
        world.budget = scope.budget;
        world
    }

    // -------------------------------------------------------------------------------------- what one sees

    /// The messages under way.
    pub fn messages(&self) -> &[Arc<Underway>] {
        &self.messages
    }

    /// How many processes there are.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// What may still go wrong.
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// When the clocks stop.
    pub fn horizon(&self) -> Instant {
        self.horizon
    }

    /// Does a process run?
    pub fn is_up(&self, node: usize) -> bool {
        match &self.nodes[node].body.machine {
            Machine::Arbiter(_) => true,
            Machine::Replica(host) => host.process.is_some(),
        }
    }

    /// Does a process stand still?
    pub fn is_paused(&self, node: usize) -> bool {
        self.nodes[node].body.is_paused
    }

    /// The disk of a node, if it is a replica.
    pub fn disk(&self, node: usize) -> Option<&Disk> {
        self.host(node).map(|host| &host.disk)
    }

    /// The configuration as the arbiter has it on its disk.
    pub fn config(&self) -> &Config {
        match &self.nodes[0].body.machine {
            Machine::Arbiter(arbiter) => &arbiter.1.record().config,
            Machine::Replica(_) => unreachable!("node 0 is the arbiter"),
        }
    }

    /// Is there a write that the disk is not done with?
    pub fn has_writes(&self, node: usize) -> bool {
        self.host(node).is_some_and(|host| host.disk.has_waiting())
    }

    /// Questions that the disk has not answered.
    pub fn questions(&self, node: usize) -> usize {
        self.host(node).map_or(0, |host| host.questions.len())
    }

    /// When the next timer of a process is due: now, if it was due earlier.
    pub fn due(&self, node: usize) -> Option<Instant> {
        let next = match &self.nodes[node].body.machine {
            Machine::Arbiter(arbiter) => arbiter.0.timers().next().map(|next| next.0),
            Machine::Replica(host) => {
                let process = host.process.as_ref()?;
                process.timers().next().map(|next| next.0)
            }
        };
        next.map(|due| due.max(self.now))
    }

    /// When the next timer of anybody is due who does not stand still.
    pub fn next_due(&self) -> Option<Instant> {
        (0..self.nodes.len())
            .filter(|node| !self.is_paused(*node))
            .filter_map(|node| self.due(node))
            .min()
    }

    /// The number of the question a client asks next; `None` while it waits for an answer.
    pub fn next_ask(&self, client: usize) -> Option<usize> {
        self.judge.next_ask(client)
    }

    /// Equal for worlds with the same future.
    pub fn fingerprint(&self) -> u128 {
        let nodes: Vec<u128> = self.nodes.iter().map(|node| node.fingerprint).collect();
        // In any order: messages overtake each other.
        let messages = self.messages.iter();
        let messages = messages.fold(0_u128, |sum, message| sum.wrapping_add(message.fingerprint));
        fingerprint::of(&(nodes, messages, self.now, self.budget, &*self.judge))
    }

    /// Does every replica that runs know the arbiter's configuration?
    fn is_known_to_all(&self) -> bool {
        let processes = (0..self.nodes.len()).filter_map(|node| self.host(node)?.process.as_ref());
        processes
            .map(Replica::config)
            .all(|known| known == Some(self.config()))
    }

    fn host(&self, node: usize) -> Option<&Host> {
        match &self.nodes[node].body.machine {
            Machine::Arbiter(_) => None,
            Machine::Replica(host) => Some(host),
        }
    }

    fn name(&self, node: usize) -> &str {
        &self.nodes[node].body.name
    }

    // ---------------------------------------------------------------------------------- what one does first

    /// Lets happen, in order and without delay, what does not need the clock, except what `may` forbids: a message to a
    /// process that it forbids stays under way, and the disk of that process is never done.
    ///
    /// # Panics
    /// If a property does not hold.
    pub fn settle(&mut self, may: impl Fn(usize) -> bool) {
        let mut passed = Vec::new();
        let mut witness = Witness {
            trace: &mut Trace::default(),
            passed: &mut passed,
        };
        self.run(&mut witness, may);
    }

    /// Lets the time pass for `millis`, and settles whenever a timer has fired.
    ///
    /// # Panics
    /// If a property does not hold.
    pub fn wait(&mut self, millis: u64, may: impl Fn(usize) -> bool) {
        let mut passed = Vec::new();
        let mut witness = Witness {
            trace: &mut Trace::default(),
            passed: &mut passed,
        };
        let end = self.now + Duration::from_millis(millis);
        self.run(&mut witness, &may);
        while self.next_due().is_some_and(|due| due <= end) {
            self.fire_next(&mut witness);
            self.run(&mut witness, &may);
        }
        self.now = end;
    }

    /// A move that the budget does not have to allow.
    ///
    /// # Panics
    /// If a property does not hold.
    pub fn force(&mut self, next: Move) {
        self.budget = Budget {
            crashes: 1,
            starts: 1,
            pauses: 1,
            losses: 1,
            duplications: 1,
        };
        let mut passed = Vec::new();
        let mut witness = Witness {
            trace: &mut Trace::default(),
            passed: &mut passed,
        };
        self.take(next, &mut witness)
            .expect("what prepares a scope breaks nothing");
    }

    fn rest_until(&mut self, witness: &mut Witness<'_>, is_there: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            self.run(witness, |_| true);
            if is_there(self) {
                return;
            }
            self.fire_next(witness);
        }
        panic!("the cluster does not come up: {:?}", self.config());
    }

    fn fire_next(&mut self, witness: &mut Witness<'_>) {
        let due = self.next_due();
        let node = (0..self.nodes.len()).find(|node| self.due(*node) == due);
        let node = small(node.expect("there is always a timer"));
        self.take(Move::Fire { node }, witness)
            .expect("in order nothing breaks");
    }

    fn run(&mut self, witness: &mut Witness<'_>, may: impl Fn(usize) -> bool) {
        loop {
            let deliverable = self
                .messages
                .iter()
                .position(|message| may(message.to) && self.is_up(message.to));
            let busy = (0..self.nodes.len())
                .find(|node| may(*node) && (self.has_writes(*node) || self.questions(*node) > 0));
            let next = match (deliverable, busy) {
                (Some(message), _) => Move::Deliver {
                    message: small(message),
                },
                (None, Some(node)) if self.has_writes(node) => Move::Write { node: small(node) },
                (None, Some(node)) => Move::Answer {
                    node: small(node),
                    question: 0,
                },
                (None, None) => return,
            };
            self.take(next, witness).expect("in order nothing breaks");
        }
    }

    // --------------------------------------------------------------------------------------------- a step

    /// Lets a move happen.
    pub(super) fn take(&mut self, next: Move, witness: &mut Witness<'_>) -> Result<(), String> {
        match next {
            Move::Deliver { message } => {
                let taken = self.messages.remove(usize::from(message));
                self.deliver(&taken, witness)
            }
            Move::Duplicate { message } => {
                self.budget.duplications -= 1;
                let taken = Arc::clone(&self.messages[usize::from(message)]);
                self.deliver(&taken, witness)
            }
            Move::Lose { message } => {
                self.budget.losses -= 1;
                let lost = self.messages.remove(usize::from(message));
                let (from, to) = (self.name(lost.from), self.name(lost.to));
                let what = trace::brief(&lost.message);
                witness
                    .trace
                    .note(self.now.0, format_args!("lost: {from} → {to}  {what}"));
                Ok(())
            }
            Move::Write { node } => self.write(usize::from(node), witness),
            Move::Answer { node, question } => {
                let node = usize::from(node);
                let (ticket, query) = self.host_mut(node).questions.remove(usize::from(question));
                let what = format_args!("the disk of {} answers {query:?}", self.name(node));
                witness.trace.note(self.now.0, what);
                match self.host_mut(node).disk.answer(ticket, query) {
                    Some(answer) => self.feed(node, Input::Answered(ticket, answer), witness),
                    None => {
                        self.seal(node);
                        Ok(())
                    }
                }
            }
            Move::Fire { node } => self.fire(usize::from(node), witness),
            Move::Ask { client, node } => self.ask(usize::from(client), usize::from(node), witness),
            Move::Crash {
                node,
                moment,
                falls_back,
            } => {
                let node = usize::from(node);
                self.budget.crashes -= 1;
                let survives = format_args!(
                    "{} crashes; of its writes {moment} survive",
                    self.name(node)
                );
                witness.trace.note(self.now.0, survives);
                let host = self.host_mut(node);
                host.disk.crash_at(usize::from(moment), falls_back);
                let breaches = host.disk.take_breaches();
                self.end(node);
                witness.passed.push(Landmark::Crashed);
                no_breaches(breaches)
            }
            Move::Start { node } => {
                self.budget.starts -= 1;
                self.start(usize::from(node), witness)
            }
            Move::Pause { node } => {
                let node = usize::from(node);
                self.budget.pauses -= 1;
                witness
                    .trace
                    .note(self.now.0, format_args!("{} stands still", self.name(node)));
                self.body_mut(node).is_paused = true;
                self.seal(node);
                Ok(())
            }
            Move::Resume { node } => {
                let node = usize::from(node);
                witness
                    .trace
                    .note(self.now.0, format_args!("{} goes on", self.name(node)));
                self.body_mut(node).is_paused = false;
                self.seal(node);
                Ok(())
            }
        }
    }

    fn deliver(&mut self, taken: &Underway, witness: &mut Witness<'_>) -> Result<(), String> {
        let (from, to) = (self.name(taken.from), self.name(taken.to));
        let what = trace::brief(&taken.message);
        witness
            .trace
            .note(self.now.0, format_args!("arrives: {from} → {to}  {what}"));
        let input = Input::Message {
            from: Address::new(from),
            message: taken.message.clone(),
        };
        self.feed(taken.to, input, witness)
    }

    fn write(&mut self, node: usize, witness: &mut Witness<'_>) -> Result<(), String> {
        let what = format_args!("the disk of {} is done", self.name(node));
        witness.trace.note(self.now.0, what);
        let lies = self.scope.disks_lie;
        let disk = &mut self.host_mut(node).disk;
        let mut reports: Vec<Stimulus> = Vec::new();
        if lies {
            disk.pretend_one(&mut reports);
        } else {
            disk.finish_one(&mut reports);
        }
        no_breaches(disk.take_breaches())?;
        self.seal(node);
        for report in reports {
            self.feed(node, report, witness)?;
        }
        self.apply(node, witness)
    }

    /// What is committed and on the disk is applied at once.
    fn apply(&mut self, node: usize, witness: &mut Witness<'_>) -> Result<(), String> {
        if !self.host(node).is_some_and(|host| host.disk.can_apply()) {
            return Ok(());
        }
        let disk = &mut self.host_mut(node).disk;
        let mut reports: Vec<Stimulus> = Vec::new();
        disk.finish_applies(&mut reports);
        no_breaches(disk.take_breaches())?;
        self.seal(node);
        for report in reports {
            self.feed(node, report, witness)?;
        }
        Ok(())
    }

    fn fire(&mut self, node: usize, witness: &mut Witness<'_>) -> Result<(), String> {
        let Some(due) = self.due(node) else {
            return Err(format!("{} has no timer", self.name(node)));
        };
        self.now = due;
        let mut outbox = Outbox::new();
        let name = self.name(node).to_owned();
        let now = self.now;
        let body = self.body_mut(node);
        match &mut body.machine {
            Machine::Arbiter(arbiter) => {
                let (_, timer) = arbiter.0.timers().next().expect("one is due");
                witness.trace.note(now.0, format_args!("{name}: {timer:?}"));
                arbiter.0.step(now, Input::Timer(timer), &mut outbox);
            }
            Machine::Replica(host) => {
                let process = host.process.as_mut().expect("it has a timer");
                let (_, timer): (_, replica::Timer) = process.timers().next().expect("one is due");
                witness.trace.note(now.0, format_args!("{name}: {timer:?}"));
                process.step(now, Input::Timer(timer), &mut outbox);
                process.check();
            }
        }
        self.carry_out(node, outbox, witness)
    }

    fn ask(&mut self, client: usize, node: usize, witness: &mut Witness<'_>) -> Result<(), String> {
        let scope = Arc::clone(&self.scope);
        let question = self.judge.next_ask(client);
        let Some(question) = question.filter(|next| *next < scope.clients[client].len()) else {
            return Err(format!("client {client} asks nothing"));
        };
        let body = scope.clients[client][question].body.clone();
        Arc::make_mut(&mut self.judge).on_ask(client, node, &body);
        let message = Message::Request(Request {
            client: ClientId(client as u64 + 1),
            id: request_id(question),
            session: Session {
                born: Position::ZERO,
                settled: request_id(question),
            },
            body,
        });
        let from = format!("c{}", client + 1);
        let what = trace::brief(&message);
        witness.trace.note(
            self.now.0,
            format_args!("arrives: {from} → {}  {what}", self.name(node)),
        );
        let input = Input::Message {
            from: Address::new(from),
            message,
        };
        self.feed(node, input, witness)
    }

    fn start(&mut self, node: usize, witness: &mut Witness<'_>) -> Result<(), String> {
        let name = self.name(node).to_owned();
        witness
            .trace
            .note(self.now.0, format_args!("{name} starts"));
        let host = self.host_mut(node);
        let has_run = host.disk.log().end().0 > 0;
        let recovered = host.disk.start(&Limits::default().sessions);
        host.shadow = Shadow::of(&host.disk);
        let options = ReplicaOptions {
            address: Address::new(&name),
            name,
            arbiter: Address::new("a"),
            limits: Limits::default(),
            software: String::new(),
        };
        host.process = Some(Replica::open(options, recovered));
        if has_run {
            witness.passed.push(Landmark::Restarted);
        }
        let disk = &self.host(node).expect("it is a replica").disk;
        check_holdings(&self.judge.ledger, self.config(), disk)?;
        self.feed(node, Input::Start, witness)
    }

    /// The process of a replica is gone. What is under way to it stays so, and may arrive when it has started again.
    fn end(&mut self, node: usize) {
        let host = self.host_mut(node);
        host.process = None;
        host.questions.clear();
        self.body_mut(node).is_paused = false;
        self.seal(node);
        Arc::make_mut(&mut self.judge).on_gone(node);
    }

    /// A process takes an input.
    fn feed(
        &mut self,
        node: usize,
        input: Stimulus,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        let mut outbox = Outbox::new();
        let now = self.now;
        let body = self.body_mut(node);
        match &mut body.machine {
            Machine::Arbiter(arbiter) => arbiter.0.step(now, typed(input), &mut outbox),
            Machine::Replica(host) => {
                if let Input::Persisted(ticket) = input {
                    host.shadow.on_persisted(ticket);
                }
                let Some(process) = &mut host.process else {
                    return Ok(());
                };
                process.step(now, typed(input), &mut outbox);
                process.check();
            }
        }
        self.carry_out(node, outbox, witness)
    }

    /// Carries out what a process wants, in order.
    fn carry_out(
        &mut self,
        node: usize,
        mut outbox: Outbox,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        let mut has_left = false;
        for effect in outbox.drain() {
            match effect {
                Effect::Send { to, message } => self.send(node, &to, message, witness),
                Effect::Persist(ticket, write) => self.persist(node, ticket, write, witness),
                Effect::Apply { entries, sessions } => {
                    let checked = check_applied(&self.judge.ledger, &entries);
                    self.host_mut(node).disk.ask_apply(entries, sessions);
                    checked
                }
                Effect::Query(ticket, query) => {
                    self.host_mut(node).questions.push((ticket, query));
                    Ok(())
                }
                Effect::CloseView(ticket) => {
                    self.host_mut(node).disk.close_view(ticket);
                    Ok(())
                }
                Effect::Retain(position) => {
                    self.host_mut(node).disk.retain(position);
                    Ok(())
                }
                Effect::Complete(..) => Err("only clients complete calls".to_owned()),
                Effect::Notify(event) => {
                    has_left |= event == Event::Left;
                    self.notify(node, &event, witness)
                }
            }
            .map_err(|what| format!("{}: {what}", self.name(node)))?;
        }
        self.seal(node);
        if has_left {
            self.host_mut(node).disk.stop();
            self.end(node);
            return Ok(());
        }
        if node == 0 {
            self.record(witness)
        } else {
            self.apply(node, witness)
        }
    }

    /// The arbiter's disk is done at once: its answers wait for it and may be late as well, which is the same.
    fn record(&mut self, witness: &mut Witness<'_>) -> Result<(), String> {
        let Machine::Arbiter(arbiter) = &mut self.body_mut(0).machine else {
            unreachable!("node 0 is the arbiter");
        };
        let former = arbiter.1.record().config.clone();
        let mut reports: Vec<Stimulus> = Vec::new();
        while arbiter.1.begin() {
            arbiter.1.finish(&mut reports);
        }
        no_breaches(arbiter.1.take_breaches())?;
        self.seal(0);
        let decided = self.config();
        if decided.version != former.version {
            if decided.version < former.version || decided.epoch < former.epoch {
                return Err("the arbiter went back".to_owned());
            }
            witness.passed.extend(Landmark::of_change(&former, decided));
            self.judge.on_decided(&self.evidence())?;
        }
        for report in reports {
            self.feed(0, report, witness)?;
        }
        Ok(())
    }

    fn send(
        &mut self,
        from: usize,
        to: &Address,
        message: Message,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        let receiver = self
            .nodes
            .iter()
            .position(|node| node.body.name == to.as_str());
        let Some(receiver) = receiver else {
            return self.reply(from, to, &message, witness);
        };
        if let Message::Peer(peer) = &message {
            if self.judge.is_past(from, peer.epoch) {
                return Err(format!(
                    "it speaks in epoch {} after a later one",
                    peer.epoch
                ));
            }
            if self.judge.is_news(from, peer.epoch) {
                Arc::make_mut(&mut self.judge).learn(from, peer.epoch);
            }
        }
        let underway = Underway {
            fingerprint: fingerprint::of(&(from, receiver, &message)),
            from,
            to: receiver,
            message,
        };
        let link = || {
            self.messages
                .iter()
                .filter(|other| (other.from, other.to) == (from, receiver))
        };
        let is_lost = !self.is_up(receiver)
            || link().count() >= self.scope.link_messages_max
            // Nobody can tell whether it was sent once or twice.
            || link().any(|other| other.fingerprint == underway.fingerprint);
        let fate = if is_lost {
            Fate::Lost
        } else {
            Fate::Arrives(self.now.0)
        };
        witness.trace.message(
            self.now.0,
            self.name(from),
            self.name(receiver),
            &underway.message,
            fate,
        );
        if !is_lost {
            self.messages.push(Arc::new(underway));
        }
        Ok(())
    }

    fn reply(
        &mut self,
        from: usize,
        to: &Address,
        message: &Message,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        let (Message::Reply(reply), Some(number)) = (message, to.as_str().strip_prefix('c')) else {
            return Err(format!("it sends {message:?} to {to}"));
        };
        let client = number
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_sub(1));
        let client = client.filter(|client| *client < self.scope.clients.len());
        let client = client.ok_or_else(|| format!("it answers {to}"))?;
        let arrives = Fate::Arrives(self.now.0);
        witness
            .trace
            .message(self.now.0, self.name(from), to.as_str(), message, arrives);
        witness.passed.extend(Landmark::of_reply(&reply.body));
        let mut judge = (*self.judge).clone();
        let shadow = &self
            .host(from)
            .expect("only replicas answer clients")
            .shadow;
        judge.on_reply(&self.scope, (client, from), reply, shadow, &self.evidence())?;
        self.judge = Arc::new(judge);
        Ok(())
    }

    fn persist(
        &mut self,
        node: usize,
        ticket: Ticket,
        write: Write,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        witness.trace.persist(self.now.0, self.name(node), &write);
        let judge = Arc::clone(&self.judge);
        let config = self.config().clone();
        match &mut self.body_mut(node).machine {
            Machine::Arbiter(arbiter) => arbiter.1.ask(ticket, write),
            Machine::Replica(host) => {
                if host.disk.is_new(ticket) {
                    host.shadow.follow(ticket, &write);
                    check_write(&judge.ledger, &config, &host.disk, &host.shadow, &write)?;
                }
                // It draws only when it swallows requests.
                let mut rng = ChaCha8Rng::from_seed([0; 32]);
                host.disk.ask(ticket, write, &mut rng);
            }
        }
        Ok(())
    }

    fn notify(
        &mut self,
        node: usize,
        event: &Event,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        witness.trace.event(self.now.0, self.name(node), event);
        witness.passed.extend(Landmark::of_event(event));
        match event {
            Event::Committed(position) => {
                let mut judge = (*self.judge).clone();
                let shadow = &self.host(node).expect("only replicas commit").shadow;
                judge.ledger.advance(shadow, *position)?;
                self.judge = Arc::new(judge);
                Ok(())
            }
            Event::JoinRefused(refusal) => Err(format!("it was refused: {refusal}")),
            _ => Ok(()),
        }
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            config: self.config(),
            disks: (0..self.nodes.len())
                .filter_map(|node| self.disk(node))
                .collect(),
        }
    }

    // ----------------------------------------------------------------------------- what worlds do not share

    fn body_mut(&mut self, node: usize) -> &mut Body {
        &mut Arc::make_mut(&mut self.nodes[node]).body
    }

    fn host_mut(&mut self, node: usize) -> &mut Host {
        match &mut self.body_mut(node).machine {
            Machine::Arbiter(_) => unreachable!("the arbiter is no replica"),
            Machine::Replica(host) => host,
        }
    }

    /// Takes the fingerprint of a process that has changed.
    fn seal(&mut self, node: usize) {
        Arc::make_mut(&mut self.nodes[node]).seal();
    }
}

impl Node {
    fn new(name: String, machine: Machine) -> Self {
        let mut node = Self {
            body: Body {
                name,
                is_paused: false,
                machine,
            },
            fingerprint: 0,
        };
        node.seal();
        node
    }

    fn seal(&mut self) {
        self.fingerprint = fingerprint::of(&self.body);
    }
}

fn no_breaches(breaches: Vec<String>) -> Result<(), String> {
    match breaches.first() {
        Some(breach) => Err(format!("storage is not used as documented: {breach}")),
        None => Ok(()),
    }
}
