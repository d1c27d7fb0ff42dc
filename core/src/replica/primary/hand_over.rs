//! Planned hand-over: the primary finishes what it has, gives its lease up, and asks another replica to take its place.

use crate::config::NodeId;
use crate::event::Event;
use crate::limits;
use crate::message::{Drain, PeerMessage};
use crate::replica::Timer;
use crate::replica::context::Context;
use crate::replica::replicator::Standing;

use super::Primary;

/// How far a primary is in handing its role over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Resignation {
    /// It goes on.
    None,
    /// It takes no more writes and answers those it has.
    Finishing(Drain),
    /// It has given up its lease and asks this replica to take its place.
    Resigned(Drain, NodeId),
}

impl Primary {
    /// The operator wants this replica to be primary no more: it takes no more writes and answers those it has.
    pub(in crate::replica) fn on_drain(&mut self, drain: Drain) {
        if self.resignation == Resignation::None {
            self.resignation = Resignation::Finishing(drain);
        }
    }

    /// Hands over once everything is answered. True when the process may end: nobody is there to take over.
    pub(in crate::replica) fn resign(&mut self, cx: &mut Context<'_>) -> bool {
        let Resignation::Finishing(drain) = self.resignation else {
            return false;
        };
        if !self.pending.is_empty() && !planted!(HandsOverUnanswered) {
            return false;
        }
        let successor = self
            .replicators
            .values()
            .filter(|replicator| replicator.standing == Standing::InSync && !replicator.is_suspect)
            .find(|replicator| replicator.is_streaming());
        match successor {
            Some(successor) if cx.core.arbiter_heard && self.proposal.is_none() => {
                let node = successor.node();
                self.resignation = Resignation::Resigned(drain, node);
                cx.out.notify(Event::Resigned(node));
                self.on_hand_over_due(cx);
                false
            }
            // The arbiter is silent, or decides something else first.
            Some(_) => false,
            None if drain == Drain::Node => true,
            None => {
                self.resignation = Resignation::None;
                false
            }
        }
    }

    /// Asks the successor, for the first time or again.
    pub(in crate::replica) fn on_hand_over_due(&mut self, cx: &mut Context<'_>) {
        if let Resignation::Resigned(_, node) = self.resignation
            && let Some(successor) = self.replicators.get(&node)
        {
            successor.say(cx, PeerMessage::TakeOver);
            cx.arm(Timer::HandOver, limits::RETRY_INTERVAL);
        }
    }

    /// Does it give up its role, and with it its place?
    pub(in crate::replica) fn is_leaving(&self) -> bool {
        match self.resignation {
            Resignation::None => false,
            Resignation::Finishing(drain) | Resignation::Resigned(drain, _) => drain == Drain::Node,
        }
    }
}
