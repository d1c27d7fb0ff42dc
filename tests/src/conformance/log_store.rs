//! What every [`LogStore`] must do.
//!
//! Loss of what was not synced is not among it: that takes a disk that forgets, which only an implementation's own
//! tests can put under it.

use std::sync::Arc;

use lockstep_core::config::{ClusterId, Epoch, Position, Token};
use lockstep_core::engine::LogStore;
use lockstep_core::epochs::EpochHistory;
use lockstep_core::operation::{Changes, Entry, Verdict};
use lockstep_core::storage::Meta;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::rule::checks;
use super::{by_cluster, changing, insert, remove};

/// How the suite gets at the logs it tests.
pub trait Subject {
    /// An empty log of a node that has never been started.
    fn fresh(&mut self) -> Box<dyn LogStore>;

    /// The same log after the end of its process and a new start.
    fn reopen(&mut self, log: Box<dyn LogStore>) -> Box<dyn LogStore>;
}

checks! {
    a_fresh_log_is_empty:
        "a log that was never written begins and ends at 0, and has no meta data of its own",
        "what a new directory is made with";
    appended_entries_are_read_back:
        "entries are read as they were appended, also after `sync` and a new start",
        "how entries are found again, and what is written when";
    entries_of_every_shape_are_read_back:
        "entries of several changes, of none, and of no client are read as they were appended",
        "fields of an entry that are not written";
    reads_are_bounded_and_begin_where_asked:
        "`read` gives entries from `from` on, within `bytes_max` but at least one, and none before `start` or at `end`",
        "the first entry of a read that is larger than the bound";
    a_truncated_log_ends_there_and_goes_on:
        "after `truncate` the log ends there, is appended to there, and has nothing of what was behind it, also after a new start",
        "old entries that are found behind new ones";
    a_truncation_to_the_end_changes_nothing:
        "`truncate` to the end leaves everything as it is",
        "an empty file or segment";
    a_reset_log_begins_where_told:
        "after `reset` the log is empty, begins where told, and has the history it was given, also after a new start",
        "where the first position is kept while there is no entry";
    a_reset_below_the_end_forgets_what_was_behind:
        "after `reset` nothing of the former entries is found again",
        "files that are still there at a new start";
    trimming_drops_old_entries_only:
        "`trim` drops no entry at or behind `before`, none that fits into `bytes_max`, and says where the log begins",
        "whole files only: the one that `before` lies in stays";
    the_committed_hint_is_durable_with_the_log:
        "the committed hint is as durable as the entries it came with",
        "whether it is written with them or somewhere else";
    a_hint_does_not_cover_what_comes_later:
        "a hint never lies behind the end of what is durable of the log",
        "a hint that is kept although the log was truncated or reset";
    meta_data_survives:
        "meta data is as saved last, also after a new start and beside changes of the log",
        "a file that is replaced in parts";
    large_entries_fit:
        "an entry of the largest size is appended and read",
        "entries larger than a file of the log, or than a buffer";
    random_operations_agree_with_a_model:
        "whatever is done in whatever order, the log is that of a list in memory",
        "another check that fails too; if none does, what comes together here only: starts, cuts and trims between additions, which the seed repeats";
}

/// Entries `from..to` of one epoch.
fn entries(epoch: u64, from: u64, to: u64) -> Vec<Arc<Entry>> {
    (from..to)
        .map(|seq| insert(epoch, seq, &format!("key-{seq}"), &format!("value-{seq}")))
        .collect()
}

fn history(runs: &[(u64, u64)]) -> EpochHistory {
    let runs = runs
        .iter()
        .map(|(epoch, position)| (Epoch(*epoch), Position(*position)))
        .collect();
    EpochHistory::from_runs(runs).expect("ascending runs")
}

fn read_all(log: &mut dyn LogStore) -> Vec<Arc<Entry>> {
    let mut all = Vec::new();
    let mut from = log.start();
    while from < log.end() {
        let read = log.read(from, 1000).expect("the log can be read");
        assert!(!read.is_empty(), "no entries before the end of the log");
        from = Position(from.0 + read.len() as u64);
        all.extend(read);
    }
    assert_eq!(from, log.end());
    all
}

fn entries_of_every_shape_are_read_back(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    let mut cancelled = (*changing(1, 4, Changes::new())).clone();
    cancelled.verdict = Verdict::Cancelled;
    let entries = [
        insert(1, 0, "a", "1"),
        remove(1, 1, "a"),
        by_cluster(1, 2, &[("a", None), ("b", Some("2"))]),
        by_cluster(1, 3, &[]),
        Arc::new(cancelled),
    ];
    log.append(&entries, Position(0)).unwrap();
    log.sync().unwrap();
    let mut log = subject.reopen(log);
    assert_eq!(read_all(&mut *log), entries);
}

fn a_fresh_log_is_empty(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    assert_eq!((log.start(), log.end()), (Position(0), Position(0)));
    assert_eq!(log.history(), &EpochHistory::new());
    assert_eq!(log.committed_hint(), Position(0));
    assert_eq!(log.meta().cluster, None);
    assert_eq!(log.read(Position(0), 1000).unwrap(), []);
    log.sync().unwrap();
    let log = subject.reopen(log);
    assert_eq!((log.start(), log.end()), (Position(0), Position(0)));
}

fn appended_entries_are_read_back(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    log.append(&entries(1, 0, 3), Position(0)).unwrap();
    log.append(&[], Position(0)).unwrap();
    // Not synced, yet readable.
    assert_eq!(read_all(&mut *log), entries(1, 0, 3));
    log.append(&entries(1, 3, 4), Position(1)).unwrap();
    log.append(&entries(4, 4, 200), Position(2)).unwrap();
    log.sync().unwrap();
    let expected = [entries(1, 0, 4), entries(4, 4, 200)].concat();
    assert_eq!(read_all(&mut *log), expected);
    assert_eq!(log.history(), &history(&[(1, 0), (4, 4)]));
    let mut log = subject.reopen(log);
    assert_eq!(log.end(), Position(200));
    assert_eq!(read_all(&mut *log), expected);
    assert_eq!(log.history(), &history(&[(1, 0), (4, 4)]));
    log.append(&entries(4, 200, 201), Position(200)).unwrap();
    log.sync().unwrap();
    assert_eq!(subject.reopen(log).end(), Position(201));
}

fn reads_are_bounded_and_begin_where_asked(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    log.append(&entries(1, 0, 100), Position(0)).unwrap();
    let size = entries(1, 50, 51)[0].size();
    let read = |log: &mut dyn LogStore, from, bytes| log.read(Position(from), bytes).unwrap();
    assert_eq!(read(&mut *log, 50, 3 * size), entries(1, 50, 53));
    assert_eq!(read(&mut *log, 50, 3 * size - 1), entries(1, 50, 52));
    assert_eq!(
        read(&mut *log, 50, 0),
        entries(1, 50, 51),
        "at least one entry"
    );
    assert_eq!(read(&mut *log, 99, 1 << 20), entries(1, 99, 100));
    assert_eq!(read(&mut *log, 100, 1 << 20), []);
    assert_eq!(read(&mut *log, 1000, 1 << 20), []);
}

fn a_truncated_log_ends_there_and_goes_on(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    log.append(&entries(1, 0, 10), Position(0)).unwrap();
    log.append(&entries(2, 10, 20), Position(5)).unwrap();
    log.sync().unwrap();
    log.truncate(Position(15)).unwrap();
    assert_eq!(log.end(), Position(15));
    assert_eq!(log.read(Position(15), 1000).unwrap(), []);
    log.truncate(Position(8)).unwrap();
    assert_eq!(log.history(), &history(&[(1, 0)]));
    log.append(&entries(3, 8, 12), Position(8)).unwrap();
    log.sync().unwrap();
    let expected = [entries(1, 0, 8), entries(3, 8, 12)].concat();
    assert_eq!(read_all(&mut *log), expected);
    let mut log = subject.reopen(log);
    assert_eq!(read_all(&mut *log), expected);
    assert_eq!(log.history(), &history(&[(1, 0), (3, 8)]));
    log.truncate(Position(0)).unwrap();
    log.sync().unwrap();
    let mut log = subject.reopen(log);
    assert_eq!((log.start(), log.end()), (Position(0), Position(0)));
    log.append(&entries(5, 0, 1), Position(0)).unwrap();
    assert_eq!(read_all(&mut *log), entries(5, 0, 1));
}

fn a_truncation_to_the_end_changes_nothing(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    log.append(&entries(1, 0, 10), Position(0)).unwrap();
    log.truncate(Position(10)).unwrap();
    log.truncate(Position(11)).unwrap();
    log.sync().unwrap();
    assert_eq!(read_all(&mut *subject.reopen(log)), entries(1, 0, 10));
}

fn a_reset_log_begins_where_told(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    log.append(&entries(1, 0, 10), Position(0)).unwrap();
    log.sync().unwrap();
    let before = history(&[(1, 0), (3, 70)]);
    log.reset(Position(100), &before).unwrap();
    assert_eq!((log.start(), log.end()), (Position(100), Position(100)));
    assert_eq!(log.history(), &before);
    log.append(&entries(3, 100, 103), Position(100)).unwrap();
    log.append(&entries(4, 103, 104), Position(100)).unwrap();
    log.sync().unwrap();
    let mut log = subject.reopen(log);
    assert_eq!((log.start(), log.end()), (Position(100), Position(104)));
    assert_eq!(log.history(), &history(&[(1, 0), (3, 70), (4, 103)]));
    assert_eq!(log.read(Position(0), 1000).unwrap(), []);
    assert_eq!(log.read(Position(99), 1000).unwrap(), []);
    assert_eq!(
        read_all(&mut *log),
        [entries(3, 100, 103), entries(4, 103, 104)].concat()
    );
    assert!(log.committed_hint() >= Position(100));
}

fn a_reset_below_the_end_forgets_what_was_behind(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    log.append(&entries(1, 0, 100), Position(0)).unwrap();
    log.sync().unwrap();
    log.reset(Position(40), &history(&[(2, 0)])).unwrap();
    log.sync().unwrap();
    let mut log = subject.reopen(log);
    assert_eq!((log.start(), log.end()), (Position(40), Position(40)));
    log.reset(Position(40), &history(&[(3, 0)])).unwrap();
    log.append(&entries(3, 40, 41), Position(40)).unwrap();
    log.sync().unwrap();
    let mut log = subject.reopen(log);
    assert_eq!(log.history(), &history(&[(3, 0)]));
    assert_eq!(read_all(&mut *log), entries(3, 40, 41));
}

fn trimming_drops_old_entries_only(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    for first in (0..2000).step_by(100) {
        log.append(&entries(1, first, first + 100), Position(first))
            .unwrap();
        log.sync().unwrap();
    }
    assert_eq!(
        log.trim(Position(1000), u64::MAX).unwrap(),
        Position(0),
        "the log is not too long"
    );
    let start = log.trim(Position(1000), 0).unwrap();
    assert_eq!(start, log.start());
    assert!(start <= Position(1000), "trimmed what was to be kept");
    assert_eq!(log.end(), Position(2000));
    assert_eq!(log.history(), &history(&[(1, 0)]));
    let mut log = subject.reopen(log);
    assert!(
        log.start() <= start,
        "trimmed more on disk than was reported"
    );
    let start = log.start();
    assert_eq!(read_all(&mut *log), entries(1, start.0, 2000));
    assert_eq!(log.history(), &history(&[(1, 0)]));
}

fn the_committed_hint_is_durable_with_the_log(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    log.append(&entries(1, 0, 10), Position(0)).unwrap();
    log.append(&entries(1, 10, 20), Position(7)).unwrap();
    assert_eq!(log.committed_hint(), Position(0), "not synced yet");
    log.sync().unwrap();
    assert_eq!(log.committed_hint(), Position(7));
    log.append(&entries(1, 20, 21), Position(5)).unwrap();
    log.sync().unwrap();
    assert_eq!(log.committed_hint(), Position(7), "it never goes back");
    assert_eq!(subject.reopen(log).committed_hint(), Position(7));
}

/// A replica may know of more that is committed than it holds, and be made primary by force; or lose what it held.
fn a_hint_does_not_cover_what_comes_later(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    log.append(&entries(1, 0, 10), Position(100)).unwrap();
    log.sync().unwrap();
    assert_eq!(log.committed_hint(), Position(10));
    log.append(&entries(2, 10, 200), Position(0)).unwrap();
    log.sync().unwrap();
    assert_eq!(log.committed_hint(), Position(10));
    let mut log = subject.reopen(log);
    assert_eq!(log.committed_hint(), Position(10));
    log.truncate(Position(4)).unwrap();
    assert_eq!(log.committed_hint(), Position(4));
    log.append(&entries(3, 4, 20), Position(0)).unwrap();
    log.sync().unwrap();
    assert_eq!(log.committed_hint(), Position(4));
    assert_eq!(subject.reopen(log).committed_hint(), Position(4));
}

fn meta_data_survives(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    let meta = Meta {
        node: log.meta().node,
        cluster: Some(ClusterId(5)),
        incarnation: log.meta().incarnation.next(),
        token: Token(77),
        epoch: Epoch(3),
        starts: Vec::new(),
        arbiters: Vec::new(),
    };
    log.save_meta(&meta).unwrap();
    assert_eq!(log.meta(), &meta);
    assert_eq!(subject.reopen(log).meta(), &meta);
}

fn large_entries_fit(subject: &mut dyn Subject) {
    let mut log = subject.fresh();
    let large = "x".repeat(3 << 20);
    let all = [
        insert(1, 0, "a", "small"),
        insert(1, 1, "b", &large),
        insert(1, 2, "c", ""),
    ];
    log.append(&all, Position(0)).unwrap();
    log.sync().unwrap();
    assert_eq!(read_all(&mut *log), all);
    assert_eq!(read_all(&mut *subject.reopen(log)), all);
}

/// What a log should hold.
struct Model {
    start: Position,
    entries: Vec<Arc<Entry>>,
    history: EpochHistory,
    epoch: u64,
}

impl Model {
    fn end(&self) -> Position {
        Position(self.start.0 + self.entries.len() as u64)
    }

    fn check(&self, log: &mut dyn LogStore) {
        assert_eq!((log.start(), log.end()), (self.start, self.end()));
        assert_eq!(log.history(), &self.history);
        assert_eq!(read_all(log), self.entries);
    }
}

fn random_operations_agree_with_a_model(subject: &mut dyn Subject) {
    for seed in 0..12 {
        operations_of_a_seed_agree_with_a_model(subject, seed);
    }
}

fn operations_of_a_seed_agree_with_a_model(subject: &mut dyn Subject, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut log = subject.fresh();
    let mut model = Model {
        start: Position(0),
        entries: Vec::new(),
        history: EpochHistory::new(),
        epoch: 1,
    };
    for _ in 0..60 {
        match rng.random_range(0..100) {
            0..50 => {
                model.epoch += u64::from(rng.random_ratio(1, 5));
                let value = "v".repeat(*[0, 10, 100, 5000].choose(&mut rng).expect("not empty"));
                let first = model.end().0;
                let added: Vec<_> = (first..first + rng.random_range(1..30))
                    .map(|seq| insert(model.epoch, seq, &format!("{seq}"), &value))
                    .collect();
                log.append(&added, Position(0)).unwrap();
                for entry in &added {
                    model.history.append(entry.epoch, entry.seq);
                }
                model.entries.extend(added);
            }
            50..70 => log.sync().unwrap(),
            70..80 => {
                let end = Position(rng.random_range(model.start.0..=model.end().0));
                log.truncate(end).unwrap();
                model.entries.truncate((end.0 - model.start.0) as usize);
                model.history.truncate(end);
                model.epoch += 1;
            }
            80..88 => {
                let before = Position(rng.random_range(model.start.0..=model.end().0));
                let start = log.trim(before, rng.random_range(0..200_000)).unwrap();
                let latest = before.max(model.start);
                assert!(
                    start <= latest,
                    "seed {seed}: begins at {start} after a trim, at most {latest}"
                );
                model.entries.drain(..(start.0 - model.start.0) as usize);
                model.start = start;
            }
            88..92 => {
                let at = Position(rng.random_range(0..model.end().0 + 100));
                model.epoch += 1;
                model.history = history(&[(model.epoch, 0)]);
                model.start = at;
                model.entries.clear();
                log.reset(at, &model.history).unwrap();
            }
            _ => {
                log.sync().unwrap();
                log = subject.reopen(log);
                // A trim need not be durable, so there may be more than before.
                let (found, latest) = (log.start(), model.start);
                assert!(
                    found <= latest,
                    "seed {seed}: begins at {found} after a start, at most {latest}"
                );
            }
        }
        model.check(&mut *log);
    }
}
