//! Repeated requests, and requests that are asked about.

use super::*;
use crate::message::{Attempt, CommittedAnswer};
use crate::operation::{Decided, Key, Moment, Resolution, Verdict};
use crate::range::KeyRange;

impl Table {
    /// A primary that is alone in sync, so that its own disk commits.
    fn alone(sessions: SessionRows, tail: Vec<Arc<Entry>>) -> Self {
        let mut table = Self::recovered(ME, sessions, tail);
        let mut config = config(ME, 2, 1);
        config.in_sync.remove(&OTHER);
        config.members.remove(&OTHER);
        table.hear("arbiter", Message::from(FromArbiter::Replicas(config)));
        table
    }

    fn remove(&mut self, from: &str, id: u64) {
        let body = RequestBody::Remove { key: "k".into() };
        self.ask(from, id, body);
    }

    /// The write, sent as this copy for the tenure of `epoch`.
    fn remove_by(&mut self, id: u64, epoch: Epoch, copy: u32) {
        let request = Request {
            origin: Origin::plain(CLIENT, RequestId(id)),
            body: RequestBody::Remove { key: "k".into() },
            attempt: Attempt { epoch, copy },
        };
        self.hear("c1", Message::Request(request));
    }

    fn resolve(&mut self, from: &str, id: u64) {
        let body = RequestBody::Resolve { key: "k".into() };
        self.ask(from, id, body);
    }
}

fn ack(to: &str, id: u64, seq: u64) -> (String, u64, ReplyBody) {
    let (seq, revision) = (Seq(seq), Revision(seq + 2));
    (to.to_owned(), id, ReplyBody::OperationAck { seq, revision })
}

fn rejected(to: &str, id: u64, reason: Rejection) -> (String, u64, ReplyBody) {
    rejected_copy(to, id, reason, Attempt::default())
}

fn rejected_copy(
    to: &str,
    id: u64,
    reason: Rejection,
    attempt: Attempt,
) -> (String, u64, ReplyBody) {
    let body = ReplyBody::OperationRejected { reason, attempt };
    (to.to_owned(), id, body)
}

fn executed(to: &str, id: u64, seq: u64) -> (String, u64, ReplyBody) {
    let (seq, revision) = (Seq(seq), Revision(seq + 2));
    let resolution = Resolution::Executed { seq, revision };
    (to.to_owned(), id, ReplyBody::Resolved(resolution))
}

fn never_executed(to: &str, id: u64) -> (String, u64, ReplyBody) {
    let resolution = Resolution::NeverExecuted;
    (to.to_owned(), id, ReplyBody::Resolved(resolution))
}

fn failed(to: &str, id: u64) -> (String, u64, ReplyBody) {
    (to.to_owned(), id, ReplyBody::OperationFailed)
}

/// Entries of `CLIENT` with the ids of their seqs.
fn tail(seqs: std::ops::Range<u64>) -> Vec<Arc<Entry>> {
    let PeerMessage::Snapshots(snapshots) = snapshots(0, seqs) else {
        unreachable!("snapshots are Snapshots");
    };
    snapshots.entries
}

/// What is remembered of `CLIENT` when it has the entries `floor..end`, with the ids of their seqs, and has settled
/// those before.
pub(super) fn remembered(floor: u64, end: u64) -> SessionRows {
    let done = |seq| Decided {
        seq: Seq(seq),
        revision: Revision(seq + 2),
        verdict: Verdict::Executed,
    };
    let row = SessionRow {
        owner: Address::new("c1").owner(),
        floor: RequestId(floor),
        last: Seq(end - 1),
        results: (floor..end).map(|id| (RequestId(id), done(id))).collect(),
    };
    SessionRows {
        rows: [(CLIENT, row)].into(),
        forgotten: Position::ZERO,
    }
}

#[test]
fn a_repeated_write_waits_for_the_first_and_is_answered_where_it_was_asked_last() {
    let mut table = Table::alone(SessionRows::default(), Vec::new());
    table.let_save();
    table.remove("c1", 0);
    table.remove("c2", 0);
    assert_eq!(table.end(), 1, "one entry");
    assert_eq!(table.replies(), []);
    assert_eq!(table.let_save(), [ack("c2", 0, 0)]);
}

#[test]
fn a_write_repeated_after_its_commit_is_answered_with_the_same_seq() {
    let mut table = Table::alone(SessionRows::default(), Vec::new());
    table.remove("c1", 0);
    table.remove("c1", 1);
    assert_eq!(table.let_save(), [ack("c1", 0, 0), ack("c1", 1, 1)]);
    table.remove("c2", 0);
    assert_eq!(table.replies(), [ack("c2", 0, 0)], "at once");
    assert_eq!(table.end(), 2);
}

#[test]
fn a_rejected_copy_that_is_delivered_again_is_not_executed() {
    let mut table = Table::alone(SessionRows::default(), Vec::new());
    table.step(Input::DiskFull);
    table.remove_by(0, EPOCH, 1);
    table.remove_by(0, EPOCH, 2);
    let copy = |copy, reason| {
        let attempt = Attempt { epoch: EPOCH, copy };
        rejected_copy("c1", 0, reason, attempt)
    };
    let full = |number| copy(number, Rejection::DiskFull);
    assert_eq!(table.let_save(), [full(1), full(2)]);
    table.step(Input::DiskRoom);
    for number in [2, 1] {
        table.remove_by(0, EPOCH, number);
        assert_eq!(table.let_save(), [copy(number, Rejection::NotReady)]);
    }
    table.remove_by(0, EPOCH, 3);
    assert_eq!(table.let_save(), [ack("c1", 0, 0)]);
    table.remove_by(0, EPOCH, 1);
    assert_eq!(table.let_save(), [ack("c1", 0, 0)]);
}

#[test]
fn a_copy_for_another_tenure_is_executed_in_none() {
    let mut table = Table::alone(SessionRows::default(), tail(0..1));
    let primary = Some(Address::new("r1"));
    let attempt = Attempt {
        epoch: EPOCH.next(),
        copy: 1,
    };
    table.remove_by(1, attempt.epoch, attempt.copy);
    let not_primary = Rejection::NotPrimary { primary };
    assert_eq!(
        table.let_save(),
        [rejected_copy("c1", 1, not_primary, attempt)]
    );
    table.remove_by(0, EPOCH.next(), 1);
    assert_eq!(
        table.let_save(),
        [ack("c1", 0, 0)],
        "what is known of it is told"
    );
}

#[test]
fn who_is_forgotten_since_before_the_tenure_is_told_so() {
    let sessions = SessionRows {
        forgotten: Position(1),
        ..SessionRows::default()
    };
    let mut table = Table::alone(sessions, tail(1..2));
    let copy = |epoch, reason| {
        let attempt = Attempt { epoch, copy: 1 };
        rejected_copy("c1", 0, reason, attempt)
    };
    table.remove_by(0, EPOCH, 1);
    assert_eq!(table.let_save(), [copy(EPOCH, Rejection::SessionTooOld)]);
    // Copies for another tenure, or for any, may have been executed before.
    for epoch in [EPOCH.next(), Epoch::ZERO] {
        table.remove_by(0, epoch, 1);
        assert_eq!(table.let_save(), [copy(epoch, Rejection::SessionExpired)]);
    }
}

#[test]
fn a_write_repeated_after_a_restart_is_answered_from_what_the_disk_remembers() {
    let mut table = Table::alone(remembered(2, 4), tail(4..6));
    table.remove("c1", 3);
    assert_eq!(table.let_save(), [ack("c1", 3, 3)]);
    table.remove("c1", 1);
    let expired = rejected("c1", 1, Rejection::SessionExpired);
    assert_eq!(table.let_save(), [expired]);
    table.remove("c1", 5);
    assert_eq!(table.let_save(), [ack("c1", 5, 5)]);
    assert_eq!(table.end(), 6);
}

#[test]
fn a_write_found_in_the_log_of_a_former_tenure_is_answered_when_its_fate_is_known() {
    let mut table = Table::recovered(ME, remembered(0, 4), tail(4..6));
    table.effects.clear();
    table.remove("c1", 6);
    table.remove("c2", 5);
    table.remove("c3", 4);
    assert_eq!(table.end(), 7);
    assert_eq!(table.let_save(), [], "the other replica has none of it");
    table.step(Input::Timer(Timer::Deadline));
    let failures = [failed("c3", 4), failed("c2", 5), failed("c1", 6)];
    assert_eq!(table.replies(), failures);
    table.remove("c4", 4);
    assert_eq!(table.let_save(), [], "a second of its own");
    let mut config = config(ME, 2, 1);
    config.in_sync.remove(&OTHER);
    config.members.remove(&OTHER);
    table.hear("arbiter", Message::from(FromArbiter::Replicas(config)));
    assert_eq!(table.replies(), [ack("c4", 4, 4)]);
    assert_eq!(table.end(), 7);
}

#[test]
fn an_executed_write_is_resolved_as_such() {
    let mut table = Table::alone(remembered(2, 4), tail(4..5));
    table.resolve("c1", 3);
    assert_eq!(table.let_save(), [executed("c1", 3, 3)]);
    table.resolve("c1", 4);
    assert_eq!(table.let_save(), [executed("c1", 4, 4)]);
    table.remove("c1", 5);
    table.resolve("c2", 5);
    assert_eq!(table.let_save(), [executed("c2", 5, 5)]);
    table.resolve("c1", 1);
    let expired = rejected("c1", 1, Rejection::SessionExpired);
    assert_eq!(table.let_save(), [expired]);
    assert_eq!(table.end(), 6);
}

#[test]
fn a_write_that_was_resolved_first_is_never_executed() {
    let mut table = Table::alone(SessionRows::default(), Vec::new());
    table.resolve("c1", 0);
    assert_eq!(table.replies(), [], "not before it is committed");
    assert_eq!(table.let_save(), [never_executed("c1", 0)]);
    table.remove("c1", 0);
    let cancelled = |id| rejected("c1", id, Rejection::Cancelled);
    assert_eq!(table.let_save(), [cancelled(0)]);
    table.resolve("c1", 0);
    assert_eq!(table.let_save(), [never_executed("c1", 0)]);
    table.resolve("c1", 1);
    table.remove("c1", 1);
    assert_eq!(table.let_save(), [cancelled(1)]);
    assert_eq!(table.end(), 2);
}

#[test]
fn what_cannot_be_resolved_within_a_second_is_told() {
    let mut table = Table::joined(ME);
    table.resolve("c1", 0);
    table.step(Input::Timer(Timer::Deadline));
    assert_eq!(table.replies(), [failed("c1", 0)]);
}

/// A replica that is told to take the state at position 4 in.
pub(super) fn loading() -> Table {
    let mut table = Table::recovered(OTHER, remembered(0, 1), tail(1..2));
    table.hear_other(PeerMessage::SyncStart(SyncStart { sync: 1 }));
    let mut history = EpochHistory::new();
    history.append(EPOCH, Seq(0));
    let start = SyncFrom::State {
        at: Moment {
            position: Position(4),
            revision: Revision(5),
        },
        history,
        records: 1,
    };
    let (sync, echo) = (1, table.timestamp());
    table.hear_other(PeerMessage::SyncEnd(SyncEnd { sync, echo, start }));
    table
}

pub(super) fn chunk(sync: u64, index: u64, is_last: bool, sessions: SessionRows) -> PeerMessage {
    PeerMessage::StateChunk(StateChunk {
        sync,
        index,
        records: Vec::new(),
        is_last,
        sessions,
    })
}

#[test]
fn what_a_replica_remembers_is_replaced_with_its_state() {
    let mut table = loading();
    table.hear_other(chunk(1, 0, false, remembered(2, 4)));
    table.hear_other(chunk(1, 1, true, SessionRows::default()));
    assert_eq!(table.replica.sessions().rows(), &remembered(0, 1));
    table.let_save();
    assert_eq!(table.replica.sessions().rows(), &remembered(2, 4));
    assert_eq!(table.end(), 4);
}

#[test]
fn a_piece_of_the_state_of_another_handshake_is_not_taken() {
    let mut table = loading();
    table.hear_other(chunk(2, 0, true, remembered(2, 4)));
    table.let_save();
    assert_eq!(table.replica.sessions().rows(), &remembered(0, 1));
}

#[test]
fn what_is_cut_off_the_log_was_never_asked_for() {
    let mut table = Table::recovered(OTHER, remembered(0, 1), tail(1..3));
    shake_hands(&mut table, 1, 2);
    table.let_save();
    assert_eq!(table.end(), 2);
    assert_eq!(table.replica.core.uncommitted.len(), 1);
}

#[test]
fn the_answer_to_a_question_of_a_former_start_is_not_taken_for_that_to_a_present_one() {
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 1, 0);
    grant(&mut table);
    table.hear_other(snapshots(1, 0..1));
    let body = RequestBody::Get {
        key: "k".into(),
        level: ReadLevel::Linearizable,
    };
    table.ask("c", 1, body);
    let asked = table.said().into_iter().find_map(|message| match message {
        Message::Peer(Peer {
            body: PeerMessage::CommittedQuery(query),
            ..
        }) => Some(query),
        _ => None,
    });
    let asked = asked.expect("the key may have changed");
    let mut answer = CommittedAnswer {
        asker: Incarnation(0),
        number: asked.number,
        committed: Position::ZERO,
    };
    table.hear_other(PeerMessage::CommittedAnswer(answer.clone()));
    assert!(!table.reads_state());
    answer.asker = asked.asker;
    table.hear_other(PeerMessage::CommittedAnswer(answer));
    assert!(table.reads_state());
}

#[test]
fn a_request_that_names_a_key_that_there_cannot_be_is_rejected() {
    let long = |size| Key::from(vec![b'k'; size]);
    let bodies = |size| {
        [
            RequestBody::Insert {
                key: long(size),
                value: "v".into(),
            },
            RequestBody::Remove { key: long(size) },
            RequestBody::Get {
                key: long(size),
                level: ReadLevel::AtLeast(Position(u64::MAX)),
            },
            RequestBody::Resolve { key: long(size) },
            RequestBody::Scan {
                range: KeyRange::behind(long(size)),
                limit: None,
            },
            RequestBody::Scan {
                range: (..long(size)).into(),
                limit: None,
            },
        ]
    };
    let rejected = |size| {
        let mut table = Table::joined(ME);
        for (id, body) in (0..).zip(bodies(size)) {
            table.ask("c", id, body);
        }
        let is_too_large = |(_, _, body): &(String, u64, ReplyBody)| {
            let reason = match body {
                ReplyBody::OperationRejected { reason, .. } => reason,
                _ => return false,
            };
            matches!(reason, Rejection::TooLarge { .. })
        };
        table
            .replies()
            .iter()
            .filter(|reply| is_too_large(reply))
            .count()
    };
    let limit = Limits::KEY_BYTES_CEILING;
    assert_eq!(rejected(limit), 0);
    for size in [limit + 1, 1 << 16, 1 << 24] {
        assert_eq!(rejected(size), 6, "{size} bytes");
    }
}
