//! The one shape of arbiter, replica and client: an input and the time go in, effects come out.

use std::fmt::Debug;
use std::sync::Arc;

use crate::config::{Address, Position};
use crate::event::Event;
use crate::message::{Message, ReplyBody, RequestBody, Usage};
use crate::operation::{Entry, Rejection, RequestId, RequestName};
use crate::sessions::SessionChanges;
use crate::storage::{Answer, Query, Save, Ticket};
use crate::time::{Instant, Timers};

/// A deterministic participant. Two of them given the same inputs at the same times do the same.
///
/// Whoever drives a process goes in rounds, of one input or of many. In each it
/// - steps what has arrived together (`Input::Start` first of all), and then `Input::Timer` for each timer that is due,
///   earliest first;
/// - reads the time of a step after it has taken the input from its queue;
/// - settles the process, once;
/// - carries out the effects in their order.
pub trait Process: Send {
    /// The names of its timers.
    type Timer: Copy + Ord + Debug + Send;

    /// Takes one input and writes what follows from it to `outbox`, in order.
    fn step(&mut self, now: Instant, input: Input<Self::Timer>, outbox: &mut Outbox);

    /// The round is over: writes to `outbox` what its inputs amount to and is said but once.
    fn settle(&mut self, now: Instant, outbox: &mut Outbox) {
        let _ = (now, outbox);
    }

    /// The armed timers.
    fn timers(&self) -> &Timers<Self::Timer>;
}

/// What a process is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input<T> {
    /// The process begins; always the first input, once.
    Start,
    /// A message came in, from the sender the transport vouches for and that may send this kind of message.
    Message {
        /// Who sent it.
        from: Address,
        /// What.
        message: Message,
    },
    /// A timer is due. It is disarmed by being stepped.
    Timer(T),
    /// A save is durable.
    Persisted(Ticket),
    /// The disk has no room, for a save, for committed entries, or for what makes the state durable. What was asked for
    /// waits until there is some.
    DiskFull,
    /// The disk has room again.
    DiskRoom,
    /// The state contains all entries before the position.
    Applied(Position),
    /// The log begins here: the storage trimmed what lay before.
    Trimmed(Position),
    /// A question to the storage is answered.
    Answered(Ticket, Answer),
    /// What the node has used, as was wanted to be known.
    UsageMeasured(Usage),
    /// The program using a client wants something.
    Call(CallId, Call),
    /// The operator wants the process to stop in good order; it reports `Event::Left` when it may.
    Leave,
}

/// What a process wants done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Send a message; it may be lost.
    Send {
        /// To whom.
        to: Address,
        /// What.
        message: Message,
    },
    /// Make a change durable and report `Input::Persisted`; see [`Save`] for order and repetition.
    Persist(Ticket, Save),
    /// Apply committed entries to the state and report `Input::Applied`. Need not be durable at once.
    Apply {
        /// Consecutive, the first right behind what was applied before.
        entries: Vec<Arc<Entry>>,
        /// What they change of what is remembered of requests; becomes durable with them, or not at all.
        sessions: SessionChanges,
    },
    /// Answer a question with `Input::Answered`.
    Query(Ticket, Query),
    /// Find out what the node has used of its disk and of the host around it, and report `Input::UsageMeasured`: in the same
    /// round, however busy the disk is.
    MeasureUsage,
    /// Let go of a state held fixed by `Query::OpenView`.
    CloseView(Ticket),
    /// From now on, keep the log from this position on, whatever its size. Before the first of these, nothing need be kept.
    Retain(Position),
    /// Answer the program using a client; exactly once for each call.
    Complete(CallId, Outcome),
    /// Tell whoever watches.
    Notify(Event),
}

/// Names a call to a client; chosen by the driver, unique within one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// What a program can ask of a client process: a request, in whose name, where, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// What it wants.
    pub request: RequestBody,
    /// The write that `RequestBody::Resolve` is about, in whose name it is asked; `None` for all other requests.
    pub name: Option<RequestName>,
    /// At this replica only; `None` where the request's goal says. Of no meaning to requests for the primary.
    pub replica: Option<Address>,
    /// Give up then.
    pub deadline: Instant,
}

/// What became of a call. Apart from `Unknown`, all failures mean that the store is as if the call had never been made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A replica has answered, in the way the request's row says.
    Answered {
        /// The request.
        id: RequestId,
        /// Who answered.
        replica: Address,
        /// The answer.
        body: ReplyBody,
    },
    /// The write was sent, and until the deadline nobody confirmed it; it may or may not take effect.
    Unknown {
        /// What to resolve it by.
        request: RequestName,
    },
    /// Rejected for a reason that trying again would not change, or until the deadline.
    Rejected {
        /// The request.
        id: RequestId,
        /// The last reason.
        reason: Rejection,
    },
    /// Until the deadline no replica was reached, and nothing was executed.
    Unreachable,
}

/// Collects the effects of a round, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    effects: Vec<Effect>,
}

impl Outbox {
    /// No effects.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends `message` to `to`.
    pub fn send(&mut self, to: &Address, message: Message) {
        let to = to.clone();
        self.effects.push(Effect::Send { to, message });
    }

    /// Makes `save` durable under `ticket`.
    pub fn persist(&mut self, ticket: Ticket, save: Save) {
        self.effects.push(Effect::Persist(ticket, save));
    }

    /// Reports `event`.
    pub fn notify(&mut self, event: Event) {
        self.effects.push(Effect::Notify(event));
    }

    /// Adds any effect.
    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// Takes the effects out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> + '_ {
        self.effects.drain(..)
    }
}
