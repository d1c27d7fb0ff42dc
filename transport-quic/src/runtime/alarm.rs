//! Calls the thread that waits, from wherever it is.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use mio::{Registry, Token};
use tracing::error;

/// Ends a wait of the reactor.
#[derive(Debug)]
pub(super) struct Alarm {
    waker: mio::Waker,
    /// There is something to do.
    has_rung: AtomicBool,
    /// The thread waits, or is about to.
    is_asleep: AtomicBool,
}

impl Alarm {
    /// An alarm that ends waits at `registry`, with the event `token`.
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        Ok(Self {
            waker: mio::Waker::new(registry, token)?,
            has_rung: AtomicBool::new(false),
            is_asleep: AtomicBool::new(false),
        })
    }

    /// What it has rung for is about to be done.
    pub(super) fn reset(&self) {
        self.has_rung.store(false, Ordering::SeqCst);
    }

    /// Waits by `sleep`, which is told whether there is something to do already.
    pub(super) fn asleep<T>(&self, sleep: impl FnOnce(bool) -> T) -> T {
        // Who rings behind this line sees the sleeper; who rang before it is seen.
        self.is_asleep.store(true, Ordering::SeqCst);
        let slept = sleep(self.has_rung.load(Ordering::SeqCst));
        self.is_asleep.store(false, Ordering::SeqCst);
        slept
    }

    /// Ends the wait, if there is one.
    pub(super) fn rouse(&self) {
        // Once is enough for a wait.
        if self.is_asleep.swap(false, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            error!(%error, "the system does not let this program wake its thread");
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::SeqCst);
        self.rouse();
    }
}
