//! The one shape of arbiter, replica and client: an input and the time go in, effects come out.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use crate::config::{Address, Position};
use crate::event::Event;
use crate::limits;
use crate::message::{Message, Peer, PeerMessage, ReplyBody, RequestBody};
use crate::operation::{Entry, Rejection, RequestId, RequestName};
use crate::sessions::SessionChanges;
use crate::storage::{Answer, Query, Save, Ticket};
use crate::time::{Instant, Timers};

/// A deterministic participant. Two of them given the same inputs at the same times do the same.
///
/// Whoever drives a process
/// - steps `Input::Start` first, and `Input::Timer` for each timer that is due, earliest first;
/// - reads the time of a step after it has taken the input from its queue;
/// - carries out the effects of a step in their order, before or after the following steps' effects are known.
pub trait Process: Send {
    /// The names of its timers.
    type Timer: Copy + Ord + Debug + Send;

    /// Takes one input and writes what follows from it to `outbox`, in order.
    fn step(&mut self, now: Instant, input: Input<Self::Timer>, outbox: &mut Outbox);

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

/// Collects the effects of one or several steps, in order.
///
/// Neighbouring messages that can travel as one do: Snapshots grow by the entries that follow them directly, a newer
/// acknowledgement takes the place of an older one. So a driver that takes several inputs before it empties the outbox
/// sends one message where it would have sent many, and a lone message waits for nobody.
#[derive(Debug, Default)]
pub struct Outbox {
    effects: Vec<Effect>,
    /// Where the last message between replicas to each address is, and the bytes of its entries.
    last: BTreeMap<Address, (usize, usize)>,
}

impl Outbox {
    /// No effects.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends `message` to `to`.
    pub fn send(&mut self, to: &Address, message: Message) {
        if let Message::Peer(peer) = &message {
            let added = entry_bytes(peer);
            if let Some((index, bytes)) = self.last.get_mut(to)
                && let Effect::Send {
                    message: Message::Peer(earlier),
                    ..
                } = &mut self.effects[*index]
                && *bytes + added <= limits::SNAPSHOTS_BYTES_MAX
                && merge(earlier, peer)
            {
                *bytes += added;
                return;
            }
            self.last.insert(to.clone(), (self.effects.len(), added));
        }
        self.effects.push(Effect::Send {
            to: to.clone(),
            message,
        });
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
        self.last.clear();
        self.effects.drain(..)
    }
}

/// Lets `earlier` say what `later` says as well, if one message can say both.
fn merge(earlier: &mut Peer, later: &Peer) -> bool {
    let who = |peer: &Peer| (peer.sender, peer.receiver, peer.epoch);
    if who(earlier) != who(later) {
        return false;
    }
    match (&mut earlier.body, &later.body) {
        (PeerMessage::Snapshots(first), PeerMessage::Snapshots(second))
            if first.sync == second.sync =>
        {
            let follows = match (first.entries.last(), second.entries.first()) {
                (Some(last), Some(next)) => last.seq.next() == next.seq,
                (_, None) | (None, _) => true,
            };
            let fits = first.entries.len() + second.entries.len() <= limits::SNAPSHOTS_ENTRIES_MAX;
            if follows && fits {
                first.entries.extend(second.entries.iter().cloned());
                first.committed = first.committed.max(second.committed);
            }
            follows && fits
        }
        (PeerMessage::SnapshotAck(first), PeerMessage::SnapshotAck(second))
            if first.sync == second.sync =>
        {
            first.persisted = first.persisted.max(second.persisted);
            true
        }
        _ => false,
    }
}

fn entry_bytes(peer: &Peer) -> usize {
    match &peer.body {
        PeerMessage::Snapshots(snapshots) => {
            snapshots.entries.iter().map(|entry| entry.size()).sum()
        }
        PeerMessage::SyncStart(_)
        | PeerMessage::SyncReply(_)
        | PeerMessage::SyncEnd(_)
        | PeerMessage::SnapshotAck(_)
        | PeerMessage::StateChunk(_)
        | PeerMessage::StateAck(_)
        | PeerMessage::Beacon(_)
        | PeerMessage::BeaconAck(_)
        | PeerMessage::CommittedQuery(_)
        | PeerMessage::CommittedAnswer(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Epoch, NodeId, Seq};
    use crate::message::{SnapshotAck, Snapshots};
    use crate::operation::{ClientId, Operation, Origin};

    fn snapshots(seqs: std::ops::Range<u64>, value_bytes: usize) -> PeerMessage {
        let entry = |seq| Entry {
            epoch: Epoch(1),
            seq: Seq(seq),
            operation: Operation::Insert {
                key: "k".into(),
                value: vec![0; value_bytes].into(),
            },
            origin: Origin::plain(ClientId(1), RequestId(seq)),
        };
        PeerMessage::Snapshots(Snapshots {
            sync: 1,
            entries: seqs.map(|seq| Arc::new(entry(seq))).collect(),
            committed: Position(0),
        })
    }

    /// How many messages go out when all `bodies` are sent before the outbox is emptied.
    fn check(bodies: Vec<PeerMessage>, expected: usize) {
        let mut out = Outbox::new();
        for body in bodies {
            let peer = Peer {
                sender: NodeId(1),
                receiver: NodeId(2),
                epoch: Epoch(1),
                body,
            };
            out.send(&Address::new("r2"), Message::Peer(peer));
            out.notify(Event::Left);
        }
        let sends = out
            .drain()
            .filter(|effect| matches!(effect, Effect::Send { .. }));
        assert_eq!(sends.count(), expected);
        assert!(out.last.is_empty());
    }

    #[test]
    fn what_follows_directly_and_fits_travels_as_one_message() {
        let ack = |persisted| {
            PeerMessage::SnapshotAck(SnapshotAck {
                sync: 1,
                persisted: Position(persisted),
            })
        };
        check(
            vec![snapshots(0..1, 9), snapshots(1..3, 9), snapshots(3..4, 9)],
            1,
        );
        check(vec![snapshots(0..1, 9), snapshots(2..3, 9)], 2);
        check(vec![snapshots(0..1, 9), ack(1), snapshots(1..2, 9)], 3);
        check(vec![ack(1), ack(2), ack(2)], 1);
        let half = limits::SNAPSHOTS_BYTES_MAX / 2;
        check(vec![snapshots(0..1, half), snapshots(1..2, half)], 2);
        let half = limits::SNAPSHOTS_ENTRIES_MAX as u64 / 2;
        check(
            vec![
                snapshots(0..half, 1),
                snapshots(half..2 * half, 1),
                snapshots(2 * half..3 * half, 1),
            ],
            2,
        );
    }
}
