//! What surrounds the host of a simulated process during a round: its clock, its state, and the invariants, which are shown
//! everything it takes in and everything it wants.

use std::fmt::Debug;

use lockstep_core::engine::Engine;
use lockstep_core::event::Event;
use lockstep_core::host::Surroundings;
use lockstep_core::message::Usage;
use lockstep_core::process::{Effect, Input};
use lockstep_core::storage::{Save, Ticket};
use lockstep_core::time::Instant;

use super::{Cluster, Role};
use crate::invariants::Fact;

/// The surroundings of the process of one node.
pub(super) struct Around<'a> {
    pub(super) cluster: &'a mut Cluster,
    pub(super) node: usize,
    /// What its clock shows.
    pub(super) local: Instant,
}

impl<T: Debug> Surroundings<T> for Around<'_> {
    fn now(&mut self) -> Instant {
        self.local
    }

    fn usage(&mut self) -> Usage {
        Usage::default()
    }

    fn engine(&self) -> Option<&dyn Engine> {
        let disk = self.cluster.nodes[self.node].disk()?;
        Some(disk.engine())
    }

    fn on_input(&mut self, input: &Input<T>) {
        match input {
            Input::Message { from, message } => self.cluster.tell(&Fact::Received {
                node: self.node,
                from,
                message,
            }),
            Input::Persisted(ticket) => {
                if let Role::Replica(_, shadow) = &mut self.cluster.nodes[self.node].role {
                    shadow.on_persisted(*ticket);
                }
            }
            _ => {}
        }
    }

    fn on_effect(&mut self, effect: &Effect) {
        let (cluster, node) = (&mut *self.cluster, self.node);
        match effect {
            Effect::Send { to, message } => cluster.tell(&Fact::Sent { node, to, message }),
            Effect::Persist(ticket, save) => cluster.on_persist(node, *ticket, save),
            Effect::Apply(committed) => cluster.tell(&Fact::Apply {
                node,
                entries: &committed.entries,
            }),
            Effect::Complete(call, outcome) => cluster.on_complete(node, *call, outcome),
            Effect::Notify(event) => cluster.on_event(node, event),
            Effect::Query(..) | Effect::MeasureUsage | Effect::CloseView(_) | Effect::Retain(_) => {
            }
        }
    }
}

impl Cluster {
    fn on_persist(&mut self, index: usize, ticket: Ticket, save: &Save) {
        let node = &mut self.nodes[index];
        self.trace.persist(self.now, &node.name, save);
        if node.asked.is_some_and(|asked| ticket <= asked) {
            return;
        }
        node.asked = Some(ticket);
        if let Role::Replica(_, shadow) = &mut node.role {
            shadow.follow(ticket, save);
            self.tell(&Fact::Persist { node: index, save });
        }
    }

    fn on_event(&mut self, index: usize, event: &Event) {
        self.trace.event(self.now, &self.nodes[index].name, event);
        if let Event::Committed(position) = event {
            let shadow = self.nodes[index].shadow();
            let advanced = match shadow {
                Some(shadow) => self.ledger.advance(shadow, *position),
                None => Ok(()),
            };
            if let Err(what) = advanced {
                let name = &self.nodes[index].name;
                let what = format!("{name}: {what}");
                self.violate("committed entries are identical for ever", what);
            }
        }
        self.tell(&Fact::Event { node: index, event });
    }
}
