//! Asks a cluster of three everything in the table, and sees that each request is answered as it has to be, once, and that nothing
//! else comes of it: others write and read as before, no role changes, and all replicas have the same.

use std::collections::BTreeMap;

use lockstep_core::config::{Address, Config};
use lockstep_core::limits::{self, Limits};
use lockstep_core::message::{NodeStatus, Reply, ReplyBody, Request, RequestBody};
use lockstep_core::operation::{Key, Keyed, Value};
use lockstep_core::range::KeyRange;

use super::answer::Answer;
use super::table::{self, Known, Place};

/// A cluster of three replicas in sync, the first of them primary, and a client.
pub(super) trait Lab {
    /// Has the client send these to a replica, and waits until as many replies have come; returns all that have.
    fn ask(&mut self, replica: usize, requests: &[Request]) -> Vec<Reply>;

    /// Lets some time pass.
    fn rest(&mut self);
}

/// How often something is asked again that was answered with something for now. A disk that is slow for seconds is no defect.
const PATIENCE: usize = 100;

/// Asks everything in the table that ends no role.
pub(super) fn all(lab: &mut dyn Lab, limits: Limits) {
    let (mut known, config) = begin(lab, limits.clone());
    let witness: Vec<Request> = (0..10)
        .map(|number| known.request(insert(&format!("k{number}"), "witness")))
        .collect();
    for request in &witness {
        check(lab, &mut known, Place::Primary, request);
    }
    for place in [Place::Primary, Place::Secondary] {
        let mut next = Some(table::first());
        while let Some(plain) = next {
            for request in known.requests(&plain) {
                check(lab, &mut known, place, &request);
            }
            next = table::after(&plain);
        }
    }
    // Others are remembered, and write and read as before.
    for request in &witness {
        let again = ask(lab, Place::Primary, request, &Answer::Acknowledged);
        assert_eq!(again, Answer::Acknowledged, "{request:?} is forgotten");
    }
    let request = known.request(insert("k5", "afterwards"));
    check(lab, &mut known, Place::Primary, &request);
    check_contents(lab, &mut known);
    check_pages(lab, &mut known);
    let (_, afterwards) = begin(lab, limits);
    assert_eq!(afterwards, config, "who is what has changed");
}

/// Writes all keys and values, and reads what is there.
pub(super) fn writes(lab: &mut dyn Lab, limits: Limits) {
    let (mut known, _) = begin(lab, limits);
    for request in known.requests(&table::first()) {
        check(lab, &mut known, Place::Primary, &request);
    }
    check_contents(lab, &mut known);
}

/// Asks for pages, of more records than one may have.
fn check_pages(lab: &mut dyn Lab, known: &mut Known) {
    let many = 0..=limits::CHUNK_RECORDS_MAX;
    let requests: Vec<Request> = many
        .map(|number| known.request(insert(&format!("many{number}"), "")))
        .collect();
    for requests in requests.chunks(512) {
        let replies = lab.ask(0, requests);
        let acknowledged = |reply: &Reply| Answer::from(&reply.body) == Answer::Acknowledged;
        assert!(replies.iter().all(acknowledged), "{replies:?}");
        for request in requests {
            known.answers(Place::Primary, request);
        }
    }
    for place in [Place::Primary, Place::Secondary] {
        for scan in table::scans_up_to(None) {
            let request = known.request(scan);
            check(lab, known, place, &request);
        }
    }
}

/// What the cluster has before anybody has written anything.
pub(super) fn begin(lab: &mut dyn Lab, limits: Limits) -> (Known, Config) {
    let mut known = Known {
        primary: Address::new(""),
        members: Vec::new(),
        epoch: Default::default(),
        end: Default::default(),
        limits,
        contents: BTreeMap::new(),
        clients: 1 << 30,
    };
    let request = known.request(RequestBody::Status);
    let status = match lab.ask(0, &[request]).pop() {
        Some(Reply {
            body: ReplyBody::Status(status),
            ..
        }) => status,
        other => panic!("the primary says {other:?} of itself"),
    };
    let NodeStatus {
        address,
        config,
        committed,
        ..
    } = *status;
    let config = config.expect("it is primary");
    assert_eq!(config.in_sync.len(), 3, "{config:?}");
    known = Known {
        primary: address,
        members: config.members.keys().copied().collect(),
        epoch: config.epoch,
        end: committed,
        clients: 0,
        ..known
    };
    (known, config)
}

/// The request is answered as it has to be, and so is a copy of it.
fn check(lab: &mut dyn Lab, known: &mut Known, place: Place, request: &Request) {
    let _told = ToldIfPanicking(place, request);
    let (first, again) = known.answers(place, request);
    for expected in [first, again] {
        let answer = ask(lab, place, request, &expected);
        assert_eq!(answer, expected, "{request:?} at the {place:?}");
    }
}

/// Asks until the answer is for good, or the expected one.
pub(super) fn ask(lab: &mut dyn Lab, place: Place, request: &Request, expected: &Answer) -> Answer {
    ask_at(lab, place as usize, request, expected)
}

/// The same of any replica.
pub(super) fn ask_at(
    lab: &mut dyn Lab,
    replica: usize,
    request: &Request,
    expected: &Answer,
) -> Answer {
    for _ in 0..PATIENCE {
        let mut replies = lab.ask(replica, std::slice::from_ref(request));
        let reply = replies.pop().expect("a reply");
        assert!(replies.is_empty(), "more than one reply: {replies:?}");
        let Request {
            origin, attempt, ..
        } = request;
        assert_eq!((reply.client, reply.id), (origin.client, origin.id));
        if let ReplyBody::OperationRejected {
            attempt: rejected, ..
        } = &reply.body
        {
            assert_eq!(rejected, attempt, "another copy is rejected");
        }
        let answer = Answer::from(&reply.body);
        if answer == *expected || !answer.is_for_now() {
            return answer;
        }
        lab.rest();
    }
    panic!("{request:?} is not answered for good");
}

/// All replicas have what the table says.
fn check_contents(lab: &mut dyn Lab, known: &mut Known) {
    let all: Vec<Vec<Keyed>> = (0..3)
        .map(|replica| contents(lab, known, replica))
        .collect();
    let lengths = all[0]
        .iter()
        .map(|keyed| (keyed.key.clone(), keyed.record.value.len()));
    assert_eq!(lengths.collect::<BTreeMap<_, _>>(), known.contents);
    assert!(all[1] == all[0] && all[2] == all[0], "replicas differ");
}

fn contents(lab: &mut dyn Lab, known: &mut Known, replica: usize) -> Vec<Keyed> {
    let (mut all, mut range) = (Vec::new(), KeyRange::all());
    loop {
        let request = known.request(RequestBody::Scan {
            range: range.clone(),
            limit: None,
        });
        let reply = lab.ask(replica, &[request]).pop();
        let Some(ReplyBody::ScanResult { records, resume }) = reply.map(|reply| reply.body) else {
            panic!("replica {replica} gives no page");
        };
        all.extend(records);
        let Some(resume) = resume else {
            return all;
        };
        range = range.rest(resume);
    }
}

fn insert(key: &str, value: &str) -> RequestBody {
    RequestBody::Insert {
        key: Key::from(key),
        value: Value::from(value),
    }
}

/// Whoever looks at a panic inside of a replica sees what it was asked.
struct ToldIfPanicking<'a>(Place, &'a Request);

impl Drop for ToldIfPanicking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(place, request) = self;
            eprintln!("the {place:?} was asked {request:?}");
        }
    }
}
