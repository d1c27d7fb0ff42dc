//! What a process waits for: frames, reports of its disk, calls, commands, and the time of its next timer.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_channel::Receiver;
use futures_lite::Stream;

use crate::driver::calls::PendingCall;
use crate::driver::clock::Clock;
use crate::driver::disk::{Completion, Disk};
use crate::driver::error::DriverError;
use crate::driver::running::{Command, Ending};
use crate::host::Arrival;
use crate::host::intake::{Intake, Sources};
use crate::process::{CallId, Outcome};
use crate::runtime::{Runtime, Task};
use crate::storage::scheduler::Report;
use crate::time::Instant;
use crate::transport::{Received, Transport, TransportError};

/// The longest uninterrupted sleep. A timer of the runtime stands still while the machine is suspended, our clock does
/// not; so it is looked at after waking.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// The sources of a process.
pub(super) struct Inbox<'a> {
    streams: Streams<'a>,
    runtime: &'a dyn Runtime,
    /// A sleep under way, and when it ends.
    sleep: Option<(Instant, Task)>,
}

/// Where things come from. They are kept over the rounds, so that waiting costs no new future.
struct Streams<'a> {
    transport: &'a dyn Transport,
    receiving: Boxed<'a, Result<Received, TransportError>>,
    completions: Option<Pin<Box<Receiver<Completion>>>>,
    answered: Option<Pin<Box<Receiver<Report>>>>,
    calls: Option<Pin<Box<Receiver<PendingCall>>>>,
    commands: Pin<Box<Receiver<Command>>>,
    open_calls: BTreeMap<CallId, PendingCall>,
    next_call: CallId,
    ending: Option<Ending>,
    failed: Option<DriverError>,
}

/// The streams, and who is woken when there is more.
struct Polled<'a, 'b, 'c> {
    streams: &'b mut Streams<'a>,
    cx: &'b mut Context<'c>,
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<'a> Inbox<'a> {
    pub(super) fn new(
        transport: &'a dyn Transport,
        runtime: &'a dyn Runtime,
        disk: &Disk,
        calls: Option<Receiver<PendingCall>>,
        commands: Receiver<Command>,
    ) -> Self {
        let streams = Streams {
            transport,
            receiving: transport.recv(),
            completions: disk.completions().map(Box::pin),
            answered: disk.answered().map(Box::pin),
            calls: calls.map(Box::pin),
            commands: Box::pin(commands),
            open_calls: BTreeMap::new(),
            next_call: CallId(0),
            ending: None,
            failed: None,
        };
        Self {
            streams,
            runtime,
            sleep: None,
        }
    }

    /// Waits until there is something, or it is `due`, and takes what is there. `is_hurried`: does not wait.
    /// Returns whether there may be more.
    ///
    /// # Errors
    /// If the transport was closed, or the disk has failed.
    pub(super) async fn take(
        &mut self,
        due: Option<Instant>,
        is_hurried: bool,
        arrivals: &mut Vec<Arrival>,
    ) -> Result<bool, DriverError> {
        poll_fn(|cx| {
            let streams = &mut self.streams;
            let more = Intake::default().take(&mut Polled { streams, cx }, arrivals);
            if let Some(error) = self.streams.failed.take() {
                return Poll::Ready(Err(error));
            }
            let is_due = self.poll_sleep(cx, due).is_ready();
            let is_ending = self.streams.ending.is_some();
            if arrivals.is_empty() && !is_ending && !is_hurried && !is_due {
                return Poll::Pending;
            }
            Poll::Ready(Ok(more))
        })
        .await
    }

    /// How the process was told to end, if it was.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.streams.ending
    }

    /// A call has an outcome.
    pub(super) fn complete(&mut self, id: CallId, outcome: Outcome) {
        if let Some(call) = self.streams.open_calls.remove(&id) {
            call.complete(outcome);
        }
    }

    /// Ready when it is `due`; otherwise the task is woken by then.
    fn poll_sleep(&mut self, cx: &mut Context<'_>, due: Option<Instant>) -> Poll<()> {
        let Some(due) = due else {
            return Poll::Pending;
        };
        loop {
            let now = Clock.now();
            if due <= now {
                return Poll::Ready(());
            }
            // A sleep that ends too early costs a look at the clock; one that ends in time is kept.
            let (_, sleep) = match &mut self.sleep {
                Some(sleep) if sleep.0 <= due => sleep,
                stale => {
                    let time = (due - now).min(SLEEP_MAX);
                    stale.insert((now + time, self.runtime.sleep(time)))
                }
            };
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
    }
}

impl Polled<'_, '_, '_> {
    /// What the disk's threads have read.
    fn answer(&mut self) -> Option<Arrival> {
        let answered = self.streams.answered.as_mut()?;
        match answered.as_mut().poll_next(self.cx) {
            Poll::Ready(Some(report)) => Some(Arrival::Report(report)),
            Poll::Ready(None) | Poll::Pending => None,
        }
    }
}

impl Sources for Polled<'_, '_, '_> {
    fn command(&mut self) -> Option<Arrival> {
        let command = match self.streams.commands.as_mut().poll_next(self.cx) {
            Poll::Ready(Some(command)) => command,
            // Whoever could have told it to stop has gone, and with it the reason to run.
            Poll::Ready(None) => Command::End(Ending::Stop),
            Poll::Pending => return None,
        };
        match command {
            Command::Leave => Some(Arrival::Leave),
            Command::End(ending) => {
                self.streams.ending = Some(ending);
                None
            }
        }
    }

    fn report(&mut self) -> Option<Arrival> {
        let completions = self.streams.completions.as_mut()?;
        match completions.as_mut().poll_next(self.cx) {
            Poll::Ready(Some(Completion::Report(report))) => Some(Arrival::Report(report)),
            Poll::Ready(Some(Completion::Failed(error))) => {
                self.streams.failed.get_or_insert(error);
                None
            }
            // All threads have ended, and have told why.
            Poll::Ready(None) => None,
            Poll::Pending => self.answer(),
        }
    }

    fn frames(&mut self) -> Option<Arrival> {
        let Poll::Ready(received) = self.streams.receiving.as_mut().poll(self.cx) else {
            return None;
        };
        self.streams.receiving = self.streams.transport.recv();
        match received {
            Ok(received) => Some(Arrival::Frames(received)),
            Err(_) => {
                let closed = DriverError::TransportClosed;
                self.streams.failed.get_or_insert(closed);
                None
            }
        }
    }

    fn call(&mut self) -> Option<Arrival> {
        let calls = self.streams.calls.as_mut()?;
        match calls.as_mut().poll_next(self.cx) {
            Poll::Ready(Some(pending)) => {
                let id = self.streams.next_call;
                self.streams.next_call = CallId(id.0 + 1);
                let call = pending.call.clone();
                self.streams.open_calls.insert(id, pending);
                Some(Arrival::Call(id, call))
            }
            // Nobody is left who could call; whoever called also ends the process.
            Poll::Ready(None) | Poll::Pending => None,
        }
    }
}
