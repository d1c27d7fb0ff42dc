//! The one shape of arbiter, replica and client: an input goes in with what holds at the time, effects come out.

mod calls;
mod effects;
mod now;

use std::fmt::Debug;

use crate::config::{Address, Position};
use crate::message::{Message, Usage};
use crate::storage::{Answer, Ticket};
use crate::time::Timers;

pub use self::calls::{Call, CallId, Outcome};
pub use self::effects::{Effect, Outbox};
pub use self::now::Now;

/// A deterministic participant. Two of them given the same inputs at the same times, with the same in memory, do the same.
///
/// Whoever drives a process goes in rounds, of one input or of many. In each it
/// - steps what has arrived together (`Input::Start` first of all), and then `Input::Timer` for each timer that is due,
///   earliest first;
/// - reads the time of a step after it has taken the input from its queue;
/// - settles the process;
/// - carries out the effects in their order. Where that leads to inputs at once, they are a round of their own.
pub trait Process: Send {
    /// The names of its timers.
    type Timer: Copy + Ord + Debug + Send;

    /// Takes one input and writes what follows from it to `outbox`, in order.
    fn step(&mut self, now: Now<'_>, input: Input<Self::Timer>, outbox: &mut Outbox);

    /// The round is over: writes to `outbox` what its inputs amount to and is said but once.
    fn settle(&mut self, now: Now<'_>, outbox: &mut Outbox) {
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
    /// Whoever runs the process wants it to stop in good order; a node reports `Event::Left` when it may, a client completes its
    /// writes.
    Leave,
}
