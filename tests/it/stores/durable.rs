//! The durable stores keep the contracts of their traits.

use std::sync::Arc;

use lockstep_core::engine::durable::{StoreOptions, open_arbiter, open_replica};
use lockstep_core::engine::{ArbiterStore, Engine, LogStore};
use lockstep_tests::conformance::{arbiter_store, engine, log_store};
use tempfile::TempDir;

/// Small enough to make many segments and to write the state out often.
pub(super) fn options() -> StoreOptions {
    StoreOptions {
        segment_bytes: 32 << 10,
        reserve_bytes: 0,
        cache_bytes: 1 << 20,
        memtable_bytes: 0,
        journal_bytes: 0,
    }
}

/// A new directory for each store.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn clear(&mut self) {
        self.0 = tempfile::tempdir().unwrap();
    }
}

impl log_store::Subject for Disk {
    fn fresh(&mut self) -> Box<dyn LogStore> {
        self.clear();
        Box::new(open_replica(self.0.path(), &options()).unwrap().log)
    }

    fn reopen(&mut self, log: Box<dyn LogStore>) -> Box<dyn LogStore> {
        drop(log);
        Box::new(open_replica(self.0.path(), &options()).unwrap().log)
    }
}

impl engine::Subject for Disk {
    fn fresh(&mut self) -> Arc<dyn Engine> {
        self.clear();
        Arc::new(open_replica(self.0.path(), &options()).unwrap().engine)
    }

    fn reopen(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        drop(engine);
        Arc::new(open_replica(self.0.path(), &options()).unwrap().engine)
    }
}

impl arbiter_store::Subject for Disk {
    fn fresh(&mut self) -> Box<dyn ArbiterStore> {
        self.clear();
        Box::new(open_arbiter(self.0.path()).unwrap())
    }

    fn reopen(&mut self, store: Box<dyn ArbiterStore>) -> Box<dyn ArbiterStore> {
        drop(store);
        Box::new(open_arbiter(self.0.path()).unwrap())
    }
}

#[test]
fn the_log_on_disk_conforms() {
    log_store::suite(&mut Disk::new());
}

#[test]
fn the_engine_on_disk_conforms() {
    engine::suite(&mut Disk::new());
}

#[test]
fn the_arbiter_store_on_disk_conforms() {
    arbiter_store::suite(&mut Disk::new());
}
