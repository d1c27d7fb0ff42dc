//! Starting the threads of a disk, and reporting how they end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use async_channel::Sender;

use crate::driver::error::{DriverError, panic_text};
use crate::engine::StoreError;

use super::report::{Completion, Fate, send};

/// Starts the threads of one disk. Nobody joins them: each ends with its queue.
pub(super) struct Threads {
    pub(super) report: Sender<Completion>,
    pub(super) fate: Fate,
}

impl Threads {
    pub(super) fn new(report: Sender<Completion>) -> Self {
        let fate = Fate::default();
        Self { report, fate }
    }

    /// Runs `body` on a thread; how it fails or panics is reported, and then nothing else is begun.
    pub(super) fn spawn(
        &self,
        name: &str,
        body: impl FnOnce() -> Result<(), StoreError> + Send + 'static,
    ) {
        let (report, fate) = (self.report.clone(), self.fate.clone());
        let guarded = move || {
            let error = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(Ok(())) => return,
                Ok(Err(error)) => DriverError::Disk(error),
                Err(panic) => DriverError::Panicked(panic_text(panic.as_ref())),
            };
            fate.abandon();
            send(&report, Completion::Failed(error));
        };
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(guarded) {
            send(&self.report, Completion::Failed(DriverError::Thread(error)));
        }
    }
}
