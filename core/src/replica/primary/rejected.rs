//! Copies of writes that a primary has rejected, so that none of them is executed if the network delivers it once more.

use std::collections::BTreeMap;

use crate::config::{Epoch, Owner};
use crate::limits;
use crate::operation::{ClientId, RequestId};
use crate::replica::asker::Asker;
use crate::shares::Shares;

/// Of writes without an entry: the last copy that was rejected. Those up to it are not executed if they come again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Rejected {
    last: BTreeMap<(ClientId, RequestId), Copy>,
    shares: Shares,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Copy {
    number: u32,
    owner: Owner,
}

impl Rejected {
    /// Was this copy rejected before, or a later one?
    pub(super) fn has(&self, asker: &Asker) -> bool {
        let last = self.last.get(&asker.origin.request());
        let is_for_any = asker.attempt.epoch == Epoch::ZERO;
        !is_for_any
            && last.is_some_and(|last| asker.attempt.copy <= last.number)
            && !planted!(RejectedCopyExecuted)
    }

    /// This copy is rejected. False if there is no room to remember that.
    pub(super) fn note(&mut self, asker: &Asker) -> bool {
        let (request, number) = (asker.origin.request(), asker.attempt.copy);
        if let Some(last) = self.last.get_mut(&request) {
            last.number = last.number.max(number);
            return true;
        }
        let owner = asker.owner();
        if !self.shares.has_room(owner, limits::REJECTED_REMEMBERED_MAX) {
            return false;
        }
        self.shares.take(owner, 1);
        self.last.insert(request, Copy { number, owner });
        true
    }

    /// The request has an entry, by which its copies are known.
    pub(super) fn forget(&mut self, asker: &Asker) {
        if let Some(last) = self.last.remove(&asker.origin.request()) {
            self.shares.give_back(last.owner, 1);
        }
    }
}
