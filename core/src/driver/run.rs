//! The loop: takes what has arrived, steps the process, and carries out what it wants, once a round.
//!
//! The clock is read for each step, after its input was taken from its queue (PROTOCOL section 5). In a round, arrivals
//! are stepped before due timers, so that a process that was held up does not take for silent whose messages wait; both
//! are bounded, so neither starves the other.

use std::collections::{BTreeMap, VecDeque};

use async_channel::Receiver;
use futures_lite::future::yield_now;

use crate::driver::clock::Clock;
use crate::driver::handle::PendingCall;
use crate::driver::inbox::{Arrival, Inbox};
use crate::driver::outgoing::Outgoing;
use crate::driver::storage::{Completion, Done, Storage};
use crate::driver::{Command, DriverError, Exit, Watch, lanes, usage};
use crate::event::Event;
use crate::message::Message;
use crate::process::{CallId, Effect, Input, Outbox, Process};
use crate::runtime::Runtime;
use crate::storage::{Answer, Query, Ticket};
use crate::transport::{Received, SenderKind, Transport};
use crate::wire::{self, DecodeError, GroupId};

/// Timers stepped in one round; more would delay messages.
const TIMERS_MAX: usize = 256;

/// A process and what it is connected to.
pub(super) struct Driver<'a, P: Process> {
    process: P,
    outbox: Outbox,
    transport: &'a dyn Transport,
    runtime: &'a dyn Runtime,
    storage: &'a mut Storage,
    watch: &'a dyn Watch,
    outgoing: Outgoing,
    /// What the process said to itself.
    own: VecDeque<Message>,
    /// What the driver has answered itself.
    answers: Vec<(Ticket, Answer)>,
    calls: BTreeMap<CallId, PendingCall>,
    next_call: CallId,
    exit: Option<Exit>,
}

impl<'a, P: Process> Driver<'a, P> {
    pub(super) fn new(
        process: P,
        transport: &'a dyn Transport,
        runtime: &'a dyn Runtime,
        storage: &'a mut Storage,
        watch: &'a dyn Watch,
    ) -> Self {
        Self {
            process,
            outbox: Outbox::new(),
            transport,
            runtime,
            storage,
            watch,
            outgoing: Outgoing::default(),
            own: VecDeque::new(),
            answers: Vec::new(),
            calls: BTreeMap::new(),
            next_call: CallId(0),
            exit: None,
        }
    }

    /// Runs until the process has a reason to end.
    pub(super) async fn run(
        mut self,
        commands: Receiver<Command>,
        calls: Option<Receiver<PendingCall>>,
    ) -> Result<Exit, DriverError> {
        let mut inbox = Inbox::new(
            self.transport,
            self.runtime,
            self.storage.completions(),
            calls,
            commands,
        );
        let mut arrivals = Vec::new();
        self.step(Input::Start);
        loop {
            self.collect()?;
            // The disk and the network then work at the same time.
            self.storage.flush();
            self.outgoing.send(self.transport, self.watch).await;
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            let due = self.process.timers().next().map(|(at, _)| at);
            let more = inbox.take(due, !self.own.is_empty(), &mut arrivals).await?;
            self.step_own();
            for arrival in arrivals.drain(..) {
                self.on_arrival(arrival).await?;
            }
            self.step_timers();
            if more {
                // Others share this thread.
                yield_now().await;
            }
        }
    }

    fn step(&mut self, input: Input<P::Timer>) {
        self.process.step(Clock.now(), input, &mut self.outbox);
    }

    fn step_own(&mut self) {
        for message in std::mem::take(&mut self.own) {
            let from = self.transport.local().clone();
            self.step(Input::Message { from, message });
        }
    }

    fn step_timers(&mut self) {
        for _ in 0..TIMERS_MAX {
            let Some((at, timer)) = self.process.timers().next() else {
                return;
            };
            if Clock.now() < at {
                return;
            }
            self.step(Input::Timer(timer));
        }
    }

    async fn on_arrival(&mut self, arrival: Arrival) -> Result<(), DriverError> {
        match arrival {
            Arrival::Frames(received) => self.on_frames(received).await,
            Arrival::Stored(completion) => self.on_completion(completion)?,
            Arrival::Call(call) => {
                let id = self.next_call;
                self.next_call = CallId(id.0 + 1);
                let input = Input::Call(id, call.call.clone());
                self.calls.insert(id, call);
                self.step(input);
            }
            Arrival::Command(Command::Leave) => self.step(Input::Leave),
            Arrival::Command(Command::Stop) => self.exit = Some(Exit::Stopped),
            Arrival::Command(Command::Kill) => {
                self.storage.abandon();
                self.exit = Some(Exit::Stopped);
            }
        }
        Ok(())
    }

    async fn on_frames(&mut self, received: Received) {
        let Received {
            from,
            sender,
            frames,
        } = received;
        for frame in frames {
            match admit(sender, &frame) {
                Ok(message) => self.step(Input::Message {
                    from: from.clone(),
                    message,
                }),
                Err(refusal) => {
                    let reason = refusal.to_string();
                    self.watch.on_disconnect(&from, &reason);
                    self.transport.disconnect(&from, &reason).await;
                    return;
                }
            }
        }
    }

    fn on_completion(&mut self, completion: Completion) -> Result<(), DriverError> {
        match completion {
            Completion::Persisted(tickets) => {
                for ticket in tickets {
                    self.storage.on_persisted(ticket)?;
                    self.step(Input::Persisted(ticket));
                }
            }
            Completion::Ignored(tickets) => {
                for ticket in tickets {
                    self.storage.on_ignored(ticket);
                }
            }
            Completion::DiskFull => {
                // What it wants so far, it wants without knowing: that is thrown away like what was handed over.
                self.collect()?;
                self.storage.on_disk_full();
                self.step(Input::DiskFull);
            }
            Completion::Applied(position) => {
                self.storage.on_applied(position);
                self.step(Input::Applied(position));
            }
            Completion::Trimmed(position) => self.step(Input::Trimmed(position)),
            Completion::Answered(answers) => {
                for (ticket, answer) in answers {
                    self.step(Input::Answered(ticket, answer));
                }
            }
            Completion::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// Passes on what the process wants; nothing is sent or written before the round is over. What is done at once may
    /// make it want more.
    fn collect(&mut self) -> Result<(), DriverError> {
        loop {
            self.collect_once()?;
            let Done {
                applied,
                mut answers,
            } = self.storage.take_done();
            answers.append(&mut self.answers);
            if applied.is_none() && answers.is_empty() {
                return Ok(());
            }
            if let Some(position) = applied {
                self.step(Input::Applied(position));
            }
            for (ticket, answer) in answers {
                self.step(Input::Answered(ticket, answer));
            }
        }
    }

    fn collect_once(&mut self) -> Result<(), DriverError> {
        for effect in self.outbox.drain() {
            match effect {
                Effect::Send { to, message } if to == *self.transport.local() => {
                    self.own.push_back(message);
                }
                Effect::Send { to, message } => self.outgoing.push(to, &message),
                Effect::Persist(ticket, write) => self.storage.persist(ticket, write)?,
                Effect::Apply { entries, sessions } => self.storage.apply(entries, sessions)?,
                Effect::Query(ticket, Query::Usage) => {
                    let usage = usage::measure(self.transport, self.storage);
                    self.answers.push((ticket, Answer::Usage(usage)));
                }
                Effect::Query(ticket, query) => self.storage.query(ticket, query)?,
                Effect::CloseView(view) => self.storage.close_view(view)?,
                Effect::Retain(from) => self.storage.retain(from)?,
                Effect::Complete(id, outcome) => {
                    if let Some(call) = self.calls.remove(&id) {
                        call.complete(outcome);
                    }
                }
                Effect::Notify(event) => {
                    self.watch.on_event(&event);
                    match event {
                        Event::JoinRefused(reason) => return Err(DriverError::JoinRefused(reason)),
                        Event::Left => self.exit = Some(Exit::Left),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

/// Why a frame is not let in.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
    #[error("message for the replica group {0}, which is not here")]
    UnknownGroup(u32),
    #[error("a client may send requests only")]
    Unauthorized,
}

/// The message of a frame, if its sender may send it.
fn admit(sender: SenderKind, frame: &[u8]) -> Result<Message, Refusal> {
    let (group, message) = wire::decode(frame)?;
    if group != GroupId::default() {
        return Err(Refusal::UnknownGroup(group.0));
    }
    if !lanes::may_send(sender, &message) {
        return Err(Refusal::Unauthorized);
    }
    Ok(message)
}
