//! The state that is explored: processes, disks, messages under way, the time, and what was promised.

mod begin;
mod effects;
mod node;
mod step;

use std::sync::Arc;

use lockstep_core::config::Config;
use lockstep_core::message::{Message, RoleName};
use lockstep_core::process::Process;
use lockstep_core::replica::Replica;
use lockstep_core::time::Instant;

use self::node::{Body, Host, Machine, Node, Office};
use super::Landmark;
use super::fingerprint;
use super::judge::Judge;
use super::scope::{Budget, Scope};
use crate::disk::Disk;
use crate::trace::Trace;

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
/// What a step works with besides the world.
pub(super) struct Witness<'a> {
    pub(super) trace: &'a mut Trace,
    pub(super) passed: &'a mut Vec<Landmark>,
}

/// The name of node 0.
const ARBITER: &str = "a";

impl World {
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

    /// What a replica takes itself for, if it runs.
    pub fn role(&self, node: usize) -> Option<RoleName> {
        let process = self.host(node)?.process.as_ref()?;
        Some(process.role())
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
            Machine::Arbiter(office) => {
                let held = office
                    .disk
                    .keeper()
                    .held()
                    .expect("it begins with a record");
                &held.value.config
            }
            Machine::Replica(_) => unreachable!("node 0 is the arbiter"),
        }
    }

    /// Is there a write that the disk is not done with?
    pub fn has_writes(&self, node: usize) -> bool {
        self.host(node).is_some_and(|host| host.disk.is_busy())
    }

    /// Questions that the disk has not answered.
    pub fn questions(&self, node: usize) -> usize {
        self.host(node).map_or(0, |host| host.questions.len())
    }

    /// When the next timer of a process is due: now, if it was due earlier.
    pub fn due(&self, node: usize) -> Option<Instant> {
        let next = match &self.nodes[node].body.machine {
            Machine::Arbiter(office) => office.process.timers().next().map(|next| next.0),
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

    fn office_mut(&mut self) -> &mut Office {
        match &mut self.body_mut(0).machine {
            Machine::Arbiter(office) => office,
            Machine::Replica(_) => unreachable!("node 0 is the arbiter"),
        }
    }

    /// Takes the fingerprint of a process that has changed.
    fn seal(&mut self, node: usize) {
        Arc::make_mut(&mut self.nodes[node]).seal();
    }
}
