//! What follows from a step of a process: its effects, carried out in order and judged.

use std::sync::Arc;

use lockstep_core::config::Address;
use lockstep_core::event::Event;
use lockstep_core::message::Message;
use lockstep_core::process::{Effect, Input, Now, Outbox, Process};
use lockstep_core::storage::desk::{BulkRequest, Desk, DeskError, Handed};
use lockstep_core::storage::scheduler::Report;
use lockstep_core::storage::{Save, Ticket};
use lockstep_core::{arbiter, replica};

use super::super::Landmark;
use super::super::fingerprint;
use super::super::judge::Evidence;
use super::node::{Machine, Question};
use super::{Underway, Witness, World};
use crate::disk::{Disk, Drive};
use crate::invariants::{check_applied, check_save};
use crate::network::Fate;

impl World {
    /// A process takes an input.
    pub(super) fn feed(
        &mut self,
        node: usize,
        input: Input<replica::Timer>,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        let mut outbox = Outbox::new();
        let now = self.now;
        let Machine::Replica(host) = &mut self.body_mut(node).machine else {
            unreachable!("node {node} is no replica");
        };
        if let Input::Persisted(ticket) = input {
            host.shadow.on_persisted(ticket);
        }
        let Some(process) = &mut host.process else {
            return Ok(());
        };
        let now = Now::new(now, Some(host.disk.engine()));
        process.step(now, input, &mut outbox);
        process.settle(now, &mut outbox);
        process.check();
        self.carry_out(node, outbox, witness)
    }

    /// The arbiter takes an input.
    pub(super) fn feed_arbiter(
        &mut self,
        input: Input<arbiter::Timer>,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        let mut outbox = Outbox::new();
        let now = self.now;
        let process = &mut self.office_mut().process;
        process.step(now.into(), input, &mut outbox);
        process.settle(now.into(), &mut outbox);
        self.carry_out(0, outbox, witness)
    }

    /// A message arrives.
    pub(super) fn hear(
        &mut self,
        node: usize,
        from: Address,
        message: Message,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        match node {
            0 => self.feed_arbiter(Input::Message { from, message }, witness),
            _ => self.feed(node, Input::Message { from, message }, witness),
        }
    }

    /// The disk of a replica reports.
    pub(super) fn report(
        &mut self,
        node: usize,
        report: Report,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        match report {
            Report::Persisted(tickets) => {
                for ticket in tickets {
                    self.desk(node, |desk, disk, handed| {
                        desk.on_persisted(Some(disk.engine()), ticket, handed)
                    })?;
                    self.feed(node, Input::Persisted(ticket), witness)?;
                    self.tell_done(node, witness)?;
                }
                Ok(())
            }
            Report::Full => self.feed(node, Input::DiskFull, witness),
            Report::Room => self.feed(node, Input::DiskRoom, witness),
            Report::Applied(position) => {
                self.host_mut(node).desk.on_applied(position);
                self.feed(node, Input::Applied(position), witness)
            }
            Report::Trimmed(position) => self.feed(node, Input::Trimmed(position), witness),
            Report::Answered(answers) => {
                for (ticket, answer) in answers {
                    self.feed(node, Input::Answered(ticket, answer), witness)?;
                }
                Ok(())
            }
        }
    }

    /// Has the replica's side of its disk do something, and hands on what comes of it.
    fn desk(
        &mut self,
        node: usize,
        act: impl FnOnce(&mut Desk, &Disk, &mut Vec<Handed>) -> Result<(), DeskError>,
    ) -> Result<(), String> {
        let mut handed = Vec::new();
        let host = self.host_mut(node);
        act(&mut host.desk, &host.disk, &mut handed).map_err(|error| error.to_string())?;
        for handed in handed {
            match handed {
                Handed::Scheduler(told) => host.disk.tell(told),
                Handed::Get(ticket, key) => host.questions.push(Question::Get(ticket, key)),
                Handed::Bulk(BulkRequest::CloseView { view }) => {
                    let closed = host.disk.answer(BulkRequest::CloseView { view });
                    closed.map_err(|error| error.to_string())?;
                }
                Handed::Bulk(request) => host.questions.push(Question::Bulk(request)),
            }
        }
        Ok(())
    }

    /// Tells a replica what its disk has done at once.
    fn tell_done(&mut self, node: usize, witness: &mut Witness<'_>) -> Result<(), String> {
        match self.host_mut(node).desk.take_applied() {
            Some(position) => self.feed(node, Input::Applied(position), witness),
            None => Ok(()),
        }
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
                Effect::Persist(ticket, save) => self.persist(node, ticket, save, witness),
                Effect::Apply(committed) => check_applied(&self.judge.ledger, &committed.entries)
                    .and_then(|()| {
                        self.desk(node, |desk, disk, handed| {
                            desk.apply(Some(disk.engine()), committed, handed)
                        })
                    }),
                Effect::Query(ticket, query) => {
                    self.desk(node, |desk, _, handed| desk.query(ticket, query, handed))
                }
                Effect::MeasureUsage => Err("nobody asks for its status".to_owned()),
                Effect::CloseView(view) => self.desk(node, |desk, _, handed| {
                    desk.close_view(view, handed);
                    Ok(())
                }),
                Effect::Retain(position) => self.desk(node, |desk, _, handed| {
                    desk.retain(position, handed);
                    Ok(())
                }),
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
            let now = self.now;
            let stopped = self.host_mut(node).disk.stop(now);
            self.end(node);
            return stopped.map_err(|error| error.to_string());
        }
        if node == 0 {
            self.record(witness)
        } else {
            self.tell_done(node, witness)
        }
    }

    /// The arbiter's disk is done at once: its answers wait for it and may be late as well, which is the same.
    fn record(&mut self, witness: &mut Witness<'_>) -> Result<(), String> {
        let now = self.now;
        let former = self.config().clone();
        let office = self.office_mut();
        let reports = office
            .disk
            .save_all(now)
            .map_err(|error| error.to_string())?;
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
            if let Report::Persisted(tickets) = report {
                for ticket in tickets {
                    self.feed_arbiter(Input::Persisted(ticket), witness)?;
                }
            }
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
        save: Save,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        witness.trace.persist(self.now.0, self.name(node), &save);
        let judge = Arc::clone(&self.judge);
        let config = self.config().clone();
        match &mut self.body_mut(node).machine {
            Machine::Arbiter(office) => {
                let mut handed = Vec::new();
                let persisted = office.desk.persist(ticket, save, &mut handed);
                persisted.map_err(|error| error.to_string())?;
                for handed in handed {
                    if let Handed::Scheduler(told) = handed {
                        office.disk.tell(told);
                    }
                }
                Ok(())
            }
            Machine::Replica(host) => {
                if !host.desk.knows(ticket) {
                    host.shadow.follow(ticket, &save);
                    check_save(&judge.ledger, &config, &host.disk, &host.shadow, &save)?;
                }
                self.desk(node, |desk, _, handed| desk.persist(ticket, save, handed))
            }
        }
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
