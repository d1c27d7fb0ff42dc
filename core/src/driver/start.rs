//! Starting each kind of process on what its disk holds; and the only dice of the system.

use std::sync::Arc;

use crate::arbiter::{self, Arbiter};
use crate::config::ClusterId;
use crate::driver::storage::Storage;
use crate::driver::{Parts, Running, Watch, spawn};
use crate::engine::ArbiterStore;
use crate::transport::Transport;

/// Starts an arbiter on what its disk holds. Where that is nothing, this is the first start of a new cluster.
pub fn start_arbiter(
    store: Box<dyn ArbiterStore>,
    transport: Arc<dyn Transport>,
    watch: Arc<dyn Watch>,
) -> Running {
    let record = store
        .load()
        .cloned()
        .unwrap_or_else(|| arbiter::first_record(ClusterId(draw()), draw()));
    let parts = Parts {
        transport,
        storage: Storage::arbiter(store),
        watch,
    };
    spawn(Arbiter::open(record), parts)
}

/// A number that nobody else has drawn.
#[expect(clippy::disallowed_methods, reason = "identities are drawn here")]
fn draw() -> u64 {
    rand::random()
}
