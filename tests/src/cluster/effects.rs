//! Carries out what processes want, and delivers what comes of it: frames, disk work, answers.

use lockstep_core::config::Address;
use lockstep_core::event::Event;
use lockstep_core::message::Message;
use lockstep_core::process::{Effect, Input};
use lockstep_core::storage::{Query, Ticket, Write};
use lockstep_core::wire;
use rand::Rng;

use super::{Cluster, MS, Plan, Role, Stimulus};
use crate::disk::Disk;
use crate::faults::{Fault, Path};
use crate::invariants::Fact;
use crate::network::Fate;

impl Cluster {
    pub(super) fn take_effect(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::Send { to, message } => self.send(index, &to, &message),
            Effect::Persist(ticket, write) => self.persist(index, ticket, write),
            Effect::Apply { entries, sessions } => {
                self.tell(&Fact::Apply {
                    node: index,
                    entries: &entries,
                });
                let Role::Replica(disk, _) = &mut self.nodes[index].role else {
                    return self.violate("storage", "only replicas apply".to_owned());
                };
                disk.ask_apply(entries, sessions);
                self.plan_applied(index);
            }
            Effect::Query(ticket, query) => {
                // Half the time is for the question to get there, half for the answer to come back.
                let latency = self.rng.random_range(self.options.read_latency.clone());
                let at = self.now + latency / 2;
                let start = self.nodes[index].starts;
                self.plan(
                    at,
                    Plan::Answer {
                        node: index,
                        start,
                        ticket,
                        query,
                        way_back: latency - latency / 2,
                    },
                );
            }
            Effect::CloseView(ticket) => {
                if let Role::Replica(disk, _) = &mut self.nodes[index].role {
                    disk.close_view(ticket);
                }
            }
            Effect::Retain(position) => {
                if let Role::Replica(disk, _) = &mut self.nodes[index].role {
                    disk.retain(position);
                }
            }
            Effect::Complete(call, outcome) => {
                self.tell(&Fact::Completed {
                    node: index,
                    call,
                    outcome: &outcome,
                });
                self.trace
                    .complete(self.now, &self.nodes[index].name, &outcome);
                if let Err(what) = self.history.end(call, outcome, self.now) {
                    self.violate("one outcome per call", what);
                }
            }
            Effect::Notify(event) => self.notify(index, &event),
        }
    }

    fn notify(&mut self, index: usize, event: &Event) {
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
        match event {
            Event::Left => self.nodes[index].has_left = true,
            Event::JoinRefused(refusal) => {
                let what = format!("{} was refused: {refusal}", self.nodes[index].name);
                self.violate("replicas are let in", what);
            }
            _ => {}
        }
    }

    // ------------------------------------------------------------------------------------------ messages

    pub(super) fn send(&mut self, from: usize, to: &Address, message: &Message) {
        self.tell(&Fact::Sent {
            node: from,
            to,
            message,
        });
        let Some(&index) = self.addresses.get(to) else {
            let what = format!("{} sends to {to}", self.nodes[from].name);
            return self.violate("messages go to known nodes", what);
        };
        let frame = wire::encode(wire::GroupId::default(), message);
        let fate = self.fate(from, index);
        let fate = self.keep(from, index, message, &frame, fate);
        self.trace.message(
            self.now,
            &self.nodes[from].name,
            &self.nodes[index].name,
            message,
            fate,
        );
        let arrivals = match fate {
            Fate::Arrives(at) => [Some(at), None],
            Fate::Overtaken(at) => {
                self.counts.fault(Fault::Reordering);
                [Some(at), None]
            }
            Fate::Twice(first, second) => {
                self.counts.fault(Fault::Duplication);
                [Some(first), Some(second)]
            }
            Fate::Echoed(first, second) => {
                self.counts.fault(Fault::Echo);
                [Some(first), Some(second)]
            }
            Fate::Lost => {
                self.counts.fault(Fault::Loss);
                [None, None]
            }
            Fate::Held | Fate::Cut => [None, None],
        };
        for at in arrivals.into_iter().flatten() {
            let frame = frame.clone();
            self.plan(
                at,
                Plan::Arrive {
                    from,
                    to: index,
                    frame,
                },
            );
        }
    }

    pub(super) fn arrive(&mut self, from: usize, to: usize, frame: &[u8]) {
        if !self.nodes[to].is_up() {
            return;
        }
        match wire::decode(frame) {
            Ok((_, message)) => {
                let from = self.nodes[from].address.clone();
                self.deliver(to, Input::Message { from, message });
            }
            Err(error) => self.violate("messages survive the codec", error.to_string()),
        }
    }

    // ---------------------------------------------------------------------------------------------- disk

    fn persist(&mut self, index: usize, ticket: Ticket, write: Write) {
        self.trace
            .persist(self.now, &self.nodes[index].name, &write);
        let is_new = match &mut self.nodes[index].role {
            Role::Arbiter(disk) => {
                disk.ask(ticket, write);
                None
            }
            Role::Replica(disk, shadow) => {
                let is_new = disk.is_new(ticket);
                if is_new {
                    shadow.follow(ticket, &write);
                }
                disk.ask(ticket, write.clone(), &mut self.rng);
                is_new.then_some(write)
            }
            Role::Client => {
                return self.violate("storage", "clients have no disk".to_owned());
            }
        };
        if let Some(write) = is_new {
            self.tell(&Fact::Persist {
                node: index,
                write: &write,
            });
        }
        self.begin_writing(index);
    }

    pub(super) fn begin_writing(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let begun = match &mut node.role {
            Role::Arbiter(disk) => disk.begin(),
            Role::Replica(disk, _) => disk.begin(),
            Role::Client => false,
        };
        if begun {
            let start = node.starts;
            let latency = self.rng.random_range(self.options.disk_latency.clone());
            self.plan(self.now + latency, Plan::Written { node: index, start });
        }
    }

    /// The disk is done with something; is that still of interest, and not to wait until it hangs no more?
    fn is_due(&self, index: usize, start: u64) -> Option<Result<(), u64>> {
        let node = &self.nodes[index];
        if node.starts != start || !node.is_up() {
            return None;
        }
        Some(if node.hung_until > self.now {
            // Looked at again soon: all faults may end before this one would.
            Err(node.hung_until.min(self.now + 20 * MS))
        } else {
            Ok(())
        })
    }

    pub(super) fn written(&mut self, index: usize, start: u64) {
        match self.is_due(index, start) {
            None => return,
            Some(Err(later)) => {
                return self.plan(later, Plan::Written { node: index, start });
            }
            Some(Ok(())) => {}
        }
        let mut reports: Vec<Stimulus> = Vec::new();
        self.nodes[index].syncs += 1;
        let former = self.config().version;
        let breaches = match &mut self.nodes[index].role {
            Role::Arbiter(disk) => {
                disk.finish(&mut reports);
                disk.take_breaches()
            }
            Role::Replica(disk, _) => {
                disk.finish(&mut reports);
                disk.take_breaches()
            }
            Role::Client => Vec::new(),
        };
        self.report_breaches(index, breaches);
        if self.config().version != former {
            self.tell(&Fact::Decided);
        }
        for report in reports {
            self.deliver(index, report);
        }
        self.begin_writing(index);
        self.plan_applied(index);
    }

    fn plan_applied(&mut self, index: usize) {
        let node = &self.nodes[index];
        if !node.is_applying && node.disk().is_some_and(Disk::can_apply) {
            self.nodes[index].is_applying = true;
            let start = self.nodes[index].starts;
            let latency = self.rng.random_range(self.options.read_latency.clone());
            self.plan(self.now + latency, Plan::Applied { node: index, start });
        }
    }

    pub(super) fn applied(&mut self, index: usize, start: u64) {
        match self.is_due(index, start) {
            None => return,
            Some(Err(later)) => {
                return self.plan(later, Plan::Applied { node: index, start });
            }
            Some(Ok(())) => {}
        }
        let saves = self.rng.random_bool(self.options.checkpoints);
        let mut reports: Vec<Stimulus> = Vec::new();
        self.nodes[index].is_applying = false;
        let Role::Replica(disk, _) = &mut self.nodes[index].role else {
            return;
        };
        disk.finish_applies(&mut reports);
        if saves && let Some(start) = disk.checkpoint() {
            self.counts.path(Path::Trimmed);
            reports.push(Input::Trimmed(start));
        }
        let breaches = disk.take_breaches();
        self.report_breaches(index, breaches);
        for report in reports {
            self.deliver(index, report);
        }
        self.plan_applied(index);
    }

    /// The disk answers as of now; the process hears of it a little later, perhaps after what happened in between.
    pub(super) fn answer(
        &mut self,
        index: usize,
        start: u64,
        ticket: Ticket,
        query: Query,
        way_back: u64,
    ) {
        match self.is_due(index, start) {
            None => return,
            Some(Err(later)) => {
                let plan = Plan::Answer {
                    node: index,
                    start,
                    ticket,
                    query,
                    way_back,
                };
                return self.plan(later, plan);
            }
            Some(Ok(())) => {}
        }
        let Role::Replica(disk, _) = &mut self.nodes[index].role else {
            return self.violate("storage", "only replicas ask their disk".to_owned());
        };
        if let Some(answer) = disk.answer(ticket, query) {
            let stimulus = Input::Answered(ticket, answer);
            let plan = Plan::Deliver {
                node: index,
                start,
                stimulus,
            };
            self.plan(self.now + way_back, plan);
        }
    }

    fn report_breaches(&mut self, index: usize, breaches: Vec<String>) {
        for breach in breaches {
            let what = format!("{}: {breach}", self.nodes[index].name);
            self.violate("storage is used as documented", what);
        }
    }
}
