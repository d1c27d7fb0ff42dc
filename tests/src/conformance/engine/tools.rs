//! What the checks have in common.

use std::sync::Arc;

use lockstep_core::config::Position;
use lockstep_core::engine::{Engine, Page, StoreError};
use lockstep_core::operation::{Entry, Key, Keyed, LeaseId, Moment, Record, Revision, Value};
use lockstep_core::range::KeyRange;
use lockstep_core::sessions::{SessionChanges, SessionRows};

pub(super) type Scan<'a> = &'a dyn Fn(&KeyRange) -> Result<Page, StoreError>;

pub(super) fn all(scan: Scan<'_>) -> Vec<(Key, Value)> {
    let all = all_records(scan).into_iter();
    all.map(|keyed| (keyed.key, keyed.record.value)).collect()
}

pub(super) fn all_records(scan: Scan<'_>) -> Vec<Keyed> {
    let mut all: Vec<Keyed> = Vec::new();
    let mut wanted = Some(KeyRange::all());
    while let Some(range) = wanted {
        let page = scan(&range).expect("the state can be read");
        wanted = page.rest(&range);
        assert_eq!(page.more, wanted.is_some(), "an empty page, yet more");
        all.extend(page.records);
    }
    assert!(all.is_sorted_by(|a, b| a.key < b.key), "keys ascend");
    all
}

/// Entries that change no session.
pub(super) fn apply(engine: &dyn Engine, entries: &[Arc<Entry>]) -> Result<(), StoreError> {
    engine.apply(entries, &SessionChanges::default())
}

/// Records without sessions.
pub(super) fn stage(engine: &dyn Engine, records: &[(Key, Value)]) -> Result<(), StoreError> {
    let records = records.iter().cloned();
    let records: Vec<_> = records.map(|(key, value)| staged(key, value)).collect();
    engine.stage(&records, &SessionRows::default())
}

/// A record with some history.
pub(super) fn staged(key: Key, value: Value) -> Keyed {
    let record = Record {
        value,
        created: Revision(3),
        modified: Revision(20),
        version: 4,
        lease: Some(LeaseId(5)),
    };
    Keyed { key, record }
}

/// The moment behind so many entries of which half have changed something.
pub(super) fn moment(position: u64) -> Moment {
    Moment {
        position: Position(position),
        revision: Revision(1 + position / 2),
    }
}

pub(super) fn value_of(engine: &dyn Engine, key: &Key) -> Option<Value> {
    let record = engine.read(key).expect("the state can be read");
    record.map(|record| record.value)
}

pub(super) fn state(engine: &dyn Engine) -> Vec<(Key, Value)> {
    all(&|range| engine.scan(range, None))
}

pub(super) fn records(pairs: &[(&str, &str)]) -> Vec<(Key, Value)> {
    pairs
        .iter()
        .map(|(key, value)| (Key::from(*key), Value::from(*value)))
        .collect()
}
