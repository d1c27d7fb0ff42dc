//! The durable log: what every replica does before it acknowledges.

use std::path::Path;
use std::sync::Arc;

use lockstep_core::engine::LogStore;
use lockstep_core::engine::durable::{DurableLog, StoreOptions, open_replica};
use lockstep_core::operation::Entry;

use super::inputs::Entries;
use super::{BATCH, Meter};

/// Bytes of the log that are kept, so that no run of whatever length fills the disk.
const KEPT_BYTES: u64 = 64 << 20;

pub(super) fn measure(meter: &mut impl Meter, directory: &Path) {
    append(meter, directory, "log/append-and-sync-1", 1);
    append(meter, directory, "log/append-and-sync-64", BATCH);
}

fn append(meter: &mut impl Meter, directory: &Path, name: &str, count: usize) {
    let options = StoreOptions {
        segment_bytes: KEPT_BYTES / 4,
        ..StoreOptions::default()
    };
    let store = open_replica(&directory.join(name), &options).expect("the directory is empty");
    let mut log = store.log;
    let mut entries = Entries::new();
    meter.measure(
        name,
        || entries.next(count),
        |entries| write(&mut log, &entries),
    );
}

fn write(log: &mut DurableLog, entries: &[Arc<Entry>]) {
    let committed = log.end();
    log.append(entries, committed).expect("the disk works");
    log.sync().expect("the disk works");
    log.trim(committed, KEPT_BYTES).expect("the disk works");
}
