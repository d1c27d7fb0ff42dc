//! The thread that runs tasks and, where there are none, waits: for a socket, for a timer, for another thread's call.

use std::future::{Future, pending};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use async_executor::Executor;
use mio::{Events, Poll, Token};
use tracing::error;

use super::alarm::Alarm;
use super::sockets::Sockets;
use super::timers::Timers;

/// What other threads call with; the sockets have the tokens above.
const ALARM: Token = Token(0);

/// Taken from the system in one go; more wait for the next.
const EVENTS_MAX: usize = 64;

/// The pause after the system has refused to wait.
const REFUSAL_PAUSE: Duration = Duration::from_millis(10);

/// What the thread waits with, and for.
pub(super) struct Reactor {
    poll: Poll,
    alarm: Arc<Alarm>,
    pub(super) timers: Timers,
    pub(super) sockets: Sockets,
}

impl Reactor {
    pub(super) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let alarm = Arc::new(Alarm::new(poll.registry(), ALARM)?);
        let sockets = Sockets::new(poll.registry().try_clone()?, ALARM);
        Ok(Self {
            poll,
            timers: Timers::new(Arc::clone(&alarm)),
            alarm,
            sockets,
        })
    }

    /// Runs the tasks of `executor`, for ever.
    pub(super) fn run(self, executor: &Executor<'_>) {
        let Self {
            mut poll,
            alarm,
            timers,
            sockets,
        } = self;
        let waker = Waker::from(Arc::clone(&alarm));
        let mut cx = Context::from_waker(&waker);
        // Comes back when no task can go on; now and then before.
        let mut tasks = pin!(executor.run(pending::<()>()));
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            alarm.reset();
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
}
