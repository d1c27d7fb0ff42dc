//! The state must never get ahead of the log: a start that finds entries in the state which the log does not hold
//! could not tell what they were. So the desk holds entries until the log has them durably, and has them applied then.
//!
//! Only a joining replica ever notices: it may learn that entries are committed before its own disk has them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::config::Position;
use crate::operation::Entry;
use crate::sessions::SessionChanges;

use super::{Save, Ticket};

/// Committed entries, and what they change of the sessions: applied as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Committed {
    /// Consecutive; at least one.
    pub entries: Vec<Arc<Entry>>,
    /// Becomes durable with them, or not at all.
    pub sessions: SessionChanges,
}

impl Committed {
    /// Bytes of the entries.
    pub fn bytes(&self) -> usize {
        Entry::size_of_all(&self.entries)
    }

    /// Where the state is once it has them; `None` if there are none.
    pub fn end(&self) -> Option<Position> {
        self.entries.last().map(|last| Position::behind(last.seq))
    }

    /// Adds what follows directly.
    pub(super) fn extend(&mut self, next: Self) {
        self.entries.extend(next.entries);
        self.sessions.extend(&next.sessions);
    }
}

/// Which entries may be applied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ApplyOrder {
    /// The log is durable up to here.
    durable: Position,
    /// Where it will be once the save is.
    ends: BTreeMap<Ticket, Position>,
    /// Committed, but not durable here.
    held: VecDeque<Committed>,
}

impl ApplyOrder {
    pub(super) fn new(log_end: Position) -> Self {
        Self {
            durable: log_end,
            ends: BTreeMap::new(),
            held: VecDeque::new(),
        }
    }

    /// A save is handed over.
    pub(super) fn on_save(&mut self, ticket: Ticket, save: &Save) {
        match save {
            Save::Append { entries, .. } => {
                if let Some(last) = entries.last() {
                    self.ends.insert(ticket, Position::behind(last.seq));
                }
            }
            Save::Truncate { keep } => {
                // What comes to stand behind `keep` is something else.
                if planted!(AppliesTruncated) {
                    return;
                }
                self.durable = self.durable.min(*keep);
                self.ends
                    .values_mut()
                    .for_each(|end| *end = (*end).min(*keep));
            }
            Save::Install { at, .. } => {
                // It takes the place of whatever the log and the state have, and of what they were to get.
                *self = Self::new(Position::ZERO);
                self.ends.insert(ticket, at.position);
            }
            Save::Meta(_) | Save::StageBegin | Save::Stage { .. } | Save::Arbiter(_) => {}
        }
    }

    /// A save is durable.
    pub(super) fn on_persisted(&mut self, ticket: Ticket) {
        if let Some(end) = self.ends.remove(&ticket) {
            self.durable = self.durable.max(end);
        }
    }

    /// Entries are committed.
    pub(super) fn hold(&mut self, committed: Committed) {
        self.held.push_back(committed);
    }

    /// How many entries wait.
    pub(super) fn held(&self) -> usize {
        self.held.iter().map(|held| held.entries.len()).sum()
    }

    /// Takes the next entries, if all of them may be applied.
    pub(super) fn release(&mut self) -> Option<Committed> {
        let last = self.held.front()?.entries.last();
        let is_early = last.is_some_and(|last| !self.durable.covers(last.seq));
        if is_early && !planted!(AppliesAheadOfLog) {
            return None;
        }
        self.held.pop_front()
    }
}
