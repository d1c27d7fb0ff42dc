//! Hand-over: the primary has the arbiter put another replica in its place
//! ([protocol](crate::docs::protocol#hand-over)).
//!
//! It does so because an operator wants it, or its own disk has had no room for a lease, after it has answered what it has; or because its
//! own disk is stuck. The
//! proposal names the successor and the version it was decided in, and like every proposal it is open until a newer version
//! is known. Meanwhile the primary goes on, save that it grants no read leases: those that the successor waits for must
//! have been granted before its epoch began. The primary's own lease needs the successor's promise, which ends with that.

use std::cmp::Reverse;

use crate::config::NodeId;
use crate::limits;
use crate::message::ConfigChange;
use crate::replica::context::Context;
use crate::replica::replicator::{Replicator, Standing};
use crate::replica::timer::Timer;

use super::Primary;
use super::changes::has_promised;

/// How far a primary is in giving its role away because an operator wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Resignation {
    /// It goes on.
    None,
    /// It asks the arbiter, and goes on until that answers.
    Asking,
    /// The arbiter answers: it takes no more writes, answers those it has, and proposes. If nothing comes of that in some
    /// time, it goes on and asks again.
    Finishing,
}

impl Primary {
    /// The operator wants this replica to be primary no more.
    pub(in crate::replica) fn on_drain(&mut self, cx: &mut Context<'_>) {
        if self.resignation != Resignation::None {
            return;
        }
        if self.has_companions() {
            self.ask(cx);
        } else {
            self.resignation = Resignation::Finishing;
        }
    }

    fn ask(&mut self, cx: &mut Context<'_>) {
        self.resignation = Resignation::Asking;
        cx.query_config();
        cx.arm(Timer::HandOver, limits::RETRY_INTERVAL);
    }

    /// The arbiter is there. Is somebody who can take over?
    pub(super) fn on_asked(&mut self, cx: &mut Context<'_>) {
        if self.resignation == Resignation::Asking
            && !self.is_handing_over()
            && self.successor(cx).is_some()
        {
            self.resignation = Resignation::Finishing;
            cx.arm(Timer::HandOver, limits::HAND_OVER_PATIENCE);
        }
    }

    /// The arbiter has not answered, or nothing came of what it was asked for.
    pub(in crate::replica) fn on_hand_over_due(&mut self, cx: &mut Context<'_>) {
        match self.resignation {
            Resignation::None => {}
            Resignation::Asking | Resignation::Finishing if self.has_companions() => self.ask(cx),
            // Those that were there have stopped as well.
            Resignation::Asking | Resignation::Finishing => {
                self.resignation = Resignation::Finishing;
            }
        }
    }

    /// Gives up handing over where nobody is there to take over. True if the process may end then.
    pub(in crate::replica) fn resign(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.is_finishing() || !self.is_all_answered() || self.has_companions() {
            return false;
        }
        self.resignation = Resignation::None;
        cx.core.leaving.is_some()
    }

    /// Who is to be primary instead, if that is to be proposed.
    pub(super) fn heir(&self, cx: &Context<'_>) -> Option<NodeId> {
        let patience = cx.timing().lease;
        let is_ready = self.is_finishing() && self.is_all_answered();
        let persisted = cx.core.log.persisted();
        let is_stuck = cx.core.disk.is_stuck(cx.now.time, patience);
        // Its log may have room where its state has none: then it answers what it has.
        let stays_full = cx.core.disk.stays_full(cx.now.time, patience)
            && self.is_all_answered()
            && !planted!(StaysPrimaryWhenFull);
        if !is_ready && !is_stuck && !stays_full {
            return None;
        }
        self.successor(cx)
            .filter(|successor| {
                // It has stored what this replica cannot, so its own disk is not stuck.
                let has_stored = is_stuck && successor.acked() > persisted;
                is_ready || has_stored || stays_full && successor.has_room
            })
            .map(Replicator::node)
    }

    /// Could somebody take over?
    pub(in crate::replica) fn has_successor(&self, cx: &Context<'_>) -> bool {
        self.successor(cx).is_some()
    }

    /// Who can take over: the one that has the most. Of several the next in turn, so that everybody has a turn.
    fn successor(&self, cx: &Context<'_>) -> Option<&Replicator> {
        let may_succeed = |standing| match standing {
            Standing::Joining | Standing::Counted => planted!(HandsOverToJoining),
            Standing::InSync => !planted!(HandsOverToJoining),
            Standing::Draining | Standing::Drained => false,
        };
        self.replicators
            .values()
            .filter(|replicator| may_succeed(replicator.standing) && !replicator.is_suspect)
            .filter(|replicator| replicator.is_streaming() && has_promised(replicator, cx.now.time))
            .max_by_key(|replicator| {
                let node = replicator.node();
                (replicator.acked(), node > cx.core.meta.node, Reverse(node))
            })
    }

    /// Are others in sync?
    fn has_companions(&self) -> bool {
        let mut replicators = self.replicators.values();
        replicators.any(|replicator| replicator.standing == Standing::InSync)
    }

    fn is_all_answered(&self) -> bool {
        self.pending.is_empty() || planted!(HandsOverUnanswered)
    }

    /// May somebody be primary in its place as soon as the arbiter decides it?
    pub(super) fn is_handing_over(&self) -> bool {
        let open = self.proposal.as_ref().map(|proposal| proposal.change);
        matches!(open, Some(ConfigChange::HandOver(_)))
    }

    /// Does it take no more writes, because it gives up its role?
    pub(in crate::replica) fn is_finishing(&self) -> bool {
        self.resignation == Resignation::Finishing
    }

    /// Is its own disk so late that it must not judge others by what they owe?
    pub(super) fn is_no_judge(&self, cx: &Context<'_>) -> bool {
        cx.core.disk.is_stuck(cx.now.time, cx.timing().overdue) && !planted!(HangingPrimaryJudges)
    }
}
