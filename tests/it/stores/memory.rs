//! The stores in memory keep the contracts of their traits.

use std::sync::Arc;

use lockstep_core::config::NodeId;
use lockstep_core::engine::memory::{MemoryArbiter, MemoryEngine, MemoryLog};
use lockstep_core::engine::{ArbiterStore, Engine, LogStore};
use lockstep_tests::conformance::{arbiter_store, engine, log_store};

/// Nothing survives a process, so a new start finds what there was.
struct Memory;

impl log_store::Subject for Memory {
    fn fresh(&mut self) -> Box<dyn LogStore> {
        Box::new(MemoryLog::new(NodeId(1)))
    }

    fn reopen(&mut self, log: Box<dyn LogStore>) -> Box<dyn LogStore> {
        log
    }
}

impl engine::Subject for Memory {
    fn fresh(&mut self) -> Arc<dyn Engine> {
        Arc::new(MemoryEngine::new())
    }

    fn reopen(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        engine
    }
}

impl arbiter_store::Subject for Memory {
    fn fresh(&mut self) -> Box<dyn ArbiterStore> {
        Box::new(MemoryArbiter::new())
    }

    fn reopen(&mut self, store: Box<dyn ArbiterStore>) -> Box<dyn ArbiterStore> {
        store
    }
}

#[test]
fn the_log_in_memory_conforms() {
    log_store::suite(&mut Memory);
}

#[test]
fn the_engine_in_memory_conforms() {
    engine::suite(&mut Memory);
}

#[test]
fn the_arbiter_store_in_memory_conforms() {
    arbiter_store::suite(&mut Memory);
}
