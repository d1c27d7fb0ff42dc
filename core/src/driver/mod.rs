//! The driver: runs any process over any transport, with a disk of its own, on async-std or what the transport brings.
//!
//! It moves bytes and time in and out and decides nothing: what happens in a round is decided by [`host`](crate::host), what
//! the disk does by [`storage`](crate::storage). Reading order: [`clock`]; `inbox` (what a process waits for); `run` (the
//! loop) and `default_runtime` (what it runs on); [`disk`] (on threads of its own); `usage` (what a node has
//! used); [`handle`] (calls for programs).

#[cfg(test)]
mod bench;
pub mod clock;
mod default_runtime;
pub mod disk;
pub mod handle;
mod inbox;
mod run;
mod start;

#[cfg(test)]
mod tests;
mod usage;

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt;

use crate::config::Address;
use crate::engine::StoreError;
use crate::event::Event;
use crate::message::JoinRefusal;
use crate::process::Process;
use crate::runtime::Runtime;
use crate::storage::desk::DeskError;
use crate::transport::Transport;

use self::default_runtime::AsyncStd;
use self::disk::Disk;
use self::handle::PendingCall;
use self::run::Driver;

pub use self::start::{connect, start_arbiter, start_replica};

/// What a process runs on.
pub struct Parts {
    /// Its end of the network; closed when the process ends.
    pub transport: Arc<dyn Transport>,
    /// Its disk.
    pub disk: Disk,
    /// Who is told what happens.
    pub watch: Arc<dyn Watch>,
}

/// Is told what happens in a process, by its task: it must not wait.
pub trait Watch: Send + Sync + 'static {
    /// The protocol reports.
    fn on_event(&self, event: &Event);

    /// A peer was cut off because of what it sent.
    fn on_disconnect(&self, peer: &Address, reason: &str) {
        let _ = (peer, reason);
    }

    /// A message was not sent because the transport cannot carry it, now or at all.
    fn on_unsent(&self, to: &Address, reason: &str) {
        let _ = (to, reason);
    }
}

impl<F: Fn(&Event) + Send + Sync + 'static> Watch for F {
    fn on_event(&self, event: &Event) {
        self(event);
    }
}

/// A process at work. It stops in good order when this and all its `Control`s are dropped.
#[derive(Debug)]
pub struct Running {
    control: Control,
    result: oneshot::Receiver<Result<Exit, DriverError>>,
}

/// Tells a process at work to end; cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    commands: Sender<Command>,
}

/// Why a process ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was told to.
    Stopped,
    /// It has left the configuration, as it was told to.
    Left,
}

/// Why a process ended.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The disk did not do what it was asked for; the next start finds out what it has.
    #[error("the storage failed")]
    Disk(#[from] StoreError),
    /// The disk did not come to an end when the process did. What was acknowledged is safe; the next start takes longer.
    #[error("the disk did not finish what it was doing in reasonable time")]
    StorageHangs,
    /// The process asked for a disk it was not given.
    #[error("this kind of process has no storage for what it wanted to store")]
    NoStorage,
    /// The arbiter does not take this node.
    #[error("this node has no place in the cluster: {0}")]
    JoinRefused(JoinRefusal),
    /// A replica knows of a configuration that the arbiter does not.
    #[error(
        "the record of the arbiter was put back to an older copy: replicas know of later decisions; put the newest record back"
    )]
    RecordBehind,
    /// The network was closed under it.
    #[error("the transport was closed while the process was running")]
    TransportClosed,
    /// A defect: what was assumed to hold did not.
    #[error("the process panicked, please report it: {0}")]
    Panicked(String),
    /// The runtime ended before it.
    #[error("the runtime of the process ended, and the process with it")]
    Abandoned,
    /// The operating system gave no thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

impl From<DeskError> for DriverError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::NoStorage => Self::NoStorage,
            DeskError::Store(error) => Self::Disk(error),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Leave,
    Stop,
    Kill,
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

fn spawn_with_calls<P>(process: P, parts: Parts, calls: Option<Receiver<PendingCall>>) -> Running
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

impl Running {
    /// To end it from elsewhere.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Waits until it ends by itself or is told to.
    ///
    /// # Errors
    /// If it did not end in good order.
    pub async fn ended(self) -> Result<Exit, DriverError> {
        self.result.await.unwrap_or(Err(DriverError::Abandoned))
    }

    /// Stops it and waits: what was handed to the disk is finished, the network is closed. For the others it is as if
    /// it had crashed.
    ///
    /// # Errors
    /// If it did not end in good order.
    pub async fn stop(self) -> Result<Exit, DriverError> {
        self.control.stop();
        self.ended().await
    }

    /// Lets it leave the configuration first, then stops it.
    ///
    /// # Errors
    /// If it did not end in good order.
    pub async fn leave(self) -> Result<Exit, DriverError> {
        self.control.leave();
        self.ended().await
    }

    /// Ends it as a crash would, as far as that can be done within a program: what the disk has not begun is not done.
    ///
    /// # Errors
    /// If something else had gone wrong before.
    pub async fn kill(self) -> Result<Exit, DriverError> {
        self.control.tell(Command::Kill);
        self.ended().await
    }
}

impl Control {
    /// Like `Running::stop`, without waiting.
    pub fn stop(&self) {
        self.tell(Command::Stop);
    }

    /// Like `Running::leave`, without waiting.
    pub fn leave(&self) {
        self.tell(Command::Leave);
    }

    fn tell(&self, command: Command) {
        // Full or closed: the process has been told to end often enough, or has ended.
        let _told = self.commands.try_send(command);
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

/// What a panic said.
fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it did not say why".to_owned())
}
