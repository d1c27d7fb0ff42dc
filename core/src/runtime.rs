//! What runs the loop of a process: tasks and pauses. A seam of its own, so that a transport can run the process where
//! its packets arrive, and so that async-std stays at the edge.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A task of a runtime, or a pause.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs tasks and lets them pause.
pub trait Runtime: Send + Sync + 'static {
    /// Runs `task` to its end; nobody waits for that. A task that panics ends, and nothing else does.
    fn spawn(&self, task: Task);

    /// Ready once `time` has passed, and not much later; a little earlier does no harm.
    fn sleep(&self, time: Duration) -> Task;
}
