//! What every implementation of a seam must do, as functions that panic where one does not: with the rule that is broken, what was
//! found and within which limit it was to be, and where to look.
//!
//! An implementation adds one test that calls the `suite` of its trait. While it is being mended, `only` runs one check alone.

pub mod arbiter_store;
pub mod engine;
pub mod log_store;
mod rule;
pub mod transport;

use std::sync::Arc;

use lockstep_core::config::{Epoch, Owner, Seq};
use lockstep_core::operation::{
    Author, Change, Changes, ClientId, Entry, Origin, RequestId, Revision, Verdict,
};

/// An entry that sets a key; everything in it follows from the arguments.
pub fn insert(epoch: u64, seq: u64, key: &str, value: &str) -> Arc<Entry> {
    let change = Change::insert(key.into(), value.into(), Revision(seq + 2));
    changing(epoch, seq, [change].into())
}

/// An entry that deletes a key.
pub fn remove(epoch: u64, seq: u64, key: &str) -> Arc<Entry> {
    changing(epoch, seq, [Change::remove(key.into())].into())
}

/// An entry that no client asked for. It sets these keys, or removes those without a value.
pub fn by_cluster(epoch: u64, seq: u64, changes: &[(&str, Option<&str>)]) -> Arc<Entry> {
    let changes = changes.iter().map(|(key, value)| match value {
        Some(value) => Change::insert((*key).into(), (*value).into(), Revision(seq + 2)),
        None => Change::remove((*key).into()),
    });
    let entry = (*changing(epoch, seq, changes.collect())).clone();
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
        revision: Revision(seq + 2),
        changes,
        verdict: Verdict::Executed,
        author: Author::Client(Origin::plain(ClientId(7), RequestId(seq)), Owner(1)),
    })
}
