//! The host of a process: what happens in one round between what has arrived and what is passed on.
//!
//! A round takes what has arrived ([`intake`] says how much of it, and in which order), steps the process, settles it, and
//! collects what it wants; only then anything is sent or saved. So what arrives together shares messages and syncs, and a lone
//! arrival waits for nobody. It knows no threads, files or sockets: the driver and the laboratory run the same rounds.
//!
//! - The clock is read for each step, behind its input: a process that was held up would otherwise judge a young request by
//!   an old reading, and answer under a lease that is long over.
//! - What has arrived is stepped before the timers that are due, so that a process that was held up does not take for silent
//!   whose messages wait. Both are bounded, so neither starves the other.
//! - What is done at once (applied to the state, measured of the node) the process is told in the same round.

pub mod intake;
pub mod outgoing;

use std::collections::VecDeque;

use crate::config::Address;
use crate::engine::Engine;
use crate::event::Event;
use crate::message::{JoinRefusal, Message, Reply, ReplyBody, Request, Usage};
use crate::operation::Rejection;
use crate::process::{Call, CallId, Effect, Input, Now, Outbox, Outcome, Process};
use crate::rights::{ClientRole, Forbidden, Right, Sender};
use crate::storage::desk::{Desk, DeskError, Handed};
use crate::storage::scheduler::Report;
use crate::time::Instant;
use crate::transport::Received;
use crate::wire::{self, DecodeError};

use self::outgoing::Outgoing;

/// Timers stepped in one round; more would delay messages.
const TIMERS_MAX: usize = 256;

/// Something for the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Frames from somebody.
    Frames(Received),
    /// A report of its disk.
    Report(Report),
    /// A call of the program, if it is a client.
    Call(CallId, Call),
    /// The operator wants it to leave.
    Leave,
}

/// What a host needs while a round lasts, and who is shown what happens in it.
pub trait Surroundings<T> {
    /// The time.
    fn now(&mut self) -> Instant;

    /// What the node has used.
    fn usage(&mut self) -> Usage;

    /// The state of a replica; `None` elsewhere.
    fn engine(&self) -> Option<&dyn Engine>;

    /// The process is about to take an input.
    fn on_input(&mut self, input: &Input<T>) {
        let _ = input;
    }

    /// The process wants something.
    fn on_effect(&mut self, effect: &Effect) {
        let _ = effect;
    }
}

/// What rounds have led to and nobody has taken yet.
#[derive(Debug, Default)]
pub struct Passed {
    /// To be sent.
    pub outgoing: Outgoing,
    /// To be handed to the disk, in this order.
    pub handed: Vec<Handed>,
    /// To be told to the program using a client.
    pub outcomes: Vec<(CallId, Outcome)>,
    /// To be cut off, and why.
    pub cut_off: Vec<(Address, Refusal)>,
    /// The process has a reason to end.
    pub end: Option<End>,
}

/// Why a process ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It has left the configuration, as it was told to.
    Left,
    /// The arbiter does not take it, or it has found out by itself that it has no place.
    Refused(JoinRefusal),
    /// It is an arbiter, and its record is older than what was decided by it.
    RecordBehind,
}

/// Why a frame is not let in.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is no message.
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
    /// Its sender may not say that.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

/// Would a process that sends this take it itself? Not what an arbiter and a replica say to each other, who may share an address.
fn is_for_own_kind(message: &Message) -> bool {
    match message {
        Message::ToArbiter(_) | Message::FromArbiter(_) => false,
        Message::Peer(_)
        | Message::Request(_)
        | Message::Reply(_)
        | Message::Register(_)
        | Message::Offer(_) => true,
    }
}

/// A process at work, with its side of its disk.
#[derive(Debug)]
pub struct Host<P: Process> {
    process: P,
    desk: Desk,
    local: Address,
    outbox: Outbox,
    /// What the process said to itself.
    own: VecDeque<Message>,
    /// When the last round ended.
    #[cfg(feature = "planted")]
    rounded_at: Instant,
    /// What rounds have led to.
    pub passed: Passed,
}

impl<P: Process> Host<P> {
    /// A process that is reached at `local`; it has not begun.
    pub fn new(process: P, desk: Desk, local: Address) -> Self {
        Self {
            process,
            desk,
            local,
            outbox: Outbox::new(),
            own: VecDeque::new(),
            #[cfg(feature = "planted")]
            rounded_at: Instant::ZERO,
            passed: Passed::default(),
        }
    }

    /// The process.
    pub fn process(&self) -> &P {
        &self.process
    }

    /// Its side of its disk.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// When the next round is due, if nothing arrives.
    pub fn due(&self) -> Option<Instant> {
        self.process.timers().next().map(|(at, _)| at)
    }

    /// Is there something to do without anything arriving?
    pub fn is_hurried(&self) -> bool {
        !self.own.is_empty()
    }

    /// The first round.
    ///
    /// # Errors
    /// If the disk cannot take what the process wants.
    pub fn start(&mut self, around: &mut impl Surroundings<P::Timer>) -> Result<(), DeskError> {
        self.step(Input::Start, around);
        self.collect(around)
    }

    /// A round: what has arrived, and what is due.
    ///
    /// # Errors
    /// If the disk cannot take what the process wants.
    pub fn round(
        &mut self,
        arrivals: impl IntoIterator<Item = Arrival>,
        around: &mut impl Surroundings<P::Timer>,
    ) -> Result<(), DeskError> {
        for message in std::mem::take(&mut self.own) {
            let from = self.local.clone();
            self.step(Input::Message { from, message }, around);
        }
        let mut is_quiet = true;
        for arrival in arrivals {
            is_quiet = false;
            self.on_arrival(arrival, around)?;
        }
        if is_quiet || !planted!(TimersWaitForQuiet) {
            self.step_timers(around);
        }
        self.collect(around)
    }

    fn step(&mut self, input: Input<P::Timer>, around: &mut impl Surroundings<P::Timer>) {
        around.on_input(&input);
        let now = around.now();
        #[cfg(feature = "planted")]
        let now = planted!(TimeBeforeInput => self.former(now, &input), now);
        let now = Now::new(now, around.engine());
        self.process.step(now, input, &mut self.outbox);
    }

    /// A process that reads its clock and then waits for an input. Timers are no inputs that one waits for.
    #[cfg(feature = "planted")]
    fn former(&self, now: Instant, input: &Input<P::Timer>) -> Instant {
        match input {
            Input::Start | Input::Timer(_) => now,
            _ => self.rounded_at,
        }
    }

    fn on_arrival(
        &mut self,
        arrival: Arrival,
        around: &mut impl Surroundings<P::Timer>,
    ) -> Result<(), DeskError> {
        match arrival {
            Arrival::Frames(received) => self.on_frames(received, around),
            Arrival::Report(report) => self.on_report(report, around)?,
            Arrival::Call(id, call) => self.step(Input::Call(id, call), around),
            Arrival::Leave => self.step(Input::Leave, around),
        }
        Ok(())
    }

    /// The first frame that is not let in is the last of its sender that is looked at.
    fn on_frames(&mut self, received: Received, around: &mut impl Surroundings<P::Timer>) {
        let Received {
            from,
            sender,
            frames,
        } = received;
        for frame in frames {
            if let Err(refusal) = self.on_frame(&from, &sender, &frame, around) {
                self.passed.cut_off.push((from, refusal));
                return;
            }
        }
    }

    /// The process hears of what its sender may say. A client that asks for what it may not have is answered at the door.
    fn on_frame(
        &mut self,
        from: &Address,
        sender: &Sender,
        frame: &[u8],
        around: &mut impl Surroundings<P::Timer>,
    ) -> Result<(), Refusal> {
        let message = wire::decode(frame)?;
        let from = from.clone();
        match (sender.check(&message), message) {
            (Ok(()), message) => self.step(Input::Message { from, message }, around),
            (Err(Forbidden::Request(needed)), Message::Request(request)) => {
                self.turn_away(from, request, needed, around);
            }
            (Err(forbidden), _) => return Err(forbidden.into()),
        }
        Ok(())
    }

    fn turn_away(
        &mut self,
        from: Address,
        request: Request,
        needed: Right,
        around: &mut impl Surroundings<P::Timer>,
    ) {
        let reason = Rejection::Unauthorized { needed };
        if request.body.row().role == ClientRole::Admin {
            around.on_effect(&Effect::Notify(Event::Administered {
                by: from.clone(),
                what: request.body,
                refused: Some(reason.clone()),
            }));
        }
        let reply = Reply {
            client: request.origin.client,
            id: request.origin.id,
            body: ReplyBody::OperationRejected {
                reason,
                attempt: request.attempt,
            },
        };
        self.passed.outgoing.push(from, &Message::Reply(reply));
    }

    fn on_report(
        &mut self,
        report: Report,
        around: &mut impl Surroundings<P::Timer>,
    ) -> Result<(), DeskError> {
        match report {
            Report::Persisted(tickets) => {
                for ticket in tickets {
                    let handed = &mut self.passed.handed;
                    self.desk.on_persisted(around.engine(), ticket, handed)?;
                    self.step(Input::Persisted(ticket), around);
                }
            }
            Report::Full => self.step(Input::DiskFull, around),
            Report::Room => self.step(Input::DiskRoom, around),
            Report::Applied(position) => {
                self.desk.on_applied(position);
                self.step(Input::Applied(position), around);
            }
            Report::Trimmed(position) => self.step(Input::Trimmed(position), around),
            Report::Answered(answers) => {
                for (ticket, answer) in answers {
                    self.step(Input::Answered(ticket, answer), around);
                }
            }
        }
        Ok(())
    }

    fn step_timers(&mut self, around: &mut impl Surroundings<P::Timer>) {
        for _ in 0..TIMERS_MAX {
            let Some((at, timer)) = self.process.timers().next() else {
                return;
            };
            if around.now() < at {
                return;
            }
            self.step(Input::Timer(timer), around);
        }
    }

    /// Settles the process and takes what it wants. What is done at once may make it want more.
    fn collect(&mut self, around: &mut impl Surroundings<P::Timer>) -> Result<(), DeskError> {
        loop {
            let now = around.now();
            self.process
                .settle(Now::new(now, around.engine()), &mut self.outbox);
            let usage = self.collect_once(around)?;
            let applied = self.desk.take_applied();
            let applied = applied.filter(|_| !planted!(DoneAtOnceUntold));
            if usage.is_none() && applied.is_none() {
                #[cfg(feature = "planted")]
                {
                    self.rounded_at = around.now();
                }
                return Ok(());
            }
            if let Some(usage) = usage {
                self.step(Input::UsageMeasured(usage), around);
            }
            if let Some(position) = applied {
                self.step(Input::Applied(position), around);
            }
        }
    }

    /// Returns what the node has used, if the process wants to know.
    fn collect_once(
        &mut self,
        around: &mut impl Surroundings<P::Timer>,
    ) -> Result<Option<Usage>, DeskError> {
        let mut usage = None;
        let Passed {
            outgoing,
            handed,
            outcomes,
            end,
            ..
        } = &mut self.passed;
        for effect in self.outbox.drain() {
            around.on_effect(&effect);
            match effect {
                Effect::Send { to, message } if to == self.local && is_for_own_kind(&message) => {
                    self.own.push_back(message);
                }
                Effect::Send { to, message } => outgoing.push(to, &message),
                Effect::Persist(ticket, save) => self.desk.persist(ticket, save, handed)?,
                Effect::Apply(committed) => {
                    let engine = around.engine();
                    self.desk.apply(engine, committed, handed)?;
                }
                Effect::MeasureUsage => usage = Some(around.usage()),
                Effect::Query(ticket, query) => {
                    self.desk.query(ticket, query, handed)?;
                }
                Effect::CloseView(view) => self.desk.close_view(view, handed),
                Effect::Retain(from) => self.desk.retain(from, handed),
                Effect::Complete(id, outcome) => outcomes.push((id, outcome)),
                Effect::Notify(Event::JoinRefused(reason)) => *end = Some(End::Refused(reason)),
                Effect::Notify(Event::RecordBehind) => *end = Some(End::RecordBehind),
                Effect::Notify(Event::Left) => *end = Some(End::Left),
                Effect::Notify(_) => {}
            }
        }
        Ok(usage)
    }
}
