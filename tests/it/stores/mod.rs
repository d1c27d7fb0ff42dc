//! Log, engine and arbiter's record: the conformance suites on every implementation, and what only a disk can do.

mod durable;
mod memory;
mod model;
mod recovery;
mod simulated;
