//! What every [`Engine`] must do.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use lockstep_core::config::{Epoch, Position, Seq};
use lockstep_core::engine::{Engine, Page, StoreError};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::limits;
use lockstep_core::operation::{
    Change, Changes, ClientId, Decided, Entry, Key, Keyed, LeaseId, Moment, Record, RequestId,
    Revision, Value, Verdict,
};
use lockstep_core::range::KeyRange;
use lockstep_core::sessions::{SessionChanges, SessionRow, SessionRows};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::rule::checks;
use super::{by_cluster, changing, insert, remove};

/// How the suite gets at the engines it tests.
pub trait Subject {
    /// The state before the first entry.
    fn fresh(&mut self) -> Arc<dyn Engine>;

    /// The same state after the end of its process and a new start.
    fn reopen(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine>;
}

checks! {
    a_fresh_state_is_empty:
        "a state before the first entry has no records, no sessions, position 0 and the first revision",
        "what a new directory is made with";
    entries_take_effect_in_their_order:
        "`apply` gives a key the last of its changes, and moves `applied` and `revision` with them",
        "the order within one call, and a cache that is behind";
    an_entry_changes_several_keys_or_none:
        "all changes of an entry take effect, and one without any moves the position alone",
        "entries that are taken for one change each";
    records_and_the_revision_survive:
        "what was checkpointed is there after a new start, records with all that is in them",
        "how records are written, and whether the revision is durable with the position";
    pages_are_bounded_and_ordered:
        "a page has records in the order of their keys, within `limits::CHUNK_BYTES_MAX` and `CHUNK_RECORDS_MAX`, and says whether more follow",
        "`Page::collect` keeps the bounds; whether the end of a range is in it";
    pages_have_no_more_than_their_limit:
        "a page has no more records than its limit, and at least one if there is any",
        "a limit that is applied after the page was filled";
    keys_too_long_to_be_there_are_not_there:
        "a key of any length can be asked for; one that is longer than any may be is absent",
        "a length that the storage below does not take";
    any_bytes_are_keys_and_values:
        "keys and values are any bytes, values also none",
        "separators and escapes in how keys are put together";
    a_view_does_not_change:
        "a view stays as it was, whatever is applied or installed meanwhile",
        "whether all of its reads, also of sessions, are of one snapshot";
    a_checkpoint_survives:
        "what `checkpoint` said is durable is there after a new start",
        "what is flushed before it returns";
    an_installed_state_replaces_the_present_one:
        "after `install` there is the staged state and nothing else, also after a new start",
        "records that were only in the former state, and memory that still has them";
    a_state_that_is_not_installed_is_forgotten:
        "what was staged and not installed is never seen, and `stage_begin` begins anew",
        "leftovers of a staging that was broken off";
    sessions_change_with_the_entries:
        "sessions are changed by the same step as the records of an entry",
        "whether rows that are gone are removed, and `forgotten` is kept";
    sessions_come_in_pages:
        "pages of sessions have all clients once, in order, and say whether more follow",
        "`SessionPage::collect` keeps the bounds; where the next page begins";
    reads_go_on_beside_changes:
        "every view is the outcome of a prefix of the entries, also while entries are applied by another thread",
        "what readers see between two parts of one `apply`";
    random_entries_agree_with_a_model:
        "whatever is done in whatever order, the state is that of a map in memory",
        "another check that fails too; if none does, what comes together here only: starts, views and ranges between changes, which the seed repeats";
}

type Scan<'a> = &'a dyn Fn(&KeyRange) -> Result<Page, StoreError>;

fn all(scan: Scan<'_>) -> Vec<(Key, Value)> {
    let all = all_records(scan).into_iter();
    all.map(|keyed| (keyed.key, keyed.record.value)).collect()
}

fn all_records(scan: Scan<'_>) -> Vec<Keyed> {
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
fn apply(engine: &dyn Engine, entries: &[Arc<Entry>]) -> Result<(), StoreError> {
    engine.apply(entries, &SessionChanges::default())
}

/// Records without sessions.
fn stage(engine: &dyn Engine, records: &[(Key, Value)]) -> Result<(), StoreError> {
    let records = records.iter().cloned();
    let records: Vec<_> = records.map(|(key, value)| staged(key, value)).collect();
    engine.stage(&records, &SessionRows::default())
}

/// A record with some history.
fn staged(key: Key, value: Value) -> Keyed {
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
fn moment(position: u64) -> Moment {
    Moment {
        position: Position(position),
        revision: Revision(1 + position / 2),
    }
}

fn value_of(engine: &dyn Engine, key: &Key) -> Option<Value> {
    let record = engine.read(key).expect("the state can be read");
    record.map(|record| record.value)
}

fn state(engine: &dyn Engine) -> Vec<(Key, Value)> {
    all(&|range| engine.scan(range, None))
}

fn records(pairs: &[(&str, &str)]) -> Vec<(Key, Value)> {
    pairs
        .iter()
        .map(|(key, value)| (Key::from(*key), Value::from(*value)))
        .collect()
}

fn a_fresh_state_is_empty(subject: &mut dyn Subject) {
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

fn entries_take_effect_in_their_order(subject: &mut dyn Subject) {
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

fn an_entry_changes_several_keys_or_none(subject: &mut dyn Subject) {
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

fn records_and_the_revision_survive(subject: &mut dyn Subject) {
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

fn pages_are_bounded_and_ordered(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    let many = limits::CHUNK_RECORDS_MAX as u64 + 1;
    let entries: Vec<_> = (0..many)
        .map(|seq| insert(1, seq, &format!("s{seq:08}"), ""))
        .collect();
    apply(&*engine, &entries).unwrap();
    let page = engine.scan(&KeyRange::all(), None).unwrap();
    assert_eq!(page.records.len(), limits::CHUNK_RECORDS_MAX);
    assert!(page.more);
    let rest = page.rest(&KeyRange::all()).unwrap();
    let rest = engine.scan(&rest, None).unwrap();
    assert_eq!((rest.records.len(), rest.more), (1, false));
    let large = "x".repeat(limits::CHUNK_BYTES_MAX);
    apply(
        &*engine,
        &[
            insert(1, many, "t1", &large),
            insert(1, many + 1, "t2", &large),
        ],
    )
    .unwrap();
    let page = engine.scan(&KeyRange::behind("t"), None).unwrap();
    assert_eq!(
        (page.records.len(), page.more),
        (1, true),
        "a large record travels alone"
    );
    assert_eq!(state(&*engine).len() as u64, many + 2);
}

fn pages_have_no_more_than_their_limit(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    let keys = ["a", "b", "c", "d", "e", "f"];
    let inserts = (0..).zip(keys).map(|(seq, key)| insert(1, seq, key, ""));
    apply(&*engine, &inserts.collect::<Vec<_>>()).unwrap();
    engine.checkpoint().unwrap();
    apply(&*engine, &[remove(1, 6, "c"), remove(1, 7, "d")]).unwrap();
    apply(&*engine, &[insert(1, 8, "aa", ""), insert(1, 9, "g", "")]).unwrap();
    let check = |range: KeyRange, limit, expected: &[&str], more| {
        let expected: Vec<_> = expected.iter().map(|key| Key::from(*key)).collect();
        let limit = NonZeroU32::new(limit);
        for page in [
            engine.scan(&range, limit).unwrap(),
            engine.view().unwrap().scan(&range, limit).unwrap(),
        ] {
            let found = page.records.iter().map(|found| found.key.clone());
            assert_eq!(found.collect::<Vec<_>>(), expected, "{range:?} {limit:?}");
            assert_eq!(page.more, more, "{range:?} {limit:?}");
        }
    };
    check(KeyRange::all(), 1, &["a"], true);
    check(KeyRange::all(), 3, &["a", "aa", "b"], true);
    check(KeyRange::behind("aa"), 2, &["b", "e"], true);
    check(KeyRange::behind("aa"), 4, &["b", "e", "f", "g"], false);
    let no_limit = u32::MAX;
    check(
        KeyRange::behind("aa"),
        no_limit,
        &["b", "e", "f", "g"],
        false,
    );
    check(KeyRange::behind("f"), 1, &["g"], false);
    check(KeyRange::behind("g"), 1, &[], false);
    check(("aa".."f").into(), no_limit, &["aa", "b", "e"], false);
    check(("aa".."f").into(), 2, &["aa", "b"], true);
    check(("aa".."f").into(), 3, &["aa", "b", "e"], false);
    check((.."aa").into(), no_limit, &["a"], false);
    check(("c".."d").into(), no_limit, &[], false);
    check(("f".."b").into(), no_limit, &[], false);
    check(("f".."f").into(), no_limit, &[], false);
    check(KeyRange::prefix("a"), no_limit, &["a", "aa"], false);
    check(KeyRange::behind("a").through("b".into()), 1, &["aa"], true);
}

/// Nobody can write such keys, but anybody can ask for them.
fn keys_too_long_to_be_there_are_not_there(subject: &mut dyn Subject) {
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

fn any_bytes_are_keys_and_values(subject: &mut dyn Subject) {
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

fn a_view_does_not_change(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    apply(&*engine, &[insert(1, 0, "a", "1"), insert(1, 1, "b", "1")]).unwrap();
    let view = engine.view().unwrap();
    apply(
        &*engine,
        &[
            insert(1, 2, "a", "2"),
            remove(1, 3, "b"),
            insert(1, 4, "c", "1"),
        ],
    )
    .unwrap();
    assert_eq!(view.at().position, Position(2));
    let before = records(&[("a", "1"), ("b", "1")]);
    assert_eq!(all(&|range| view.scan(range, None)), before);
    engine.stage_begin().unwrap();
    stage(&*engine, &records(&[("z", "9")])).unwrap();
    engine.install(moment(50), &EpochHistory::new()).unwrap();
    assert_eq!(state(&*engine), records(&[("z", "9")]));
    assert_eq!(all(&|range| view.scan(range, None)), before);
    assert!(view.records() >= 2, "at least the records there are");
}

fn a_checkpoint_survives(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    apply(&*engine, &[insert(1, 0, "a", "1"), insert(1, 1, "b", "1")]).unwrap();
    assert_eq!(engine.checkpoint().unwrap(), Position(2));
    let engine = subject.reopen(engine);
    assert_eq!(engine.applied(), Position(2));
    assert_eq!(state(&*engine), records(&[("a", "1"), ("b", "1")]));
    apply(&*engine, &[remove(1, 2, "a")]).unwrap();
    assert_eq!(state(&*engine), records(&[("b", "1")]));
}

fn an_installed_state_replaces_the_present_one(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    apply(&*engine, &[insert(1, 0, "a", "old")]).unwrap();
    engine.stage_begin().unwrap();
    stage(&*engine, &records(&[("x", "thrown away")])).unwrap();
    engine.stage_begin().unwrap();
    stage(&*engine, &records(&[("k", "1"), ("l", "2")])).unwrap();
    stage(&*engine, &records(&[("m", "3")])).unwrap();
    apply(&*engine, &[insert(1, 1, "b", "old")]).unwrap();
    assert_eq!(
        state(&*engine),
        records(&[("a", "old"), ("b", "old")]),
        "what is collected is not seen"
    );
    let mut history = EpochHistory::new();
    history.append(Epoch(2), lockstep_core::config::Seq(0));
    engine.install(moment(30), &history).unwrap();
    let check = |engine: &dyn Engine| {
        assert_eq!(engine.applied(), Position(30));
        assert_eq!(engine.installed(), Some((Position(30), history.clone())));
        assert_eq!(
            state(engine),
            records(&[("k", "1"), ("l", "2"), ("m", "3")])
        );
    };
    check(&*engine);
    let engine = subject.reopen(engine);
    check(&*engine);
    apply(&*engine, &[remove(2, 30, "k")]).unwrap();
    assert_eq!(engine.applied(), Position(31));
    assert_eq!(engine.installed(), Some((Position(30), history)));
    engine.stage_begin().unwrap();
    engine.install(moment(0), &EpochHistory::new()).unwrap();
    let engine = subject.reopen(engine);
    assert_eq!(engine.applied(), Position(0));
    assert_eq!(state(&*engine), []);
}

fn a_state_that_is_not_installed_is_forgotten(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    apply(&*engine, &[insert(1, 0, "a", "1")]).unwrap();
    engine.stage_begin().unwrap();
    stage(&*engine, &records(&[("x", "1")])).unwrap();
    engine.checkpoint().unwrap();
    let engine = subject.reopen(engine);
    assert_eq!(state(&*engine), records(&[("a", "1")]));
    engine.stage_begin().unwrap();
    stage(&*engine, &records(&[("y", "1")])).unwrap();
    engine.install(moment(5), &EpochHistory::new()).unwrap();
    assert_eq!(state(&*engine), records(&[("y", "1")]));
}

/// A client with as many requests, the last of them in the entry `last`.
fn row(last: u64, requests: u64) -> SessionRow {
    later_results(last, 0..requests)
}

/// What entries up to `last` have added of the client's requests.
fn later_results(last: u64, requests: Range<u64>) -> SessionRow {
    let end = requests.end;
    let done = |id| {
        let seq = Seq(last.saturating_sub(end - 1 - id));
        let verdict = match id % 2 {
            0 => Verdict::Executed,
            _ => Verdict::Cancelled,
        };
        let decided = Decided {
            seq,
            revision: Revision(seq.0 / 2),
            verdict,
        };
        (RequestId(id), decided)
    };
    SessionRow {
        floor: RequestId(0),
        last: Seq(last),
        results: requests.map(done).collect(),
    }
}

fn sessions(rows: &[(u64, SessionRow)], forgotten: u64) -> SessionRows {
    let rows = rows.iter().cloned();
    SessionRows {
        rows: rows.map(|(client, row)| (ClientId(client), row)).collect(),
        forgotten: Position(forgotten),
    }
}

fn changes(rows: &[(u64, Option<SessionRow>)], forgotten: u64) -> SessionChanges {
    let rows = rows.iter().cloned();
    SessionChanges {
        rows: rows.map(|(client, row)| (ClientId(client), row)).collect(),
        forgotten: Position(forgotten),
    }
}

fn sessions_change_with_the_entries(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    assert_eq!(engine.sessions().unwrap(), SessionRows::default());
    let both = [(1, Some(row(0, 1))), (u64::MAX, Some(row(1, 2)))];
    let entries = [insert(1, 0, "a", "1"), insert(1, 1, "b", "1")];
    engine.apply(&entries, &changes(&both, 0)).unwrap();
    let first = sessions(&[(1, row(0, 1)), (u64::MAX, row(1, 2))], 0);
    assert_eq!(engine.sessions().unwrap(), first);
    let records = records(&[("a", "1"), ("b", "1")]);
    assert_eq!(state(&*engine), records, "sessions are no records");
    let view = engine.view().unwrap();
    let later = [(1, None), (2, Some(row(2, 3)))];
    let entries = [insert(1, 2, "a", "1")];
    engine.apply(&entries, &changes(&later, 1)).unwrap();
    assert_eq!(view.sessions(None).unwrap().sessions, first);
    let second = sessions(&[(2, row(2, 3)), (u64::MAX, row(1, 2))], 1);
    assert_eq!(engine.sessions().unwrap(), second);
    engine.checkpoint().unwrap();
    drop(view);
    let engine = subject.reopen(engine);
    assert_eq!(engine.sessions().unwrap(), second);
    apply(&*engine, &[insert(1, 3, "a", "1")]).unwrap();
    assert_eq!(engine.sessions().unwrap(), second, "nothing changed");
    // Changes have the results that were added; what lies below the floor goes.
    let added = SessionRow {
        floor: RequestId(1),
        ..later_results(4, 2..3)
    };
    let entries = [insert(1, 4, "a", "1")];
    let third = changes(&[(u64::MAX, Some(added.clone()))], 1);
    engine.apply(&entries, &third).unwrap();
    let mut row_of_max = row(1, 2);
    row_of_max.extend(added);
    assert_eq!(row_of_max.results.len(), 2);
    let third = sessions(&[(2, row(2, 3)), (u64::MAX, row_of_max)], 1);
    assert_eq!(engine.sessions().unwrap(), third);
    let whole = engine.view().unwrap().sessions(None).unwrap();
    assert_eq!(whole.sessions, third);
    engine.checkpoint().unwrap();
    let engine = subject.reopen(engine);
    assert_eq!(engine.sessions().unwrap(), third);
    engine.stage_begin().unwrap();
    engine.stage(&[], &sessions(&[(7, row(9, 1))], 4)).unwrap();
    engine.stage_begin().unwrap();
    engine.stage(&[], &sessions(&[(3, row(9, 4))], 6)).unwrap();
    engine.stage(&[], &sessions(&[(4, row(8, 1))], 6)).unwrap();
    stage(&*engine, &records).unwrap();
    assert_eq!(engine.sessions().unwrap(), third);
    engine.install(moment(10), &EpochHistory::new()).unwrap();
    let installed = sessions(&[(3, row(9, 4)), (4, row(8, 1))], 6);
    assert_eq!(engine.sessions().unwrap(), installed);
    let engine = subject.reopen(engine);
    assert_eq!(engine.sessions().unwrap(), installed);
    assert_eq!(state(&*engine), records);
}

fn sessions_come_in_pages(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    let requests = 4096;
    let rows: Vec<_> = (0..9)
        .map(|client| (client, Some(row(1 << 40, requests))))
        .collect();
    engine
        .apply(&[insert(1, 0, "a", "1")], &changes(&rows, 5))
        .unwrap();
    let view = engine.view().unwrap();
    let mut found = SessionRows::default();
    loop {
        let page = view
            .sessions(found.rows.last_key_value().map(|(client, _)| *client))
            .unwrap();
        assert_eq!(page.sessions.forgotten, Position(5));
        let sizes = page.sessions.rows.values().map(SessionRow::size);
        assert!(sizes.sum::<usize>() <= limits::CHUNK_BYTES_MAX);
        assert!(page.sessions.rows.keys().all(|client| {
            let last = found.rows.last_key_value();
            last.is_none_or(|last| last.0 < client)
        }));
        found.extend(page.sessions);
        if !page.more {
            break;
        }
    }
    assert_eq!(found, engine.sessions().unwrap());
    assert_eq!(found.rows.len(), 9);
}

/// Every view is the outcome of a prefix of the entries, also while entries are applied.
fn reads_go_on_beside_changes(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    let last = 400;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for seq in (0..last).step_by(2) {
                let value = format!("{seq}");
                apply(
                    &*engine,
                    &[insert(1, seq, "a", &value), insert(1, seq + 1, "b", &value)],
                )
                .unwrap();
            }
        });
        scope.spawn(|| {
            let mut at = Position(0);
            while at < Position(last) {
                let view = engine.view().unwrap();
                assert!(view.at().position >= at, "a view never goes back");
                at = view.at().position;
                let values: Vec<_> = all(&|range| view.scan(range, None))
                    .into_iter()
                    .map(|(_, value)| value)
                    .collect();
                let expected = Value::from(format!("{}", at.0.saturating_sub(2)));
                let expected = if at.0 == 0 {
                    vec![]
                } else {
                    vec![expected.clone(), expected]
                };
                assert_eq!(values, expected);
            }
        });
    });
}

fn random_entries_agree_with_a_model(subject: &mut dyn Subject) {
    for seed in 0..10 {
        entries_of_a_seed_agree_with_a_model(subject, seed);
    }
}

fn entries_of_a_seed_agree_with_a_model(subject: &mut dyn Subject, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut engine = subject.fresh();
    let mut model: BTreeMap<Key, Value> = BTreeMap::new();
    let mut applied = 0;
    let mut views = Vec::new();
    for _ in 0..60 {
        let mut batch = Vec::new();
        for _ in 0..rng.random_range(1..40) {
            let key = format!("{}", rng.random_range(0..60));
            if rng.random_ratio(1, 3) {
                model.remove(&Key::from(key.as_str()));
                batch.push(remove(1, applied, &key));
            } else {
                let value = format!("{applied}");
                model.insert(Key::from(key.as_str()), Value::from(value.as_str()));
                batch.push(insert(1, applied, &key, &value));
            }
            applied += 1;
        }
        apply(&*engine, &batch).unwrap();
        match rng.random_range(0..20) {
            0 => {
                engine.checkpoint().unwrap();
                views.clear();
                engine = subject.reopen(engine);
            }
            1..=3 => {
                engine.checkpoint().unwrap();
            }
            4..=6 => {
                let expected: Vec<_> = model.clone().into_iter().collect();
                views.push((engine.view().unwrap(), expected));
            }
            _ => {}
        }
        assert_eq!(engine.applied(), Position(applied), "seed {seed}");
        let expected: Vec<_> = model.clone().into_iter().collect();
        assert_eq!(state(&*engine), expected, "seed {seed}");
        for number in 0..60 {
            let key = Key::from(format!("{number}"));
            let value = model.get(&key).cloned();
            let peeked = engine.peek(&key);
            let peeked = peeked.map(|record| record.map(|record| record.value));
            assert!(
                peeked.is_none_or(|peeked| peeked == value),
                "seed {seed}: {key:?} is not {value:?} in memory"
            );
            assert_eq!(value_of(&*engine, &key), value, "seed {seed}: {key:?}");
        }
        let from = Key::from(format!("{}", rng.random_range(0..70)));
        let to = Key::from(format!("{}", rng.random_range(0..70)));
        let range = KeyRange::from(from..to);
        let page = engine.scan(&range, None).unwrap();
        assert!(
            page.records
                .iter()
                .map(|found| (&found.key, &found.record.value))
                .eq(range.of(&model)),
            "seed {seed}: {range:?}: {page:?}"
        );
        for (view, expected) in &views {
            let found = all(&|range| view.scan(range, None));
            assert_eq!(&found, expected, "seed {seed}: a view changes");
        }
    }
}
