//! Which writes are under way, so that what a process asks for again is not done again.

use std::collections::BTreeSet;

use crate::storage::Ticket;

/// Writes remembered as undone. A process that never asks for them again must not make us remember ever more.
const UNDONE_MAX: usize = 64 << 10;

/// The fates of the writes of one process.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    newest: Option<Ticket>,
    under_way: BTreeSet<Ticket>,
    undone: BTreeSet<Ticket>,
    generation: u64,
}

impl Tickets {
    /// Is this write to be handed over? Not if it is under way or done.
    pub(super) fn admit(&mut self, ticket: Ticket) -> bool {
        let is_new = self.newest.is_none_or(|newest| newest < ticket);
        if is_new {
            self.newest = Some(ticket);
        } else if !self.undone.remove(&ticket) {
            return false;
        }
        self.under_way.insert(ticket);
        true
    }

    /// How many times the process was told that the disk is full.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// It is durable.
    pub(super) fn done(&mut self, ticket: Ticket) {
        self.under_way.remove(&ticket);
        self.undone.remove(&ticket);
    }

    /// It was not done.
    pub(super) fn undone(&mut self, ticket: Ticket) {
        if self.under_way.remove(&ticket) {
            self.undone.insert(ticket);
            self.forget();
        }
    }

    /// Nothing that is under way will be done.
    pub(super) fn all_undone(&mut self) {
        self.generation += 1;
        self.undone.append(&mut self.under_way);
        self.forget();
    }

    fn forget(&mut self) {
        while self.undone.len() > UNDONE_MAX {
            self.undone.pop_first();
        }
    }
}
