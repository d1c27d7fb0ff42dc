//! What members say to each other and to clients, with one field changed on its way. A member is believed: what it says may keep
//! others from what they want, and may tell them that they have no place any more. But nothing that it says makes another one
//! panic, or its disk fail.
//!
//! A cluster lives through everything that makes its members speak, in all [`KINDS`] of messages; once for each part of each kind
//! and each value that part may have.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use lockstep_core::config::Address;
use lockstep_core::limits::{self, Limits};
use lockstep_core::message::{
    ConfigChange, Drain, FromArbiter, Message, PeerMessage, ReplyBody, RequestBody, ToArbiter,
};
use lockstep_core::operation::{Key, ReadLevel, Value};
use lockstep_core::range::KeyRange;
use lockstep_core::wire;
use serde_json::Value as Json;

use lockstep_tests::cluster::{Cluster, ClusterOptions, Forge, MS};
use lockstep_tests::disk::DiskOptions;
use lockstep_tests::invariants::Violation;

/// The arbiter's place in a cluster.
const ARBITER: usize = 0;

/// All kinds of messages of members.
const KINDS: [&str; 33] = [
    "AddInSync",
    "Beacon",
    "BeaconAck",
    "Begun",
    "CommittedAnswer",
    "CommittedQuery",
    "ConfigQuery",
    "Drained",
    "Forget",
    "GetResult",
    "HandOver",
    "Join",
    "JoinRefused",
    "JoinedPrimary",
    "JoinedSecondary",
    "Leave",
    "OperationAck",
    "OperationFailed",
    "OperationRejected",
    "ProposalRefused",
    "RemoveInSync",
    "ReplacePrimary",
    "Replicas",
    "Resolved",
    "ScanResult",
    "SnapshotAck",
    "Snapshots",
    "StateAck",
    "StateChunk",
    "Status",
    "SyncEnd",
    "SyncReply",
    "SyncStart",
];

/// The kind of message; `None` if no member says it.
fn kind(message: &Message) -> Option<&'static str> {
    Some(match message {
        Message::ToArbiter(ToArbiter::Join(_)) => "Join",
        Message::ToArbiter(ToArbiter::Leave(_)) => "Leave",
        Message::ToArbiter(ToArbiter::ConfigQuery(_)) => "ConfigQuery",
        Message::ToArbiter(ToArbiter::Propose(propose)) => match propose.change {
            ConfigChange::AddInSync(_) => "AddInSync",
            ConfigChange::RemoveInSync(_) => "RemoveInSync",
            ConfigChange::Drained(_) => "Drained",
            ConfigChange::ReplacePrimary => "ReplacePrimary",
            ConfigChange::HandOver(_) => "HandOver",
            ConfigChange::Forget(_) => "Forget",
            ConfigChange::Arbiters(_) => return None,
        },
        Message::FromArbiter(message) => match **message {
            FromArbiter::JoinedPrimary(_) => "JoinedPrimary",
            FromArbiter::JoinedSecondary(_) => "JoinedSecondary",
            FromArbiter::Replicas(_) => "Replicas",
            FromArbiter::JoinRefused(_) => "JoinRefused",
            FromArbiter::ProposalRefused(_) => "ProposalRefused",
            FromArbiter::Arbiters(_) => return None,
        },
        Message::Peer(peer) => match peer.body {
            PeerMessage::SyncStart(_) => "SyncStart",
            PeerMessage::SyncReply(_) => "SyncReply",
            PeerMessage::SyncEnd(_) => "SyncEnd",
            PeerMessage::Snapshots(_) => "Snapshots",
            PeerMessage::SnapshotAck(_) => "SnapshotAck",
            PeerMessage::StateChunk(_) => "StateChunk",
            PeerMessage::StateAck(_) => "StateAck",
            PeerMessage::Beacon(_) => "Beacon",
            PeerMessage::BeaconAck(_) => "BeaconAck",
            PeerMessage::CommittedQuery(_) => "CommittedQuery",
            PeerMessage::CommittedAnswer(_) => "CommittedAnswer",
        },
        // The arbiter is alone.
        Message::Request(_) | Message::Register(_) | Message::Offer(_) => return None,
        Message::Reply(reply) => match reply.body {
            ReplyBody::OperationAck { .. } => "OperationAck",
            ReplyBody::OperationFailed => "OperationFailed",
            ReplyBody::OperationRejected { .. } => "OperationRejected",
            ReplyBody::GetResult { .. } => "GetResult",
            ReplyBody::ScanResult { .. } => "ScanResult",
            ReplyBody::Status(_) => "Status",
            ReplyBody::Resolved(_) => "Resolved",
            ReplyBody::Begun => "Begun",
        },
    })
}

// ----------------------------------------------------------------------------------------------------- the life

/// Lives through it all, and returns what went wrong, if something did. Once `told` says that it was lied, it lasts as long as it
/// takes to see what comes of that.
fn life(forge: Forge, told: Rc<Cell<bool>>) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| live(forge, told))) {
        Ok(violation) => violation.map(|violation| violation.to_string()),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(format!("panicked: {}", text.unwrap_or_default()))
        }
    }
}

fn live(forge: Forge, told: Rc<Cell<bool>>) -> Option<Violation> {
    const LOG_BYTES_MAX: usize = 4 << 10;
    let mut cluster = Cluster::new(ClusterOptions {
        limits: Limits {
            log_bytes_max: LOG_BYTES_MAX as u64,
            tail_bytes_max: LOG_BYTES_MAX,
            ..Limits::default()
        },
        disk: DiskOptions::for_log(LOG_BYTES_MAX as u64),
        returns: true,
        ..ClusterOptions::steady(3, 1)
    });
    cluster.forge(forge);
    let mut left = PATIENCE;
    for (step, millis) in LIFE {
        step(&mut cluster);
        let lasts = if told.get() { left.min(millis) } else { millis };
        cluster.run_until(cluster.now() + lasts * MS);
        if told.get() {
            left -= lasts;
        }
        if left == 0 {
            break;
        }
    }
    cluster.violation().cloned()
}

/// Milliseconds in which one sees what comes of a lie.
const PATIENCE: u64 = 2_000;

/// What is done, and how many milliseconds it is until the next step.
type Step = (fn(&mut Cluster), u64);

const LIFE: [Step; 18] = [
    (begin, 100),
    // The others come when the log does not reach back to its beginning any more, which is trimmed every ten seconds.
    (write_much, 10_000),
    (Cluster::start_all, 300),
    // The primary is asked about a key that may have changed.
    (
        |cluster| {
            cluster.hang_disk(3, 50 * MS);
            write(cluster, "k", 8);
        },
        5,
    ),
    (|cluster| call(cluster, read(), Some("r2")), 200),
    // One is away, and the arbiter too, so that a write is not confirmed in time.
    (
        |cluster| {
            cluster.isolate(3, 2_500 * MS);
            cluster.isolate(ARBITER, 1_500 * MS);
            write(cluster, "k", 8);
        },
        2_000,
    ),
    (write_much, 2_000),
    (
        |cluster| {
            let (range, limit) = (KeyRange::all(), None);
            call(cluster, RequestBody::Scan { range, limit }, None);
        },
        10,
    ),
    (|cluster| call(cluster, RequestBody::Status, None), 10),
    (
        |cluster| {
            let key = Key::from("k");
            call(cluster, RequestBody::Resolve { key }, None);
        },
        100,
    ),
    (
        |cluster| drain(cluster, cluster.primary(), Drain::Primary),
        500,
    ),
    (
        |cluster| {
            if let Some(primary) = cluster.primary() {
                cluster.isolate(primary, 1_500 * MS);
            }
        },
        1_000,
    ),
    // Who was primary is not expected back.
    (
        |cluster| {
            let former = cluster.config().former.keys().next().copied();
            if let Some(former) = former {
                drain(cluster, cluster.primary(), Drain::Former(former));
            }
        },
        1_500,
    ),
    (
        |cluster| {
            let primary = cluster.primary();
            let other = cluster.replicas().find(|index| Some(*index) != primary);
            drain(cluster, other, Drain::Node);
        },
        1_500,
    ),
    // What was said long ago comes once more.
    (|cluster| release(cluster, "Propose"), 10),
    (|cluster| release(cluster, "Join"), 10),
    (|cluster| write(cluster, "k", 8), 10),
    (|_| {}, PATIENCE),
];

fn begin(cluster: &mut Cluster) {
    for replica in cluster.replicas() {
        cluster.copy(replica, ARBITER, "Join");
        cluster.copy(replica, ARBITER, "Propose");
    }
    for node in [ARBITER, 1, cluster.clients().start] {
        cluster.start(node);
        cluster.run_until(cluster.now() + 20 * MS);
    }
}

fn write_much(cluster: &mut Cluster) {
    for number in 0..12 {
        write(cluster, &format!("k{number}"), 1 << 10);
        cluster.run_until(cluster.now() + 10 * MS);
    }
}

fn release(cluster: &mut Cluster, kind: &str) {
    for replica in cluster.replicas() {
        cluster.release(replica, ARBITER, kind);
    }
}

fn drain(cluster: &mut Cluster, replica: Option<usize>, drain: Drain) {
    if let Some(replica) = replica {
        let name = cluster.nodes()[replica].name.clone();
        call(cluster, RequestBody::Drain(drain), Some(&name));
    }
}

fn write(cluster: &mut Cluster, key: &str, length: usize) {
    let key = Key::from(key);
    let value = Value::from(vec![b'v'; length]);
    call(cluster, RequestBody::Insert { key, value }, None);
}

fn read() -> RequestBody {
    RequestBody::Get {
        key: Key::from("k"),
        level: ReadLevel::Linearizable,
    }
}

fn call(cluster: &mut Cluster, request: RequestBody, replica: Option<&str>) {
    let client = cluster.clients().start;
    cluster.call_at(client, request, replica.map(Address::new), 2_000 * MS);
}

// ----------------------------------------------------------------------------------------------------- the lies

#[test]
fn nothing_that_a_member_says_makes_another_one_panic() {
    let said: Rc<RefCell<BTreeMap<&'static str, Vec<Message>>>> = Rc::default();
    let noted = Rc::clone(&said);
    let note = move |message: &Message| {
        let kind = kind(message)?;
        let mut noted = noted.borrow_mut();
        noted.entry(kind).or_default().push(message.clone());
        None
    };
    assert_eq!(life(Box::new(note), Rc::default()), None, "nobody lies");
    let said = said.take();
    let kinds: Vec<_> = said.keys().copied().collect();
    assert_eq!(kinds, KINDS, "what a cluster says in its life");
    let (mut lies, mut found) = (0, Vec::new());
    for (name, messages) in said {
        // Of the one that says most.
        let size = |index: &usize| wire::encode(&messages[*index]).len();
        let before = (0..messages.len()).max_by_key(size).expect("it is said");
        for (what, forged) in forged(&messages[before]) {
            lies += 1;
            let told = Rc::default();
            let lie = lie(name, before, forged, Rc::clone(&told));
            if let Some(wrong) = life(lie, told) {
                found.push(format!("{name}: {what}: {wrong}"));
            }
        }
    }
    assert!(
        found.is_empty(),
        "{} of {lies} lies:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// Puts `forged` in the place of a message of that kind, behind so many others.
fn lie(name: &'static str, mut before: usize, forged: Message, told: Rc<Cell<bool>>) -> Forge {
    let mut forged = Some(forged);
    Box::new(move |message: &Message| {
        if forged.is_none() || kind(message) != Some(name) {
            return None;
        }
        let Some(left) = before.checked_sub(1) else {
            told.set(true);
            return forged.take();
        };
        before = left;
        None
    })
}

/// The message with each of its parts at its limits, where that can be said at all.
fn forged(message: &Message) -> Vec<(String, Message)> {
    let json = serde_json::to_value(message).expect("messages are data");
    let mut places = Vec::new();
    collect(&json, &mut Vec::new(), &mut places);
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for place in places {
        let mut changed = json.clone();
        let part = at(&json, &place);
        let mut is_said = false;
        let (values, others) = values(part);
        let values = values.into_iter().map(|value| (value, true));
        let others = others.into_iter().map(|value| (value, false));
        for (value, is_first) in values.chain(others) {
            if is_said && !is_first {
                continue;
            }
            *at_mut(&mut changed, &place) = value.clone();
            let Ok(forged) = serde_json::from_value::<Message>(changed.clone()) else {
                continue;
            };
            is_said |= value == u64::MAX;
            let text = format!("{forged:?}");
            if forged != *message && seen.insert(text) {
                let mut value = value.to_string();
                value.truncate(60);
                found.push((format!("{} = {value}", place.join(".")), forged));
            }
        }
    }
    found
}

fn collect(json: &Json, place: &mut Vec<String>, places: &mut Vec<Vec<String>>) {
    places.push(place.clone());
    let mut go_on = |step: &str, part: &Json| {
        place.push(step.to_owned());
        collect(part, place, places);
        place.pop();
    };
    match json {
        // What is behind the first is like it, except in an entry or a record, which begins with a number.
        Json::Array(items) => {
            let is_of_parts =
                items.first().is_some_and(Json::is_number) && !items.iter().all(Json::is_number);
            let parts = if is_of_parts { items.len() } else { 1 };
            for (index, item) in items.iter().enumerate().take(parts) {
                go_on(&index.to_string(), item);
            }
        }
        Json::Object(fields) => {
            let is_map = fields.keys().all(|key| key.parse::<u64>().is_ok());
            let parts = if is_map { 1 } else { fields.len() };
            for (name, field) in fields.iter().take(parts) {
                go_on(name, field);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn at<'a>(json: &'a Json, place: &[String]) -> &'a Json {
    place.iter().fold(json, |json, step| match json {
        Json::Array(items) => &items[step.parse::<usize>().expect("a number")],
        json => &json[step.as_str()],
    })
}

fn at_mut<'a>(json: &'a mut Json, place: &[String]) -> &'a mut Json {
    place.iter().fold(json, |json, step| match json {
        Json::Array(items) => &mut items[step.parse::<usize>().expect("a number")],
        json => &mut json[step.as_str()],
    })
}

/// What may stand in the place of a part; and in the place of a number that has fewer bits.
fn values(part: &Json) -> (Vec<Json>, Vec<Json>) {
    let (mut values, mut smaller) = (vec![Json::Null], Vec::new());
    match part {
        Json::Null => {}
        Json::Bool(is_so) => values.push((!is_so).into()),
        Json::Number(number) => {
            let number = number.as_u64().unwrap_or(0);
            let near = [number.saturating_sub(1), number.saturating_add(1)];
            let far = [0, u64::MAX];
            values.extend(near.into_iter().chain(far).map(Json::from));
            smaller.extend([i64::MIN, i64::MAX].map(Json::from));
            smaller.extend([u32::MAX.into(), u8::MAX.into()]);
        }
        Json::String(_) => {
            let (name, address) = (limits::NAME_BYTES_MAX, limits::ADDRESS_BYTES_MAX);
            let lengths = [0, 1, name, name + 1, address, address + 1, 1 << 17];
            values.extend(lengths.map(|length| Json::from("x".repeat(length))));
        }
        Json::Array(items) => {
            let often = |times: usize| Json::Array(vec![items.clone(); times].concat());
            values.extend([0, 2, 100].map(often));
            if !items.is_empty() && items.iter().all(Json::is_number) {
                values.push(often((1 << 16) / items.len() + 1));
            }
        }
        Json::Object(fields) => {
            values.push(Json::Object(Default::default()));
            // Another key in the place of the first.
            if let Some((first, value)) = fields.iter().next() {
                for key in ["0", "18446744073709551615"] {
                    let mut fields = fields.clone();
                    fields.remove(first);
                    fields.insert(key.to_owned(), value.clone());
                    values.push(Json::Object(fields));
                }
            }
        }
    }
    (values, smaller)
}
