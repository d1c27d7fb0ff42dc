use std::ops::Bound;

use super::*;
use crate::config::{ConfigVersion, Epoch, Incarnation, NodeId, StartId, Token};
use crate::message::{
    ConfigQuery, Drain, FromArbiter, Join, Peer, PeerMessage, Reply, ReplyBody, Request, SyncStart,
};
use crate::operation::{ClientId, Origin, ReadLevel, RequestId, Value};

fn client(role: ClientRole, prefixes: &[&str]) -> Sender {
    let prefixes = prefixes.iter().map(|prefix| Key::from(*prefix)).collect();
    Sender::Client { role, prefixes }
}

fn node(role: NodeRole, name: Option<&str>) -> Sender {
    let name = name.map(Arc::from);
    Sender::Node { role, name }
}

fn request(body: RequestBody) -> Message {
    Message::Request(Request {
        origin: Origin::plain(ClientId(1), RequestId(1)),
        attempt: Default::default(),
        body,
    })
}

fn insert(key: &str) -> RequestBody {
    let (key, value) = (Key::from(key), Value::from("v"));
    RequestBody::Insert { key, value }
}

fn remove(key: &str) -> RequestBody {
    RequestBody::Remove { key: key.into() }
}

fn get(key: &str) -> RequestBody {
    let level = ReadLevel::Linearizable;
    RequestBody::Get {
        key: key.into(),
        level,
    }
}

fn resolve(key: &str) -> RequestBody {
    RequestBody::Resolve { key: key.into() }
}

fn scan(range: impl Into<KeyRange>) -> RequestBody {
    let range = range.into();
    RequestBody::Scan { range, limit: None }
}

fn check_request(role: ClientRole, prefixes: &[&str], body: RequestBody, missing: Option<Right>) {
    let expected = missing.map_or(Ok(()), |right| Err(Forbidden::Request(right)));
    let found = client(role, prefixes).check(&request(body.clone()));
    assert_eq!(found, expected, "{role:?} {prefixes:?} {body:?}");
}

#[test]
fn a_client_may_ask_for_what_its_role_allows() {
    use ClientRole::*;
    let table = [
        (get("k"), Read),
        (scan(..), Read),
        (RequestBody::Status, Read),
        (insert("k"), Write),
        (remove("k"), Write),
        (resolve("k"), Write),
        (RequestBody::Drain(Drain::Node), Admin),
        (RequestBody::Drain(Drain::Primary), Admin),
    ];
    for (body, needed) in table {
        for role in [Read, Write, Admin] {
            let missing = (role < needed).then_some(Right::Role(needed));
            check_request(role, &[], body.clone(), missing);
        }
    }
}

#[test]
fn a_client_with_prefixes_may_ask_for_keys_that_begin_with_one_of_them() {
    let check = |body, missing| {
        check_request(ClientRole::Admin, &["a/", "b/"], body, missing);
    };
    for key in ["a/", "a/1", "b/x"] {
        for body in [insert(key), remove(key), get(key), resolve(key)] {
            check(body, None);
        }
    }
    for key in ["", "a", "a0", "c", "A/1"] {
        for body in [insert(key), remove(key), get(key), resolve(key)] {
            check(body, Some(Right::Keys));
        }
    }
    check(scan(KeyRange::prefix("a/")), None);
    check(scan(KeyRange::prefix("b/xyz")), None);
    check(scan("a/1".."a/2"), None);
    check(scan(KeyRange::prefix("a/").rest("a/7".into())), None);
    check(scan(KeyRange::prefix("a/").through("a/7".into())), None);
    let through = |to: &str| KeyRange {
        from: Bound::Included("a/".into()),
        to: Bound::Included(to.into()),
    };
    check(scan(through("a/zzz")), None);
    check(scan(through("a0")), Some(Right::Keys));
    for range in [
        KeyRange::all(),
        KeyRange::prefix("a"),
        KeyRange::prefix(""),
        KeyRange::behind("a/1"),
        KeyRange::from(.."b/"),
        KeyRange::from("a/".."a0\0"),
        // Two prefixes do not allow what lies between them.
        KeyRange::from("a/".."b/1"),
    ] {
        check(scan(range), Some(Right::Keys));
    }
    check(RequestBody::Status, None);
    check(RequestBody::Drain(Drain::Node), None);
}

fn join(name: &str) -> Message {
    Message::ToArbiter(ToArbiter::Join(Join {
        node: NodeId(1),
        incarnation: Incarnation(1),
        token: Token(0),
        cluster: None,
        name: name.to_owned(),
        address: crate::config::Address::new("r1"),
        version: ConfigVersion(0),
        epoch: Epoch(0),
        starts: vec![StartId(1)],
        terms: Default::default(),
    }))
}

fn query() -> Message {
    Message::ToArbiter(ToArbiter::ConfigQuery(ConfigQuery {
        cluster: None,
        node: NodeId(1),
        version: ConfigVersion(0),
    }))
}

fn announcement() -> Message {
    let config = crate::config::Config::new(crate::config::ClusterId(1));
    Message::from(FromArbiter::Replicas(config))
}

fn greeting() -> Message {
    Message::Peer(Peer {
        sender: NodeId(1),
        receiver: NodeId(2),
        epoch: Epoch(1),
        body: PeerMessage::SyncStart(SyncStart { sync: 1 }),
    })
}

fn reply() -> Message {
    Message::Reply(Reply {
        client: ClientId(1),
        id: RequestId(1),
        body: ReplyBody::Begun,
    })
}

#[test]
fn nodes_speak_as_what_their_certificates_say() {
    let check = |message: &Message, needed: NodeRole, other: NodeRole| {
        for role in [needed, NodeRole::Both] {
            assert_eq!(node(role, Some("r1")).check(message), Ok(()), "{message:?}");
        }
        let refused = Err(Forbidden::NodeRole { needed });
        assert_eq!(
            node(other, Some("r1")).check(message),
            refused,
            "{message:?}"
        );
    };
    for message in [join("r1"), query(), greeting(), reply()] {
        check(&message, NodeRole::Replica, NodeRole::Arbiter);
    }
    check(&announcement(), NodeRole::Arbiter, NodeRole::Replica);
}

#[test]
fn a_replica_joins_under_the_name_of_its_certificate() {
    let replica = |name| node(NodeRole::Replica, name);
    assert_eq!(replica(Some("r1")).check(&join("r1")), Ok(()));
    assert_eq!(replica(None).check(&join("r1")), Ok(()));
    let refused = replica(Some("r1")).check(&join("r2\u{1b}[31m"));
    let text = refused.expect_err("another name").to_string();
    assert_eq!(
        text,
        "it calls itself \"r2\\u{1b}[31m\", but its certificate is of r1"
    );
}

#[test]
fn nodes_make_no_requests_and_clients_nothing_else() {
    let ask = request(RequestBody::Status);
    let trusted = |kind| Sender::trusted(kind);
    assert_eq!(trusted(SenderKind::Client).check(&ask), Ok(()));
    assert_eq!(
        trusted(SenderKind::Node).check(&ask),
        Err(Forbidden::NodeAsks)
    );
    for message in [join("r1"), query(), announcement(), greeting(), reply()] {
        assert_eq!(trusted(SenderKind::Node).check(&message), Ok(()));
        assert_eq!(
            trusted(SenderKind::Client).check(&message),
            Err(Forbidden::NotARequest)
        );
    }
}
