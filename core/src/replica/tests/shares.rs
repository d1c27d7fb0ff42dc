//! Owners of many connections, who want all there is of something.

use super::*;
use crate::message::Attempt;
use crate::range::KeyRange;

/// What the replica answers `times` requests of the owner, each over a connection of its own.
fn ask(
    table: &mut Table,
    owner: &str,
    times: usize,
    request: impl Fn() -> RequestBody,
) -> Vec<ReplyBody> {
    for number in 0..times {
        let from = format!("{owner}#{number}");
        let request = Request {
            origin: Origin::plain(
                ClientId(Address::new(&from).owner().0.into()),
                RequestId(number as u64),
            ),
            body: request(),
            attempt: Attempt {
                epoch: EPOCH,
                copy: 1,
            },
        };
        let (from, message) = (Address::new(from), Message::Request(request));
        table.step_within_round(Input::Message { from, message });
    }
    let replies = table.replies().into_iter();
    replies.map(|(_, _, body)| body).collect()
}

/// Of `max` one owner gets seven eighths, rounded up, and whoever comes then something; and all is there again once
/// `answer` has seen to it.
fn check(
    table: &mut Table,
    max: usize,
    request: impl Fn() -> RequestBody,
    mut answer: impl FnMut(&mut Table),
) {
    for _ in 0..2 {
        let rejected = ask(table, "greedy", max, &request);
        assert_eq!(rejected.len(), max / 8);
        assert!(rejected.iter().all(is_overloaded), "{rejected:?}");
        assert_eq!(ask(table, "late", 1, &request), []);
        answer(table);
    }
}

fn is_overloaded(body: &ReplyBody) -> bool {
    let ReplyBody::OperationRejected { reason, .. } = body else {
        return false;
    };
    *reason == Rejection::Overloaded
}

/// Has the state answer everything it was asked.
fn answer_all(table: &mut Table, answer: &Answer) {
    for effect in std::mem::take(&mut table.effects) {
        if let Effect::Query(ticket, _) = effect {
            table.step_within_round(Input::Answered(ticket, answer.clone()));
        }
    }
    table.settle();
    table.replies();
}

#[test]
fn reads() {
    let get = || RequestBody::Get {
        key: "k".into(),
        level: ReadLevel::Local,
    };
    let answer = |table: &mut Table| answer_all(table, &Answer::Record(None));
    let mut table = Table::joined(OTHER);
    check(&mut table, limits::READS_IN_FLIGHT_MAX, get, answer);
}

#[test]
fn reads_that_wait() {
    let get = || RequestBody::Get {
        key: "k".into(),
        level: ReadLevel::AtLeast(Position(1)),
    };
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 1, 0);
    table.hear_other(snapshots(1, 0..1));
    table.replies();
    let answer = |table: &mut Table| {
        table.step_after(limits::READ_PATIENCE, Input::Timer(Timer::Reads));
        table.replies();
    };
    check(&mut table, limits::READS_IN_FLIGHT_MAX, get, answer);
}

#[test]
fn scans() {
    let scan = || RequestBody::Scan {
        range: KeyRange::all(),
        limit: None,
    };
    let answer = |table: &mut Table| answer_all(table, &Answer::Failed("defect".to_owned()));
    let mut table = Table::joined(OTHER);
    check(&mut table, limits::SCANS_IN_FLIGHT_MAX, scan, answer);
}

#[test]
fn questions_about_the_replica() {
    let status = || RequestBody::Status;
    let answer = |table: &mut Table| {
        table.step(Input::UsageMeasured(Default::default()));
        table.replies();
    };
    let mut table = Table::joined(OTHER);
    check(&mut table, limits::STATUSES_IN_FLIGHT_MAX, status, answer);
}

#[test]
fn writes() {
    let write = || RequestBody::Insert {
        key: "k".into(),
        value: "v".into(),
    };
    let mut table = Table::joined(ME);
    let entry = Entry::of(EPOCH.0, 0, "k", Some("v".into())).size();
    table.replica.core.options.limits.uncommitted_bytes_max = 80 * entry;
    let rejected = ask(&mut table, "greedy", 80, write);
    assert_eq!(rejected.len(), 10);
    assert!(rejected.iter().all(is_overloaded), "{rejected:?}");
    assert_eq!(ask(&mut table, "late", 1, write), []);
    assert_eq!(table.end(), 71);
}

#[test]
fn what_is_remembered_of_rejected_writes() {
    let write = || RequestBody::Remove { key: "k".into() };
    let mut table = Table::joined(ME);
    table.replica.core.options.limits.min_in_sync = 3;
    let max = limits::REJECTED_REMEMBERED_MAX;
    let answers = ask(&mut table, "greedy", max, write);
    let is_unknown = |body: &&ReplyBody| **body == ReplyBody::OperationFailed;
    assert_eq!(answers.iter().filter(is_unknown).count(), max / 8);
    let answers = ask(&mut table, "late", 1, write);
    assert!(matches!(answers[..], [ReplyBody::OperationRejected { .. }]));
}
