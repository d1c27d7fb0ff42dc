//! How a replica leaves.

use super::*;
use crate::message::Drain;

fn is_leave(message: &Message) -> bool {
    matches!(message, Message::ToArbiter(ToArbiter::Leave(_)))
}

#[test]
fn a_replica_in_sync_leaves_only_while_it_hears_its_primary() {
    let mut unheard = Table::joined(OTHER);
    unheard.step(Input::Leave);
    assert!(!unheard.said().iter().any(is_leave));
    assert!(matches!(unheard.replica.role, Role::Secondary(_)));
    unheard.step(Input::Timer(Timer::LeavePatience));
    assert!(matches!(unheard.replica.role, Role::Left));
}

#[test]
fn a_replica_that_leaves_gives_up_nothing_before_it_is_out() {
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 1, 0);
    table.let_save();
    table.ask("c", 1, RequestBody::Drain(Drain::Node));
    assert!(table.said().iter().any(is_leave));
    assert!(matches!(table.replica.role, Role::Secondary(_)));

    let mut config = config(OTHER, 2, 1);
    let tell = |table: &mut Table, config: &Config| {
        let replicas = FromArbiter::Replicas(config.clone());
        table.hear("arbiter", Message::from(replicas));
    };
    config.in_sync.remove(&ME);
    config.draining.insert(ME);
    tell(&mut table, &config);
    assert!(table.said().iter().any(is_leave));
    assert!(matches!(table.replica.role, Role::Leaving));
    config.version = ConfigVersion(3);
    config.draining.remove(&ME);
    config.members.remove(&ME);
    tell(&mut table, &config);
    assert!(matches!(table.replica.role, Role::Left));
}

#[test]
fn a_replica_that_is_leaving_asks_again_under_another_primary() {
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 1, 0);
    table.let_save();
    table.step(Input::Leave);
    table.said();
    let mut config = config(OTHER, 2, 1);
    config.epoch = Epoch(2);
    table.hear("arbiter", Message::from(FromArbiter::Replicas(config)));
    let meta = table.persisting()[0];
    table.step(Input::Persisted(meta));
    // It has not shaken hands with that one: it may be the last that has the data.
    assert!(!table.said().iter().any(is_leave));
    assert!(matches!(table.replica.role, Role::Secondary(_)));
}

#[test]
fn a_replica_that_comes_back_rests_once_it_may_answer_nothing() {
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 1, 0);
    table.let_save();
    grant(&mut table);
    table.said();
    table.step(Input::Leave);
    assert!(!table.said().iter().any(is_leave), "it holds a read lease");
    grant(&mut table);
    let lease = Limits::default().timing.lease + Duration::from_millis(2);
    table.step_after(lease, Input::Timer(Timer::Leave));
    assert!(table.said().iter().any(is_leave), "it takes no other one");

    let mut config = config(OTHER, 2, 1);
    config.in_sync.remove(&ME);
    config.resting.insert(ME);
    let replicas = FromArbiter::Replicas(config);
    table.hear("arbiter", Message::from(replicas));
    assert!(matches!(table.replica.role, Role::Left));
}

#[test]
fn the_last_one_serves_nothing_once_those_that_rest_may_go_on() {
    let mut table = Table::joined(ME);
    let tell = |table: &mut Table, config: &Config| {
        let replicas = FromArbiter::Replicas(config.clone());
        table.hear("arbiter", Message::from(replicas));
    };
    let mut alone = config(ME, 2, 1);
    alone.in_sync.remove(&OTHER);
    alone.resting.insert(OTHER);
    tell(&mut table, &alone);
    assert!(matches!(table.replica.role, Role::Primary(_)));
    table.step(Input::Leave);
    assert!(table.said().iter().any(is_leave));
    assert!(matches!(table.replica.role, Role::Leaving));
    let local = RequestBody::Get {
        key: "k".into(),
        level: ReadLevel::Local,
    };
    table.ask("c", 1, local);
    let replies = table.replies();
    let [(_, _, ReplyBody::OperationRejected { reason, .. })] = &replies[..] else {
        panic!("{replies:?}");
    };
    assert_eq!(*reason, Rejection::NotReady);
    let all = config(ME, 3, 1);
    tell(&mut table, &all);
    assert!(matches!(table.replica.role, Role::Left));
}
