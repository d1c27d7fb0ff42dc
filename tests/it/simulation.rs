//! Simulated clusters, in which everything goes wrong.

use std::thread;

use lockstep_tests::campaign::{Campaign, replay_command};
use lockstep_tests::chaos;
use lockstep_tests::trace::Detail;

/// Seeds whose files are compared with those of the operating system.
const FILES_SEEDS: u64 = 56;

/// So many calls at least are to be compared in them.
const FILES_COMPARED_MIN: u64 = 48_000;

/// Seeds that once found a bug, each with the number of arbiters and the bug.
const REGRESSIONS: &[(u64, usize, &str)] = &[
    (
        17_823,
        1,
        "what a local read had shown was written, and never sent to the others",
    ),
    (
        17,
        1,
        "a leaving primary did not end when its last write was acknowledged",
    ),
    (
        65,
        1,
        "a node that lost its disk took what its former self was told for its own",
    ),
    (
        130,
        1,
        "the epoch of an entry was looked up in the wrong run",
    ),
    (
        1_857,
        1,
        "a late Join of a node that is gone brought it back",
    ),
    (
        3_402,
        1,
        "a late Join of a node that is gone displaced the living one",
    ),
    (
        1_863,
        1,
        "entries were lost on their way while the log was trimmed behind them, and asked for again for ever",
    ),
    (
        200_847,
        1,
        "a node that lost its disk took the refusal of its former self for its own",
    ),
    (
        215_243,
        1,
        "the last replica that had the data left while its primary had lost its disk",
    ),
    (
        338_775,
        1,
        "reads of a replica that was given the primary's state were expected to go on where its own had ended",
    ),
    (
        500_714,
        1,
        "the last replica that had the data left although it had not heard its primary",
    ),
    (
        1_036_503,
        1,
        "a late answer to a question that a former start had asked by the same number was taken for the answer",
    ),
    (
        1_041_987,
        1,
        "a late handshake of the same number cut off what was committed",
    ),
    (
        108_593,
        1,
        "the final look did not wait until everybody had heard of the last write",
    ),
    (
        120_425,
        1,
        "a deposed primary that had not heard made a joining replica cut off what its successor had committed",
    ),
    (
        1_096_186,
        1,
        "a copy delivered again in a later tenure was told that its session is too old, which said that nothing was executed",
    ),
    (
        100_893,
        1,
        "a write asked of a disk that had refused earlier ones was taken for a breach",
    ),
    (
        22_654,
        1,
        "what a log that was killed had not cut off was found behind a loss of power, and taken for a breach",
    ),
    (
        48_192,
        1,
        "a replica that entered the epoch behind the first Beacon was asked for its promise with the next only",
    ),
    (
        4_245,
        5,
        "a replica that was taken out proposed at one arbiter after the other, none of which answered, and each of which took the chair",
    ),
];

#[test]
fn the_same_seed_gives_the_same_conversation() {
    for seed in 0..5 {
        let (first, second) = (
            chaos::run(seed, None, Detail::All),
            chaos::run(seed, None, Detail::All),
        );
        assert!(first.lines.len() > 100, "seed {seed} hardly says anything");
        assert_eq!(first.lines, second.lines, "seed {seed}");
    }
}

#[test]
fn seeds_that_found_bugs_find_none_any_more() {
    for (seed, arbiters, bug) in REGRESSIONS {
        let report = chaos::run(*seed, Some(*arbiters), Detail::Off);
        assert_eq!(report.violation, None, "seed {seed}: {bug}");
    }
}

#[test]
fn ten_thousand_clusters_keep_their_promises() {
    let campaign = Campaign {
        start: 0,
        seeds: 10_000,
        arbiters: None,
        threads: thread::available_parallelism().map_or(1, Into::into),
    };
    let summary = campaign.run(|_| {});
    let failures: Vec<_> = summary
        .failures
        .iter()
        .map(|(seed, violation)| {
            format!(
                "seed {seed}: {violation}\n    {}",
                replay_command(*seed, None)
            )
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let missing = summary.counts.missing();
    assert!(
        missing.is_empty(),
        "never happened: {missing:?}\n{}",
        summary.table()
    );
}

/// Logs of programs on files of the operating system and on simulated ones, with errors injected: the same outcome of every
/// call, and of the whole.
#[test]
fn real_files_do_what_simulated_ones_do() {
    let mut compared = 0;
    for seed in 0..FILES_SEEDS {
        let directory = tempfile::tempdir().unwrap();
        let report = chaos::run_on_files(seed, directory.path(), Detail::Off);
        let alone = chaos::run(seed, None, Detail::Off);
        assert_eq!(report.violation, None, "seed {seed}");
        assert_eq!(report.counts, alone.counts, "seed {seed}");
        compared += report.files_compared;
    }
    assert!(
        compared > FILES_COMPARED_MIN,
        "{compared} calls were compared"
    );
}
