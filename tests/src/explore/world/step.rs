//! A move happens: a message arrives, a disk is done, a timer fires, a client asks, a process comes, goes or stands still.

use std::sync::Arc;

use lockstep_core::config::{Address, Position};
use lockstep_core::message::{Message, Request};
use lockstep_core::operation::{ClientId, Origin};
use lockstep_core::process::{Input, Process};

use super::super::Landmark;
use super::super::judge::request_id;
use super::super::moves::Move;
use super::node::Machine;
use super::node::Question;
use super::{ARBITER, Underway, Witness, World};
use crate::invariants::check_holdings;
use crate::trace;

impl World {
    /// Lets a move happen.
    pub(in super::super) fn take(
        &mut self,
        next: Move,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
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
                self.lose(usize::from(message), witness);
                Ok(())
            }
            Move::Write { node } => self.write(usize::from(node), witness),
            Move::Answer { node, question } => {
                self.answer(usize::from(node), usize::from(question), witness)
            }
            Move::Fire { node } => self.fire(usize::from(node), witness),
            Move::Ask { client, node } => self.ask(usize::from(client), usize::from(node), witness),
            Move::Crash {
                node,
                moment,
                falls_back,
            } => {
                self.budget.crashes -= 1;
                let node = usize::from(node);
                self.crash(node, usize::from(moment), falls_back, witness)
            }
            Move::Start { node } => {
                self.budget.starts -= 1;
                self.start(usize::from(node), witness)
            }
            Move::Pause { node } => {
                self.budget.pauses -= 1;
                self.note(witness, usize::from(node), "stands still");
                self.set_paused(usize::from(node), true);
                Ok(())
            }
            Move::Resume { node } => {
                self.note(witness, usize::from(node), "goes on");
                self.set_paused(usize::from(node), false);
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
        let from = Address::new(from);
        self.hear(taken.to, from, taken.message.clone(), witness)
    }

    /// A message is lost.
    fn lose(&mut self, message: usize, witness: &mut Witness<'_>) {
        let lost = self.messages.remove(message);
        let (from, to) = (self.name(lost.from), self.name(lost.to));
        let what = trace::brief(&lost.message);
        witness
            .trace
            .note(self.now.0, format_args!("lost: {from} → {to}  {what}"));
    }

    /// The disk answers a question.
    fn answer(
        &mut self,
        node: usize,
        question: usize,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        let question = self.host_mut(node).questions.remove(question);
        let what = format_args!("the disk of {} answers {question:?}", self.name(node));
        witness.trace.note(self.now.0, what);
        let disk = &mut self.host_mut(node).disk;
        let answer = match question {
            Question::Get(ticket, key) => disk.get(&key).map(|answer| Some((ticket, answer))),
            Question::Bulk(request) => disk.answer(request),
        };
        match answer.map_err(|error| error.to_string())? {
            Some((ticket, answer)) => self.feed(node, Input::Answered(ticket, answer), witness),
            None => {
                self.seal(node);
                Ok(())
            }
        }
    }

    fn write(&mut self, node: usize, witness: &mut Witness<'_>) -> Result<(), String> {
        let what = format_args!("the disk of {} is done", self.name(node));
        witness.trace.note(self.now.0, what);
        let (now, lies) = (self.now, self.scope.disks_lie);
        let disk = &mut self.host_mut(node).disk;
        disk.lie(lies);
        let reports = disk.save_some(now).map_err(|error| error.to_string())?;
        self.seal(node);
        for report in reports {
            self.report(node, report, witness)?;
        }
        Ok(())
    }

    fn fire(&mut self, node: usize, witness: &mut Witness<'_>) -> Result<(), String> {
        let Some(due) = self.due(node) else {
            return Err(format!("{} has no timer", self.name(node)));
        };
        self.now = due;
        let (now, name) = (self.now, self.name(node).to_owned());
        match &self.nodes[node].body.machine {
            Machine::Arbiter(office) => {
                let (_, timer) = office.process.timers().next().expect("one is due");
                witness.trace.note(now.0, format_args!("{name}: {timer:?}"));
                self.feed_arbiter(Input::Timer(timer), witness)
            }
            Machine::Replica(host) => {
                let process = host.process.as_ref().expect("it has a timer");
                let (_, timer) = process.timers().next().expect("one is due");
                witness.trace.note(now.0, format_args!("{name}: {timer:?}"));
                self.feed(node, Input::Timer(timer), witness)
            }
        }
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
            origin: Origin {
                client: ClientId(client as u64 + 1),
                id: request_id(question),
                born: Position::ZERO,
                settled: request_id(question),
            },
            body,
            attempt: Default::default(),
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
        self.note(witness, node, "starts");
        let (name, now) = (self.name(node).to_owned(), self.now);
        let host = self.host_mut(node);
        let has_run = host.disk.log().end().0 > 0;
        host.start(now, &name, ARBITER)?;
        if has_run {
            witness.passed.push(Landmark::Restarted);
        }
        let disk = &self.host(node).expect("it is a replica").disk;
        check_holdings(&self.judge.ledger, self.config(), disk)?;
        self.feed(node, Input::Start, witness)
    }

    /// A replica loses power. So much of what waited for its disk is on it.
    fn crash(
        &mut self,
        node: usize,
        moment: usize,
        falls_back: bool,
        witness: &mut Witness<'_>,
    ) -> Result<(), String> {
        let survives = format_args!(
            "{} crashes; of its writes {moment} survive",
            self.name(node)
        );
        witness.trace.note(self.now.0, survives);
        let now = self.now;
        self.host_mut(node).disk.crash_at(now, moment, falls_back);
        self.end(node);
        witness.passed.push(Landmark::Crashed);
        Ok(())
    }

    fn set_paused(&mut self, node: usize, is_paused: bool) {
        self.body_mut(node).is_paused = is_paused;
        self.seal(node);
    }

    fn note(&self, witness: &mut Witness<'_>, node: usize, what: &str) {
        let what = format_args!("{} {what}", self.name(node));
        witness.trace.note(self.now.0, what);
    }

    /// The process of a replica is gone. What is under way to it stays so, and may arrive when it has started again.
    pub(super) fn end(&mut self, node: usize) {
        let host = self.host_mut(node);
        host.process = None;
        host.questions.clear();
        self.body_mut(node).is_paused = false;
        self.seal(node);
        Arc::make_mut(&mut self.judge).on_gone(node);
    }
}
