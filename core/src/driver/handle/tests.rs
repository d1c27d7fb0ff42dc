//! The calls, with a process that answers them without a cluster.

use std::ops::Bound;

use async_channel::Receiver;
use async_std::task::block_on;

use super::*;
use crate::config::{Position, Seq};
use crate::driver::bench::{Done, bench};
use crate::operation::{Keyed, Record, Rejection, Revision, Value};
use crate::process::{CallId, Effect, Input, Now, Outbox};
use crate::time::Timers;

/// Answers calls like a client that needs no cluster: inserts by key, gets with what the key is.
struct Oracle {
    timers: Timers<u8>,
    next: u64,
    held: Vec<CallId>,
}

impl Oracle {
    fn handle(options: &ClientOptions) -> (Handle, Receiver<Done>) {
        let (transport, arrive, done) = bench();
        // The network stays open for as long as the test looks at it.
        std::mem::forget(arrive);
        let oracle = Self {
            timers: Timers::new(),
            next: 0,
            held: Vec::new(),
        };
        (Handle::over(oracle, Arc::new(transport), options), done)
    }

    fn answer(&mut self, call: CallId, request: RequestBody, outbox: &mut Outbox) {
        let id = RequestId(self.next);
        self.next += 1;
        let answered = |body| Outcome::Answered {
            id,
            replica: Address::new("oracle"),
            body,
        };
        let outcome = match request {
            RequestBody::Insert { key, .. } if key == Key::from("hold") => {
                self.held.push(call);
                return;
            }
            RequestBody::Insert { key, .. } if key == Key::from("unknown") => {
                let request = "1-2-3".parse().expect("a name");
                Outcome::Unknown { request }
            }
            RequestBody::Insert { key, .. } if key == Key::from("full") => Outcome::Rejected {
                id,
                reason: Rejection::DiskFull,
            },
            RequestBody::Insert { .. } | RequestBody::Remove { .. } => {
                answered(ReplyBody::OperationAck {
                    seq: Seq(id.0),
                    revision: Revision(id.0),
                })
            }
            RequestBody::Get { key, .. } => answered(ReplyBody::GetResult {
                record: Some(Record::first(Value(key.0.clone()), Revision(1))),
                key,
                position: Position(id.0),
                revision: Revision(id.0),
            }),
            RequestBody::Scan { range, .. } => {
                let first = match &range.from {
                    Bound::Unbounded => 0,
                    Bound::Included(first) => first.0[0],
                    Bound::Excluded(last) => last.0[0] + 1,
                };
                let key = Key::from(vec![first]);
                // Pages of one record, with an empty one in the middle, up to the key 4.
                let records = match first {
                    2 => Vec::new(),
                    _ => vec![Keyed::of(key.clone(), "v")],
                };
                let resume = (first < 4).then_some(key);
                answered(ReplyBody::ScanResult { records, resume })
            }
            RequestBody::Drain(_) | RequestBody::Arbiters(_) => answered(ReplyBody::Begun),
            RequestBody::Status | RequestBody::Resolve { .. } => Outcome::Unreachable {
                replicas: ["gone", "mute"].map(Address::new).into(),
            },
        };
        outbox.push(Effect::Complete(call, outcome));
    }
}

impl Process for Oracle {
    type Timer = u8;

    fn step(&mut self, _now: Now<'_>, input: Input<u8>, outbox: &mut Outbox) {
        match input {
            Input::Call(id, call) => self.answer(id, call.request, outbox),
            Input::Leave => {
                for call in self.held.drain(..) {
                    let request = "1-2-3".parse().expect("a name");
                    outbox.push(Effect::Complete(call, Outcome::Unknown { request }));
                }
            }
            _ => {}
        }
    }

    fn timers(&self) -> &Timers<u8> {
        &self.timers
    }
}

#[test]
fn calls_from_many_tasks_get_their_own_answers() {
    let (handle, _done) = Oracle::handle(&ClientOptions {
        in_flight_max: 3,
        ..ClientOptions::default()
    });
    let calls: Vec<_> = (0..100)
        .map(|number| {
            let handle = handle.clone();
            async_std::task::spawn(async move {
                let key = format!("key {number}");
                let read = handle.get(key.as_str()).await.unwrap();
                assert_eq!(read.into_value(), Some(Value::from(key)));
            })
        })
        .collect();
    calls.into_iter().for_each(block_on);
}

#[test]
fn what_was_not_executed_is_told_apart_from_what_is_unknown() {
    let (handle, _done) = Oracle::handle(&ClientOptions::default());
    let unknown = block_on(handle.insert("unknown", "v")).unwrap_err();
    assert!(matches!(unknown, WriteError::Unknown { .. }) && unknown.is_unknown());
    let full = block_on(handle.insert("full", "v")).unwrap_err();
    assert!(!full.is_unknown());
    assert_eq!(
        full.to_string(),
        "the write was rejected and not executed: the disk of the primary is full"
    );
    let silent = block_on(handle.status(&Address::new("a"))).unwrap_err();
    assert_eq!(
        silent.to_string(),
        "no answer in time from gone (no answer), mute"
    );
}

#[test]
fn what_is_in_vain_tells_who_was_asked_and_why_they_are_not_connected() {
    let (handle, _done) = Oracle::handle(&ClientOptions::default());
    let asked = |replica, failure: Option<&str>| Asked {
        replica: Address::new(replica),
        failure: failure.map(str::to_owned),
    };
    let asked = vec![asked("gone", Some("no answer")), asked("mute", None)];
    let request = "1-2-3".parse().expect("a name");
    let silent = block_on(handle.resolve(&request, "k"));
    assert_eq!(silent, Err(ReadError::Unreachable { asked }));
}

#[test]
fn an_acknowledgement_has_the_position_of_what_sees_it() {
    let (handle, _done) = Oracle::handle(&ClientOptions::default());
    let first = block_on(handle.insert("k", "v")).unwrap();
    assert_eq!((first.seq, first.position()), (Seq(0), Position(1)));
}

#[test]
fn a_scan_goes_on_over_all_pages() {
    use futures_lite::StreamExt;
    let (handle, _done) = Oracle::handle(&ClientOptions::default());
    let records: Result<Vec<_>, _> = block_on(handle.records(.., None).try_collect());
    let records = records.unwrap();
    let keys: Vec<u8> = records.iter().map(|keyed| keyed.key.0[0]).collect();
    assert_eq!(keys, [0, 1, 3, 4]);
}

#[test]
fn calls_beyond_the_bound_wait_for_their_turn_even_when_others_were_given_up() {
    use futures_lite::future::poll_once;
    let (handle, _done) = Oracle::handle(&ClientOptions {
        in_flight_max: 1,
        ..ClientOptions::default()
    });
    // Handed over, then given up: the process still has it.
    assert!(block_on(poll_once(Box::pin(handle.insert("hold", "v")))).is_none());
    assert!(block_on(poll_once(Box::pin(handle.get("k")))).is_none());
    block_on(handle.close());
    assert_eq!(block_on(handle.get("k")), Err(ReadError::Closed));
}

#[test]
fn a_closed_client_says_what_became_of_its_calls() {
    let (handle, done) = Oracle::handle(&ClientOptions::default());
    let mut call = Box::pin(handle.insert("hold", "v"));
    assert!(block_on(futures_lite::future::poll_once(&mut call)).is_none());
    block_on(handle.get("k")).unwrap();
    block_on(handle.close());
    let told = block_on(call).unwrap_err();
    assert!(matches!(told, WriteError::Unknown { .. }), "{told:?}");
    assert_eq!(block_on(handle.insert("k", "v")), Err(WriteError::Closed));
    assert_eq!(block_on(done.recv()).unwrap(), Done::Closed);
}

#[test]
fn a_client_ends_with_its_last_handle() {
    let (handle, done) = Oracle::handle(&ClientOptions::default());
    let other = handle.clone();
    drop(handle);
    block_on(other.get("k")).unwrap();
    drop(other);
    assert_eq!(block_on(done.recv()).unwrap(), Done::Closed);
}
