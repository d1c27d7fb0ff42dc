//! SIGTERM and SIGINT: the first asks for an end in good order, the second for one at once. SIGHUP ends nothing.

use std::process;

use async_signal::{Signal, Signals};
use async_std::stream::StreamExt;
use futures_lite::FutureExt;

use crate::output::{Exit, Failure};
use crate::store::Store;

/// Signals that ask this process to end.
pub(crate) struct EndSignals(Signals);

impl EndSignals {
    /// Begins to watch; from now on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub(crate) fn watch() -> Result<Self, Failure> {
        Signals::new([Signal::Term, Signal::Int, Signal::Hup])
            .map(Self)
            .map_err(|error| Failure::broken("cannot watch for signals", &error))
    }

    /// Waits for the next one. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        while let Some(signal) = self.0.next().await {
            // A terminal that closes, or whoever has new certificates: `assemble::renewal` listens to it, too.
            if signal.is_ok_and(|signal| signal != Signal::Hup) {
                return;
            }
        }
        // The stream has no end; should it have one, no signal comes any more.
        std::future::pending().await
    }

    /// Runs a command that writes. The first signal ends its client, so that the command is told what became of its write, the
    /// second one ends the command.
    pub(crate) async fn heeded(
        &mut self,
        store: &Store,
        command: impl Future<Output = Result<Exit, Failure>>,
    ) -> Result<Exit, Failure> {
        let interrupted = async {
            self.next().await;
            store.interrupt().await;
            self.next().await;
            Err(Failure::Interrupted)
        };
        command.or(interrupted).await
    }
}

/// The first process of a container, which signals do not end by themselves.
const FIRST_PROCESS: u32 = 1;

/// Runs a command that a signal may end at any time, also where the system does not see to that.
pub(crate) async fn obeyed(
    command: impl Future<Output = Result<Exit, Failure>>,
) -> Result<Exit, Failure> {
    if process::id() != FIRST_PROCESS {
        return command.await;
    }
    let mut signals = EndSignals::watch()?;
    let interrupted = async {
        signals.next().await;
        Err(Failure::Interrupted)
    };
    interrupted.or(command).await
}
