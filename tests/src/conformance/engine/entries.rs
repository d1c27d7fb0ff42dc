//! What entries make of a state.

use std::sync::Arc;

use lockstep_core::config::Position;
use lockstep_core::engine::{Engine, Page};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::limits;
use lockstep_core::operation::{
    Change, Changes, Entry, Key, Keyed, LeaseId, Moment, Record, Revision, Value,
};
use lockstep_core::range::KeyRange;

use super::Subject;
use super::tools::{all_records, apply, moment, records, stage, staged, state, value_of};
use crate::conformance::{by_cluster, changing, insert, remove};

pub(super) fn a_fresh_state_is_empty(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    assert_eq!(engine.applied(), Position(0));
    assert_eq!(engine.installed(), None);
    assert_eq!(value_of(&*engine, &Key::from("a")), None);
    assert_eq!(engine.revision(), Revision::FIRST);
    assert_eq!(
        engine.scan(&KeyRange::all(), None).unwrap(),
        Page::default()
    );
    assert_eq!(engine.view().unwrap().at(), Moment::default());
    assert_eq!(engine.checkpoint().unwrap(), Position(0));
}

pub(super) fn entries_take_effect_in_their_order(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    apply(&*engine, &[]).unwrap();
    apply(
        &*engine,
        &[
            insert(1, 0, "a", "1"),
            insert(1, 1, "b", "1"),
            insert(1, 2, "a", "2"),
            insert(1, 3, "c", "1"),
            remove(1, 4, "c"),
            remove(1, 5, "d"),
            remove(1, 6, "b"),
            insert(1, 7, "b", "3"),
        ],
    )
    .unwrap();
    assert_eq!(engine.applied(), Position(8));
    assert_eq!(state(&*engine), records(&[("a", "2"), ("b", "3")]));
    apply(&*engine, &[remove(1, 8, "a"), insert(1, 9, "e", "")]).unwrap();
    assert_eq!(engine.applied(), Position(10));
    assert_eq!(value_of(&*engine, &Key::from("a")), None);
    assert_eq!(
        value_of(&*engine, &Key::from("e")),
        Some(Value::from("")),
        "an empty value is a value"
    );
    assert_eq!(state(&*engine), records(&[("b", "3"), ("e", "")]));
}

pub(super) fn an_entry_changes_several_keys_or_none(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    apply(
        &*engine,
        &[
            insert(1, 0, "a", "1"),
            by_cluster(1, 1, &[("a", None), ("b", Some("2"))]),
            by_cluster(1, 2, &[]),
            by_cluster(1, 3, &[("c", Some("3")), ("d", None)]),
        ],
    )
    .unwrap();
    let expected = records(&[("b", "2"), ("c", "3")]);
    assert_eq!(state(&*engine), expected);
    assert_eq!(engine.checkpoint().unwrap(), Position(4));
    let engine = subject.reopen(engine);
    assert_eq!(engine.applied(), Position(4));
    assert_eq!(state(&*engine), expected);
}

pub(super) fn records_and_the_revision_survive(subject: &mut dyn Subject) {
    let continued = Change {
        key: Key::from("b"),
        record: Some(Record {
            value: Value::from("2"),
            created: Revision(2),
            modified: Revision(3),
            version: 2,
            lease: Some(LeaseId(9)),
        }),
    };
    let at = |seq: u64, revision, changes: Changes| {
        let entry = (*changing(1, seq, changes)).clone();
        Arc::new(Entry {
            revision: Revision(revision),
            ..entry
        })
    };
    let engine = subject.fresh();
    let entries = [
        insert(1, 0, "a", "1"),
        at(1, 3, [continued.clone()].into()),
        at(2, 3, Changes::new()),
    ];
    apply(&*engine, &entries).unwrap();
    let check = |engine: &dyn Engine| {
        assert_eq!(engine.revision(), Revision(3));
        let view = engine.view().unwrap();
        let expected = Moment {
            position: Position(3),
            revision: Revision(3),
        };
        assert_eq!(view.at(), expected);
        let first = Record::first("1".into(), Revision(2));
        let records = [
            Keyed::from((Key::from("a"), first)),
            Keyed::from((continued.key.clone(), continued.record.clone().unwrap())),
        ];
        assert_eq!(all_records(&|range| engine.scan(range, None)), records);
        assert_eq!(all_records(&|range| view.scan(range, None)), records);
        for Keyed { key, record } in records {
            assert_eq!(engine.read(&key).unwrap(), Some(record.clone()));
            let peeked = engine.peek(&key);
            assert!(peeked.is_none_or(|peeked| peeked == Some(record)));
        }
    };
    check(&*engine);
    engine.checkpoint().unwrap();
    check(&*engine);
    let engine = subject.reopen(engine);
    check(&*engine);
    engine.stage_begin().unwrap();
    stage(&*engine, &records(&[("z", "9")])).unwrap();
    engine.install(moment(50), &EpochHistory::new()).unwrap();
    let check = |engine: &dyn Engine| {
        assert_eq!(engine.revision(), Revision(26));
        assert_eq!(engine.view().unwrap().at(), moment(50));
        let expected = [staged("z".into(), "9".into())];
        assert_eq!(all_records(&|range| engine.scan(range, None)), expected);
    };
    check(&*engine);
    check(&*subject.reopen(engine));
}

pub(super) fn any_bytes_are_keys_and_values(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    let keys: [&[u8]; 7] = [
        &[0],
        &[0, 0],
        &[0, 255],
        &[1],
        b"a",
        &[255],
        &[255; limits::Limits::KEY_BYTES_CEILING],
    ];
    let entries: Vec<_> = keys
        .iter()
        .enumerate()
        .map(|(seq, key)| {
            let change = Change::insert(Key::from(*key), Value::from(*key), Revision(2));
            changing(1, seq as u64, [change].into())
        })
        .collect();
    apply(&*engine, &entries).unwrap();
    let expected: Vec<_> = keys
        .iter()
        .map(|key| (Key::from(*key), Value::from(*key)))
        .collect();
    assert_eq!(state(&*engine), expected);
    for (key, value) in expected {
        assert_eq!(value_of(&*engine, &key), Some(value));
    }
}

/// Nobody can write such keys, but anybody can ask for them.
pub(super) fn keys_too_long_to_be_there_are_not_there(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    let inserts = (0..).zip(["w", "x", "xx", "y"]);
    let inserts = inserts.map(|(seq, key)| insert(1, seq, key, ""));
    apply(&*engine, &inserts.collect::<Vec<_>>()).unwrap();
    engine.checkpoint().unwrap();
    let long = Key::from(vec![b'x'; 1 << 17]);
    assert_eq!(engine.read(&long).unwrap(), None);
    let longer = Key::from(vec![b'x'; 1 << 18]);
    let check = |range: KeyRange, expected: &[&str]| {
        let page = engine.scan(&range, None).unwrap();
        let found = page.records.iter().map(|found| format!("{:?}", found.key));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{range:?}");
    };
    check(KeyRange::behind(long.clone()), &["y"]);
    check((long.clone()..).into(), &["y"]);
    check((..long.clone()).into(), &["w", "x", "xx"]);
    check(KeyRange::all().through(long.clone()), &["w", "x", "xx"]);
    check((long.clone()..longer.clone()).into(), &[]);
    check((longer..long).into(), &[]);
}
