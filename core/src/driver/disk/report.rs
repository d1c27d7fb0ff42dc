//! What the threads of a disk tell the loop, and what the loop tells them all: whether to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_channel::Sender;

use crate::driver::error::DriverError;
use crate::storage::scheduler::Report;

/// What the threads report.
#[derive(Debug)]
pub(in crate::driver) enum Completion {
    /// For the process.
    Report(Report),
    /// The process must end.
    Failed(DriverError),
}

/// Reports to the loop. If it has ended, nobody wants to know.
pub(super) fn send(report: &Sender<Completion>, completion: Completion) {
    let _ended = report.try_send(completion);
}

/// Whether the threads are to go on; shared by them.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    is_abandoned: Arc<AtomicBool>,
}

impl Fate {
    /// Nothing more is begun.
    pub(super) fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::SeqCst)
    }
}
