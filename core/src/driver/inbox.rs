//! What a process waits for: frames, reports of its disk, calls, commands, and the time of its next timer.
//!
//! A round takes everything that is there, up to a bound for each source, so that none starves another and a lone
//! arrival waits for nobody.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_channel::Receiver;
use futures_lite::Stream;

use crate::driver::clock::Clock;
use crate::driver::handle::PendingCall;
use crate::driver::storage::Completion;
use crate::driver::{Command, DriverError};
use crate::runtime::{Runtime, Task};
use crate::time::Instant;
use crate::transport::{Received, Transport, TransportError};

/// Frames, reports or calls taken in one round: more would delay timers and what the round has to say.
const ARRIVALS_MAX: usize = 1024;

/// Bytes of frames taken in one round.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// The longest uninterrupted sleep. A timer of the runtime stands still while the machine is suspended, our clock does
/// not; so it is looked at after waking.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Something for the process.
#[derive(Debug)]
pub(super) enum Arrival {
    Frames(Received),
    Stored(Completion),
    Call(PendingCall),
    Command(Command),
}

/// The sources of a process.
pub(super) struct Inbox<'a> {
    transport: &'a dyn Transport,
    runtime: &'a dyn Runtime,
    // Kept over the rounds, so that waiting costs no new future.
    receiving: Boxed<'a, Result<Received, TransportError>>,
    completions: Option<Pin<Box<Receiver<Completion>>>>,
    calls: Option<Pin<Box<Receiver<PendingCall>>>>,
    commands: Pin<Box<Receiver<Command>>>,
    /// A sleep under way, and when it ends.
    sleep: Option<(Instant, Task)>,
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<'a> Inbox<'a> {
    pub(super) fn new(
        transport: &'a dyn Transport,
        runtime: &'a dyn Runtime,
        completions: Option<Receiver<Completion>>,
        calls: Option<Receiver<PendingCall>>,
        commands: Receiver<Command>,
    ) -> Self {
        Self {
            transport,
            runtime,
            receiving: transport.recv(),
            completions: completions.map(Box::pin),
            calls: calls.map(Box::pin),
            commands: Box::pin(commands),
            sleep: None,
        }
    }

    /// Waits until there is something, or it is `due`, and takes what is there. `hurry`: does not wait.
    /// Returns whether there may be more.
    ///
    /// # Errors
    /// If the transport was closed.
    pub(super) async fn take(
        &mut self,
        due: Option<Instant>,
        hurry: bool,
        arrivals: &mut Vec<Arrival>,
    ) -> Result<bool, DriverError> {
        poll_fn(|cx| {
            // The order in a round: what the disk has done releases what messages wait for.
            let more = self.poll_commands(cx, arrivals)
                | self.poll_completions(cx, arrivals)
                | self.poll_frames(cx, arrivals)?
                | self.poll_calls(cx, arrivals);
            let is_due = self.poll_sleep(cx, due).is_ready();
            if arrivals.is_empty() && !hurry && !is_due {
                return Poll::Pending;
            }
            Poll::Ready(Ok(more))
        })
        .await
    }

    fn poll_frames(
        &mut self,
        cx: &mut Context<'_>,
        arrivals: &mut Vec<Arrival>,
    ) -> Result<bool, DriverError> {
        let (mut frames, mut bytes) = (0, 0);
        while frames < ARRIVALS_MAX && bytes < FRAME_BYTES_MAX {
            let Poll::Ready(received) = self.receiving.as_mut().poll(cx) else {
                return Ok(false);
            };
            self.receiving = self.transport.recv();
            let received = received.map_err(|_| DriverError::TransportClosed)?;
            frames += received.frames.len();
            bytes += received.frames.iter().map(|f| f.len()).sum::<usize>();
            arrivals.push(Arrival::Frames(received));
        }
        Ok(true)
    }

    fn poll_completions(&mut self, cx: &mut Context<'_>, arrivals: &mut Vec<Arrival>) -> bool {
        let Some(completions) = &mut self.completions else {
            return false;
        };
        for _ in 0..ARRIVALS_MAX {
            match completions.as_mut().poll_next(cx) {
                Poll::Ready(Some(completion)) => arrivals.push(Arrival::Stored(completion)),
                // All threads have ended, and have told why.
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    fn poll_calls(&mut self, cx: &mut Context<'_>, arrivals: &mut Vec<Arrival>) -> bool {
        let Some(calls) = &mut self.calls else {
            return false;
        };
        for _ in 0..ARRIVALS_MAX {
            match calls.as_mut().poll_next(cx) {
                Poll::Ready(Some(call)) => arrivals.push(Arrival::Call(call)),
                // Nobody is left who could call; whoever called also ends the process.
                Poll::Ready(None) | Poll::Pending => return false,
            }
        }
        true
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>, arrivals: &mut Vec<Arrival>) -> bool {
        match self.commands.as_mut().poll_next(cx) {
            Poll::Ready(Some(command)) => arrivals.push(Arrival::Command(command)),
            // Whoever could have told it to stop has gone, and with it the reason to run.
            Poll::Ready(None) => arrivals.push(Arrival::Command(Command::Stop)),
            Poll::Pending => return false,
        }
        true
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
