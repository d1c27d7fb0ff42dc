//! When operations begin: as soon as a client is free (closed loop), or at fixed times (open loop).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// When operations begin, and when no more do.
#[derive(Debug)]
pub struct Schedule {
    begun: Instant,
    /// `None`: until it is ended.
    length: Option<Duration>,
    pace: Pace,
    is_ended: AtomicBool,
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
    pub fn begin(length: Duration, rate: Option<u64>) -> Self {
        let pace = match rate {
            None => Pace::Closed,
            Some(rate) => Pace::Open {
                rate,
                next: AtomicU64::new(0),
            },
        };
        Self::new(Some(length), pace)
    }

    /// Begins now, as many operations as clients achieve, until it is ended.
    pub fn endless() -> Self {
        Self::new(None, Pace::Closed)
    }

    fn new(length: Option<Duration>, pace: Pace) -> Self {
        Self {
            begun: Instant::now(),
            length,
            pace,
            is_ended: AtomicBool::new(false),
        }
    }

    /// When it began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// The next operation that a client may begin: the time when it is due, from which its latency counts. `None` when
    /// there are no more.
    ///
    /// - If it is due later, the client waits until then, and begins nothing if the schedule was ended meanwhile.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        if self.is_over(now) {
            return None;
        }
        let due = match &self.pace {
            Pace::Closed => return Some(now),
            Pace::Open { rate, next } => {
                self.begun + due(next.fetch_add(1, Ordering::Relaxed), *rate)
            }
        };
        (!self.is_behind(due)).then_some(due)
    }

    /// No more operations begin.
    pub fn end(&self) {
        self.is_ended.store(true, Ordering::Relaxed);
    }

    /// Was it ended, whether or not its time is over?
    pub fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Relaxed)
    }

    /// Do no more operations begin?
    pub fn is_over(&self, now: Instant) -> bool {
        self.is_ended() || self.is_behind(now)
    }

    /// Does this lie behind its time?
    fn is_behind(&self, moment: Instant) -> bool {
        self.length
            .is_some_and(|length| moment >= self.begun + length)
    }

    /// Operations that were due within `length` of the beginning, and that no client was free to begin. To be asked when
    /// all clients have ended.
    pub fn not_begun(&self, length: Duration) -> u64 {
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

    const LENGTH: Duration = Duration::from_secs(10);

    #[test]
    fn operations_are_due_at_equal_distances() {
        assert_eq!(due(0, 3), Duration::ZERO);
        assert_eq!(due(1, 3), Duration::from_nanos(333_333_333));
        assert_eq!(due(3_000_001, 3), Duration::new(1_000_000, 333_333_333));
        assert_eq!(due(10_000_000, 10_000_000), Duration::from_secs(1));
    }

    #[test]
    fn a_client_that_comes_late_is_told_when_it_should_have_come() {
        let schedule = Schedule::begin(LENGTH, Some(100));
        let begun = schedule.begun();
        for number in 0..400 {
            let due = schedule.next(begun + LENGTH / 2);
            assert_eq!(due, Some(begun + Duration::from_millis(10 * number)));
        }
    }

    #[test]
    fn a_client_that_comes_early_is_told_when_to_begin() {
        let schedule = Schedule::begin(LENGTH, Some(100));
        let begun = schedule.begun();
        for number in 0..1_000 {
            let due = schedule.next(begun);
            assert_eq!(due, Some(begun + Duration::from_millis(10 * number)));
        }
        assert_eq!(schedule.next(begun), None, "it would be due behind the end");
    }

    #[test]
    fn what_was_due_and_not_begun_is_counted() {
        let schedule = Schedule::begin(LENGTH, Some(100));
        let begun = schedule.begun();
        assert!(schedule.next(begun).is_some());
        assert_eq!(schedule.next(begun + LENGTH), None);
        assert_eq!(schedule.not_begun(LENGTH), 999);
    }

    #[test]
    fn whoever_begins_in_the_closed_loop_begins_now() {
        let schedule = Schedule::begin(LENGTH, None);
        let now = schedule.begun() + LENGTH / 2;
        assert_eq!(schedule.next(now), Some(now));
        assert_eq!(schedule.not_begun(LENGTH), 0);
        assert_eq!(schedule.next(schedule.begun() + LENGTH), None);
    }

    #[test]
    fn nothing_begins_behind_the_end() {
        let schedules = [
            Schedule::begin(LENGTH, None),
            Schedule::begin(LENGTH, Some(1_000_000)),
            Schedule::endless(),
        ];
        for schedule in schedules {
            let now = schedule.begun() + LENGTH / 2;
            assert!(schedule.next(now).is_some());
            assert!(!schedule.is_over(now));
            schedule.end();
            assert_eq!(schedule.next(now), None);
            assert!(schedule.is_over(now));
        }
    }
}
