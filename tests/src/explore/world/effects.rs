//! What follows from a step of a process: its effects, carried out in order and judged.

use std::sync::Arc;

use lockstep_core::config::Address;
use lockstep_core::event::Event;
use lockstep_core::message::Message;
use lockstep_core::process::{Effect, Input, Outbox, Process};
use lockstep_core::storage::{Ticket, Write};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::super::Landmark;
use super::super::fingerprint;
use super::super::judge::Evidence;
use super::node::Machine;
use super::{Underway, Witness, World, no_breaches};
use crate::cluster::{Stimulus, typed};
use crate::invariants::{check_applied, check_write};
use crate::network::Fate;

impl World {
    /// A process takes an input.
    pub(super) fn feed(
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
    pub(super) fn carry_out(
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
        witness
            .passed
            .extend(Landmark::of_reply(self.role(from), &reply.body));
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
}
