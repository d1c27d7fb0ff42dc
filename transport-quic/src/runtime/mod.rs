//! What QUIC, its connections and the processes over it run on: an executor whose thread also waits for the socket.
//!
//! A packet then goes through QUIC to the process, and the answer back to the socket, on one thread. With async-std's
//! reactor another thread would wait for the socket as soon as the executor is busy, and every packet that comes meanwhile
//! would cost two hand-overs; on small machines those are most of what a lone request costs.

mod alarm;
mod reactor;
mod sockets;
#[cfg(test)]
mod tests;
mod timers;
mod udp;
mod watched;

use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::num::NonZero;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use async_executor::Executor;
use futures_lite::{FutureExt, future};
use lockstep_core::runtime::Task;
use quinn::{AsyncTimer, AsyncUdpSocket};
use tracing::error;

use self::reactor::Reactor;
use self::sockets::Sockets;
use self::timers::{Timer, Timers};

/// Processors for each thread. A message passes through several short tasks on its way, and waking another thread for each
/// costs more than all of them; the disk has threads of its own, and other programs run beside this one.
const PROCESSORS_PER_THREAD: usize = 4;

/// The runtime of all transports of the program; cheap to clone.
#[derive(Clone)]
pub(crate) struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    executor: Executor<'static>,
    timers: Timers,
    sockets: Sockets,
}

impl Runtime {
    /// The runtime, which is started when it is first asked for and then lasts.
    ///
    /// # Errors
    /// The system gives no thread, or nothing to wait with.
    pub(crate) fn get() -> io::Result<Self> {
        static RUNTIME: Mutex<Option<Runtime>> = Mutex::new(None);
        let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*runtime {
            return Ok(runtime.clone());
        }
        Ok(runtime.insert(Self::start()?).clone())
    }

    fn start() -> io::Result<Self> {
        let reactor = Reactor::new()?;
        let shared = Arc::new(Shared {
            executor: Executor::new(),
            timers: reactor.timers.clone(),
            sockets: reactor.sockets.clone(),
        });
        let waiting = Arc::clone(&shared);
        let name = || thread::Builder::new().name("lockstep-quic".to_owned());
        name().spawn(move || reactor.run(&waiting.executor))?;
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        for _ in 1..(processors / PROCESSORS_PER_THREAD).max(1) {
            let helping = Arc::clone(&shared);
            name().spawn(move || future::block_on(helping.executor.run(pending::<()>())))?;
        }
        Ok(Self { shared })
    }

    /// Runs `task` to its end.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let guarded = async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                error!("a task panicked, please report it");
            }
        };
        self.shared.executor.spawn(guarded).detach();
    }

    /// Waits until it is `at`.
    pub(crate) async fn until(&self, at: Instant) {
        self.timer(at).await;
    }

    fn timer(&self, at: Instant) -> Timer {
        Timer::new(self.shared.timers.clone(), at)
    }
}

impl lockstep_core::runtime::Runtime for Runtime {
    fn spawn(&self, task: Task) {
        self.spawn(task);
    }

    fn sleep(&self, time: Duration) -> Task {
        Box::pin(self.timer(Instant::now() + time))
    }
}

impl quinn::Runtime for Runtime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        Box::pin(self.timer(at))
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.spawn(future);
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(udp::Socket::new(&self.shared.sockets, socket)?))
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}
