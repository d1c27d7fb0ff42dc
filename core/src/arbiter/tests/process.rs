//! What the process adds: nobody hears of what is not durable, and one that is behind decides nothing.

use super::*;

#[test]
fn nobody_hears_of_what_is_not_durable() {
    let mut arbiter = alone(first_record(ClusterId(7), 42));
    let mut out = Outbox::new();
    arbiter.step(Instant::ZERO.into(), Input::Start, &mut out);
    let message = |message| Input::Message {
        from: address(1),
        message: Message::ToArbiter(message),
    };
    arbiter.step(
        Instant::ZERO.into(),
        message(ToArbiter::Join(join(1, 1, Token(0)))),
        &mut out,
    );
    let query = ToArbiter::ConfigQuery(ConfigQuery {
        node: NodeId(1),
        version: ConfigVersion::ZERO,
        cluster: None,
    });
    arbiter.step(Instant::ZERO.into(), message(query), &mut out);
    let sends = |out: &mut Outbox| {
        out.drain()
            .filter(|effect| matches!(effect, Effect::Send { .. }))
            .count()
    };
    assert_eq!(sends(&mut out), 0);
    arbiter.step(Instant::ZERO.into(), Input::Persisted(Ticket(0)), &mut out);
    assert_eq!(sends(&mut out), 0);
    arbiter.step(Instant::ZERO.into(), Input::Persisted(Ticket(1)), &mut out);
    assert_eq!(sends(&mut out), 2, "JoinedPrimary and one Replicas");
}

#[test]
fn the_answers_that_wait_for_a_disk_that_hangs_are_bounded() {
    let mut arbiter = alone(first_record(ClusterId(7), 42));
    let mut out = Outbox::new();
    arbiter.step(Instant::ZERO.into(), Input::Start, &mut out);
    let joins = 3 * limits::ARBITER_ANSWERS_WAITING_MAX as u64;
    // Refused, each in other words.
    for start in 0..joins {
        let mut refused = join(1, 1, Token(9));
        refused.starts = vec![StartId(start)];
        let message = Input::Message {
            from: address(1),
            message: Message::ToArbiter(ToArbiter::Join(refused)),
        };
        arbiter.step(Instant::ZERO.into(), message, &mut out);
    }
    arbiter.step(Instant::ZERO.into(), Input::Persisted(Ticket(0)), &mut out);
    let answers = out
        .drain()
        .filter(|effect| matches!(effect, Effect::Send { .. }));
    assert_eq!(answers.count(), limits::ARBITER_ANSWERS_WAITING_MAX);
}

#[test]
fn an_arbiter_whose_record_is_behind_what_a_replica_knows_decides_nothing_any_more() {
    let (record, _, second) = pair();
    let known = record.config.version;
    let mut arbiter = alone(record);
    let mut out = Outbox::new();
    arbiter.step(Instant::ZERO.into(), Input::Start, &mut out);
    arbiter.step(Instant::ZERO.into(), Input::Persisted(Ticket(0)), &mut out);
    out.drain().for_each(drop);
    let mut said = |message| {
        let message = Input::Message {
            from: address(2),
            message: Message::ToArbiter(message),
        };
        arbiter.step(Instant::ZERO.into(), message, &mut out);
        out.drain().collect::<Vec<_>>()
    };
    let node = NodeId(2);
    let query = |version| {
        ToArbiter::ConfigQuery(ConfigQuery {
            node,
            version,
            cluster: Some(ClusterId(7)),
        })
    };
    assert!(matches!(said(query(known))[..], [Effect::Send { .. }]));
    let of_another_cluster = ToArbiter::ConfigQuery(ConfigQuery {
        node,
        version: known.next(),
        cluster: Some(ClusterId(8)),
    });
    assert!(matches!(
        said(of_another_cluster)[..],
        [Effect::Send { .. }]
    ));
    let behind = [Effect::Notify(Event::RecordBehind)];
    assert_eq!(said(query(known.next())), behind);
    assert_eq!(said(query(known)), []);
    assert_eq!(said(ToArbiter::Join(join(2, 2, second))), []);
}
