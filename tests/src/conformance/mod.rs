//! What every implementation of a seam must do, as functions that panic where one does not.
//!
//! An implementation adds one test that calls the suite of its trait.

pub mod arbiter_store;
pub mod engine;
pub mod log_store;
pub mod transport;

use std::sync::Arc;

use lockstep_core::config::{Epoch, Seq};
use lockstep_core::operation::{
    Author, Change, Changes, ClientId, Entry, Origin, RequestId, Verdict,
};

/// An entry that sets a key; everything in it follows from the arguments.
pub fn insert(epoch: u64, seq: u64, key: &str, value: &str) -> Arc<Entry> {
    let change = Change::insert(key.into(), value.into());
    changing(epoch, seq, [change].into())
}

/// An entry that deletes a key.
pub fn remove(epoch: u64, seq: u64, key: &str) -> Arc<Entry> {
    changing(epoch, seq, [Change::remove(key.into())].into())
}

/// What becomes of a key; `None` where it is removed.
pub fn change(key: &str, value: Option<&str>) -> Change {
    match value {
        Some(value) => Change::insert(key.into(), value.into()),
        None => Change::remove(key.into()),
    }
}

/// An entry with these changes that no client asked for.
pub fn by_cluster(epoch: u64, seq: u64, changes: Vec<Change>) -> Arc<Entry> {
    let entry = (*changing(epoch, seq, changes.into())).clone();
    Arc::new(Entry {
        author: Author::Cluster,
        ..entry
    })
}

/// An entry of a client with these changes.
pub fn changing(epoch: u64, seq: u64, changes: Changes) -> Arc<Entry> {
    Arc::new(Entry {
        epoch: Epoch(epoch),
        seq: Seq(seq),
        changes,
        verdict: Verdict::Executed,
        author: Author::Client(Origin::plain(ClientId(7), RequestId(seq))),
    })
}
