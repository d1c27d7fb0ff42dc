//! In which session a write is sent, how many at once, and when a new one begins.

use super::*;
use crate::operation::Resolution;

#[test]
fn the_watermark_is_the_first_write_without_an_outcome_and_the_birth_stays() {
    let mut table = Table::new(&["r1"]);
    table.insert();
    table.request();
    table.take_over("r1", 1, 40);
    let (_, first) = table.request();
    assert_eq!(first.origin.born, Position(40));
    table.get();
    table.request();
    table.insert();
    let (_, second) = table.request();
    assert_eq!(second.origin.settled, first.origin.id);
    table.acknowledge("r1", &second, 50);
    table.insert();
    let (_, third) = table.request();
    assert_eq!(
        third.origin.settled, first.origin.id,
        "the first one is open"
    );
    table.acknowledge("r1", &first, 51);
    table.insert();
    let (_, fourth) = table.request();
    assert_eq!(fourth.origin.settled, third.origin.id);
    assert_eq!(fourth.origin.born, Position(40));
}

#[test]
fn a_session_takes_a_bounded_number_of_writes_at_once() {
    let mut table = Table::new(&["r1"]);
    for _ in 0..limits::CLIENT_WRITES_IN_FLIGHT_MAX + 10 {
        table.insert();
    }
    table.tell_status("r1", RoleName::Primary);
    assert_eq!(table.sent.len(), limits::CLIENT_WRITES_IN_FLIGHT_MAX);
    let (_, first) = table.request();
    let (_, second) = table.request();
    let before = table.sent.len();
    table.acknowledge("r1", &second, 1);
    assert_eq!(table.sent.len(), before, "the first one keeps the place");
    table.acknowledge("r1", &first, 0);
    assert_eq!(table.sent.len(), before + 2);
    table.sent.clear();
    table.take_over("r2", 2, 0);
    assert_eq!(table.sent.len(), limits::CLIENT_WRITES_IN_FLIGHT_MAX);
}

#[test]
fn a_write_of_an_expired_session_is_sent_in_a_new_one() {
    let (mut table, call, first) = Table::writing();
    table.reject("r1", &first, Rejection::SessionTooOld);
    assert_eq!(table.request().1.body, RequestBody::Status);
    table.take_over("r1", 1, 70);
    let (_, second) = table.request();
    assert!(second.origin.client != CLIENT && second.origin.id > first.origin.id);
    assert_eq!(second.origin.born, Position(70));
    assert_eq!(second.origin.settled, second.origin.id);
    table.acknowledge("r1", &second, 70);
    assert_eq!(table.completed().0, call);
}

#[test]
fn a_write_that_was_sent_twice_is_unknown_when_its_session_has_expired() {
    let (mut table, _, first) = Table::writing();
    table.reply("r1", &first, ReplyBody::OperationFailed);
    let (_, second) = table.write();
    assert_eq!(second.attempt.copy, 2);
    check_same(&first, &second);
    table.reject("r1", &second, Rejection::SessionTooOld);
    assert!(matches!(table.completed().1, Outcome::Unknown { .. }));
}

#[test]
fn a_write_is_unknown_when_what_was_known_of_it_may_be_forgotten() {
    let (mut table, _, first) = Table::writing();
    table.reject("r1", &first, Rejection::SessionExpired);
    assert!(matches!(table.completed().1, Outcome::Unknown { .. }));
    table.insert();
    table.take_over("r1", 1, 70);
    let (_, second) = table.write();
    assert_eq!(
        second.origin.born,
        Position(70),
        "it asked what is committed"
    );
}

fn insert() -> RequestBody {
    RequestBody::Insert {
        key: "k".into(),
        value: "v".into(),
    }
}

#[test]
fn a_write_that_has_a_name_is_sent_in_it_beside_the_clients_session() {
    let (mut table, _, first) = Table::writing();
    let name: RequestName = "abc-5-9".parse().unwrap();
    let call = table.call_in_name(Some(name), insert());
    let (_, named) = table.request();
    assert_eq!(named.origin.name(), name);
    assert_eq!(named.origin.settled, name.id, "it is alone in its session");
    table.insert();
    let (_, second) = table.request();
    assert_eq!(second.origin.client, first.origin.client);
    table.acknowledge("r1", &named, 3);
    assert_eq!(table.completed(), (call, answered("r1", &named, ack(3))));
}

#[test]
fn a_write_that_has_a_name_keeps_it_or_is_rejected() {
    let (mut table, ..) = Table::writing();
    let call = table.call_in_name("abc-5-9".parse().ok(), insert());
    let (_, named) = table.request();
    table.reject("r1", &named, Rejection::SessionTooOld);
    let rejected = Outcome::Rejected {
        id: named.origin.id,
        reason: Rejection::SessionTooOld,
    };
    assert_eq!(table.completed(), (call, rejected));
    // Sent again, the same request: whoever has lost it does not know what became of the first copy.
    let call = table.call_in_name("abd-5-9".parse().ok(), insert());
    let (_, named) = table.request();
    table.reply("r1", &named, ReplyBody::OperationFailed);
    let (_, again) = table.write();
    check_same(&named, &again);
    table.reject("r1", &again, Rejection::SessionTooOld);
    let request = named.origin.name();
    assert_eq!(table.completed(), (call, Outcome::Unknown { request }));
}

#[test]
fn what_became_of_a_write_is_asked_in_its_name() {
    let mut table = Table::new(&["r1"]);
    let request: RequestName = "abc-5-9".parse().unwrap();
    let key = "k".into();
    let call = table.call_in_name(Some(request), RequestBody::Resolve { key });
    table.tell_status("r1", RoleName::Primary);
    let (_, question) = table.request();
    assert_eq!(
        (question.origin.client, question.origin.id),
        (request.client, request.id)
    );
    assert_eq!(question.origin.born, Position(9));
    let answer = Resolution::Executed {
        seq: Seq(12),
        revision: Revision(9),
    };
    let answer = ReplyBody::Resolved(answer);
    table.reply("r1", &question, answer.clone());
    assert_eq!(table.completed(), (call, answered("r1", &question, answer)));
}
