//! A client against replicas played by hand.

mod reads;
mod retries;
mod search;
mod sessions;

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::config::{
    ClusterId, Config, ConfigVersion, Epoch, Incarnation, Member, NodeId, Position, Seq,
};
use crate::limits::Limits;
use crate::message::{NodeStatus, Reply, ReplyBody, RoleName, Usage};
use crate::operation::{Key, ReadLevel, Rejection, RequestName, Revision, Value};
use crate::range::KeyRange;

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
        foreign_arbiter: None,
        persisted: Position(0),
        committed: Position(0),
        revision: Revision(1),
        log_start: Position(0),
        disk_full: false,
        has_lease: true,
        sessions: 0,
        peers: Vec::new(),
        usage: Usage::default(),
        former: Vec::new(),
        min_in_sync: 1,
        arbiters: None,
    }
}

fn ack(seq: u64) -> ReplyBody {
    ReplyBody::OperationAck {
        seq: Seq(seq),
        revision: Revision(seq),
    }
}

fn unreachable(replicas: &[&str]) -> Outcome {
    let replicas = replicas.iter().map(Address::new).collect();
    Outcome::Unreachable { replicas }
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
