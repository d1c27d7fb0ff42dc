//! async-std as a runtime: for every transport that brings none of its own.

use std::time::Duration;

use async_std::task;

use crate::runtime::{Runtime, Task};

/// The threads of async-std.
#[derive(Clone, Copy, Debug)]
pub(super) struct AsyncStd;

impl Runtime for AsyncStd {
    fn spawn(&self, task: Task) {
        task::spawn(task);
    }

    #[expect(clippy::disallowed_methods, reason = "this is where the driver waits")]
    fn sleep(&self, time: Duration) -> Task {
        Box::pin(task::sleep(time))
    }
}
