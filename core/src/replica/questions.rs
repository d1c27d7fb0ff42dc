//! What a replica asks its storage: each question under a ticket of its own.

use crate::process::{Effect, Outbox};
use crate::storage::{Query, Ticket};

/// Numbers the questions of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Questions {
    next: Ticket,
}

impl Questions {
    /// Asks `query`.
    pub(super) fn ask(&mut self, query: Query, out: &mut Outbox) -> Ticket {
        let ticket = self.next;
        self.next = Ticket(ticket.0 + 1);
        out.push(Effect::Query(ticket, query));
        ticket
    }

    /// The ticket that the next question gets.
    pub(super) fn next_ticket(&self) -> Ticket {
        self.next
    }
}
