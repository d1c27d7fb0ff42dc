//! The parts by hand, with times of the test's own; and the threads, which are only asked whether they work at all.

use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};

use async_std::task::block_on;

use super::watched::Watched;
use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

/// Timers of a thread that does not run, and who is woken.
struct Stage {
    timers: Timers,
    begin: Instant,
    woken: Arc<Count>,
}

impl Stage {
    fn new() -> Self {
        Self {
            timers: Reactor::new().unwrap().timers,
            begin: Instant::now(),
            woken: Arc::default(),
        }
    }

    /// Never comes while the test runs.
    fn hour(&self, number: u32) -> Instant {
        self.begin + number * Duration::from_secs(3600)
    }

    fn timer(&self, hour: u32) -> Timer {
        Timer::new(self.timers.clone(), self.hour(hour))
    }

    fn poll(&self, timer: &mut Timer) -> Poll<()> {
        let waker = Waker::from(Arc::clone(&self.woken));
        Future::poll(Pin::new(timer), &mut Context::from_waker(&waker))
    }
}

fn move_to(timer: &mut Timer, at: Instant) {
    AsyncTimer::reset(Pin::new(timer), at);
}

#[test]
fn timers_wake_when_they_are_due() {
    let stage = Stage::new();
    let (mut second, mut first) = (stage.timer(2), stage.timer(1));
    assert!(stage.poll(&mut second).is_pending());
    assert_eq!(stage.timers.next(), Some(stage.hour(2)));
    assert!(stage.poll(&mut first).is_pending());
    assert_eq!(stage.timers.next(), Some(stage.hour(1)));
    stage.timers.fire(stage.hour(1) - Duration::from_nanos(1));
    assert_eq!(stage.woken.get(), 0);
    stage.timers.fire(stage.hour(1));
    assert_eq!(stage.woken.get(), 1);
    assert_eq!(stage.timers.next(), Some(stage.hour(2)));
    stage.timers.fire(stage.hour(3));
    assert_eq!((stage.woken.get(), stage.timers.next()), (2, None));
}

#[test]
fn a_timer_of_the_past_is_due_at_once() {
    let stage = Stage::new();
    assert!(stage.poll(&mut stage.timer(0)).is_ready());
    assert_eq!(stage.timers.next(), None);
}

#[test]
fn a_timer_that_is_put_off_stays_where_it_is_until_it_is_looked_at() {
    let stage = Stage::new();
    let mut timer = stage.timer(1);
    assert!(stage.poll(&mut timer).is_pending());
    move_to(&mut timer, stage.hour(5));
    assert!(stage.poll(&mut timer).is_pending());
    assert_eq!(stage.timers.next(), Some(stage.hour(1)));
    stage.timers.fire(stage.hour(1));
    assert_eq!(stage.woken.get(), 1, "for nothing");
    assert!(stage.poll(&mut timer).is_pending());
    assert_eq!(stage.timers.next(), Some(stage.hour(5)));
}

#[test]
fn a_timer_that_is_brought_forward_moves() {
    let stage = Stage::new();
    let mut timer = stage.timer(5);
    assert!(stage.poll(&mut timer).is_pending());
    move_to(&mut timer, stage.hour(1));
    assert!(stage.poll(&mut timer).is_pending());
    assert_eq!(stage.timers.next(), Some(stage.hour(1)));
    move_to(&mut timer, stage.begin);
    assert!(stage.poll(&mut timer).is_ready());
    assert_eq!(stage.timers.next(), None);
}

#[test]
fn nobody_is_woken_for_a_timer_that_is_gone() {
    let stage = Stage::new();
    let mut timer = stage.timer(1);
    assert!(stage.poll(&mut timer).is_pending());
    drop(timer);
    assert_eq!(stage.timers.next(), None);
}

#[test]
fn all_who_wait_for_room_in_a_socket_go_on_when_there_is_some() {
    let socket = mio::net::UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let watched = Watched::new(socket);
    let woken = [Arc::new(Count::default()), Arc::new(Count::default())];
    let poll = |count: &Arc<Count>| {
        let waker = Waker::from(Arc::clone(count));
        watched.poll_room(&Context::from_waker(&waker))
    };
    assert!(poll(&woken[0]).is_ready(), "until it says otherwise");
    watched.on_full();
    assert!(woken.iter().all(|count| poll(count).is_pending()));
    watched.on_writable();
    assert!(woken.iter().all(|count| count.get() == 1));
    assert!(woken.iter().all(|count| poll(count).is_ready()));
}

#[test]
fn packets_that_came_before_somebody_waits_are_not_waited_for() {
    let socket = mio::net::UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let watched = Watched::new(socket);
    let woken = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&woken));
    let poll = || watched.poll_readable(&Context::from_waker(&waker));
    watched.on_readable();
    assert!(poll().is_ready());
    assert!(poll().is_pending(), "that news is known");
    watched.on_readable();
    assert_eq!(woken.get(), 1);
    assert!(poll().is_pending(), "who was woken has looked");
}

#[test]
fn tasks_run_and_pause_and_what_panics_takes_nothing_along() {
    let runtime = Runtime::get().unwrap();
    runtime.spawn(async { panic!("one of the tasks") });
    let (sender, receiver) = async_channel::bounded(1);
    let pause = lockstep_core::runtime::Runtime::sleep(&runtime, Duration::from_millis(1));
    let begin = Instant::now();
    runtime.spawn(async move {
        pause.await;
        sender.send(begin.elapsed()).await.unwrap();
    });
    assert!(block_on(receiver.recv()).unwrap() >= Duration::from_millis(1));
}
