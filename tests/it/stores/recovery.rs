//! What a replica finds when it starts, whatever a crash has left of log and state; in memory and on disk alike.

use std::sync::Arc;

use lockstep_core::config::{Epoch, Incarnation, NodeId, Position, StartId};
use lockstep_core::engine::durable::{ReplicaStore, open_replica};
use lockstep_core::engine::memory::{MemoryEngine, MemoryLog};
use lockstep_core::engine::recovery::recover;
use lockstep_core::engine::{Engine, LogStore, StoreError};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::limits::SessionLimits;
use lockstep_core::operation::{ClientId, Entry, Key, Keyed, Moment, Record, Revision};
use lockstep_core::sessions::{SessionChanges, SessionRows, Sessions};
use lockstep_tests::conformance::insert;

use super::durable::options;

/// Writes the log that a test begins with.
type Prepare<'a> = &'a dyn Fn(&mut dyn LogStore);

/// Runs a test on fresh stores of each kind.
fn on_both(test: impl Fn(&mut dyn LogStore, &dyn Engine)) {
    test(&mut MemoryLog::new(NodeId(1)), &MemoryEngine::new());
    let home = tempfile::tempdir().unwrap();
    let ReplicaStore { mut log, engine } = open_replica(home.path(), &options()).unwrap();
    test(&mut log, &engine);
}

fn entries(epoch: u64, from: u64, to: u64) -> Vec<Arc<Entry>> {
    (from..to)
        .map(|seq| insert(epoch, seq, &format!("key-{}", seq % 10), &format!("{seq}")))
        .collect()
}

fn history(runs: &[(u64, u64)]) -> EpochHistory {
    let runs = runs
        .iter()
        .map(|(epoch, position)| (Epoch(*epoch), Position(*position)))
        .collect();
    EpochHistory::from_runs(runs).expect("ascending runs")
}

/// As after a transfer of the full state that a crash ended before the log was begun anew.
fn install(engine: &dyn Engine, at: u64, history: &EpochHistory) {
    engine.stage_begin().unwrap();
    engine
        .stage(
            &[Keyed {
                key: Key::from("installed"),
                record: Record::first("yes".into(), Revision(7)),
            }],
            &SessionRows::default(),
        )
        .unwrap();
    let moment = Moment {
        position: Position(at),
        revision: Revision(at / 2),
    };
    engine.install(moment, history).unwrap();
}

#[test]
fn a_first_start_finds_nothing_and_is_counted() {
    on_both(|log, engine| {
        let node = log.meta().node;
        for start in 1..4 {
            let recovered = recover(log, engine, &SessionLimits::default(), StartId(1)).unwrap();
            assert_eq!(recovered.meta.node, node);
            assert_eq!(recovered.meta.incarnation, Incarnation(start));
            assert_eq!(log.meta(), &recovered.meta, "it is durable");
            assert_eq!(recovered.applied, Position(0));
            assert_eq!(recovered.tail, []);
        }
    });
}

#[test]
fn what_is_known_to_be_committed_is_applied_and_the_rest_is_the_tail() {
    on_both(|log, engine| {
        log.append(&entries(1, 0, 50), Position(0)).unwrap();
        log.append(&entries(2, 50, 100), Position(70)).unwrap();
        log.sync().unwrap();
        let before = entries(1, 0, 20);
        let mut sessions = Sessions::open(SessionRows::default(), SessionLimits::default());
        before.iter().for_each(|entry| sessions.apply(entry));
        engine.apply(&before, &sessions.take_changes()).unwrap();
        let recovered = recover(log, engine, &SessionLimits::default(), StartId(1)).unwrap();
        assert_eq!(recovered.applied, Position(70));
        assert_eq!(engine.applied(), Position(70));
        assert_eq!(recovered.revision, Revision(71));
        let found = engine.read(&Key::from("key-9")).unwrap().unwrap();
        assert_eq!(found, Record::first("69".into(), Revision(71)));
        let results = &recovered.sessions.rows[&ClientId(7)].results;
        let ids: Vec<_> = results.keys().map(|id| id.0).collect();
        assert_eq!(ids, (0..70).collect::<Vec<_>>());
        assert_eq!(engine.sessions().unwrap(), recovered.sessions);
        assert_eq!(recovered.tail, entries(2, 70, 100));
        assert_eq!(
            (recovered.log_start, recovered.log_end),
            (Position(0), Position(100))
        );
        assert_eq!(recovered.history, history(&[(1, 0), (2, 50)]));
    });
}

#[test]
fn a_hint_beyond_the_end_of_the_log_applies_what_there_is() {
    on_both(|log, engine| {
        log.append(&entries(1, 0, 10), Position(1000)).unwrap();
        log.sync().unwrap();
        let recovered = recover(log, engine, &SessionLimits::default(), StartId(1)).unwrap();
        assert_eq!((recovered.applied, recovered.tail), (Position(10), vec![]));
    });
}

#[test]
fn what_a_primary_by_force_appends_is_not_taken_for_committed() {
    on_both(|log, engine| {
        log.append(&entries(1, 0, 10), Position(1000)).unwrap();
        log.append(&entries(2, 10, 30), Position(0)).unwrap();
        log.sync().unwrap();
        let recovered = recover(log, engine, &SessionLimits::default(), StartId(1)).unwrap();
        assert_eq!(recovered.applied, Position(10));
        assert_eq!(recovered.tail, entries(2, 10, 30));
    });
}

#[test]
fn a_crash_between_install_and_reset_is_made_good() {
    let installed = history(&[(3, 0)]);
    // The log ends before the state, is of another epoch at the state's position, or begins behind it.
    let logs: [Prepare<'_>; 4] = [
        &|_| {},
        &|log| log.append(&entries(1, 0, 10), Position(0)).unwrap(),
        &|log| log.append(&entries(1, 0, 200), Position(0)).unwrap(),
        &|log| log.reset(Position(500), &history(&[(1, 0)])).unwrap(),
    ];
    for prepare in logs {
        on_both(|log, engine| {
            prepare(log);
            log.sync().unwrap();
            install(engine, 100, &installed);
            let recovered = recover(log, engine, &SessionLimits::default(), StartId(1)).unwrap();
            assert_eq!(recovered.applied, Position(100));
            assert_eq!(
                (recovered.log_start, recovered.log_end),
                (Position(100), Position(100))
            );
            assert_eq!(recovered.history, installed);
            assert_eq!(recovered.revision, Revision(50));
            assert_eq!(recovered.tail, []);
        });
    }
}

#[test]
fn a_log_that_agrees_with_an_installed_state_is_kept() {
    on_both(|log, engine| {
        log.append(&entries(3, 0, 120), Position(0)).unwrap();
        log.sync().unwrap();
        install(engine, 100, &history(&[(3, 0)]));
        let recovered = recover(log, engine, &SessionLimits::default(), StartId(1)).unwrap();
        assert_eq!(recovered.log_start, Position(0));
        assert_eq!(recovered.tail, entries(3, 100, 120));
    });
}

#[test]
fn a_log_that_went_on_behind_an_installed_state_is_kept() {
    on_both(|log, engine| {
        let installed = history(&[(3, 0)]);
        install(engine, 100, &installed);
        log.reset(Position(100), &installed).unwrap();
        log.append(&entries(4, 100, 130), Position(120)).unwrap();
        log.sync().unwrap();
        let recovered = recover(log, engine, &SessionLimits::default(), StartId(1)).unwrap();
        assert_eq!(recovered.applied, Position(120));
        assert_eq!(recovered.tail, entries(4, 120, 130));
        assert_eq!(recovered.history, history(&[(3, 0), (4, 100)]));
    });
}

#[test]
fn a_state_that_the_log_does_not_reach_is_refused() {
    on_both(|log, engine| {
        engine
            .apply(&entries(1, 0, 30), &SessionChanges::default())
            .unwrap();
        log.append(&entries(1, 0, 20), Position(20)).unwrap();
        log.sync().unwrap();
        let refused = recover(log, engine, &SessionLimits::default(), StartId(1));
        assert!(
            matches!(refused, Err(StoreError::Mismatch { .. })),
            "the log ends too early"
        );
        log.reset(Position(40), &history(&[(1, 0)])).unwrap();
        log.sync().unwrap();
        let refused = recover(log, engine, &SessionLimits::default(), StartId(1));
        assert!(
            matches!(refused, Err(StoreError::Mismatch { .. })),
            "the log begins too late"
        );
        assert_eq!(
            log.meta().incarnation,
            Incarnation(0),
            "no start is counted"
        );
    });
}

#[test]
fn a_start_goes_on_where_the_process_before_was_ended() {
    let home = tempfile::tempdir().unwrap();
    for start in 0..5 {
        let ReplicaStore { mut log, engine } = open_replica(home.path(), &options()).unwrap();
        let recovered = recover(&mut log, &engine, &SessionLimits::default(), StartId(1)).unwrap();
        assert_eq!(recovered.meta.incarnation, Incarnation(start + 1));
        assert_eq!(recovered.log_end, Position(100 * start));
        assert_eq!(
            recovered.applied.0 + recovered.tail.len() as u64,
            100 * start
        );
        let more = entries(start + 1, 100 * start, 100 * (start + 1));
        log.append(&more, Position(100 * start + 50)).unwrap();
        log.sync().unwrap();
        if start % 2 == 0 {
            let changes = SessionChanges::default();
            engine.apply(&recovered.tail, &changes).unwrap();
            let at = engine.checkpoint().unwrap();
            log.trim(at, 0).unwrap();
        }
    }
}
