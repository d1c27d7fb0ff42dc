//! For each promise, histories that keep it and histories that break it.

use lockstep_core::config::Address;

use super::super::{self as oracle, Index, Operation, Options, Order, Property, Reset, Summary};
use super::{acked, at_least, local, read, rejected, unknown};

/// What all judges say, and what the search alone says.
#[track_caller]
fn check(history: &[Operation], expected: Result<(), Property>, searched: Result<(), Property>) {
    let options = Options::default();
    check_with(history, &[], options, expected);
    let index = Index::new(history).expect("values are unique");
    let mut summary = Summary::default();
    let found = oracle::search::check(&index, 10_000, &mut summary);
    assert_eq!(
        found.map_err(|verdict| verdict.property),
        searched,
        "search: {history:#?}"
    );
    assert_eq!(summary.windows_undecided, 0);
}

#[track_caller]
fn check_with(
    history: &[Operation],
    resets: &[Reset],
    options: Options,
    expected: Result<(), Property>,
) {
    let found = oracle::check(history, resets, options);
    let text = found.as_ref().map_err(ToString::to_string).err();
    let property = found.map(|_| ()).map_err(|verdict| verdict.property);
    assert_eq!(property, expected, "{text:?}");
}

/// Both say that nothing is wrong.
#[track_caller]
fn good(history: &[Operation]) {
    check(history, Ok(()), Ok(()));
}

/// Both find it.
#[track_caller]
fn bad(history: &[Operation], property: Property) {
    check(history, Err(property), Err(Property::Linearizable));
}

/// Times and values alone do not show it.
#[track_caller]
fn bad_by_seqs(history: &[Operation], property: Property) {
    check(history, Err(property), Ok(()));
}

#[test]
fn an_empty_history_and_an_empty_store_are_fine() {
    good(&[]);
    good(&[read("k", "", 0..1, 0)]);
}

#[test]
fn what_overlaps_may_be_seen_or_not() {
    let write = acked("k", "a", 0..10, 0);
    good(&[write.clone(), read("k", "", 1..9, 0)]);
    good(&[write.clone(), read("k", "a", 1..9, 1)]);
    // Touching counts as overlapping.
    good(&[write.clone(), read("k", "", 10..12, 0)]);
    good(&[write, read("k", "", 1..3, 0), read("k", "a", 4..6, 1)]);
}

#[test]
fn a_stale_read_after_an_acknowledgement() {
    bad(
        &[acked("k", "a", 0..10, 0), read("k", "", 11..12, 0)],
        Property::AcknowledgedIsVisible,
    );
}

#[test]
fn a_lost_acknowledged_write() {
    bad(
        &[
            acked("k", "a", 0..10, 0),
            acked("k", "b", 11..20, 1),
            read("k", "a", 21..22, 2),
        ],
        Property::NewestBeforePosition,
    );
    bad(
        &[acked("k", "a", 0..10, 0), read("k", "", 11..12, 1)],
        Property::NewestBeforePosition,
    );
}

#[test]
fn a_read_that_goes_back_between_two_replicas() {
    bad(
        &[
            acked("k", "a", 0..30, 0),
            read("k", "a", 1..5, 1),
            read("k", "", 6..9, 0),
        ],
        Property::ReadsGoForward,
    );
    let late = unknown("k", "a", 0);
    bad(
        &[
            late.clone(),
            read("k", "a", 1..5, 3),
            read("k", "", 6..9, 0),
        ],
        Property::ReadsGoForward,
    );
    good(&[late, read("k", "a", 1..5, 3), read("k", "", 5..9, 0)]);
}

#[test]
fn a_clean_key_is_read_at_an_older_position() {
    let history = [
        acked("k", "a", 0..5, 0),
        acked("other", "b", 6..9, 1),
        read("k", "a", 10..12, 2),
        read("k", "a", 13..14, 1),
    ];
    good(&history);
    let options = Options {
        order: Order::Log,
        ..Options::default()
    };
    check_with(&history, &[], options, Err(Property::AcknowledgedIsVisible));
    check_with(&history[..3], &[], options, Ok(()));
    let history = [
        acked("k", "a", 0..5, 0),
        acked("other", "b", 6..30, 1),
        read("k", "a", 10..12, 2),
        read("k", "a", 13..14, 1),
    ];
    check_with(&history, &[], options, Err(Property::ReadsGoForward));
}

#[test]
fn a_read_from_the_future() {
    bad(
        &[read("k", "a", 0..1, 1), acked("k", "a", 2..3, 0)],
        Property::NothingFromTheFuture,
    );
    bad(
        &[read("k", "a", 0..1, 1), unknown("k", "a", 2)],
        Property::NothingFromTheFuture,
    );
    // The value is right, the position has no room for what came later.
    bad_by_seqs(
        &[read("k", "", 0..1, 4), acked("k", "a", 2..3, 3)],
        Property::NothingFromTheFuture,
    );
    bad_by_seqs(
        &[acked("k", "a", 0..9, 3), read("k", "a", 1..2, 3)],
        Property::NewestBeforePosition,
    );
}

#[test]
fn a_value_out_of_thin_air() {
    bad(&[read("k", "a", 0..1, 1)], Property::ValuesAreWritten);
    bad(
        &[acked("other", "a", 0..1, 0), read("k", "a", 0..1, 1)],
        Property::ValuesAreWritten,
    );
    let history = [local("r1", "k", "a", 0..1, 1)];
    bad_by_seqs(&history, Property::ValuesAreWritten);
}

#[test]
fn a_rejected_write_that_is_visible() {
    let write = rejected("k", "a", 0..1);
    good(&[write.clone(), read("k", "", 2..3, 1)]);
    bad(
        &[write.clone(), read("k", "a", 2..3, 1)],
        Property::RejectedLeavesNoTrace,
    );
    bad_by_seqs(
        &[write, local("r1", "k", "a", 2..3, 1)],
        Property::RejectedLeavesNoTrace,
    );
}

#[test]
fn a_seq_given_twice() {
    bad_by_seqs(
        &[acked("k", "a", 0..9, 0), acked("l", "b", 0..9, 0)],
        Property::OneWritePerSeq,
    );
}

#[test]
fn an_inversion_of_real_time() {
    bad_by_seqs(
        &[acked("k", "a", 0..9, 1), acked("l", "b", 10..19, 0)],
        Property::WritesInRealTime,
    );
    good(&[acked("k", "a", 0..10, 1), acked("l", "b", 10..19, 0)]);
}

#[test]
fn an_unknown_write_takes_effect_late_or_never() {
    let late = unknown("k", "a", 0);
    let overwritten = acked("k", "b", 1..2, 0);
    good(&[late.clone(), overwritten.clone(), read("k", "b", 5..6, 1)]);
    good(&[
        late.clone(),
        overwritten.clone(),
        read("k", "b", 5..6, 1),
        read("k", "a", 7..8, 2),
    ]);
    bad_by_seqs(
        &[late, overwritten, read("k", "a", 7..8, 1)],
        Property::NewestBeforePosition,
    );
}

#[test]
fn an_unknown_write_executed_twice() {
    bad(
        &[
            unknown("k", "a", 0),
            read("k", "a", 1..2, 1),
            acked("k", "b", 3..4, 1),
            read("k", "b", 5..6, 2),
            read("k", "a", 7..8, 3),
        ],
        Property::AtMostOnce,
    );
    bad(
        &[
            unknown("k", "a", 0),
            unknown("k", "b", 0),
            read("k", "a", 1..2, 1),
            read("k", "b", 5..6, 2),
            read("k", "a", 7..8, 3),
        ],
        Property::AtMostOnce,
    );
}

#[test]
fn an_acknowledged_write_executed_twice() {
    bad(
        &[
            acked("k", "a", 0..1, 0),
            unknown("k", "b", 0),
            read("k", "b", 5..6, 2),
            read("k", "a", 7..8, 3),
        ],
        Property::NewestBeforePosition,
    );
}

#[test]
fn an_unknown_remove_explains_one_absence() {
    let history = [
        acked("k", "a", 0..1, 0),
        unknown("k", "", 0),
        read("k", "", 2..3, 2),
        acked("k", "b", 4..5, 2),
        read("k", "", 6..7, 4),
    ];
    good(&history[..4]);
    bad(&history, Property::AtMostOnce);
    let mut twice = history.to_vec();
    twice.push(unknown("k", "", 5));
    good(&twice);
    twice.pop();
    twice.push(unknown("k", "", 8));
    bad(&twice, Property::AtMostOnce);
}

#[test]
fn unknown_writes_without_room_in_the_log() {
    let history = [
        acked("l", "a", 0..1, 0),
        unknown("k", "b", 0),
        unknown("m", "c", 0),
        acked("l", "d", 0..9, 2),
        read("k", "b", 2..3, 2),
        read("m", "c", 2..3, 2),
    ];
    bad_by_seqs(&history, Property::OneWritePerSeq);
    let roomy = [&history[..5], &[read("m", "c", 2..3, 4)]].concat();
    good(&roomy);
}

#[test]
fn one_position_with_two_values() {
    bad_by_seqs(
        &[
            acked("k", "a", 0..1, 0),
            unknown("k", "b", 0),
            read("k", "a", 2..9, 3),
            read("k", "b", 2..9, 3),
        ],
        Property::NewestBeforePosition,
    );
}

#[test]
fn an_unknown_write_seen_before_its_time() {
    // What it must follow was acknowledged at a seq behind the read.
    bad_by_seqs(
        &[
            acked("l", "x", 0..1, 5),
            unknown("k", "a", 2),
            read("k", "a", 3..4, 4),
        ],
        Property::NewestBeforePosition,
    );
}

#[test]
fn an_at_least_read_reaches_its_position() {
    let write = acked("k", "a", 0..1, 4);
    // Old, and allowed to be.
    bad_by_seqs(
        &[write.clone(), at_least(5, "k", "", 2..3, 4)],
        Property::AtLeastIsReached,
    );
    good(&[write.clone(), at_least(4, "k", "", 2..3, 4)]);
    good(&[write.clone(), at_least(5, "k", "a", 2..3, 5)]);
    bad_by_seqs(
        &[write, at_least(5, "k", "", 2..3, 5)],
        Property::NewestBeforePosition,
    );
}

#[test]
fn one_replica_goes_forward_unless_it_was_reset() {
    let back = [
        unknown("k", "a", 0),
        local("r1", "k", "a", 1..2, 3),
        local("r1", "k", "", 3..4, 2),
    ];
    bad_by_seqs(&back, Property::ReplicasGoForward);
    let reset = |replica: &str, at| Reset {
        replica: Address::new(replica),
        at,
    };
    let options = Options::default();
    for at in [1, 2, 3, 4] {
        check_with(&back, &[reset("r1", at)], options, Ok(()));
    }
    for other in [reset("r1", 5), reset("r1", 0), reset("r2", 3)] {
        check_with(&back, &[other], options, Err(Property::ReplicasGoForward));
    }
    let elsewhere = [
        unknown("k", "a", 0),
        local("r1", "k", "a", 1..2, 3),
        local("r2", "k", "", 3..4, 2),
    ];
    good(&elsewhere);
    let overlapping = [
        unknown("k", "a", 0),
        local("r1", "k", "a", 1..3, 3),
        local("r1", "k", "", 3..4, 2),
    ];
    good(&overlapping);
}

#[test]
fn a_local_read_behind_what_the_replica_had_committed() {
    bad_by_seqs(
        &[
            unknown("k", "a", 0),
            at_least(0, "k", "a", 1..2, 3),
            local("r1", "k", "", 3..4, 0),
        ],
        Property::ReplicasGoForward,
    );
    good(&[
        unknown("k", "a", 0),
        local("r1", "k", "a", 1..2, 3),
        at_least(0, "k", "", 3..4, 0),
    ]);
}

#[test]
fn a_local_value_that_comes_back() {
    let history = [
        unknown("k", "a", 0),
        unknown("k", "b", 0),
        local("r1", "k", "a", 1..2, 3),
        local("r1", "k", "b", 3..4, 4),
        local("r1", "k", "a", 5..6, 5),
    ];
    good(&history[..4]);
    bad_by_seqs(&history, Property::ReplicasGoForward);
    bad_by_seqs(
        &[
            unknown("k", "a", 0),
            local("r1", "k", "a", 1..2, 3),
            local("r1", "k", "", 3..4, 3),
        ],
        Property::ReplicasGoForward,
    );
}

#[test]
fn a_history_that_writes_a_value_twice_is_not_judged() {
    check_with(
        &[acked("k", "a", 0..1, 0), unknown("k", "a", 2)],
        &[],
        Options::default(),
        Err(Property::ValuesAreUnique),
    );
    good(&[acked("k", "a", 0..1, 0), unknown("l", "a", 2)]);
    good(&[acked("k", "", 0..1, 0), unknown("k", "", 2)]);
}

#[test]
fn the_search_gives_up_says_so_and_goes_on() {
    // Two values wait to be read at once, and then something is wrong that shows without knowing what was before.
    let crowd = [
        acked("k", "a", 0..50, 0),
        acked("k", "b", 0..50, 1),
        acked("k", "c", 0..50, 2),
        read("k", "a", 0..60, 1),
        read("k", "b", 0..60, 2),
        read("k", "c", 0..60, 3),
    ];
    let later = [
        acked("k", "d", 70..71, 3),
        acked("k", "e", 72..73, 4),
        read("k", "d", 74..75, 4),
    ];
    let options = Options {
        steps_max: 3,
        ..Options::default()
    };
    let summary = oracle::check(&crowd, &[], options).expect("nothing is wrong");
    assert_eq!((summary.windows, summary.windows_undecided), (1, 1));
    let summary = oracle::check(&crowd, &[], Options::default()).expect("nothing is wrong");
    assert_eq!((summary.windows, summary.windows_undecided), (1, 0));
    let history = [&crowd[..], &later[..2]].concat();
    let summary = oracle::check(&history, &[], options).expect("nothing is wrong");
    assert_eq!((summary.windows, summary.windows_undecided), (3, 1));
    let history = [&crowd[..], &later[..]].concat();
    let index = Index::new(&history).expect("values are unique");
    let found = oracle::search::check(&index, 3, &mut Summary::default());
    assert!(found.is_err(), "something is wrong behind the window");
}

#[test]
fn a_verdict_names_the_operations_and_their_times() {
    let history = [
        acked("k", "a", 0..1_000_000, 0),
        read("k", "", 1_500_000..2_250_000, 0),
    ];
    let verdict = oracle::check(&history, &[], Options::default()).expect_err("stale");
    assert_eq!(
        verdict.to_string(),
        "linearizable reads see what was acknowledged: the second began later, but saw less\n    \
         [0.000000 – 1.000000 ms] client 1: insert k = a: acknowledged as 0\n    \
         [1.500000 – 2.250000 ms] client 2: read k: absent at 0 of r1"
    );
}
