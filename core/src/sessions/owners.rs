//! Whose clients are remembered, and which one goes when there are too many: the quietest of whoever takes most, so that nobody
//! has others' clients forgotten by inventing some.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Owner, Seq};
use crate::limits::SessionLimits;
use crate::operation::ClientId;

use super::SessionRow;

/// The clients of the table by owner.
///
/// - Every owner has clients. `by_weight` has every owner once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owners {
    owned: BTreeMap<Owner, Owned>,
    by_weight: BTreeSet<(Weight, Owner)>,
    /// A client takes as much as so many results: where all have as many as there may be, both limits are reached at once.
    client_weight: usize,
}

/// What an owner takes. Of two who take the same, the one with the quieter client weighs more.
type Weight = (usize, Reverse<Seq>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Owned {
    by_last: BTreeSet<(Seq, ClientId)>,
    results: usize,
}

/// What a client takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    owner: Owner,
    last: Seq,
    results: usize,
}

impl Taken {
    pub(super) fn by(row: &SessionRow) -> Self {
        Self {
            owner: row.owner,
            last: row.last,
            results: row.results.len(),
        }
    }
}

impl Owners {
    pub(super) fn new(limits: &SessionLimits) -> Self {
        Self {
            owned: BTreeMap::new(),
            by_weight: BTreeSet::new(),
            client_weight: (limits.results_max / limits.clients_max.max(1)).max(1),
        }
    }

    /// A client takes what it did not before.
    pub(super) fn change(&mut self, client: ClientId, before: Option<Taken>, now: Option<Taken>) {
        if let (Some(before), Some(now)) = (before, now)
            && before.owner == now.owner
        {
            return self.change_owned(now.owner, |owned| {
                // In this order the set of one client need not be made anew.
                owned.insert(client, now);
                owned.remove(client, before);
            });
        }
        if let Some(before) = before {
            self.change_owned(before.owner, |owned| owned.remove(client, before));
        }
        if let Some(now) = now {
            self.change_owned(now.owner, |owned| owned.insert(client, now));
        }
    }

    fn change_owned(&mut self, owner: Owner, change: impl FnOnce(&mut Owned)) {
        let owned = self.owned.entry(owner).or_default();
        let before = owned.weight(self.client_weight);
        change(owned);
        let now = owned.weight(self.client_weight);
        if now == before {
            return;
        }
        match now {
            Some(now) => {
                self.by_weight.insert((now, owner));
            }
            None => {
                self.owned.remove(&owner);
            }
        }
        if let Some(before) = before {
            self.by_weight.remove(&(before, owner));
        }
    }

    /// The quietest client of whoever takes most.
    pub(super) fn next_to_go(&self) -> Option<ClientId> {
        let (_, owner) = self.by_weight.last()?;
        let (_, client) = self.owned.get(owner)?.by_last.first()?;
        Some(*client)
    }

    /// Clients of all owners.
    pub(super) fn clients(&self) -> usize {
        self.owned.values().map(|owned| owned.by_last.len()).sum()
    }
}

impl Owned {
    fn insert(&mut self, client: ClientId, taken: Taken) {
        self.by_last.insert((taken.last, client));
        self.results += taken.results;
    }

    fn remove(&mut self, client: ClientId, taken: Taken) {
        self.by_last.remove(&(taken.last, client));
        self.results -= taken.results;
    }

    /// `None` without clients.
    fn weight(&self, client_weight: usize) -> Option<Weight> {
        let (quietest, _) = self.by_last.first()?;
        let taken = self.results + client_weight * self.by_last.len();
        Some((taken, Reverse(*quietest)))
    }
}
