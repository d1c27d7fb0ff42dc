//! A client against replicas played by hand.

use std::time::Duration;

use super::*;
use crate::config::{
    ClusterId, Config, ConfigVersion, Epoch, Incarnation, Member, NodeId, Position, Seq,
};
use crate::operation::ReadLevel;

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

    fn step(&mut self, input: Input<Timer>) {
        let mut out = Outbox::new();
        self.client.step(self.now, input, &mut out);
        for effect in out.drain() {
            match effect {
                Effect::Send {
                    to,
                    message: Message::Request(request),
                } => {
                    self.sent.push_back((to.to_string(), request));
                }
                Effect::Complete(call, outcome) => self.completed.push_back((call, outcome)),
                other => panic!("a client does not do this: {other:?}"),
            }
        }
    }

    fn call(&mut self, body: CallBody) -> CallId {
        let call = CallId(self.next_call);
        self.next_call += 1;
        let deadline = self.now + Duration::from_secs(5);
        self.step(Input::Call(call, Call { body, deadline }));
        call
    }

    fn insert(&mut self) -> CallId {
        self.call(CallBody::Insert {
            key: "k".into(),
            value: "v".into(),
        })
    }

    fn get(&mut self) -> CallId {
        self.call(CallBody::Get {
            key: "k".into(),
            level: ReadLevel::Local,
            replica: None,
        })
    }

    /// The next thing it sent.
    fn request(&mut self) -> (String, Request) {
        self.sent.pop_front().expect("a request")
    }

    fn reply(&mut self, from: &str, id: RequestId, body: ReplyBody) {
        let from = Address::new(from);
        let message = Message::Reply(Reply {
            client: CLIENT,
            id,
            body,
        });
        self.step(Input::Message { from, message });
    }

    /// Answers the next request, which must be a question to `from` about itself.
    fn tell_status(&mut self, from: &str, role: RoleName) {
        let (to, request) = self.request();
        assert_eq!((to.as_str(), &request.body), (from, &RequestBody::Status));
        self.reply(
            from,
            request.id,
            ReplyBody::Status(Box::new(status(from, role))),
        );
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
        log_start: Position(0),
        disk_full: false,
        has_lease: true,
        sessions: 0,
        peers: Vec::new(),
    }
}

fn rejected(reason: Rejection) -> ReplyBody {
    ReplyBody::OperationRejected { reason }
}

#[test]
fn a_write_is_held_until_a_replica_has_shown_itself_to_be_the_primary() {
    let mut table = Table::new(&["r2"]);
    let call = table.insert();
    table.tell_status("r2", RoleName::Secondary);
    table.tell_status("r1", RoleName::Primary);
    let (to, request) = table.request();
    assert!(to == "r1" && matches!(request.body, RequestBody::Insert { .. }));
    table.reply("r1", request.id, ReplyBody::OperationAck { seq: Seq(4) });
    assert_eq!(
        table.completed(),
        (
            call,
            Outcome::Acknowledged {
                id: request.id,
                seq: Seq(4)
            }
        )
    );
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
fn a_write_without_an_answer_is_unknown_and_is_not_sent_again() {
    let mut table = Table::new(&["r1"]);
    let call = table.insert();
    table.tell_status("r1", RoleName::Primary);
    let (_, request) = table.request();
    table.wait();
    assert_eq!(
        table.completed(),
        (call, Outcome::Unknown { id: request.id })
    );
    assert_eq!(table.now, Instant::ZERO + limits::WRITE_PATIENCE);
    table.reply("r1", request.id, ReplyBody::OperationAck { seq: Seq(0) });
    assert!(table.completed.is_empty(), "a late answer finds nobody");
    table.insert();
    assert_eq!(
        table.request().1.body,
        RequestBody::Status,
        "the primary has to show itself again"
    );
}

#[test]
fn a_rejected_write_is_tried_again_with_the_same_id_where_the_primary_is() {
    let mut table = Table::new(&["r1"]);
    let call = table.insert();
    table.tell_status("r1", RoleName::Primary);
    let (_, first) = table.request();
    let reason = Rejection::NotPrimary {
        primary: Some(Address::new("r2")),
    };
    table.reply("r1", first.id, rejected(reason));
    table.tell_status("r2", RoleName::Primary);
    let (to, second) = table.request();
    assert_eq!((to.as_str(), second.id), ("r2", first.id));
    table.reply("r2", second.id, rejected(Rejection::Overloaded));
    table.wait();
    let (_, third) = table.request();
    assert_eq!(table.now, Instant::ZERO + limits::CLIENT_REST);
    table.reply("r2", third.id, ReplyBody::OperationFailed);
    assert_eq!(table.completed(), (call, Outcome::Unknown { id: first.id }));
}

#[test]
fn what_no_retry_can_change_is_told_at_once() {
    let mut table = Table::new(&["r1"]);
    let call = table.insert();
    table.tell_status("r1", RoleName::Primary);
    let (_, request) = table.request();
    table.reply("r1", request.id, rejected(Rejection::Malformed));
    let id = request.id;
    assert_eq!(
        table.completed(),
        (
            call,
            Outcome::Rejected {
                id,
                reason: Rejection::Malformed
            }
        )
    );
}

#[test]
fn a_rejection_that_lasts_until_the_deadline_is_the_outcome() {
    let mut table = Table::new(&["r1"]);
    let call = table.insert();
    table.tell_status("r1", RoleName::Primary);
    while table.completed.is_empty() {
        while let Some((_, request)) = table.sent.pop_front() {
            table.reply("r1", request.id, rejected(Rejection::DiskFull));
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
fn a_read_goes_to_the_next_replica_as_well_when_one_does_not_answer_soon() {
    let mut table = Table::new(&["r1", "r2"]);
    let call = table.get();
    assert_eq!(table.request().0, "r1");
    table.wait();
    let (to, request) = table.request();
    assert_eq!(
        (to.as_str(), table.now),
        ("r2", Instant::ZERO + limits::READ_HEDGE)
    );
    table.reply("r1", request.id, rejected(Rejection::NotReady));
    assert!(
        table.completed.is_empty() && table.sent.is_empty(),
        "the other one may answer"
    );
    table.reply("r1", request.id, ReplyBody::OperationFailed);
    assert!(table.completed.is_empty(), "that is no answer to a read");
    let result = ReplyBody::GetResult {
        key: "k".into(),
        value: None,
        position: Position(3),
    };
    table.reply("r1", request.id, result);
    let expected = Outcome::Value {
        value: None,
        position: Position(3),
        replica: Address::new("r1"),
    };
    assert_eq!(table.completed(), (call, expected));
}
