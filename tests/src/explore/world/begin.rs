//! How a world is brought to where an exploration begins: in order and without delay, save what a scope holds up.

use std::sync::Arc;
use std::time::Duration;

use lockstep_core::arbiter::{self, ArbiterOptions, offline};
use lockstep_core::config::{Address, ArbiterId, ClusterId, NodeId};
use lockstep_core::process::Input;
use lockstep_core::time::Instant;

use super::super::judge::Judge;
use super::super::moves::{Move, small};
use super::super::scope::{Budget, Scope};
use super::node::Node;
use super::{ARBITER, Underway, Witness, World};
use crate::trace::Trace;

impl World {
    /// The world in which a scope begins.
    ///
    /// # Panics
    /// If it cannot be brought there: then nothing works.
    pub fn new(scope: &Scope, trace: &mut Trace) -> Self {
        let mut record = arbiter::first_record(ClusterId(0xc1), 1);
        let place = ArbiterOptions::alone(ARBITER, Address::new(ARBITER)).place;
        record.config.arbiters.insert(ArbiterId(1), place);
        let keeper = offline::found(ArbiterId(1), record);
        let mut nodes = vec![Arc::new(Node::arbiter(ARBITER, keeper))];
        for number in 1..=scope.replicas() {
            let id = NodeId(0xa0 + number as u64);
            let name = format!("r{number}");
            trace.name(id, &name);
            nodes.push(Arc::new(Node::replica(&name, id)));
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
            .feed_arbiter(Input::Start, &mut witness)
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
        // Until everybody holds a lease and has just asked for the configuration, so that little is due soon.
        world.wait(510, |_| true);
        world.scope = Arc::new(scope.clone());
        (scope.prepare)(&mut world);
        world.horizon = world.now + scope.horizon;
        world.budget = scope.budget;
        world
    }

    /// Lets happen, in order and without delay, what does not need the clock, except what `may` forbids: a message to a
    /// process that it forbids stays under way, and the disk of that process is never done.
    ///
    /// # Panics
    /// If a property does not hold.
    pub fn settle(&mut self, may: impl Fn(usize) -> bool) {
        self.quietly(|world, witness| world.run_at(witness, &may));
    }

    /// The same, except that messages that `is_held` stay under way.
    ///
    /// # Panics
    /// If a property does not hold.
    pub fn settle_without(&mut self, is_held: impl Fn(&Underway) -> bool) {
        self.quietly(|world, witness| world.run(witness, |message| !is_held(message), |_| true));
    }

    /// Lets the time pass for `millis`, and settles whenever a timer has fired.
    ///
    /// # Panics
    /// If a property does not hold.
    pub fn wait(&mut self, millis: u64, may: impl Fn(usize) -> bool) {
        let end = self.now + Duration::from_millis(millis);
        self.quietly(|world, witness| {
            world.run_at(witness, &may);
            while world.next_due().is_some_and(|due| due <= end) {
                world.fire_next(witness);
                world.run_at(witness, &may);
            }
        });
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
        self.quietly(|world, witness| {
            world
                .take(next, witness)
                .expect("what prepares a scope breaks nothing");
        });
    }

    fn quietly(&mut self, act: impl FnOnce(&mut Self, &mut Witness<'_>)) {
        let mut witness = Witness {
            trace: &mut Trace::default(),
            passed: &mut Vec::new(),
        };
        act(self, &mut witness);
    }

    fn rest_until(&mut self, witness: &mut Witness<'_>, is_there: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            self.run_at(witness, &|_| true);
            if is_there(self) {
                return;
            }
            self.fire_next(witness);
        }
        panic!("the cluster does not come up: {:?}", self.config());
    }

    fn fire_next(&mut self, witness: &mut Witness<'_>) {
        let due = self.next_due();
        let node =
            (0..self.nodes.len()).find(|node| !self.is_paused(*node) && self.due(*node) == due);
        let node = small(node.expect("there is always a timer"));
        self.take(Move::Fire { node }, witness)
            .expect("in order nothing breaks");
    }

    fn run_at(&mut self, witness: &mut Witness<'_>, may: &impl Fn(usize) -> bool) {
        self.run(witness, |message| may(message.to), may);
    }

    /// What is due first, then disks: a replica hears the primary only once it has entered its configuration.
    fn run(
        &mut self,
        witness: &mut Witness<'_>,
        may_arrive: impl Fn(&Underway) -> bool,
        may_write: impl Fn(usize) -> bool,
    ) {
        loop {
            let takes_input = |node| self.is_up(node) && !self.is_paused(node);
            let is_due = |node: &usize| self.due(*node).is_some_and(|due| due <= self.now);
            let due = (0..self.nodes.len()).find(|node| takes_input(*node) && is_due(node));
            let is_busy = |node| self.has_writes(node) || self.questions(node) > 0;
            let busy = (0..self.nodes.len())
                .find(|node| may_write(*node) && takes_input(*node) && is_busy(*node));
            let deliverable = self
                .messages
                .iter()
                .position(|message| may_arrive(message) && takes_input(message.to));
            let next = match (due, busy, deliverable) {
                (Some(node), _, _) => Move::Fire { node: small(node) },
                (None, Some(node), _) if self.has_writes(node) => Move::Write { node: small(node) },
                (None, Some(node), _) => Move::Answer {
                    node: small(node),
                    question: 0,
                },
                (None, None, Some(message)) => Move::Deliver {
                    message: small(message),
                },
                (None, None, None) => return,
            };
            self.take(next, witness).expect("in order nothing breaks");
        }
    }
}
