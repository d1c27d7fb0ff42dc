//! Changes of the state that fjall does not have yet, in memory: the log has them durably.
//!
//! They are looked up one by one far more often than in order, so that they are kept by hash, and sorted when somebody
//! goes through them.

use std::collections::BTreeMap;
#[expect(
    clippy::disallowed_types,
    reason = "whoever goes through it goes through `sorted`"
)]
use std::collections::HashMap;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, OnceLock};

use crate::config::Position;
use crate::operation::{Change, ClientId, Entry, Key, Moment, Record};
use crate::range::KeyRange;
use crate::sessions::{SessionChanges, SessionRow};

/// What consecutive entries have changed.
#[derive(Debug, Default)]
pub(super) struct Table {
    #[expect(
        clippy::disallowed_types,
        reason = "whoever goes through it goes through `sorted`"
    )]
    records: HashMap<Key, Option<Record>>,
    /// The same in the order of the keys, once that was asked for.
    sorted: OnceLock<Vec<Change>>,
    pub(super) sessions: SessionChanges,
    /// The moment behind the last of the entries.
    pub(super) reached: Moment,
    /// The entries' bytes, those that others have overwritten included.
    pub(super) bytes: usize,
}

impl Table {
    pub(super) fn is_empty(&self) -> bool {
        self.reached == Moment::default()
    }

    /// Records that have changed.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Adds what further entries have changed.
    ///
    /// # Panics
    /// If somebody has gone through the changes.
    pub(super) fn apply(&mut self, entries: &[Arc<Entry>], sessions: &SessionChanges) {
        assert!(self.sorted.get().is_none(), "what is set aside is fixed");
        for entry in entries {
            for change in &entry.changes {
                self.records
                    .insert(change.key.clone(), change.record.clone());
            }
            self.reached = Moment {
                position: Position::behind(entry.seq),
                revision: entry.revision,
            };
            self.bytes += entry.size();
        }
        self.sessions.extend(sessions);
    }

    /// What the entries say of a key; `None` if they do not.
    pub(super) fn change(&self, key: &Key) -> Option<Option<Record>> {
        self.records.get(key).cloned()
    }

    /// All changes of records, in the order of their keys.
    pub(super) fn sorted(&self) -> &[Change] {
        self.sorted
            .get_or_init(|| sort(self.excerpt(&KeyRange::all(), usize::MAX)))
    }

    /// The changes of the range's records, in the order of their keys.
    pub(super) fn records_of(&self, range: &KeyRange) -> &[Change] {
        let sorted = self.sorted();
        let start = sorted.partition_point(|change| !has_begun(range, &change.key));
        let rest = &sorted[start..];
        &rest[..rest.partition_point(|change| range.contains(&change.key))]
    }

    /// The changes of sessions behind `after`.
    pub(super) fn sessions_behind(
        &self,
        after: Option<ClientId>,
    ) -> impl Iterator<Item = (&ClientId, &Option<SessionRow>)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.sessions.rows.range((start, Bound::Unbounded))
    }

    /// The changes of the range's records, in no order, as far as whoever wants `records_max` records needs them: up to
    /// the last of so many that are not deleted.
    pub(super) fn excerpt(&self, range: &KeyRange, records_max: usize) -> Vec<Change> {
        let wanted = || self.records.iter().filter(|(key, _)| range.contains(*key));
        let last = match self.records.len() > records_max {
            true => {
                let there = wanted().filter(|(_, record)| record.is_some());
                let mut there: Vec<&Key> = there.map(|(key, _)| key).collect();
                (there.len() > records_max).then(|| *there.select_nth_unstable(records_max - 1).1)
            }
            false => None,
        };
        wanted()
            .filter(|(key, _)| last.is_none_or(|last| *key <= last))
            .map(|(key, record)| Change {
                key: key.clone(),
                record: record.clone(),
            })
            .collect()
    }

    /// A table of these changes of records alone.
    pub(super) fn of(changes: Vec<Change>) -> Self {
        Self {
            sorted: OnceLock::from(sort(changes)),
            ..Self::default()
        }
    }
}

fn sort(mut changes: Vec<Change>) -> Vec<Change> {
    changes.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    changes
}

/// Does the range begin with the key, or before it?
fn has_begun(range: &KeyRange, key: &Key) -> bool {
    match &range.from {
        Bound::Unbounded => true,
        Bound::Included(from) => from <= key,
        Bound::Excluded(from) => from < key,
    }
}

/// Of several tables, the newest last, the last change of each record, in the order of the keys.
pub(super) fn merged(tables: &[Arc<Table>]) -> Vec<Change> {
    match tables {
        [] => Vec::new(),
        [only] => only.sorted().to_vec(),
        [older @ .., newest] => {
            let mut changes: BTreeMap<Key, Option<Record>> = BTreeMap::new();
            for table in older.iter().chain([newest]) {
                let sorted = table.sorted().iter().cloned();
                changes.extend(sorted.map(|Change { key, record }| (key, record)));
            }
            let changes = changes.into_iter();
            changes
                .map(|(key, record)| Change { key, record })
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Revision;

    fn table(rows: &[(&'static str, Option<&'static str>)]) -> Arc<Table> {
        let mut table = Table::default();
        for (key, value) in rows {
            let record = value.map(|value| Record::first(value.into(), Revision::FIRST));
            table.records.insert(Key::from(*key), record);
        }
        Arc::new(table)
    }

    fn rows(changes: &[Change]) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        changes
            .iter()
            .map(|change| {
                let value = change.value();
                let value = value.map_or("-".to_owned(), |value| text(&value.0));
                format!("{}={value}", text(&change.key.0))
            })
            .collect()
    }

    #[test]
    fn of_several_tables_the_last_change_counts() {
        let tables = [
            table(&[("a", Some("1")), ("b", Some("2")), ("e", None)]),
            table(&[]),
            table(&[("b", None), ("c", Some("3"))]),
            table(&[("c", Some("4")), ("e", Some("5"))]),
        ];
        assert_eq!(rows(&merged(&tables)), ["a=1", "b=-", "c=4", "e=5"]);
        assert_eq!(rows(&merged(&tables[..1])), ["a=1", "b=2", "e=-"]);
        assert!(merged(&[]).is_empty());
    }

    #[test]
    fn changes_of_a_range_come_in_the_order_of_their_keys() {
        let table = table(&[("b", None), ("c", Some("3")), ("a", Some("1"))]);
        let check = |range: KeyRange, expected: &[&str]| {
            assert_eq!(rows(table.records_of(&range)), expected, "{range:?}");
            let excerpt = Table::of(table.excerpt(&range, 3));
            assert_eq!(rows(excerpt.sorted()), expected, "{range:?}");
        };
        check(KeyRange::all(), &["a=1", "b=-", "c=3"]);
        check(KeyRange::behind("a"), &["b=-", "c=3"]);
        check(("a".."c").into(), &["a=1", "b=-"]);
        check(("b".."b").into(), &[]);
        check(("c".."a").into(), &[]);
        check(KeyRange::prefix("c"), &["c=3"]);
    }

    #[test]
    fn an_excerpt_goes_as_far_as_the_wanted_records() {
        let table = table(&[
            ("d", None),
            ("e", Some("5")),
            ("b", None),
            ("a", Some("1")),
            ("c", Some("3")),
        ]);
        let check = |after: Option<&str>, records_max, expected: &[&str]| {
            let range = after.map_or(KeyRange::all(), KeyRange::behind);
            let excerpt = Table::of(table.excerpt(&range, records_max));
            assert_eq!(rows(excerpt.sorted()), expected, "{range:?} {records_max}");
        };
        check(None, 1, &["a=1"]);
        check(None, 2, &["a=1", "b=-", "c=3"]);
        check(Some("a"), 1, &["b=-", "c=3"]);
        check(Some("c"), 1, &["d=-", "e=5"]);
        check(Some("e"), 1, &[]);
        check(None, 3, &["a=1", "b=-", "c=3", "d=-", "e=5"]);
    }
}
