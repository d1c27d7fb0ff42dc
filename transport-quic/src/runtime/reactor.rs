//! The thread that runs tasks and, where there are none, waits: for a socket, for a timer, for another thread's call.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use async_executor::Executor;
use mio::event::Event;
use mio::{Events, Interest, Poll, Registry, Token};
use tracing::error;

use super::timers::Timers;
use super::udp::Watched;

/// What other threads call with.
const ALARM: Token = Token(0);

/// Taken from the system in one go; more wait for the next.
const EVENTS_MAX: usize = 64;

/// The pause after the system has refused to wait.
const REFUSAL_PAUSE: Duration = Duration::from_millis(10);

/// What the thread waits with, and what calls it.
pub(super) fn new() -> io::Result<(Poll, Arc<Alarm>, Sockets)> {
    let poll = Poll::new()?;
    let alarm = Alarm {
        waker: mio::Waker::new(poll.registry(), ALARM)?,
        has_rung: AtomicBool::new(false),
        is_asleep: AtomicBool::new(false),
    };
    let sockets = Sockets {
        registry: Arc::new(poll.registry().try_clone()?),
        table: Arc::default(),
    };
    Ok((poll, Arc::new(alarm), sockets))
}

/// Runs for ever.
pub(super) fn run(
    executor: &Executor<'_>,
    timers: &Timers,
    sockets: &Sockets,
    alarm: &Arc<Alarm>,
    mut poll: Poll,
) {
    let waker = Waker::from(Arc::clone(alarm));
    let mut cx = Context::from_waker(&waker);
    // Comes back when no task can go on; now and then before.
    let mut tasks = pin!(executor.run(pending::<()>()));
    let mut events = Events::with_capacity(EVENTS_MAX);
    loop {
        alarm.has_rung.store(false, Ordering::SeqCst);
        let _never = tasks.as_mut().poll(&mut cx);
        timers.fire(Instant::now());
        let waited = alarm.asleep(|has_rung| {
            let patience = if has_rung {
                Some(Duration::ZERO)
            } else {
                let next = timers.next();
                next.map(|at| at.saturating_duration_since(Instant::now()))
            };
            poll.poll(&mut events, patience)
        });
        match waited {
            Ok(()) => events.iter().for_each(|event| sockets.on_event(event)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                error!(%error, "the system does not let this program wait for its sockets");
                thread::sleep(REFUSAL_PAUSE);
            }
        }
    }
}

/// Calls the thread from wherever it is.
#[derive(Debug)]
pub(super) struct Alarm {
    waker: mio::Waker,
    /// There is something to do.
    has_rung: AtomicBool,
    /// The thread waits, or is about to.
    is_asleep: AtomicBool,
}

impl Alarm {
    /// Waits by `sleep`, which is told whether there is something to do already.
    fn asleep<T>(&self, sleep: impl FnOnce(bool) -> T) -> T {
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

/// The sockets that are waited for; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Sockets {
    registry: Arc<Registry>,
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    last: usize,
    sockets: BTreeMap<Token, Arc<Watched>>,
}

impl Sockets {
    /// Begins to wait for packets.
    pub(super) fn add(&self, watched: Arc<Watched>) -> io::Result<Token> {
        let mut table = self.lock();
        table.last += 1;
        let token = Token(table.last);
        self.registry
            .register(&mut *watched.socket(), token, Interest::READABLE)?;
        table.sockets.insert(token, watched);
        Ok(token)
    }

    /// Waits for room as well, until there is some: each packet that leaves makes room, which is news only to somebody
    /// who waits for it.
    pub(super) fn watch_room(&self, watched: &Watched, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry
            .reregister(&mut *watched.socket(), token, both)
    }

    /// Ends the wait.
    pub(super) fn remove(&self, token: Token) {
        if let Some(watched) = self.lock().sockets.remove(&token) {
            // Fails only if the system has forgotten the socket itself.
            let _ = self.registry.deregister(&mut *watched.socket());
        }
    }

    fn on_event(&self, event: &Event) {
        let token = event.token();
        let watched = self.lock().sockets.get(&token).cloned();
        let Some(watched) = watched else {
            return;
        };
        // What is wrong with the socket, its next use tells.
        if event.is_readable() || event.is_error() {
            watched.on_readable();
        }
        if event.is_writable() || event.is_error() {
            let only = Interest::READABLE;
            if let Err(error) = self
                .registry
                .reregister(&mut *watched.socket(), token, only)
            {
                error!(%error, "the system does not go on watching a socket");
            }
            watched.on_writable();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
