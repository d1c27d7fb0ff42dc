//! Who is taken for the primary, and from when on it counts as silent.

use super::*;

#[test]
fn a_write_is_held_until_a_replica_has_shown_itself_to_be_the_primary() {
    let mut table = Table::new(&["r2"]);
    let call = table.insert();
    table.tell_status("r2", RoleName::Secondary);
    table.tell_status("r1", RoleName::Primary);
    let (to, request) = table.request();
    assert!(to == "r1" && matches!(request.body, RequestBody::Insert { .. }));
    table.acknowledge("r1", &request, 4);
    assert_eq!(table.completed(), (call, answered("r1", &request, ack(4))));
    table.insert();
    assert_eq!(table.request().0, "r1", "the next one goes there at once");
}

#[test]
fn a_write_that_no_primary_was_found_for_is_certainly_not_executed() {
    let mut table = Table::new(&["r1", "r2"]);
    let call = table.insert();
    let mut asked = Vec::new();
    while table.completed.is_empty() {
        table.wait();
        while let Some((to, request)) = table.sent.pop_front() {
            assert_eq!(request.body, RequestBody::Status);
            asked.push(to);
        }
    }
    assert_eq!(table.completed(), (call, unreachable(&["r1", "r2"])));
    assert_eq!(table.now, Instant::from_millis(5000));
    assert!(asked.contains(&"r1".to_owned()) && asked.contains(&"r2".to_owned()));
}

#[test]
fn what_a_silent_primary_did_not_answer_goes_to_the_new_one_with_the_same_ids() {
    let mut table = Table::new(&["r1"]);
    let calls = [table.insert(), table.insert()];
    table.tell_status("r1", RoleName::Primary);
    let sent = [table.request().1, table.request().1];
    table.wait();
    assert_eq!(table.now, Instant::ZERO + limits::PRIMARY_HEDGE);
    table.tell_status("r2", RoleName::Secondary);
    assert!(table.sent.is_empty(), "nobody knows better");
    table.wait();
    assert_eq!(table.request().0, "r2");
    table.take_over("r2", 2, 0);
    for (call, first) in calls.iter().zip(&sent) {
        let (to, again) = table.request();
        assert_eq!((again.attempt.epoch, again.attempt.copy), (Epoch(2), 2));
        assert_eq!(to, "r2");
        check_same(first, &again);
        table.acknowledge("r2", &again, 0);
        assert_eq!(table.completed().0, *call);
    }
    table.take_over("r1", 1, 0);
    table.insert();
    assert_eq!(table.request().0, "r2", "an older epoch is no news");
}

#[test]
fn a_primary_counts_as_silent_from_its_last_answer() {
    let (mut table, _, first) = Table::writing();
    table.insert();
    let second = table.request().1;
    table.now = table.now + limits::PRIMARY_HEDGE / 2;
    let heard = table.now;
    table.acknowledge("r1", &first, 0);
    table.completed();
    table.wait();
    assert_eq!(table.now, heard + limits::PRIMARY_HEDGE);
    assert_eq!(table.request().1.body, RequestBody::Status);
    table.acknowledge("r1", &second, 1);
    table.completed();
    // Nothing is owed for a while, and then something is.
    table.insert();
    let third = table.request().1;
    table.acknowledge("r1", &third, 2);
    table.completed();
    table.now = table.now + limits::PRIMARY_HEDGE / 2;
    table.insert();
    table.request();
    let sent = table.now;
    table.wait();
    assert_eq!(table.now, sent + limits::PRIMARY_HEDGE);
}
