//! Where reads go, and when to another replica as well.

use super::*;
use crate::client::replicas::READS_PER_TURN;

#[test]
fn reads_take_turns_at_the_replicas_some_at_each() {
    let mut table = Table::new(&["r1", "r2", "r3"]);
    let asked: Vec<String> = (0..4 * READS_PER_TURN)
        .map(|_| {
            table.get();
            table.request().0
        })
        .collect();
    let turns: Vec<&[String]> = asked.chunks(READS_PER_TURN).collect();
    for turn in &turns {
        assert!(turn.iter().all(|replica| *replica == turn[0]), "together");
    }
    let firsts: BTreeSet<&str> = turns[..3].iter().map(|turn| turn[0].as_str()).collect();
    assert_eq!(firsts.len(), 3, "each has its turn");
    assert_eq!(turns[0], turns[3], "and again");
}

#[test]
fn clients_differ_in_where_they_read_first() {
    let replicas = || ["r1", "r2", "r3"].map(Address::new).to_vec();
    let first = |id| {
        let mut replicas = Replicas::new(replicas(), id);
        replicas.next_to_read(ReadFrom::Any, &BTreeSet::new())
    };
    let firsts: BTreeSet<_> = (0..3).map(first).collect();
    assert_eq!(firsts.len(), 3);
}

#[test]
fn a_read_goes_on_where_there_is_a_lease() {
    let mut table = Table::new(&["r1", "r2"]);
    table.call(RequestBody::Get {
        key: "k".into(),
        level: ReadLevel::Linearizable,
    });
    let (to, request) = table.request();
    assert_eq!(to, "r2");
    table.reject("r2", &request, Rejection::NoLease);
    assert_eq!(
        table.request().1.body,
        RequestBody::Status,
        "who is in sync?"
    );
    let (to, again) = table.request();
    assert_eq!((to.as_str(), again.origin.id), ("r1", request.origin.id));
    table.reject("r1", &again, Rejection::NoLease);
    assert!(table.sent.is_empty(), "all were asked");
    let before = table.now;
    while table.sent.is_empty() || table.sent[0].1.origin.id != request.origin.id {
        table.sent.clear();
        table.wait();
    }
    assert_eq!(table.now, before + limits::CLIENT_REST);
}

#[test]
fn a_read_goes_to_the_next_replica_as_well_when_one_does_not_answer_soon() {
    let mut table = Table::new(&["r1", "r2"]);
    let call = table.get();
    assert_eq!(table.request().0, "r2");
    table.wait();
    assert_eq!(
        table.request().1.body,
        RequestBody::Status,
        "who is in sync?"
    );
    let (to, request) = table.request();
    assert_eq!(
        (to.as_str(), table.now),
        ("r1", Instant::ZERO + limits::READ_HEDGE)
    );
    table.reject("r1", &request, Rejection::NotReady);
    assert!(
        table.completed.is_empty() && table.sent.is_empty(),
        "the other one may answer"
    );
    table.reply("r1", &request, ReplyBody::OperationFailed);
    assert!(table.completed.is_empty(), "that is no answer to a read");
    let result = ReplyBody::GetResult {
        key: "k".into(),
        record: None,
        position: Position(3),
        revision: Revision(4),
    };
    table.reply("r1", &request, result.clone());
    let expected = answered("r1", &request, result);
    assert_eq!(table.completed(), (call, expected));
}

#[test]
fn a_read_without_any_address_ends_at_its_deadline() {
    let mut table = Table::new(&[]);
    let call = table.get();
    table.wait();
    assert_eq!(table.completed(), (call, unreachable(&[])));
    assert_eq!(table.now, Instant::ZERO + Duration::from_secs(5));
}
