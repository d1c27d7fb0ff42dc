//! When operations begin: as soon as a client is free (closed loop), or at fixed times (open loop).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_std::task;

/// When operations begin, and when no more do.
#[derive(Debug)]
pub(crate) struct Schedule {
    begun: Instant,
    length: Duration,
    pace: Pace,
    is_over: AtomicBool,
}

#[derive(Debug)]
enum Pace {
    Closed,
    Open {
        /// Operations a second.
        rate: u64,
        /// The next operation, from 0.
        next: AtomicU64,
    },
}

impl Schedule {
    /// Begins now. `rate`: operations due each second; `None`: as many as clients achieve.
    pub(crate) fn begin(length: Duration, rate: Option<u64>) -> Self {
        let pace = match rate {
            None => Pace::Closed,
            Some(rate) => Pace::Open {
                rate,
                next: AtomicU64::new(0),
            },
        };
        Self {
            begun: Instant::now(),
            length,
            pace,
            is_over: AtomicBool::new(false),
        }
    }

    /// When it began.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    /// Waits for the next operation that a client may begin: the time its latency counts from. `None` when there are no
    /// more.
    pub(crate) async fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        if self.is_over(now) {
            return None;
        }
        let due = match &self.pace {
            Pace::Closed => return Some(now),
            Pace::Open { rate, next } => {
                self.begun + due(next.fetch_add(1, Ordering::Relaxed), *rate)
            }
        };
        if due >= self.begun + self.length {
            return None;
        }
        if due > now {
            task::sleep(due - now).await;
        }
        (!self.is_over.load(Ordering::Relaxed)).then_some(due)
    }

    /// No more operations begin.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Do no more operations begin?
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.is_over.load(Ordering::Relaxed) || now >= self.begun + self.length
    }

    /// Operations that were due within `length` of the beginning, and that no client was free to begin. To be asked when
    /// all clients have ended.
    pub(crate) fn not_begun(&self, length: Duration) -> u64 {
        match &self.pace {
            Pace::Closed => 0,
            Pace::Open { rate, next } => {
                let all = (length.as_nanos() * u128::from(*rate)).div_ceil(1_000_000_000);
                let all = u64::try_from(all).unwrap_or(u64::MAX);
                all.saturating_sub(next.load(Ordering::Relaxed))
            }
        }
    }
}

/// When the operation of this number is due.
fn due(number: u64, rate: u64) -> Duration {
    let (seconds, rest) = (number / rate, number % rate);
    Duration::from_secs(seconds) + Duration::from_nanos(rest * 1_000_000_000 / rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_due_at_equal_distances() {
        assert_eq!(due(0, 3), Duration::ZERO);
        assert_eq!(due(1, 3), Duration::from_nanos(333_333_333));
        assert_eq!(due(3_000_001, 3), Duration::new(1_000_000, 333_333_333));
        assert_eq!(due(10_000_000, 10_000_000), Duration::from_secs(1));
    }

    #[test]
    fn a_client_that_comes_late_is_told_when_it_should_have_come() {
        task::block_on(async {
            let mut schedule = Schedule::begin(Duration::from_secs(10), Some(100));
            // As if nobody had come for five seconds.
            let past = schedule.begun.checked_sub(Duration::from_secs(5)).unwrap();
            schedule.begun = past;
            for number in 0..400 {
                let due = schedule.next().await.unwrap();
                assert_eq!(due, past + Duration::from_millis(10 * number));
            }
        });
    }

    #[test]
    fn what_was_due_and_not_begun_is_counted() {
        task::block_on(async {
            let mut schedule = Schedule::begin(Duration::from_secs(10), Some(100));
            schedule.next().await.unwrap();
            schedule.begun = schedule.begun.checked_sub(Duration::from_secs(11)).unwrap();
            assert_eq!(schedule.next().await, None);
            assert_eq!(schedule.not_begun(schedule.length), 999);
        });
    }

    #[test]
    fn whoever_begins_in_the_closed_loop_begins_now() {
        task::block_on(async {
            let mut schedule = Schedule::begin(Duration::from_secs(10), None);
            let before = Instant::now();
            assert!(schedule.next().await.unwrap() >= before);
            assert_eq!(schedule.not_begun(schedule.length), 0);
            schedule.begun = schedule.begun.checked_sub(Duration::from_secs(10)).unwrap();
            assert_eq!(schedule.next().await, None);
        });
    }

    #[test]
    fn nothing_begins_behind_the_end() {
        task::block_on(async {
            for rate in [None, Some(1_000_000)] {
                let schedule = Schedule::begin(Duration::from_secs(10), rate);
                assert!(schedule.next().await.is_some());
                schedule.end();
                assert_eq!(schedule.next().await, None);
            }
        });
    }
}
