//! Running a process: what it runs on, and the task that it gets.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_channel::Receiver;
use futures_lite::FutureExt;

use crate::process::Process;
use crate::runtime::Runtime;
use crate::transport::Transport;

use super::calls::PendingCall;
use super::default_runtime::AsyncStd;
use super::disk::Disk;
use super::error::{DriverError, panic_text};
use super::run::Driver;
use super::running::{Control, Running};
use super::watch::Watch;

/// What a process runs on.
pub struct Parts {
    /// Its end of the network; closed when the process ends.
    pub transport: Arc<dyn Transport>,
    /// Its disk.
    pub disk: Disk,
    /// Who is told what happens.
    pub watch: Arc<dyn Watch>,
}

/// What a process over `transport` runs on: its own runtime if it has one, otherwise async-std's threads. Tasks that call a
/// client often run best on that of its transport.
pub fn runtime_of(transport: &dyn Transport) -> Arc<dyn Runtime> {
    transport.runtime().unwrap_or_else(|| Arc::new(AsyncStd))
}

/// Commands waiting for a process: any more say the same.
const COMMANDS_MAX: usize = 8;

/// Runs `process` on a task of its own, see [`runtime_of`].
pub fn spawn<P>(process: P, parts: Parts) -> Running
where
    P: Process + 'static,
    P::Timer: 'static,
{
    spawn_with_calls(process, parts, None)
}

pub(super) fn spawn_with_calls<P>(
    process: P,
    parts: Parts,
    calls: Option<Receiver<PendingCall>>,
) -> Running
where
    P: Process + 'static,
    P::Timer: 'static,
{
    let (commands, receiver) = async_channel::bounded(COMMANDS_MAX);
    let Parts {
        transport,
        mut disk,
        watch,
    } = parts;
    let runtime = runtime_of(transport.as_ref());
    let (sender, result) = oneshot::channel();
    let on = Arc::clone(&runtime);
    let work = async move {
        let driver = Driver::new(
            process,
            transport.as_ref(),
            runtime.as_ref(),
            &mut disk,
            watch.as_ref(),
        );
        let result = AssertUnwindSafe(driver.run(receiver, calls))
            .catch_unwind()
            .await
            .unwrap_or_else(|panic| Err(DriverError::Panicked(panic_text(panic.as_ref()))));
        transport.close().await;
        let closed = disk.close().await;
        let exit = result?;
        closed.map(|()| exit)
    };
    let task = async move {
        // By then it holds nothing any more: who is told may open the same disk again.
        let result = work.await;
        // Nobody may want to know.
        let _ = sender.send(result);
    };
    on.spawn(Box::pin(task));
    Running {
        control: Control { commands },
        result,
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("local", self.transport.local())
            .field("disk", &self.disk)
            .finish_non_exhaustive()
    }
}
