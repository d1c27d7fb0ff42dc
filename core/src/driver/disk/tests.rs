//! The disk against a log and an engine that stop on command, run out of room, and count.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_std::task::block_on;
use futures_lite::future;

use super::*;
use crate::arbiter::{self, offline};
use crate::config::{ArbiterId, ClusterId, Epoch, NodeId, Position};
use crate::engine::memory::{MemoryArbiter, MemoryEngine, MemoryLog};
use crate::engine::{Page, StoreError, View};
use crate::epochs::EpochHistory;
use crate::operation::{Entry, Key, Keyed, Moment, Record, Revision};
use crate::range::KeyRange;
use crate::sessions::{SessionChanges, SessionRows};
use crate::storage::committed::Committed;
use crate::storage::scheduler::Report;
use crate::storage::{Answer, Cursor, Meta, Query, Save, Ticket};

fn entry(seq: u64, bytes: usize) -> Arc<Entry> {
    let value = vec![b'v'; bytes].into();
    Arc::new(Entry::of(1, seq, format!("k{seq}"), Some(value)))
}

fn append(seqs: std::ops::Range<u64>) -> Save {
    Save::Append {
        entries: seqs.map(|seq| entry(seq, 10)).collect(),
        committed: Position::ZERO,
    }
}

/// What a test sees of the disk, and does to it.
#[derive(Clone, Default)]
struct Bench {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    appends: AtomicUsize,
    syncs: AtomicUsize,
    end: AtomicUsize,
    is_broken: AtomicBool,
    state_is_full: AtomicBool,
    applies_at_once: AtomicBool,
    checkpoints: AtomicUsize,
    reads: AtomicUsize,
}

/// Holds every sync until the test lets it go.
struct Gate {
    begun: mpsc::Receiver<()>,
    release: mpsc::Sender<()>,
}

struct BenchLog {
    inner: MemoryLog,
    bench: Bench,
    gate: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
}

struct BenchEngine {
    inner: MemoryEngine,
    bench: Bench,
}

impl Bench {
    fn disk(&self) -> Loop {
        self.open(None)
    }

    fn gated(&self) -> (Loop, Gate) {
        let (begun_sender, begun) = mpsc::channel();
        let (release, released) = mpsc::channel();
        (
            self.open(Some((begun_sender, released))),
            Gate { begun, release },
        )
    }

    fn open(&self, gate: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>) -> Loop {
        let log = BenchLog {
            inner: MemoryLog::new(NodeId(1)),
            bench: self.clone(),
            gate,
        };
        let engine = BenchEngine {
            inner: MemoryEngine::new(),
            bench: self.clone(),
        };
        Loop::over(Disk::replica(Box::new(log), Arc::new(engine), 1000))
    }

    fn counts(&self) -> (usize, usize, usize) {
        let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (
            read(&self.shared.appends),
            read(&self.shared.syncs),
            read(&self.shared.end),
        )
    }
}

fn no_room() -> StoreError {
    StoreError::NoRoom {
        path: "bench".into(),
    }
}

impl LogStore for BenchLog {
    fn append(&mut self, entries: &[Arc<Entry>], committed: Position) -> Result<(), StoreError> {
        self.bench.shared.appends.fetch_add(1, Ordering::SeqCst);
        self.inner.append(entries, committed)?;
        let end = usize::try_from(self.inner.end().0).unwrap();
        self.bench.shared.end.store(end, Ordering::SeqCst);
        Ok(())
    }

    fn truncate(&mut self, end: Position) -> Result<(), StoreError> {
        self.inner.truncate(end)
    }

    fn reset(&mut self, start: Position, history: &EpochHistory) -> Result<(), StoreError> {
        self.inner.reset(start, history)
    }

    fn trim(&mut self, before: Position, bytes_max: u64) -> Result<Position, StoreError> {
        self.inner.trim(before, bytes_max)
    }

    fn save_meta(&mut self, meta: &Meta) -> Result<(), StoreError> {
        self.inner.save_meta(meta)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if let Some((begun, released)) = &self.gate {
            begun.send(()).unwrap();
            released.recv().unwrap();
        }
        if self.bench.shared.is_broken.load(Ordering::SeqCst) {
            return Err(StoreError::Engine("the disk is on fire".to_owned()));
        }
        self.bench.shared.syncs.fetch_add(1, Ordering::SeqCst);
        self.inner.sync()
    }

    fn read(&mut self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Entry>>, StoreError> {
        self.inner.read(from, bytes_max)
    }

    fn start(&self) -> Position {
        self.inner.start()
    }

    fn end(&self) -> Position {
        self.inner.end()
    }

    fn history(&self) -> &EpochHistory {
        self.inner.history()
    }

    fn committed_hint(&self) -> Position {
        self.inner.committed_hint()
    }

    fn meta(&self) -> &Meta {
        self.inner.meta()
    }

    fn path(&self) -> &Path {
        Path::new("bench")
    }
}

impl Engine for BenchEngine {
    fn applied(&self) -> Position {
        self.inner.applied()
    }

    fn revision(&self) -> Revision {
        self.inner.revision()
    }

    fn apply(&self, entries: &[Arc<Entry>], sessions: &SessionChanges) -> Result<(), StoreError> {
        if self.bench.shared.state_is_full.load(Ordering::SeqCst) {
            return Err(no_room());
        }
        self.inner.apply(entries, sessions)
    }

    fn applies_at_once(&self) -> bool {
        self.bench.shared.applies_at_once.load(Ordering::SeqCst)
    }

    fn sessions(&self) -> Result<SessionRows, StoreError> {
        self.inner.sessions()
    }

    fn checkpoint(&self) -> Result<Position, StoreError> {
        self.bench.shared.checkpoints.fetch_add(1, Ordering::SeqCst);
        self.inner.checkpoint()
    }

    fn read(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        assert_ne!(key, &"poison".into(), "it cannot look for that");
        self.bench.shared.reads.fetch_add(1, Ordering::SeqCst);
        self.inner.read(key)
    }

    fn scan(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Result<Page, StoreError> {
        assert_ne!(
            range,
            &KeyRange::prefix("poison"),
            "it cannot look for that"
        );
        self.inner.scan(range, limit)
    }

    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        self.inner.view()
    }

    fn stage_begin(&self) -> Result<(), StoreError> {
        self.inner.stage_begin()
    }

    fn stage(&self, records: &[Keyed], sessions: &SessionRows) -> Result<(), StoreError> {
        self.inner.stage(records, sessions)
    }

    fn install(&self, at: Moment, history: &EpochHistory) -> Result<(), StoreError> {
        self.inner.install(at, history)
    }

    fn installed(&self) -> Option<(Position, EpochHistory)> {
        self.inner.installed()
    }
}

/// What the loop of a process does with its disk, one save or question at a time.
struct Loop {
    disk: Disk,
    desk: Desk,
    handed: Vec<Handed>,
}

impl Loop {
    fn over(disk: Disk) -> Self {
        Self {
            desk: disk.desk(),
            disk,
            handed: Vec::new(),
        }
    }

    fn flush(&mut self) {
        self.disk.hand_on(&mut self.handed);
    }

    fn persist(&mut self, ticket: u64, save: Save) {
        let ticket = Ticket(ticket);
        self.desk.persist(ticket, save, &mut self.handed).unwrap();
    }

    fn apply(&mut self, entries: Vec<Arc<Entry>>) {
        let committed = Committed {
            entries,
            sessions: SessionChanges::default(),
        };
        let (engine, handed) = (self.disk.engine(), &mut self.handed);
        let applied = self.desk.apply(engine, committed, handed);
        applied.unwrap();
    }

    fn ask(&mut self, ticket: u64, save: Save) {
        self.persist(ticket, save);
        self.flush();
    }

    fn query(&mut self, ticket: u64, query: Query) {
        let asked = self.desk.query(Ticket(ticket), query, &mut self.handed);
        asked.unwrap();
        self.flush();
    }

    fn put_question(&mut self, ticket: u64, query: Query) -> Answer {
        self.query(ticket, query);
        match self.next() {
            Report::Answered(answers) => {
                let [(answered, answer)] = answers.try_into().unwrap();
                assert_eq!(answered, Ticket(ticket));
                answer
            }
            other => panic!("no answer: {other:?}"),
        }
    }

    /// The next report, seen as the loop sees it.
    fn next(&mut self) -> Report {
        if let Some(position) = self.desk.take_applied() {
            return Report::Applied(position);
        }
        let answered = self.disk.answered();
        let report = block_on(future::or(
            async {
                match self.disk.completions.recv().await.unwrap() {
                    Completion::Report(report) => report,
                    Completion::Failed(error) => panic!("failed: {error:?}"),
                }
            },
            async {
                match answered {
                    Some(answered) => answered.recv().await.unwrap(),
                    None => future::pending().await,
                }
            },
        ));
        match &report {
            Report::Persisted(tickets) => {
                for ticket in tickets {
                    let (engine, handed) = (self.disk.engine(), &mut self.handed);
                    self.desk.on_persisted(engine, *ticket, handed).unwrap();
                }
            }
            Report::Applied(position) => self.desk.on_applied(*position),
            _ => {}
        }
        report
    }

    fn expect_persisted(&mut self, expected: &[u64]) {
        let tickets = expected.iter().map(|ticket| Ticket(*ticket)).collect();
        assert_eq!(self.next(), Report::Persisted(tickets));
    }

    /// Everything asked for before is through.
    fn log_end(&mut self, ticket: u64, start: u64) -> u64 {
        let from = Position(start);
        match self.put_question(ticket, Query::Log { from }) {
            Answer::Entries(entries) => start + entries.len() as u64,
            other => panic!("not entries: {other:?}"),
        }
    }
}

#[test]
fn writes_that_arrive_during_a_sync_share_the_next() {
    let bench = Bench::default();
    let (mut disk, gate) = bench.gated();
    disk.ask(1, append(0..1));
    gate.begun.recv().unwrap();
    for seq in 1..5 {
        disk.ask(seq + 1, append(seq..seq + 1));
    }
    gate.release.send(()).unwrap();
    disk.expect_persisted(&[1]);
    gate.begun.recv().unwrap();
    gate.release.send(()).unwrap();
    disk.expect_persisted(&[2, 3, 4, 5]);
    assert_eq!(bench.counts(), (2, 2, 5));
}

#[test]
fn what_is_asked_for_again_is_not_done_again() {
    let bench = Bench::default();
    let (mut disk, gate) = bench.gated();
    disk.ask(1, append(0..2));
    gate.begun.recv().unwrap();
    disk.ask(2, append(2..3));
    disk.ask(1, append(0..2));
    disk.ask(2, append(2..3));
    gate.release.send(()).unwrap();
    gate.release.send(()).unwrap();
    disk.expect_persisted(&[1]);
    disk.expect_persisted(&[2]);
    disk.ask(1, append(0..2));
    assert_eq!(disk.log_end(3, 0), 3);
    assert_eq!(bench.counts(), (2, 2, 3));
}

#[test]
fn an_installed_state_begins_the_log_anew() {
    let bench = Bench::default();
    let mut disk = bench.disk();
    let history = EpochHistory::from_runs(vec![(Epoch(1), Position(0))]).unwrap();
    let save = Save::Stage {
        records: vec![Keyed::of("k", "v")],
        sessions: SessionRows::default(),
    };
    disk.persist(1, append(0..3));
    disk.persist(2, Save::StageBegin);
    disk.persist(3, save);
    let at = Moment::behind(7);
    disk.persist(4, Save::Install { at, history });
    disk.persist(5, append(7..8));
    disk.apply(vec![entry(7, 1)]);
    disk.flush();
    let mut persisted = Vec::new();
    let mut applied = None;
    while persisted.len() < 5 || applied.is_none() {
        disk.flush();
        match disk.next() {
            Report::Persisted(tickets) => persisted.extend(tickets),
            Report::Applied(position) => applied = Some(position),
            other => panic!("unexpected: {other:?}"),
        }
    }
    let place = |ticket| persisted.iter().position(|p| *p == Ticket(ticket));
    assert!(place(1) < place(4) && place(3) < place(4) && place(4) < place(5));
    assert_eq!(applied, Some(Position(8)));
    assert_eq!(disk.log_end(6, 7), 8);
    let value = disk.put_question(7, Query::Get { key: "k".into() });
    assert_eq!(value, Answer::Record(Some(Keyed::of("k", "v").record)));
}

/// Has the log and the state take in the entry `seq`, which is the next.
fn commit(disk: &mut Loop, seq: u64, bytes: usize) {
    let entries = vec![entry(seq, bytes)];
    let committed = Position::ZERO;
    let ticket = 1000 + seq;
    let save = Save::Append {
        entries: entries.clone(),
        committed,
    };
    disk.persist(ticket, save);
    disk.apply(entries);
    disk.flush();
    disk.expect_persisted(&[ticket]);
    disk.flush();
    let applied = disk.next();
    assert!(
        matches!(applied, Report::Applied(position) if position == Position(seq + 1)),
        "{applied:?}"
    );
}

#[test]
fn the_state_never_gets_ahead_of_the_log() {
    let bench = Bench::default();
    let (mut disk, gate) = bench.gated();
    disk.persist(1, append(0..2));
    disk.apply(vec![entry(0, 10), entry(1, 10)]);
    disk.flush();
    gate.begun.recv().unwrap();
    let key = || Query::Get { key: "k0".into() };
    let early = disk.put_question(2, key());
    assert_eq!(early, Answer::Record(None), "applied before it was durable");
    gate.release.send(()).unwrap();
    disk.expect_persisted(&[1]);
    disk.flush();
    assert!(matches!(disk.next(), Report::Applied(Position(2))));
    let late = disk.put_question(3, key());
    assert!(matches!(late, Answer::Record(Some(_))), "{late:?}");
}

/// Has the log take in the entry `seq`, which is the next, and the state as soon as it can.
fn write_and_apply(disk: &mut Loop, seq: u64) {
    let entries = vec![entry(seq, 1)];
    disk.apply(entries);
    disk.ask(seq, append(seq..seq + 1));
    disk.expect_persisted(&[seq]);
}

#[test]
fn entries_are_applied_at_once_but_never_past_those_that_wait_for_room() {
    let bench = Bench::default();
    let mut disk = bench.disk();
    let shared = &bench.shared;
    shared.applies_at_once.store(true, Ordering::SeqCst);
    write_and_apply(&mut disk, 0);
    assert_eq!(disk.desk.take_applied(), Some(Position(1)));

    shared.state_is_full.store(true, Ordering::SeqCst);
    write_and_apply(&mut disk, 1);
    disk.flush();
    assert_eq!(disk.next(), Report::Full);
    shared.state_is_full.store(false, Ordering::SeqCst);
    write_and_apply(&mut disk, 2);
    assert_eq!(disk.desk.take_applied(), None);
    disk.flush();
    while disk.next() != Report::Room {}

    write_and_apply(&mut disk, 3);
    assert_eq!(disk.desk.take_applied(), Some(Position(4)));
}

#[test]
fn a_get_sees_what_was_reported_as_applied() {
    let mut disk = Bench::default().disk();
    commit(&mut disk, 0, 3);
    let value = disk.put_question(2000, Query::Get { key: "k0".into() });
    let record = Record::first("vvv".into(), Revision(2));
    assert_eq!(value, Answer::Record(Some(record)));
}

#[test]
fn what_is_read_and_not_taken_is_bounded() {
    let bench = Bench::default();
    let mut disk = bench.disk();
    commit(&mut disk, 0, 1 << 20);
    let gets = 100;
    for ticket in 0..gets {
        disk.query(ticket, Query::Get { key: "k0".into() });
    }
    let reads = || bench.shared.reads.load(Ordering::SeqCst);
    // Each of these answers is handed back alone.
    let ahead = ANSWERED_MAX + READERS;
    for taken in 0..gets as usize {
        while reads() < (taken + ahead).min(gets as usize) {
            std::thread::yield_now();
        }
        assert!(reads() <= taken + ahead, "{} reads, {taken} taken", reads());
        let report = block_on(disk.disk.answered().unwrap().recv());
        assert!(matches!(report, Ok(Report::Answered(answers)) if answers.len() == 1));
    }
}

#[test]
fn a_question_at_which_the_state_fails_harms_no_other() {
    let mut disk = Bench::default().disk();
    let gets = |key: &str| Query::Get { key: key.into() };
    let scan = |range| Query::Scan { range, limit: None };
    for ticket in 0..4 {
        let failed = disk.put_question(3 * ticket, gets("poison"));
        assert!(matches!(failed, Answer::Failed(_)), "{failed:?}");
        let failed = disk.put_question(3 * ticket + 1, scan(KeyRange::prefix("poison")));
        assert!(matches!(failed, Answer::Failed(_)), "{failed:?}");
        assert_eq!(
            disk.put_question(3 * ticket + 2, gets("k0")),
            Answer::Record(None)
        );
    }
    let Answer::Page(page) = disk.put_question(12, scan(KeyRange::all())) else {
        panic!("no page");
    };
    assert!(page.records.is_empty());
}

#[test]
fn a_view_stands_still_until_it_is_closed() {
    let mut disk = Bench::default().disk();
    commit(&mut disk, 0, 1);
    let opened = disk.put_question(2000, Query::OpenView);
    assert_eq!(
        opened,
        Answer::View {
            at: Moment::behind(1),
            records: 1
        }
    );
    commit(&mut disk, 1, 1);
    let view = Query::ReadView {
        view: Ticket(2000),
        after: Cursor::Records(KeyRange::all()),
    };
    let Answer::Page(page) = disk.put_question(2001, view.clone()) else {
        panic!("not a page");
    };
    assert_eq!((page.records.len(), page.more), (1, false));
    disk.desk.close_view(Ticket(2000), &mut disk.handed);
    disk.query(2002, view);
    let Answer::Page(page) = disk.put_question(
        2003,
        Query::Scan {
            range: KeyRange::all(),
            limit: None,
        },
    ) else {
        panic!("not a page");
    };
    assert_eq!(page.records.len(), 2);
}

#[test]
fn a_failed_sync_is_the_end() {
    let bench = Bench::default();
    let mut disk = bench.disk();
    bench.shared.is_broken.store(true, Ordering::SeqCst);
    disk.ask(1, append(0..1));
    match block_on(disk.disk.completions.recv()).unwrap() {
        Completion::Failed(DriverError::Disk(error)) => {
            assert_eq!(
                error.to_string(),
                "the storage engine failed: the disk is on fire"
            );
        }
        other => panic!("not a failure: {other:?}"),
    }
    assert!(block_on(disk.disk.close()).is_ok(), "it was told already");
}

#[test]
fn closing_finishes_what_was_handed_over_and_makes_the_state_durable() {
    let bench = Bench::default();
    let mut disk = bench.disk();
    commit(&mut disk, 0, 1);
    disk.persist(2000, append(1..3));
    disk.flush();
    block_on(disk.disk.close()).unwrap();
    assert_eq!(bench.counts(), (2, 2, 3));
    assert_eq!(bench.shared.checkpoints.load(Ordering::SeqCst), 1);
}

#[test]
fn the_arbiters_newest_record_stands_for_those_before_it() {
    let mut disk = Loop::over(Disk::arbiter(Box::new(MemoryArbiter::new())));
    let record = arbiter::first_record(ClusterId(1), 1);
    let keeper = offline::found(ArbiterId(1), record);
    for ticket in 1..4 {
        disk.persist(ticket, Save::Arbiter(Box::new(keeper.clone())));
    }
    disk.flush();
    disk.expect_persisted(&[1, 2, 3]);
}
