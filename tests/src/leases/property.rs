//! What must hold in every state.
//!
//! Reads change nothing, so they are no actions: in every state, every answer that a replica would give is judged. The
//! worst moment for a read to begin is the moment at which it is answered, save for a process that judges it by an
//! older time.

use super::model::{Model, is_member};
use super::omissions::Omission;
use super::state::{Node, State};
use super::time::LEASE;

/// What must never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A replica answers a linearizable read with less than was acknowledged before the read began.
    StaleRead {
        /// Who answers.
        node: u8,
    },
    /// Two replicas answer as primary.
    TwoPrimaries,
    /// The primary of the arbiter's epoch lacks an entry whose write was acknowledged.
    Lost {
        /// The primary.
        node: u8,
    },
}

/// What a replica would answer: the entry it reads, or 0.
pub(super) type Answer = u8;

impl Model {
    /// What is wrong with a state.
    pub(super) fn violation(&self, state: &State) -> Option<Violation> {
        let mut primaries = 0;
        for (id, node) in state.nodes.iter().enumerate() {
            if node.tenure.epoch != 0 && self.serves(id, node) {
                primaries += 1;
            }
            if state.acknowledged == 0 {
                continue;
            }
            if node.tenure.epoch == state.arbiter.config.epoch && node.log != state.acknowledged {
                return Some(Violation::Lost { node: id as u8 });
            }
            if self
                .answer(state, id)
                .is_some_and(|answer| answer != state.acknowledged)
            {
                return Some(Violation::StaleRead { node: id as u8 });
            }
        }
        (primaries > 1).then_some(Violation::TwoPrimaries)
    }

    /// Whether a node answers linearizable reads as primary.
    fn serves(&self, id: usize, node: &Node) -> bool {
        let tenure = &node.tenure;
        let may_serve = tenure.waited || self.omits(Omission::PredecessorNotAwaited);
        let has_lease =
            self.holds_lease(id, node) || self.omits(Omission::PrimaryReadsWithoutLease);
        node.held || is_member(node) && may_serve && has_lease
    }

    /// What a node would answer to a linearizable read, if it would.
    pub(super) fn answer(&self, state: &State, id: usize) -> Option<Answer> {
        let node = &state.nodes[id];
        if node.tenure.epoch != 0 {
            return self.known(node).filter(|_| self.serves(id, node));
        }
        let has_lease = node.lease < LEASE
            || self.omits(Omission::SecondaryReadsWithoutLease) && node.config.in_sync.has(id);
        if !(node.held || is_member(node) && has_lease) {
            return None;
        }
        if node.log == 0 || node.committed {
            return Some(node.log);
        }
        // The key is dirty: the primary of its epoch is asked for its committed position.
        let primary = state.nodes.get(usize::from(node.config.primary))?;
        let is_answered = is_member(primary) && primary.tenure.epoch == node.config.epoch;
        self.known(primary).filter(|_| is_answered)
    }

    /// What a primary knows to be committed, if it knows how far that is.
    fn known(&self, primary: &Node) -> Option<Answer> {
        if primary.committed {
            Some(primary.log)
        } else {
            (primary.tenure.recommitted || self.omits(Omission::AnswersBeforeRecommit)).then_some(0)
        }
    }
}
