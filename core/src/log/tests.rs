//! Logs of a few entries, with little room in memory.

use super::*;
use crate::config::{Incarnation, NodeId, Token};
use crate::operation::{Author, Change, Value, Verdict};
use crate::sessions::SessionRows;
use crate::storage::Meta;

fn entry(epoch: u64, seq: u64, key: &str, value: Option<&str>) -> Arc<Entry> {
    Arc::new(Entry::of(epoch, seq, key, value.map(Value::from)))
}

fn changing(epoch: u64, seq: u64, changes: &[(&str, Option<&str>)], author: Author) -> Arc<Entry> {
    let revision = Revision(seq + 2);
    let changes = changes.iter().map(|(key, value)| match value {
        Some(value) => Change::insert((*key).into(), (*value).into(), revision),
        None => Change::remove((*key).into()),
    });
    Arc::new(Entry {
        epoch: Epoch(epoch),
        seq: Seq(seq),
        revision,
        changes: changes.collect(),
        verdict: Verdict::Executed,
        author,
    })
}

fn empty() -> Log {
    let meta = Meta {
        node: NodeId(1),
        cluster: None,
        incarnation: Incarnation(1),
        token: Token(0),
        epoch: Epoch(0),
        starts: Vec::new(),
        arbiters: Vec::new(),
    };
    let recovered = Recovered {
        meta,
        log_start: Position(0),
        log_end: Position(0),
        history: EpochHistory::new(),
        applied: Position(0),
        revision: Revision::FIRST,
        sessions: SessionRows::default(),
        tail: Vec::new(),
    };
    Log::open(&recovered, 2 * entry(1, 0, "k", Some("a")).size())
}

fn newest<'a>(log: &'a Log, key: &str) -> Option<Option<&'a Value>> {
    log.check();
    let newest = log.newest(&key.into());
    newest.map(|record| record.map(|record| &record.value))
}

#[test]
fn reads_see_what_is_appended_until_the_state_has_it() {
    let mut log = empty();
    log.append(entry(1, 0, "k", Some("a")));
    log.append(entry(1, 1, "k", None));
    log.append(entry(1, 2, "l", Some("b")));
    assert_eq!(newest(&log, "k"), Some(None));
    assert_eq!(log.advance_committed(Position(9)).len(), 3);
    log.advance_applied(Position(2));
    assert_eq!(newest(&log, "k"), Some(None));
    log.forget(Position(3));
    assert_eq!(newest(&log, "k"), None);
    assert_eq!(newest(&log, "l"), Some(Some(&"b".into())));
}

#[test]
fn a_truncated_log_shows_the_older_value_again() {
    let mut log = empty();
    log.append(entry(1, 0, "k", Some("a")));
    log.append(entry(1, 1, "k", Some("b")));
    log.advance_persisted(Position(2));
    log.truncate(Position(1));
    assert_eq!((log.end(), log.persisted()), (Position(1), Position(1)));
    assert_eq!(newest(&log, "k"), Some(Some(&"a".into())));
    log.append(entry(2, 1, "k", Some("c")));
    assert_eq!(
        log.history().runs(),
        [(Epoch(1), Position(0)), (Epoch(2), Position(1))]
    );
}

#[test]
fn committed_values_are_found_below_those_that_are_not() {
    let mut log = empty();
    for (seq, value) in ["a", "b", "c"].into_iter().enumerate() {
        log.append(entry(1, seq as u64, "k", Some(value)));
    }
    let committed = |log: &Log| {
        let record = log.newest_committed(&"k".into());
        record.map(|record| record.map(|record| record.value.clone()))
    };
    assert_eq!(committed(&log), None);
    assert_eq!(log.dirty_until(&"k".into()), Some(Position(3)));
    log.advance_committed(Position(2));
    assert_eq!(committed(&log), Some(Some("b".into())));
    log.truncate(Position(2));
    assert_eq!(log.dirty_until(&"k".into()), None);
    log.append(entry(2, 2, "k", None));
    assert_eq!(committed(&log), Some(Some("b".into())));
    log.advance_applied(Position(2));
    log.forget(Position(2));
    assert_eq!(committed(&log), None, "the state has it");
    assert_eq!(newest(&log, "k"), Some(None));
    log.truncate(Position(2));
    assert_eq!(newest(&log, "k"), None);
}

#[test]
fn an_entry_changes_several_keys_at_once_or_none() {
    let mut log = empty();
    log.append(entry(1, 0, "k", Some("a")));
    let both = [("j", Some("b")), ("k", None), ("l", Some("b"))];
    log.append(changing(1, 1, &both, Author::Cluster));
    log.append(changing(1, 2, &[], Author::Cluster));
    log.append(changing(
        1,
        3,
        &[("l", None), ("k", Some("c"))],
        Author::Cluster,
    ));
    assert_eq!(newest(&log, "j"), Some(Some(&"b".into())));
    assert_eq!(newest(&log, "k"), Some(Some(&"c".into())));
    assert_eq!(newest(&log, "l"), Some(None));
    log.truncate(Position(3));
    assert_eq!(newest(&log, "k"), Some(None));
    assert_eq!(newest(&log, "l"), Some(Some(&"b".into())));
    log.advance_committed(Position(1));
    let committed = |key: &str| log.newest_committed(&key.into());
    assert!(committed("k").is_some_and(|record| record.is_some()));
    assert_eq!(committed("j"), None);
    log.truncate(Position(1));
    assert_eq!(newest(&log, "j"), None);
    assert_eq!(newest(&log, "k"), Some(Some(&"a".into())));
    log.append(changing(1, 1, &both, Author::Cluster));
    log.advance_committed(Position(2));
    log.advance_applied(Position(2));
    log.forget(Position(2));
    assert!(
        ["j", "k", "l"]
            .iter()
            .all(|key| newest(&log, key).is_none())
    );
}

#[test]
fn the_revision_is_known_from_where_the_state_is_on() {
    let mut log = empty();
    assert_eq!(log.revision(), Revision(1));
    for seq in 0..10 {
        log.append(entry(1, seq, "k", Some("a")));
    }
    assert_eq!(log.revision(), Revision(11));
    assert_eq!(log.revision_at(Position(0)), Revision(1));
    assert_eq!(log.revision_at(Position(7)), Revision(8));
    log.advance_committed(Position(9));
    log.advance_applied(Position(9));
    log.forget(Position(9));
    assert_eq!(log.entries(Position(0), 1, 1), None);
    assert_eq!(log.revision_at(Position(9)), Revision(10));
    log.truncate(Position(9));
    assert_eq!(log.revision(), Revision(10));
    let moment = Moment {
        position: Position(50),
        revision: Revision(40),
    };
    log.reset(moment, EpochHistory::new());
    assert_eq!(log.revision(), Revision(40));
    assert_eq!(log.revision_at(Position(50)), Revision(40));
}

#[test]
#[should_panic(expected = "truncating what is committed")]
fn what_is_committed_cannot_be_truncated() {
    let mut log = empty();
    log.append(entry(1, 0, "k", Some("a")));
    log.advance_committed(Position(1));
    log.truncate(Position(0));
}

#[test]
fn memory_keeps_what_is_not_applied_and_little_more() {
    let mut log = empty();
    for seq in 0..10 {
        log.append(entry(1, seq, "k", Some("a")));
    }
    assert!(
        log.entries(Position(0), 1, 9)
            .is_some_and(|entries| entries.len() == 1)
    );
    log.advance_committed(Position(10));
    log.advance_applied(Position(10));
    log.forget(Position(10));
    log.check();
    assert_eq!(log.entries(Position(7), 1000, 9), None);
    let kept = log.entries(Position(8), 1000, 9);
    assert!(kept.is_some_and(|entries| entries.len() == 2));
    assert_eq!(log.entries(Position(10), 1000, 9), Some(Vec::new()));
}

#[test]
fn the_newest_values_of_a_range_come_in_the_order_of_their_keys() {
    let mut log = empty();
    for (seq, (key, value)) in [("b", "1"), ("c", "2"), ("a", "3"), ("b", "4")]
        .into_iter()
        .enumerate()
    {
        log.append(entry(1, seq as u64, key, Some(value)));
    }
    log.append(entry(1, 4, "c", None));
    let newest = |range: KeyRange| {
        log.newest_of(&range)
            .map(|(key, record)| (key, record.map(|record| &record.value)))
            .map(|(key, value)| format!("{key:?}{value:?}"))
            .collect::<String>()
    };
    assert_eq!(newest(KeyRange::all()), "aSome(3)bSome(4)cNone");
    assert_eq!(newest(KeyRange::behind("b")), "cNone");
    assert_eq!(newest(KeyRange::from("a".."c")), "aSome(3)bSome(4)");
}
