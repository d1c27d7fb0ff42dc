//! What a state is read by: pages.

use std::num::NonZeroU32;

use lockstep_core::limits;
use lockstep_core::operation::Key;
use lockstep_core::range::KeyRange;

use super::Subject;
use super::tools::{apply, state};
use crate::conformance::{insert, remove};

pub(super) fn pages_are_bounded_and_ordered(subject: &mut dyn Subject) {
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

pub(super) fn pages_have_no_more_than_their_limit(subject: &mut dyn Subject) {
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
