//! Timers: who is to be woken when.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use quinn::AsyncTimer;

use super::alarm::Alarm;

/// All timers that somebody waits for; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    waiting: Arc<Mutex<BTreeMap<Entry, Waker>>>,
    alarm: Arc<Alarm>,
}

/// When, and which timer.
type Entry = (Instant, u64);

impl Timers {
    pub(super) fn new(alarm: Arc<Alarm>) -> Self {
        Self {
            waiting: Arc::default(),
            alarm,
        }
    }

    /// Wakes those that are due.
    pub(super) fn fire(&self, now: Instant) {
        let due = {
            let mut waiting = self.lock();
            if waiting
                .first_key_value()
                .is_none_or(|((at, _), _)| now < *at)
            {
                return;
            }
            let later = waiting.split_off(&(now, u64::MAX));
            std::mem::replace(&mut *waiting, later)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.lock().first_key_value().map(|((at, _), _)| *at)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Entry, Waker>> {
        // A clone of a waker could panic, between two changes only.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One timer.
///
/// - It may be in the table for an earlier time than `at`: QUIC puts its timers off with every packet, and to be woken
///   once for nothing costs less than to move the entry each time.
#[derive(Debug)]
pub(super) struct Timer {
    timers: Timers,
    number: u64,
    at: Instant,
    entered: Option<Instant>,
}

impl Timer {
    pub(super) fn new(timers: Timers, at: Instant) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Self {
            timers,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            at,
            entered: None,
        }
    }

    fn move_to(&mut self, at: Instant) {
        self.at = at;
        if self.entered.is_some_and(|entered| at < entered) {
            self.withdraw();
        }
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.at <= Instant::now() {
            self.withdraw();
            return Poll::Ready(());
        }
        let mut waiting = self.timers.lock();
        if let Some(entered) = self.entered
            && let Some(waker) = waiting.get_mut(&(entered, self.number))
        {
            waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        waiting.insert((self.at, self.number), cx.waker().clone());
        self.entered = Some(self.at);
        let is_first = waiting.first_key_value().map(|(entry, _)| entry.1) == Some(self.number);
        drop(waiting);
        if is_first {
            // Who waits, waits too long.
            self.timers.alarm.rouse();
        }
        Poll::Pending
    }

    fn withdraw(&mut self) {
        if let Some(entered) = self.entered.take() {
            self.timers.lock().remove(&(entered, self.number));
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_due(cx)
    }
}

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        self.move_to(at);
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_due(cx)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.withdraw();
    }
}
