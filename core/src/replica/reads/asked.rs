//! What the state is asked, and what it has by then.
//!
//! An entry stays visible in the log until every question that reached the state before the entry did is answered, so that
//! two answers of a replica never go backwards.

use std::collections::{BTreeMap, VecDeque};

use crate::config::Position;
use crate::storage::Ticket;

/// The questions to the state that are open, each on behalf of an `R`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked<R> {
    open: BTreeMap<Ticket, R>,
    /// Positions the state has reached, each with the first ticket given afterwards.
    reached: VecDeque<(Position, Ticket)>,
}

impl<R> Asked<R> {
    /// Is it open?
    pub(super) fn has(&self, ticket: Ticket) -> bool {
        self.open.contains_key(&ticket)
    }

    /// The state is asked on behalf of `read`.
    pub(super) fn insert(&mut self, ticket: Ticket, read: R) {
        self.open.insert(ticket, read);
    }

    /// It is answered.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<R> {
        self.open.remove(&ticket)
    }

    /// The state has the entries before `position`, and the next ticket to be given is `next`.
    pub(super) fn on_applied(&mut self, position: Position, next: Ticket) {
        match self.reached.back_mut() {
            Some(last) if last.1 == next => last.0 = position,
            Some(_) | None => self.reached.push_back((position, next)),
        }
    }

    /// The next position before which every question still open, and every later one, finds the entries in the state.
    pub(super) fn next_found(&mut self) -> Option<Position> {
        let oldest = self.open.keys().next();
        let (position, next) = *self.reached.front()?;
        if oldest.is_some_and(|oldest| *oldest < next) && !planted!(ForgetsWhileAsked) {
            return None;
        }
        self.reached.pop_front();
        Some(position)
    }

    /// The state was replaced: positions it had reached before mean nothing any more, nor does what it has answered.
    /// Returns what is to be asked again.
    pub(super) fn on_replaced(&mut self) -> impl Iterator<Item = R> + use<R> {
        self.reached.clear();
        std::mem::take(&mut self.open).into_values()
    }
}

impl<R> Default for Asked<R> {
    fn default() -> Self {
        Self {
            open: BTreeMap::new(),
            reached: VecDeque::new(),
        }
    }
}
