//! Histories of the simulator become those of the oracle.

use lockstep_core::config::{Address, Position, Seq};
use lockstep_core::message::{ReplyBody, RequestBody};
use lockstep_core::operation::{
    ClientId, ReadLevel, Record, Rejection, RequestId, RequestName, Revision,
};
use lockstep_core::process::{CallId, Outcome};
use lockstep_core::range::KeyRange;

use super::super::{Operation, from_simulation};
use super::{acked, local, rejected, unknown, value_of};
use crate::history::History;

/// What the oracle is told of one call, from 10 on, that ended at 20.
fn check(request: RequestBody, outcome: Option<Outcome>, expected: Option<Operation>) {
    let mut history = History::default();
    history.begin(CallId(7), 1, request, 10);
    if let Some(outcome) = outcome {
        history.end(CallId(7), outcome, 20).expect("it is open");
    }
    let expected: Vec<_> = expected
        .into_iter()
        .map(|operation| Operation {
            client: 1,
            ..operation
        })
        .collect();
    assert_eq!(from_simulation::operations(&history), expected);
}

fn answered(body: ReplyBody) -> Outcome {
    Outcome::Answered {
        id: RequestId(0),
        replica: Address::new("r1"),
        body,
    }
}

fn rejection() -> Outcome {
    Outcome::Rejected {
        id: RequestId(0),
        reason: Rejection::Overloaded,
    }
}

#[test]
fn writes_have_the_outcome_their_client_was_told() {
    let insert = || RequestBody::Insert {
        key: "k".into(),
        value: "a".into(),
    };
    let request = RequestName {
        client: ClientId(1),
        id: RequestId(0),
        born: Position(0),
    };
    let seq = Seq(3);
    check(
        insert(),
        Some(answered(ReplyBody::OperationAck {
            seq,
            revision: Revision(5),
        })),
        Some(acked("k", "a", 10..20, 3)),
    );
    check(insert(), None, Some(unknown("k", "a", 10)));
    let told = Operation {
        ended: Some(20),
        ..unknown("k", "a", 10)
    };
    check(insert(), Some(Outcome::Unknown { request }), Some(told));
    for outcome in [
        rejection(),
        Outcome::Unreachable {
            replicas: Vec::new(),
        },
    ] {
        check(insert(), Some(outcome), Some(rejected("k", "a", 10..20)));
    }
    let remove = RequestBody::Remove { key: "k".into() };
    check(
        remove,
        Some(answered(ReplyBody::OperationAck {
            seq,
            revision: Revision(5),
        })),
        Some(acked("k", "", 10..20, 3)),
    );
}

#[test]
fn reads_have_the_answer_their_client_got() {
    let get = || RequestBody::Get {
        key: "k".into(),
        level: ReadLevel::Local,
    };
    let outcome = answered(ReplyBody::GetResult {
        key: "k".into(),
        record: value_of("a").map(|value| Record::first(value, Revision(4))),
        position: Position(4),
        revision: Revision(5),
    });
    let read = local("r1", "k", "a", 10..20, 4);
    check(get(), Some(outcome), Some(read.clone()));
    let mut unanswered = read;
    if let super::What::Read { answer, .. } = &mut unanswered.what {
        *answer = None;
    }
    check(get(), Some(rejection()), Some(unanswered.clone()));
    unanswered.ended = None;
    check(get(), None, Some(unanswered));
}

#[test]
fn what_has_no_position_is_left_out() {
    check(RequestBody::Status, None, None);
    let scan = RequestBody::Scan {
        range: KeyRange::all(),
        limit: None,
    };
    check(scan, None, None);
}
