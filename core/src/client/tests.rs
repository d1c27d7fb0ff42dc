//! A client against replicas played by hand.

use std::collections::VecDeque;
use std::time::Duration;

use super::replicas::READS_PER_TURN;
use super::*;
use crate::config::{
    ClusterId, Config, ConfigVersion, Epoch, Incarnation, Member, NodeId, Position, Seq,
};
use crate::message::{NodeStatus, Reply, ReplyBody, RoleName, Usage};
use crate::operation::{ReadLevel, Rejection, RequestName, Resolution, Revision};

const CLIENT: ClientId = ClientId(7);

/// A client, the time, and what it has said and not been asked about.
struct Table {
    client: Client,
    now: Instant,
    sent: VecDeque<(String, Request)>,
    completed: VecDeque<(CallId, Outcome)>,
    next_call: u64,
}

impl Table {
    fn new(replicas: &[&str]) -> Self {
        let replicas = replicas.iter().map(Address::new).collect();
        let mut table = Self {
            client: Client::new(CLIENT, replicas),
            now: Instant::ZERO,
            sent: VecDeque::new(),
            completed: VecDeque::new(),
            next_call: 0,
        };
        table.step(Input::Start);
        table
    }

    /// A client that has sent a write to r1, the primary.
    fn writing() -> (Self, CallId, Request) {
        let mut table = Self::new(&["r1"]);
        let call = table.insert();
        table.tell_status("r1", RoleName::Primary);
        let (_, request) = table.request();
        (table, call, request)
    }

    fn step(&mut self, input: Input<Timer>) {
        let mut out = Outbox::new();
        self.client.step(self.now.into(), input, &mut out);
        for effect in out.drain() {
            match effect {
                Effect::Send {
                    to,
                    message: Message::Request(request),
                } => self.sent.push_back((to.to_string(), request)),
                Effect::Complete(call, outcome) => self.completed.push_back((call, outcome)),
                other => panic!("a client does not do this: {other:?}"),
            }
        }
    }

    fn call(&mut self, request: RequestBody) -> CallId {
        self.call_in_name(None, request)
    }

    fn call_in_name(&mut self, name: Option<RequestName>, request: RequestBody) -> CallId {
        let call = CallId(self.next_call);
        self.next_call += 1;
        let what = Call {
            request,
            name,
            replica: None,
            deadline: self.now + Duration::from_secs(5),
        };
        self.step(Input::Call(call, what));
        call
    }

    fn insert(&mut self) -> CallId {
        self.call(RequestBody::Insert {
            key: "k".into(),
            value: "v".into(),
        })
    }

    fn get(&mut self) -> CallId {
        self.call(RequestBody::Get {
            key: "k".into(),
            level: ReadLevel::Local,
        })
    }

    /// The next thing it sent.
    fn request(&mut self) -> (String, Request) {
        self.sent.pop_front().expect("a request")
    }

    fn hear(&mut self, from: &str, reply: Reply) {
        let from = Address::new(from);
        let message = Message::Reply(reply);
        self.step(Input::Message { from, message });
    }

    fn reply(&mut self, from: &str, request: &Request, body: ReplyBody) {
        let Origin { client, id, .. } = request.origin;
        self.hear(from, Reply { client, id, body });
    }

    fn acknowledge(&mut self, from: &str, request: &Request, seq: u64) {
        self.reply(from, request, ack(seq));
    }

    /// `from` rejects this copy of the request.
    fn reject(&mut self, from: &str, request: &Request, reason: Rejection) {
        let attempt = request.attempt;
        let body = ReplyBody::OperationRejected { reason, attempt };
        self.reply(from, request, body);
    }

    /// The next write it sent; questions for status before it get no answer.
    fn write(&mut self) -> (String, Request) {
        loop {
            if self.sent.is_empty() {
                self.wait();
            }
            let (to, request) = self.request();
            if request.body != RequestBody::Status {
                return (to, request);
            }
        }
    }

    /// `name` says about itself that it is primary, in `epoch`.
    fn take_over(&mut self, name: &str, epoch: u64, committed: u64) {
        let mut status = status(name, RoleName::Primary);
        let config = status.config.as_mut().unwrap();
        (config.version, config.epoch) = (ConfigVersion(3 + epoch), Epoch(epoch));
        config.primary = Some(status.node);
        status.committed = Position(committed);
        let reply = Reply {
            client: CLIENT,
            id: RequestId(u64::MAX),
            body: ReplyBody::Status(Box::new(status)),
        };
        self.hear(name, reply);
    }

    /// Answers the next request, which must be a question to `from` about itself.
    fn tell_status(&mut self, from: &str, role: RoleName) {
        let (to, request) = self.request();
        assert_eq!((to.as_str(), &request.body), (from, &RequestBody::Status));
        let status = Box::new(status(from, role));
        self.reply(from, &request, ReplyBody::Status(status));
    }

    /// Steps timers until it has sent or completed something, or there are none.
    fn wait(&mut self) {
        while self.sent.is_empty() && self.completed.is_empty() {
            let Some((at, timer)) = self.client.timers().next() else {
                return;
            };
            self.now = at;
            self.step(Input::Timer(timer));
        }
    }

    fn completed(&mut self) -> (CallId, Outcome) {
        self.completed.pop_front().expect("a completed call")
    }
}

/// What replica `name` of a cluster r1, r2 with primary r1 says about itself.
fn status(name: &str, role: RoleName) -> NodeStatus {
    let member = |name: &str| Member {
        name: name.to_owned(),
        address: Address::new(name),
        incarnation: Incarnation(1),
        terms: Default::default(),
    };
    let mut config = Config::new(ClusterId(1));
    config.primary = Some(NodeId(1));
    config.in_sync.extend([NodeId(1), NodeId(2)]);
    config
        .members
        .extend([(NodeId(1), member("r1")), (NodeId(2), member("r2"))]);
    (config.version, config.epoch) = (ConfigVersion(3), Epoch(1));
    NodeStatus {
        node: NodeId(if name == "r1" { 1 } else { 2 }),
        name: name.to_owned(),
        address: Address::new(name),
        software: "test".to_owned(),
        role,
        config: Some(config),
        arbiter: Address::new("arbiter"),
        arbiter_reachable: true,
        persisted: Position(0),
        committed: Position(0),
        revision: Revision(1),
        log_start: Position(0),
        disk_full: false,
        has_lease: true,
        sessions: 0,
        peers: Vec::new(),
        usage: Usage::default(),
    }
}

fn ack(seq: u64) -> ReplyBody {
    ReplyBody::OperationAck {
        seq: Seq(seq),
        revision: Revision(seq),
    }
}

fn answered(replica: &str, request: &Request, body: ReplyBody) -> Outcome {
    let replica = Address::new(replica);
    let id = request.origin.id;
    Outcome::Answered { id, replica, body }
}

/// Asserts that `again` is the request `first` once more.
fn check_same(first: &Request, again: &Request) {
    let attempt = first.attempt;
    let again = Request {
        attempt,
        ..again.clone()
    };
    assert_eq!(again, *first);
}

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
    assert_eq!(table.completed(), (call, Outcome::Unreachable));
    assert_eq!(table.now, Instant::from_millis(5000));
    assert!(asked.contains(&"r1".to_owned()) && asked.contains(&"r2".to_owned()));
}

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

#[test]
fn the_rejection_of_an_earlier_copy_says_nothing_of_the_last_one() {
    let (mut table, call, first) = Table::writing();
    table.reject("r1", &first, Rejection::DiskFull);
    let (_, second) = table.write();
    assert_eq!(
        (first.attempt.epoch, second.attempt.epoch),
        (Epoch(1), Epoch(1))
    );
    table.reject("r1", &first, Rejection::DiskFull);
    while table.completed.is_empty() {
        table.sent.clear();
        table.wait();
    }
    let (completed, outcome) = table.completed();
    assert_eq!(completed, call);
    assert!(matches!(outcome, Outcome::Unknown { .. }));
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
fn a_read_without_any_address_ends_at_its_deadline() {
    let mut table = Table::new(&[]);
    let call = table.get();
    table.wait();
    assert_eq!(table.completed(), (call, Outcome::Unreachable));
    assert_eq!(table.now, Instant::ZERO + Duration::from_secs(5));
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
