//! Who wants to know how the node is.

use crate::limits;
use crate::shares::Shares;

use super::asker::Asker;

/// Whom to tell how the node is, once the host has told what it has used.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Statuses {
    askers: Vec<Asker>,
    shares: Shares,
}

impl Statuses {
    pub(super) fn len(&self) -> usize {
        self.askers.len()
    }

    /// Whether there is room for somebody more.
    pub(super) fn has_room(&self, asker: &Asker) -> bool {
        self.shares
            .has_room(asker.owner(), limits::STATUSES_IN_FLIGHT_MAX)
    }

    /// Adds somebody, and tells whether it is the first.
    pub(super) fn add(&mut self, asker: Asker) -> bool {
        self.shares.take(asker.owner(), 1);
        self.askers.push(asker);
        self.askers.len() == 1
    }

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> Vec<Asker> {
        std::mem::take(self).askers
    }
}
