//! The scheduler, with a log and a state in memory that run out of room on command; jobs are carried out one by one.

mod bench;
mod tight;

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::arbiter::{self, offline};
use crate::config::{
    ArbiterId, ClusterId, Config, ConfigVersion, Epoch, Incarnation, NodeId, Token,
};
use crate::engine::memory::{MemoryEngine, MemoryLog};
use crate::engine::{Engine, LogStore, StoreError, View};
use crate::epochs::EpochHistory;
use crate::operation::{Entry, Key, Keyed, Moment, Record, Revision};
use crate::sessions::{SessionChanges, SessionRows};
use crate::storage::committed::Committed;
use crate::storage::{ArbiterRecord, Meta, carry_out};

use self::bench::Bench;

fn entry_of(epoch: u64, seq: u64, bytes: usize) -> Arc<Entry> {
    let value = vec![b'v'; bytes].into();
    Arc::new(Entry::of(epoch, seq, format!("k{seq}"), Some(value)))
}

fn append(seqs: std::ops::Range<u64>) -> Save {
    Save::Append {
        entries: seqs.map(|seq| entry_of(1, seq, 10)).collect(),
        committed: Position::ZERO,
    }
}

fn meta(epoch: u64) -> Save {
    Save::Meta(Meta {
        node: NodeId(1),
        cluster: None,
        incarnation: Incarnation(1),
        token: Token(0),
        epoch: Epoch(epoch),
        starts: Vec::new(),
        arbiters: Vec::new(),
    })
}

fn stage() -> Save {
    Save::Stage {
        records: vec![Keyed::of("k", "v")],
        sessions: SessionRows::default(),
    }
}

fn install(at: u64) -> Save {
    Save::Install {
        at: Moment::behind(at),
        history: EpochHistory::new(),
    }
}

fn record(version: u64) -> Save {
    let mut config = Config::new(ClusterId(1));
    config.version = ConfigVersion(version);
    let record = ArbiterRecord {
        config,
        ..arbiter::first_record(ClusterId(1), 1)
    };
    Save::Arbiter(Box::new(offline::found(ArbiterId(1), record)))
}

fn committed(seqs: std::ops::Range<u64>) -> Committed {
    Committed {
        entries: seqs.map(|seq| entry_of(1, seq, 10)).collect(),
        sessions: SessionChanges::default(),
    }
}

/// What has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Full {
    #[default]
    Nothing,
    Log,
    Stage,
    Install,
    Reset,
    State,
    Checkpoint,
}

fn persisted(tickets: &[u64]) -> Report {
    Report::Persisted(tickets.iter().map(|ticket| Ticket(*ticket)).collect())
}

#[test]
fn what_comes_during_a_sync_shares_the_next() {
    let mut bench = Bench::new();
    bench.ask(1, append(0..1));
    assert!(bench.carry_out());
    bench.ask(2, append(1..2));
    bench.ask(3, append(2..4));
    assert_eq!(bench.settle(), [persisted(&[1]), persisted(&[2, 3])]);
    assert_eq!(bench.done, ["append", "sync", "append", "sync"]);
    let counts = Counts {
        entries: 4,
        entry_bytes: 4 * entry_of(1, 0, 10).size() as u64,
        syncs: 2,
    };
    assert_eq!(bench.scheduler.counts(), counts);
}

#[test]
fn what_is_said_together_is_done_together() {
    let mut bench = Bench::new();
    bench.ask(1, append(0..1));
    bench.ask(2, append(1..2));
    assert_eq!(bench.settle(), [persisted(&[1, 2])]);
    assert_eq!(bench.done, ["append", "sync"]);
}

#[test]
fn a_group_has_a_size() {
    let mut bench = Bench::with(SchedulerOptions {
        group_bytes_max: 2 * entry_of(1, 0, 10).size(),
        ..SchedulerOptions::for_log(1000)
    });
    for seq in 0..5 {
        bench.ask(seq + 1, append(seq..seq + 1));
    }
    let reports = bench.settle();
    let groups = [&[1, 2][..], &[3, 4], &[5]].map(persisted);
    assert_eq!(reports, groups);
}

#[test]
fn what_is_durable_when_it_is_done_begins_when_all_before_it_is() {
    let mut bench = Bench::new();
    bench.ask(1, append(0..2));
    bench.ask(2, Save::Truncate { keep: Position(1) });
    bench.ask(3, meta(2));
    bench.ask(4, append(1..2));
    let reports = bench.settle();
    assert_eq!(
        reports,
        [persisted(&[1, 2]), persisted(&[3]), persisted(&[4])]
    );
    assert_eq!(
        bench.done,
        ["append", "truncate", "sync", "meta", "append", "sync"]
    );
}

#[test]
fn reads_and_groups_take_turns() {
    let mut bench = Bench::new();
    let read = |ticket| Told::Read {
        ticket: Ticket(ticket),
        from: Position(0),
    };
    bench.ask(1, append(0..1));
    bench.tell(read(2));
    bench.tell(read(3));
    assert!(bench.carry_out());
    bench.ask(4, append(1..2));
    let answered = |ticket, seqs: std::ops::Range<u64>| {
        let entries = seqs.map(|seq| entry_of(1, seq, 10)).collect();
        Report::Answered(vec![(Ticket(ticket), Answer::Entries(entries))])
    };
    let expected = [
        persisted(&[1]),
        answered(2, 0..1),
        persisted(&[4]),
        answered(3, 0..2),
    ];
    assert_eq!(bench.settle(), expected);
}

#[test]
fn nothing_overtakes_what_found_no_room() {
    let mut bench = Bench::new();
    bench.ask(1, append(0..1));
    bench.settle();
    bench.set_full(Full::Log);
    bench.ask(2, append(1..2));
    assert_eq!(bench.settle(), [Report::Full]);
    // The truncation that follows is for a log that has what was refused.
    bench.ask(3, Save::Truncate { keep: Position(1) });
    bench.ask(
        4,
        Save::Append {
            entries: vec![entry_of(2, 1, 10), entry_of(2, 2, 10)],
            committed: Position(0),
        },
    );
    assert_eq!(bench.settle(), []);
    assert_eq!(bench.retry(), []);
    bench.set_full(Full::Nothing);
    assert_eq!(bench.settle(), [], "nothing is tried before it is time");
    let reports = bench.retry();
    assert_eq!(reports, [Report::Room, persisted(&[2, 3, 4])]);
    assert_eq!(bench.epochs(), [1, 2, 2]);
}

#[test]
fn what_was_carried_out_before_the_refusal_is_reported() {
    let mut bench = Bench::new();
    bench.set_full(Full::Log);
    // The truncation is in the same group as the append that is refused.
    bench.ask(1, Save::Truncate { keep: Position(0) });
    bench.ask(2, append(0..1));
    assert_eq!(bench.settle(), [Report::Full, persisted(&[1])]);
    bench.set_full(Full::Nothing);
    assert_eq!(bench.retry(), [Report::Room, persisted(&[2])]);
}

#[test]
fn what_a_node_knows_about_itself_does_not_go_back() {
    let mut bench = Bench::new();
    bench.set_full(Full::Log);
    bench.ask(1, meta(1));
    assert_eq!(bench.settle(), [Report::Full]);
    bench.ask(2, meta(2));
    bench.set_full(Full::Nothing);
    assert_eq!(
        bench.retry(),
        [persisted(&[1]), Report::Room, persisted(&[2])]
    );
    assert_eq!(bench.log.meta().epoch, Epoch(2));
}

#[test]
fn a_chunk_that_found_no_room_is_reported_before_what_follows() {
    let mut bench = Bench::new();
    bench.ask(1, Save::StageBegin);
    bench.settle();
    bench.set_full(Full::Stage);
    bench.ask(2, stage());
    assert_eq!(bench.settle(), [Report::Full]);
    bench.ask(3, Save::StageBegin);
    bench.set_full(Full::Nothing);
    assert_eq!(
        bench.retry(),
        [persisted(&[2]), Report::Room, persisted(&[3])]
    );
}

#[test]
fn a_log_begins_anew_behind_an_installed_state_whatever_has_no_room() {
    for full in [Full::Nothing, Full::Install, Full::Reset] {
        let mut bench = Bench::new();
        bench.ask(1, append(0..3));
        bench.ask(2, Save::StageBegin);
        bench.ask(3, stage());
        bench.ask(4, install(7));
        bench.ask(5, append(7..8));
        bench.set_full(full);
        let mut reports = bench.settle();
        bench.set_full(Full::Nothing);
        reports.extend(bench.retry());
        let persisted = reports
            .iter()
            .filter(|report| matches!(report, Report::Persisted(_)));
        let tickets: Vec<_> = persisted.cloned().collect();
        let expected = [1, 2, 3, 4, 5].map(|ticket| super::tests::persisted(&[ticket]));
        assert_eq!(tickets, expected, "{full:?}");
        let is_told = reports.contains(&Report::Full) && reports.contains(&Report::Room);
        assert_eq!(is_told, full != Full::Nothing);
        assert_eq!(
            bench.done,
            [
                "append", "sync", "begin", "stage", "install", "reset", "append", "sync"
            ]
        );
        assert_eq!(
            (bench.log.start(), bench.log.end()),
            (Position(7), Position(8))
        );
    }
}

#[test]
fn a_state_is_put_in_place_when_nothing_is_being_applied_to_the_former() {
    let mut bench = Bench::new();
    bench.ask(1, append(0..3));
    bench.settle();
    bench.tell(Told::Apply(committed(0..1)));
    assert!(!bench.carry_out());
    bench.tell(Told::Apply(committed(1..2)));
    bench.ask(2, Save::StageBegin);
    bench.ask(3, install(7));
    while bench.carry_out() {}
    assert_eq!(
        bench.done.last(),
        Some(&"begin"),
        "entries are being applied"
    );
    let reports = bench.settle();
    // What waited to be applied is dropped.
    assert_eq!(
        reports,
        [
            persisted(&[2]),
            Report::Applied(Position(1)),
            persisted(&[3])
        ]
    );
    assert_eq!(bench.engine.applied(), Position(7));
}

#[test]
fn entries_that_a_state_had_no_room_for_are_not_applied_to_the_one_in_its_place() {
    let mut bench = Bench::new();
    bench.ask(1, append(0..3));
    bench.ask(2, Save::StageBegin);
    bench.settle();
    bench.set_full(Full::State);
    bench.tell(Told::Apply(committed(0..1)));
    assert_eq!(bench.settle(), [Report::Full]);
    // They are tried once more while the other state waits for its turn, and refused once more.
    bench.ask(3, install(7));
    assert_eq!(bench.retry(), [Report::Room, persisted(&[3])]);
    bench.set_full(Full::Nothing);
    assert_eq!(bench.retry(), []);
    assert_eq!(bench.engine.applied(), Position(7));
}

#[test]
fn entries_that_the_state_has_no_room_for_are_kept_and_told() {
    let mut bench = Bench::new();
    bench.ask(1, append(0..3));
    bench.settle();
    bench.set_full(Full::State);
    bench.tell(Told::Apply(committed(0..1)));
    assert_eq!(bench.settle(), [Report::Full]);
    bench.tell(Told::Apply(committed(1..3)));
    assert_eq!(bench.retry(), []);
    // The log has room all the while, and the process knows that the state has none.
    bench.ask(2, append(3..4));
    assert_eq!(bench.settle(), [persisted(&[2])]);
    bench.set_full(Full::Nothing);
    assert_eq!(bench.retry(), [Report::Applied(Position(3)), Report::Room]);
}

#[test]
fn room_is_told_once_nothing_is_refused_any_more() {
    let mut bench = Bench::new();
    bench.ask(1, append(0..1));
    bench.settle();
    bench.set_full(Full::State);
    bench.tell(Told::Apply(committed(0..1)));
    bench.settle();
    bench.set_full(Full::Log);
    bench.ask(2, append(1..2));
    assert_eq!(bench.settle(), []);
    assert_eq!(bench.retry(), [Report::Applied(Position(1))]);
    bench.set_full(Full::Nothing);
    assert_eq!(bench.retry(), [Report::Room, persisted(&[2])]);
}

#[test]
fn the_log_is_trimmed_behind_a_checkpoint_but_not_what_is_to_be_retained() {
    let mut bench = Bench::new();
    let big = |seqs: std::ops::Range<u64>| seqs.map(|seq| entry_of(1, seq, 100)).collect();
    bench.tell(Told::Retain(Position(30)));
    bench.ask(
        1,
        Save::Append {
            entries: big(0..40),
            committed: Position::ZERO,
        },
    );
    bench.settle();
    bench.tell(Told::Apply(Committed {
        entries: big(0..35),
        sessions: SessionChanges::default(),
    }));
    assert_eq!(
        bench.settle(),
        [Report::Applied(Position(35)), Report::Trimmed(Position(30))]
    );
    bench.tell(Told::Retain(Position(u64::MAX)));
    assert_eq!(bench.settle(), [Report::Trimmed(Position(35))]);
}

#[test]
fn a_checkpoint_without_room_is_told_and_made_later() {
    let mut bench = Bench::new();
    bench.ask(1, append(0..40));
    bench.settle();
    bench.set_full(Full::Checkpoint);
    bench.tell(Told::Apply(committed(0..40)));
    assert_eq!(
        bench.settle(),
        [Report::Applied(Position(40)), Report::Full]
    );
    assert_eq!(
        bench.scheduler.due(),
        Some(bench.now + limits::ROOM_INTERVAL)
    );
    bench.set_full(Full::Nothing);
    let reports = bench.retry();
    assert_eq!(reports.first(), Some(&Report::Room), "{reports:?}");
    assert!(matches!(reports[1..], [Report::Trimmed(_)]), "{reports:?}");
}

#[test]
fn a_checkpoint_is_made_from_time_to_time() {
    let mut bench = Bench::new();
    bench.ask(1, append(0..1));
    bench.settle();
    bench.tell(Told::Apply(committed(0..1)));
    bench.settle();
    let due = bench.scheduler.due().expect("a checkpoint");
    bench.now = due;
    bench.scheduler.advance(due, &mut bench.orders);
    assert_eq!(bench.orders, [Order::Checkpoint]);
    bench.settle();
    assert_eq!(bench.durable, Position(1));
}

#[test]
fn closing_finishes_what_was_handed_over_and_saves_the_state() {
    let mut bench = Bench::new();
    bench.ask(1, append(0..1));
    bench.settle();
    bench.tell(Told::Apply(committed(0..1)));
    bench.ask(2, append(1..3));
    bench.tell(Told::Close);
    assert!(!bench.scheduler.is_finished());
    let reports = bench.settle();
    assert!(reports.contains(&persisted(&[2])), "{reports:?}");
    assert!(bench.scheduler.is_finished());
    assert_eq!(bench.durable, Position(1));
}

#[test]
fn closing_does_not_wait_for_room() {
    for full in [Full::Log, Full::State, Full::Checkpoint] {
        let mut bench = Bench::new();
        bench.ask(1, append(0..1));
        bench.settle();
        bench.set_full(full);
        bench.ask(2, append(1..2));
        bench.tell(Told::Apply(committed(0..1)));
        bench.settle();
        bench.tell(Told::Close);
        bench.settle();
        assert!(bench.scheduler.is_finished(), "{full:?}");
    }
}

#[test]
fn the_arbiters_newest_record_stands_for_those_before_it_and_never_goes_back() {
    let mut orders = Vec::new();
    let now = Instant::from_millis(1);
    let mut scheduler = Scheduler::arbiter();
    assert_eq!(scheduler.due(), None);
    let save = |ticket, version| Told::Save(Ticket(ticket), record(version));
    scheduler.tell(now, save(1, 1), &mut orders);
    scheduler.tell(now, save(2, 2), &mut orders);
    scheduler.advance(now, &mut orders);
    let version = |job: Option<&Job>| match job {
        Some(Job::Save(Save::Arbiter(keeper))) => {
            let held = keeper.held().expect("it holds a record");
            held.value.config.version.0
        }
        other => panic!("no record: {other:?}"),
    };
    assert_eq!(version(scheduler.job()), 2);
    scheduler.done(now, Outcome::Refused, &mut orders);
    scheduler.tell(now, save(3, 3), &mut orders);
    scheduler.advance(now, &mut orders);
    assert_eq!(scheduler.job(), None);
    let later = scheduler.due().expect("it tries again");
    scheduler.advance(later, &mut orders);
    assert_eq!(version(scheduler.job()), 2);
    scheduler.done(later, Outcome::Done, &mut orders);
    scheduler.advance(later, &mut orders);
    assert_eq!(version(scheduler.job()), 3);
    scheduler.done(later, Outcome::Done, &mut orders);
    scheduler.advance(later, &mut orders);
    let expected = [
        Report::Full,
        persisted(&[1, 2]),
        Report::Room,
        persisted(&[3]),
    ];
    assert_eq!(orders, expected.map(Order::Report));
    scheduler.tell(later, Told::Close, &mut orders);
    scheduler.advance(later, &mut orders);
    assert!(scheduler.is_finished());
}
