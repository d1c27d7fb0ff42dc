//! What the cluster remembers of its clients' requests, so that a request that comes twice is executed once.
//!
//! The table is a function of the committed entries and of the limits alone: replicas with the same of both have the
//! same table. What is in the log and not committed is the replica's own affair.

mod owners;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::mem;

use serde::{Deserialize, Serialize};

use crate::config::{Owner, Position, Seq};
use crate::limits::SessionLimits;
use crate::operation::{Author, ClientId, Decided, Entry, Origin, RequestId};

use self::owners::{Owners, Taken};

/// What is remembered of one client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct SessionRow {
    /// Whose client it is, as its newest entry says.
    pub owner: Owner,
    /// What became of the requests before this one is forgotten.
    pub floor: RequestId,
    /// Its newest entry.
    pub last: Seq,
    /// Its requests from `floor` on.
    pub results: BTreeMap<RequestId, Decided>,
}

impl SessionRow {
    /// Bytes it takes on a transport or on a disk, at most.
    pub fn size(&self) -> usize {
        45 + 31 * self.results.len()
    }

    /// Takes up what later entries have changed, as it stands in [`SessionChanges`].
    pub fn extend(&mut self, later: &Self) {
        self.owner = later.owner;
        self.last = later.last;
        self.results.extend(&later.results);
        raise_floor(self, later.floor.max(self.floor));
    }
}

/// A whole table, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct SessionRows {
    /// Its clients.
    pub rows: BTreeMap<ClientId, SessionRow>,
    /// No client whose entries all lie before this need be in the table.
    pub forgotten: Position,
}

impl SessionRows {
    /// Takes up what later entries have changed.
    pub fn change(&mut self, changes: &SessionChanges) {
        for (client, change) in &changes.rows {
            match (self.rows.entry(*client), change) {
                (MapEntry::Occupied(mut row), Some(change)) => row.get_mut().extend(change),
                (MapEntry::Vacant(vacant), Some(change)) => {
                    vacant.insert(change.clone());
                }
                (MapEntry::Occupied(row), None) => {
                    row.remove();
                }
                (MapEntry::Vacant(_), None) => {}
            }
        }
        self.forgotten = self.forgotten.max(changes.forgotten);
    }

    /// Adds another part of the same table.
    pub fn extend(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.forgotten = self.forgotten.max(other.forgotten);
    }
}

/// What committed entries have changed in a table. It is as large as what has changed, however much is remembered of a client:
/// who has thousands of results must not cost thousands with each entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct SessionChanges {
    /// Each changed client as it is afterwards, of its results those that were added; `None` where it is forgotten.
    pub rows: BTreeMap<ClientId, Option<SessionRow>>,
    /// As in `SessionRows`.
    pub forgotten: Position,
}

impl SessionChanges {
    /// Adds what later entries have changed.
    pub fn extend(&mut self, later: &Self) {
        for (client, change) in &later.rows {
            match (self.rows.entry(*client), change) {
                (MapEntry::Vacant(vacant), change) => {
                    vacant.insert(change.clone());
                }
                (MapEntry::Occupied(mut row), change) => match (row.get_mut(), change) {
                    (Some(row), Some(change)) => row.extend(change),
                    (row, change) => row.clone_from(change),
                },
            }
        }
        self.forgotten = self.forgotten.max(later.forgotten);
    }

    /// An entry of the client has this result, and its row is as that says. `added`: the result is a new one.
    fn note(&mut self, client: ClientId, row: &SessionRow, added: Option<(RequestId, Decided)>) {
        let change = SessionRow {
            owner: row.owner,
            floor: row.floor,
            last: row.last,
            results: BTreeMap::new(),
        };
        let slot = self.rows.entry(client).or_default();
        let changed = slot.get_or_insert(change);
        changed.results.extend(added);
        changed.owner = row.owner;
        changed.last = row.last;
        raise_floor(changed, row.floor);
    }
}

/// What the table knows of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// It has certainly no committed entry.
    New,
    /// It has one.
    Done(Decided),
    /// It may have had one: what was known of it is forgotten.
    Expired,
}

/// The table.
///
/// - `owners` has every client as its row is; `results` counts all results.
/// - A client that was forgotten never comes back: all it says was born before `forgotten`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sessions {
    limits: SessionLimits,
    table: SessionRows,
    owners: Owners,
    results: usize,
    /// Since this was asked last.
    changes: SessionChanges,
}

impl Sessions {
    /// The table with these rows.
    pub fn open(mut table: SessionRows, limits: SessionLimits) -> Self {
        if planted!(OwnersNotRecovered) {
            for row in table.rows.values_mut() {
                row.owner = Owner::CLUSTER;
            }
        }
        let mut owners = Owners::new(&limits);
        for (client, row) in &table.rows {
            owners.change(*client, None, Some(Taken::by(row)));
        }
        Self {
            owners,
            results: table.rows.values().map(|row| row.results.len()).sum(),
            limits,
            table,
            changes: SessionChanges::default(),
        }
    }

    /// Clients in it.
    pub fn len(&self) -> usize {
        self.table.rows.len()
    }

    /// Is no client in it?
    pub fn is_empty(&self) -> bool {
        self.table.rows.is_empty()
    }

    /// All of it.
    pub fn rows(&self) -> &SessionRows {
        &self.table
    }

    /// Is anything remembered of the client?
    pub fn knows(&self, client: ClientId) -> bool {
        self.table.rows.contains_key(&client)
    }

    /// No client whose entries all lie before this need be in the table.
    pub fn forgotten(&self) -> Position {
        self.table.forgotten
    }

    /// Takes up the next committed entry.
    pub fn apply(&mut self, entry: &Entry) {
        let Author::Client(origin, owner) = &entry.author else {
            return;
        };
        let (client, id) = origin.request();
        let forgotten = self.table.forgotten;
        let mut before = None;
        let row = match self.table.rows.entry(client) {
            // It was forgotten while this was on its way. To begin anew would be to say of its older requests that they
            // were never made.
            MapEntry::Vacant(_) if origin.born < forgotten => return,
            MapEntry::Vacant(vacant) => vacant.insert(SessionRow::default()),
            MapEntry::Occupied(row) => {
                before = Some(Taken::by(row.get()));
                row.into_mut()
            }
        };
        self.results -= row.results.len();
        row.owner = *owner;
        row.last = entry.seq;
        let settled = planted!(SettledTooMuch => RequestId(origin.settled.0 + 1), origin.settled);
        raise_floor(row, settled);
        let mut added = None;
        if id >= row.floor
            && let MapEntry::Vacant(vacant) = row.results.entry(id)
        {
            added = Some((id, *vacant.insert(entry.decided())));
        }
        let kept = self
            .limits
            .results_per_client_max
            .min(self.limits.results_max);
        while row.results.len() > kept {
            forget_oldest(row);
        }
        self.owners.change(client, before, Some(Taken::by(row)));
        self.results += row.results.len();
        self.changes.note(client, row, added);
        self.forget_clients();
    }

    /// Keeps the bounds: of whoever takes most, the client that has been quiet for longest goes.
    fn forget_clients(&mut self) {
        while self.table.rows.len() > self.limits.clients_max.max(1)
            || self.results > self.limits.results_max
        {
            let Some(client) = self.owners.next_to_go() else {
                break;
            };
            let Some(row) = self.table.rows.remove(&client) else {
                break;
            };
            self.owners.change(client, Some(Taken::by(&row)), None);
            self.results -= row.results.len();
            self.table.forgotten = self.table.forgotten.max(Position::behind(row.last));
            self.changes.rows.insert(client, None);
        }
    }

    /// What is known of a request.
    pub fn lookup(&self, origin: &Origin) -> Lookup {
        match self.table.rows.get(&origin.client) {
            Some(row) if origin.id < row.floor => Lookup::Expired,
            Some(row) => row
                .results
                .get(&origin.id)
                .copied()
                .map_or(Lookup::New, Lookup::Done),
            None if origin.born < self.table.forgotten => Lookup::Expired,
            None => Lookup::New,
        }
    }

    /// What has changed since this was asked last.
    pub fn take_changes(&mut self) -> SessionChanges {
        SessionChanges {
            forgotten: self.table.forgotten,
            ..mem::take(&mut self.changes)
        }
    }

    /// Asserts what the struct promises.
    pub fn check(&self) {
        assert_eq!(
            self.owners.clients(),
            self.table.rows.len(),
            "clients are miscounted"
        );
        assert!(
            self.table.rows.len() <= self.limits.clients_max.max(1),
            "too many clients are remembered"
        );
    }
}

fn raise_floor(row: &mut SessionRow, floor: RequestId) {
    row.floor = row.floor.max(floor);
    // A few at a time, as the requests of a client are settled.
    while let Some(first) = row.results.first_entry()
        && *first.key() < floor
    {
        first.remove();
    }
}

fn forget_oldest(row: &mut SessionRow) {
    if let Some((id, _)) = row.results.pop_first() {
        row.floor = RequestId(id.0.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Changes, Revision, Verdict};

    /// A table after entries, written as `(client, id, born, settled)`, in a log that begins with them. Ten clients each have one
    /// owner.
    fn table(entries: &[(u64, u64, u64, u64)]) -> Sessions {
        let limits = SessionLimits {
            clients_max: 2,
            results_max: 5,
            results_per_client_max: 3,
        };
        let mut sessions = Sessions::open(SessionRows::default(), limits.clone());
        let (mut followed, mut together) = (SessionRows::default(), SessionChanges::default());
        for (seq, &(client, id, born, settled)) in entries.iter().enumerate() {
            sessions.apply(&entry(seq as u64, client, id, born, settled));
            sessions.check();
            if seq % 2 == 0 {
                continue; // Its changes come with those of the next.
            }
            let changes = sessions.take_changes();
            together.extend(&changes);
            followed.change(&changes);
        }
        let changes = sessions.take_changes();
        together.extend(&changes);
        followed.change(&changes);
        assert_eq!(&followed, sessions.rows(), "the changes tell all");
        let mut at_once = SessionRows::default();
        at_once.change(&together);
        assert_eq!(at_once, followed, "one after the other or together");
        let reopened = Sessions::open(followed, limits);
        assert_eq!(reopened, sessions, "rows tell all");
        sessions
    }

    fn origin(client: u64, id: u64, born: u64, settled: u64) -> Origin {
        Origin {
            client: ClientId(client),
            id: RequestId(id),
            born: Position(born),
            settled: RequestId(settled),
        }
    }

    fn entry(seq: u64, client: u64, id: u64, born: u64, settled: u64) -> Entry {
        Entry {
            author: Author::Client(origin(client, id, born, settled), Owner(client as u32 / 10)),
            ..Entry::of(1, seq, "k", None)
        }
    }

    fn done(seq: u64) -> Lookup {
        Lookup::Done(Decided {
            seq: Seq(seq),
            revision: Revision(seq + 2),
            verdict: Verdict::Executed,
        })
    }

    /// What is known of request `id` of `client`, who says that it was born at `born`.
    fn check(
        entries: &[(u64, u64, u64, u64)],
        (client, id, born): (u64, u64, u64),
        expected: Lookup,
    ) {
        let sessions = table(entries);
        let found = sessions.lookup(&origin(client, id, born, 0));
        assert_eq!(found, expected, "{id} of {client} after {entries:?}");
    }

    #[test]
    fn a_request_is_known_by_client_and_id() {
        let entries = [(1, 7, 0, 0), (2, 8, 0, 0)];
        check(&entries, (1, 7, 0), done(0));
        check(&entries, (2, 8, 0), done(1));
        check(&entries, (1, 8, 0), Lookup::New);
        check(&entries, (1, 3, 0), Lookup::New);
        check(&entries, (3, 7, 0), Lookup::New);
    }

    #[test]
    fn the_first_of_two_entries_counts() {
        check(&[(1, 7, 0, 0), (1, 7, 0, 0)], (1, 7, 0), done(0));
    }

    #[test]
    fn what_is_settled_is_forgotten_and_never_executed_again() {
        let entries = [(1, 3, 0, 0), (1, 5, 0, 0), (1, 6, 0, 5)];
        check(&entries, (1, 3, 0), Lookup::Expired);
        check(&entries, (1, 4, 0), Lookup::Expired);
        check(&entries, (1, 5, 0), done(1));
        // A late entry of a settled request leaves the floor where it is.
        let late = [(1, 6, 0, 5), (1, 4, 0, 0)];
        check(&late, (1, 4, 0), Lookup::Expired);
        check(&late, (1, 6, 0), done(0));
    }

    #[test]
    fn of_too_many_results_the_oldest_ids_go_and_raise_the_floor() {
        let entries = [(1, 4, 0, 0), (1, 2, 0, 0), (1, 6, 0, 0), (1, 5, 0, 0)];
        check(&entries, (1, 2, 0), Lookup::Expired);
        check(&entries, (1, 3, 0), Lookup::New);
        check(&entries, (1, 4, 0), done(0));
        check(&entries, (1, 5, 0), done(3));
    }

    #[test]
    fn of_too_many_clients_the_quietest_goes() {
        let entries = [(1, 0, 0, 0), (2, 0, 0, 0), (1, 1, 0, 0), (3, 0, 0, 0)];
        check(&entries, (1, 0, 0), done(0));
        check(&entries, (3, 0, 0), done(3));
        check(&entries, (2, 0, 0), Lookup::Expired);
        check(&entries, (2, 9, 0), Lookup::Expired);
        // Its newest entry was 1: who was born behind that was not forgotten.
        check(&entries, (4, 0, 1), Lookup::Expired);
        check(&entries, (4, 0, 2), Lookup::New);
    }

    #[test]
    fn of_too_many_results_in_all_the_quietest_client_goes() {
        let entries = [
            (1, 0, 0, 0),
            (1, 1, 0, 0),
            (1, 2, 0, 0),
            (2, 0, 0, 0),
            (2, 1, 0, 0),
            (2, 2, 0, 0),
        ];
        check(&entries[..5], (1, 0, 0), done(0));
        check(&entries, (1, 2, 0), Lookup::Expired);
        check(&entries, (2, 0, 0), done(3));
    }

    #[test]
    fn a_forgotten_client_with_an_entry_on_its_way_does_not_come_back() {
        let entries = [(1, 5, 0, 0), (2, 0, 0, 0), (3, 0, 0, 0), (1, 3, 0, 0)];
        check(&entries, (1, 5, 0), Lookup::Expired);
        check(&entries, (1, 3, 0), Lookup::Expired);
        check(&entries, (1, 6, 0), Lookup::Expired);
        check(&entries, (2, 0, 0), done(1));
    }

    #[test]
    fn a_client_born_behind_what_is_forgotten_is_remembered() {
        let entries = [(1, 0, 0, 0), (2, 0, 0, 0), (3, 0, 0, 0), (4, 0, 3, 0)];
        check(&entries, (4, 0, 3), done(3));
        check(&entries, (2, 0, 0), Lookup::Expired);
    }

    #[test]
    fn whoever_invents_clients_has_only_his_own_forgotten() {
        let mut entries = vec![(1, 0, 0, 0)];
        entries.extend((10..19).map(|client| (client, 0, client - 9, 0)));
        check(&entries, (1, 0, 0), done(0));
        check(&entries, (18, 0, 0), done(9));
        check(&entries, (17, 0, 0), Lookup::Expired);
        // Of two who take as much, the one with the quieter client is next.
        entries.push((20, 0, 10, 0));
        check(&entries, (1, 0, 0), Lookup::Expired);
        check(&entries, (18, 0, 0), done(9));
    }

    #[test]
    fn whoever_has_most_remembered_is_forgotten_first() {
        // Two results of a client are as much as another client.
        let entries = [
            (1, 0, 0, 0),
            (11, 0, 0, 0),
            (11, 1, 0, 0),
            (11, 2, 0, 0),
            (1, 1, 0, 0),
            (1, 2, 0, 2),
        ];
        check(&entries, (1, 2, 0), done(5));
        let with_one_more = [&entries[..], &[(1, 3, 0, 0), (11, 3, 0, 0)]].concat();
        check(&with_one_more, (1, 3, 0), done(6));
        check(&with_one_more, (11, 3, 0), done(7));
        let with_two = [&with_one_more[..], &[(1, 4, 0, 0)]].concat();
        check(&with_two, (1, 4, 0), done(8));
        check(&with_two, (11, 3, 0), Lookup::Expired);
    }

    #[test]
    fn a_client_goes_over_to_another_owner_with_its_newest_entry() {
        let mut sessions = table(&[(1, 0, 0, 0), (2, 0, 0, 0)]);
        let mut moved = entry(2, 1, 1, 0, 0);
        moved.author = Author::Client(origin(1, 1, 0, 0), Owner(7));
        sessions.apply(&moved);
        sessions.check();
        assert_eq!(sessions.rows().rows[&ClientId(1)].owner, Owner(7));
        let changes = sessions.take_changes();
        let row = changes.rows[&ClientId(1)].as_ref().unwrap();
        assert_eq!(row.owner, Owner(7));
        let limits = sessions.limits.clone();
        assert_eq!(
            Sessions::open(sessions.rows().clone(), limits).owners,
            sessions.owners
        );
    }

    #[test]
    fn a_request_that_was_cancelled_is_known_as_such() {
        let mut sessions = table(&[]);
        let mut cancel = entry(0, 1, 7, 0, 0);
        (cancel.changes, cancel.verdict) = (Changes::new(), Verdict::Cancelled);
        sessions.apply(&cancel);
        sessions.apply(&entry(1, 1, 7, 0, 0));
        let found = sessions.lookup(&origin(1, 7, 0, 0));
        assert_eq!(found, Lookup::Done(cancel.decided()));
    }

    #[test]
    fn changes_are_no_larger_than_what_has_changed() {
        let mut sessions = Sessions::open(SessionRows::default(), SessionLimits::default());
        for seq in 0..4096 {
            sessions.apply(&entry(seq, 1, seq, 0, 0));
        }
        sessions.take_changes();
        sessions.apply(&entry(4096, 1, 4096, 0, 0));
        let changes = sessions.take_changes();
        let row = changes.rows[&ClientId(1)].as_ref().unwrap();
        assert_eq!(row.results.len(), 1);
        assert_eq!(row.floor, RequestId(1), "the oldest went for it");
    }

    #[test]
    fn what_the_cluster_does_is_no_request() {
        let mut sessions = table(&[(1, 7, 0, 0)]);
        let before = sessions.clone();
        let mut own = entry(1, 2, 7, 0, 0);
        own.author = Author::Cluster;
        sessions.apply(&own);
        assert_eq!(sessions, before);
    }

    #[test]
    fn a_million_abandoned_clients_take_no_more_memory_than_the_limits_say() {
        let limits = SessionLimits::default();
        let mut sessions = Sessions::open(SessionRows::default(), limits.clone());
        for seq in 0..1_000_000 {
            sessions.apply(&entry(seq, seq, 0, seq, 0));
            assert!(sessions.len() <= limits.clients_max);
        }
        sessions.check();
        assert_eq!(sessions.len(), limits.clients_max);
        let newest = sessions.lookup(&origin(999_999, 0, 999_999, 0));
        assert_eq!(newest, done(999_999));
        let oldest = sessions.lookup(&origin(0, 0, 0, 0));
        assert_eq!(oldest, Lookup::Expired);
    }
}
