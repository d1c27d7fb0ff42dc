//! The durable state: applying, moving changes to the disk, reading.

use std::path::Path;

use lockstep_core::engine::Engine;
use lockstep_core::engine::durable::{FjallEngine, StoreOptions, open_replica};
use lockstep_core::operation::Key;

use super::inputs::{self, Entries, KEYS};
use super::{BATCH, Meter};

/// Changes that a checkpoint moves.
const CHECKPOINT: usize = 512;

pub(super) fn measure(meter: &mut impl Meter, directory: &Path) {
    writes(meter, &directory.join("writes"));
    let engine = filled(&directory.join("memory"));
    let mut number = 0;
    meter.measure(
        "engine/read-from-memory",
        || next_key(&mut number),
        |key| engine.peek(&key).flatten().expect("every key has a value"),
    );
}

pub(super) fn measure_varying(meter: &mut impl Meter, directory: &Path) {
    let directory = directory.join("disk");
    let engine = filled(&directory);
    engine.checkpoint().expect("the disk works");
    drop(engine);
    // Nothing is found in a cache of no size.
    let options = StoreOptions {
        cache_bytes: 0,
        ..StoreOptions::default()
    };
    let engine = open(&directory, &options);
    let mut number = 0;
    meter.measure(
        "engine/read-from-disk",
        || next_key(&mut number),
        |key| {
            let value = engine.read(&key).expect("the disk works");
            value.expect("every key has a value")
        },
    );
}

fn writes(meter: &mut impl Meter, directory: &Path) {
    let engine = open(directory, &StoreOptions::default());
    let mut entries = Entries::new();
    meter.measure(
        "engine/apply-64",
        || entries.next_committed(BATCH),
        |(entries, sessions)| engine.apply(&entries, &sessions).expect("the disk works"),
    );
    // What was applied so far is not part of the first one.
    engine.checkpoint().expect("the disk works");
    meter.measure(
        "engine/apply-and-checkpoint-512",
        || entries.next_committed(CHECKPOINT),
        |(entries, sessions)| {
            engine.apply(&entries, &sessions).expect("the disk works");
            engine.checkpoint().expect("the disk works")
        },
    );
}

/// A state with a value for each key.
fn filled(directory: &Path) -> FjallEngine {
    let engine = open(directory, &StoreOptions::default());
    let (entries, sessions) = Entries::new().next_committed(KEYS as usize);
    engine.apply(&entries, &sessions).expect("the disk works");
    engine
}

fn next_key(number: &mut u64) -> Key {
    *number += 1;
    inputs::key(*number)
}

fn open(directory: &Path, options: &StoreOptions) -> FjallEngine {
    let store = open_replica(directory, options).expect("nobody else uses the directory");
    store.engine
}
