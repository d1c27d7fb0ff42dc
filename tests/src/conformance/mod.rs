//! What every implementation of a seam must do, as functions that panic where one does not.
//!
//! An implementation adds one test that calls the suite of its trait.

pub mod arbiter_store;
pub mod engine;
pub mod log_store;
pub mod transport;

use std::sync::Arc;

use lockstep_core::config::{Epoch, Seq};
use lockstep_core::operation::{ClientId, Entry, Key, Operation, Origin, RequestId, Value};

/// An entry that sets a key; everything in it follows from the arguments.
pub fn insert(epoch: u64, seq: u64, key: &str, value: &str) -> Arc<Entry> {
    entry(
        epoch,
        seq,
        Operation::Insert {
            key: Key::from(key),
            value: Value::from(value),
        },
    )
}

/// An entry that deletes a key.
pub fn remove(epoch: u64, seq: u64, key: &str) -> Arc<Entry> {
    entry(
        epoch,
        seq,
        Operation::Remove {
            key: Key::from(key),
        },
    )
}

fn entry(epoch: u64, seq: u64, operation: Operation) -> Arc<Entry> {
    Arc::new(Entry {
        epoch: Epoch(epoch),
        seq: Seq(seq),
        operation,
        origin: Origin::plain(ClientId(7), RequestId(seq)),
    })
}
