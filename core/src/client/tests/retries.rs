//! Writes that are not answered, or rejected: which are sent again, and what the caller is told in the end.

use super::*;

#[test]
fn a_write_without_an_answer_is_sent_again_and_unknown_only_at_the_deadline() {
    let (mut table, call, first) = Table::writing();
    let mut copies = 1;
    let mut asked_r2 = 0;
    while table.completed.is_empty() {
        table.wait();
        while let Some((to, request)) = table.sent.pop_front() {
            if request.body == RequestBody::Status {
                asked_r2 += u32::from(to == "r2");
            } else {
                copies += 1;
                assert_eq!(request.attempt.copy, copies);
                check_same(&first, &request);
            }
        }
    }
    let request = RequestName {
        client: CLIENT,
        id: first.origin.id,
        born: Position(0),
    };
    assert_eq!(table.completed(), (call, Outcome::Unknown { request }));
    assert_eq!(table.now, Instant::from_millis(5000));
    assert_eq!(copies, 4, "every WRITE_PATIENCE");
    assert!((30..60).contains(&asked_r2), "no storm: {asked_r2}");
    table.acknowledge("r1", &first, 0);
    assert!(table.completed.is_empty(), "a late answer finds nobody");
    table.insert();
    let (_, next) = table.write();
    assert_ne!(
        next.origin.client, CLIENT,
        "the unknown write is not settled"
    );
}

#[test]
fn whoever_closes_a_client_is_told_what_is_known_of_each_write_and_nothing_more_is_sent() {
    let (mut table, sent, first) = Table::writing();
    let rejected = table.insert();
    let (_, second) = table.request();
    table.reject("r1", &second, Rejection::Overloaded);
    table.get();
    table.sent.clear();
    table.step(Input::Leave);
    let request = first.origin.name();
    assert_eq!(table.completed(), (sent, Outcome::Unknown { request }));
    let (call, outcome) = table.completed();
    assert!(
        call == rejected && matches!(outcome, Outcome::Rejected { .. }),
        "{outcome:?}"
    );
    assert!(table.completed.is_empty(), "it does not wait for a write");
    table.reply("r1", &first, ReplyBody::OperationFailed);
    assert!(table.sent.is_empty());

    let mut table = Table::new(&["r1"]);
    let held = table.insert();
    table.sent.clear();
    table.step(Input::Leave);
    let (call, outcome) = table.completed();
    assert!(
        call == held && matches!(outcome, Outcome::Unreachable { .. }),
        "{outcome:?}"
    );
    assert!(table.sent.is_empty());
}

#[test]
fn a_rejected_write_is_tried_again_with_the_same_id_where_the_primary_is() {
    let (mut table, call, first) = Table::writing();
    let reason = Rejection::NotPrimary {
        primary: Some(Address::new("r2")),
    };
    table.reject("r1", &first, reason);
    table.tell_status("r2", RoleName::Primary);
    let (to, second) = table.request();
    assert_eq!((to.as_str(), second.origin.id), ("r2", first.origin.id));
    table.reject("r2", &second, Rejection::Overloaded);
    table.wait();
    let (_, third) = table.request();
    assert_eq!(table.now, Instant::ZERO + limits::CLIENT_REST);
    table.reply("r2", &third, ReplyBody::OperationFailed);
    let (to, fourth) = table.write();
    assert_eq!(fourth.attempt.copy, 4);
    assert_eq!(to, "r2");
    check_same(&first, &fourth);
    table.acknowledge("r2", &fourth, 3);
    assert_eq!(table.completed().0, call);
}

#[test]
fn the_rejection_of_an_earlier_copy_says_nothing_of_the_last_one() {
    let (mut table, call, first) = Table::writing();
    table.reject("r1", &first, Rejection::DiskFull);
    let (_, second) = table.write();
    assert_eq!(
        (first.attempt.epoch, second.attempt.epoch),
        (Epoch(1), Epoch(1))
    );
    while table.completed.is_empty() {
        table.sent.clear();
        table.reject("r1", &first, Rejection::DiskFull);
        table.wait();
    }
    let (completed, outcome) = table.completed();
    assert_eq!(completed, call);
    assert!(matches!(outcome, Outcome::Unknown { .. }));
}

#[test]
fn a_rejection_that_lasts_until_the_deadline_is_the_outcome() {
    let mut table = Table::new(&["r1"]);
    let call = table.insert();
    table.tell_status("r1", RoleName::Primary);
    while table.completed.is_empty() {
        while let Some((_, request)) = table.sent.pop_front() {
            table.reject("r1", &request, Rejection::DiskFull);
        }
        table.wait();
    }
    let (completed, outcome) = table.completed();
    assert_eq!(completed, call);
    assert!(matches!(
        outcome,
        Outcome::Rejected {
            reason: Rejection::DiskFull,
            ..
        }
    ));
}

#[test]
fn what_no_cluster_takes_is_not_sent() {
    let long = |size: usize| Key::from(vec![b'k'; size]);
    let value = |size: usize| Value::from(vec![b'v'; size]);
    let requests = |key: usize, size: usize| {
        [
            RequestBody::Insert {
                key: long(key),
                value: value(size),
            },
            RequestBody::Remove { key: long(key) },
            RequestBody::Get {
                key: long(key),
                level: ReadLevel::Local,
            },
            RequestBody::Scan {
                range: KeyRange::behind(long(key)),
                limit: None,
            },
            RequestBody::Resolve { key: long(key) },
        ]
    };
    let (key, size) = (Limits::KEY_BYTES_CEILING, Limits::VALUE_BYTES_CEILING);
    let check = |request: RequestBody, what: Option<&str>| {
        let mut table = Table::new(&["r1"]);
        let call = table.call(request);
        assert_eq!(table.sent.is_empty(), what.is_some());
        let Some(what) = what else { return };
        let (completed, outcome) = table.completed();
        assert_eq!(completed, call);
        let Outcome::Rejected { reason, .. } = &outcome else {
            panic!("{outcome:?}");
        };
        assert!(reason.to_string().starts_with(what), "{reason}");
    };
    for request in requests(key, size) {
        check(request, None);
    }
    for request in requests(key + 1, size) {
        check(request, Some("key of 4097 bytes"));
    }
    let [insert, ..] = requests(key, size + 1);
    check(insert, Some("value of 16777217 bytes"));
}

#[test]
fn what_no_retry_can_change_is_told_at_once() {
    let (mut table, call, request) = Table::writing();
    let reason = Rejection::TooLarge {
        what: "value".to_owned(),
        size: 2,
        limit: 1,
    };
    table.reject("r1", &request, reason.clone());
    let id = request.origin.id;
    assert_eq!(table.completed(), (call, Outcome::Rejected { id, reason }));
}
