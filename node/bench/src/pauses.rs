//! How long nothing succeeded: the times between one success and the next, where they are long, and what failed when.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What fails beyond this is only counted.
const FAILURES_MAX: usize = 1 << 20;

/// Of reads or writes, by all clients together. All times count from the beginning.
#[derive(Debug)]
pub struct Pauses {
    begun: Instant,
    /// Shorter ones are not noted down.
    noted_from: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    last_success: Duration,
    long: Vec<Pause>,
    failures: Vec<Duration>,
    failures_all: u64,
}

/// A time without a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The last success before.
    pub from: Duration,
    /// The first one after, or the end.
    pub to: Duration,
}

impl Pause {
    /// How long it was.
    pub fn length(&self) -> Duration {
        self.to - self.from
    }
}

impl Pauses {
    /// Begins now. Pauses shorter than `noted_from` are of no interest.
    pub fn begin(begun: Instant, noted_from: Duration) -> Self {
        Self {
            begun,
            noted_from,
            inner: Mutex::default(),
        }
    }

    /// Something has succeeded.
    pub fn succeeded(&self, now: Instant) {
        let now = now.saturating_duration_since(self.begun);
        let mut inner = self.lock();
        let from = inner.last_success;
        if now.saturating_sub(from) >= self.noted_from {
            inner.long.push(Pause { from, to: now });
        }
        inner.last_success = inner.last_success.max(now);
    }

    /// Something that was due then has failed.
    pub fn failed(&self, due: Instant) {
        let mut inner = self.lock();
        inner.failures_all += 1;
        if inner.failures.len() < FAILURES_MAX {
            inner
                .failures
                .push(due.saturating_duration_since(self.begun));
        }
    }

    /// The longest pause of which a part lies between the two times; `None` if there was none worth noting.
    pub fn longest(&self, from: Duration, to: Duration) -> Option<Pause> {
        let inner = self.lock();
        let between = inner
            .long
            .iter()
            .filter(|pause| pause.from <= to && from <= pause.to);
        between.max_by_key(|pause| pause.length()).copied()
    }

    /// What failed of what was due between the two times.
    pub fn failures(&self, from: Duration, to: Duration) -> u64 {
        let inner = self.lock();
        let is_between = |due: &&Duration| (from..=to).contains(*due);
        inner.failures.iter().filter(is_between).count() as u64
    }

    /// Everything that failed.
    pub fn failures_all(&self) -> u64 {
        self.lock().failures_all
    }

    /// No more is to come: what has not succeeded since the last success is a pause as well.
    pub fn end(&self, now: Instant) {
        self.succeeded(now);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics with it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pauses() -> (Instant, Pauses) {
        let begun = Instant::now();
        (begun, Pauses::begin(begun, 50 * MS))
    }

    #[test]
    fn a_pause_is_between_two_successes() {
        let (begun, pauses) = pauses();
        for at in [10, 20, 700, 720, 760, 830] {
            pauses.succeeded(begun + at * MS);
        }
        let pause = |from, to| {
            let (from, to) = (from * MS, to * MS);
            Some(Pause { from, to })
        };
        assert_eq!(pauses.longest(Duration::ZERO, 1_000 * MS), pause(20, 700));
        assert_eq!(pauses.longest(300 * MS, 400 * MS), pause(20, 700));
        assert_eq!(pauses.longest(710 * MS, 1_000 * MS), pause(760, 830));
        assert_eq!(pauses.longest(710 * MS, 750 * MS), None);
    }

    #[test]
    fn what_never_succeeds_again_is_a_pause_to_the_end() {
        let (begun, pauses) = pauses();
        pauses.succeeded(begun + 10 * MS);
        pauses.end(begun + 500 * MS);
        let pause = pauses.longest(Duration::ZERO, 1_000 * MS).unwrap();
        assert_eq!(pause.length(), 490 * MS);
    }

    #[test]
    fn a_success_that_is_reported_late_does_not_turn_time_back() {
        let (begun, pauses) = pauses();
        pauses.succeeded(begun + 100 * MS);
        pauses.succeeded(begun + 90 * MS);
        pauses.succeeded(begun + 145 * MS);
        assert_eq!(pauses.longest(110 * MS, 1_000 * MS), None);
    }

    #[test]
    fn failures_count_when_they_were_due() {
        let (begun, pauses) = pauses();
        for at in [10, 20, 30] {
            pauses.failed(begun + at * MS);
        }
        assert_eq!(pauses.failures(15 * MS, 30 * MS), 2);
        assert_eq!(pauses.failures_all(), 3);
    }
}
