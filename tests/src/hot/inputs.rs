//! What the operations work on: writes of many clients to many keys, one entry behind the other.

use std::sync::Arc;

use lockstep_core::config::{Epoch, Owner, Seq};
use lockstep_core::limits::SessionLimits;
use lockstep_core::message::{Request, RequestBody};
use lockstep_core::operation::{
    Author, Change, ClientId, Entry, Key, Origin, RequestId, Revision, Value, Verdict,
};
use lockstep_core::sessions::{SessionChanges, SessionRows, Sessions};

/// Keys in use. What is kept by key stops growing once each was written.
pub(super) const KEYS: u64 = 4096;

/// Clients that write in turn.
const CLIENTS: u64 = 64;

const VALUE_BYTES: usize = 100;

/// Scatters consecutive numbers over the keys, and meets each: it has no factor in common with `KEYS`.
const STRIDE: u64 = 2501;

/// The key that the write of this number is to.
pub(super) fn key(number: u64) -> Key {
    Key::from(format!("user{:012}", number * STRIDE % KEYS))
}

/// The client that the write of this number is of, which has had the answer to its last one.
fn origin(number: u64) -> Origin {
    let id = RequestId(number / CLIENTS);
    Origin {
        settled: id,
        ..Origin::plain(ClientId(1 + number % CLIENTS), id)
    }
}

/// The request with the write of this number.
pub(super) fn request(number: u64) -> Request {
    let body = RequestBody::Insert {
        key: key(number),
        value: Value::from(vec![number as u8; VALUE_BYTES]),
    };
    Request {
        origin: origin(number),
        body,
        attempt: Default::default(),
    }
}

/// A log, as it is written.
pub(super) struct Entries {
    next: u64,
    sessions: Sessions,
}

impl Entries {
    pub(super) fn new() -> Self {
        Self {
            next: 0,
            sessions: Sessions::open(SessionRows::default(), SessionLimits::default()),
        }
    }

    /// The next so many entries.
    pub(super) fn next(&mut self, count: usize) -> Vec<Arc<Entry>> {
        let first = self.next;
        self.next += count as u64;
        (first..self.next).map(|seq| Arc::new(entry(seq))).collect()
    }

    /// The next so many entries, and what they change of the sessions.
    pub(super) fn next_committed(&mut self, count: usize) -> (Vec<Arc<Entry>>, SessionChanges) {
        let entries = self.next(count);
        for entry in &entries {
            self.sessions.apply(entry);
        }
        (entries, self.sessions.take_changes())
    }
}

fn entry(seq: u64) -> Entry {
    Entry {
        epoch: Epoch(1),
        seq: Seq(seq),
        revision: Revision(seq + 2),
        changes: [Change::insert(
            key(seq),
            Value::from(vec![seq as u8; VALUE_BYTES]),
            Revision(seq + 2),
        )]
        .into(),
        verdict: Verdict::Executed,
        author: Author::Client(origin(seq), Owner(1)),
    }
}
