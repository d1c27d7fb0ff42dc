//! When to dial next.

use std::time::{Duration, Instant};

use rand::Rng;

/// Pause before a dial that follows a failed one; doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(1000);

/// The pauses between dials of one peer. One counts from the beginning of the last try: a try that took long needs none
/// after it.
#[derive(Default)]
pub(crate) struct Backoff {
    pause: Duration,
    last: Option<Instant>,
}

impl Backoff {
    /// A try begins after the pause that is returned.
    pub(crate) fn begin(&mut self, now: Instant) -> Duration {
        let pause = self.last.map_or(Duration::ZERO, |last| {
            (last + self.pause).saturating_duration_since(now)
        });
        self.last = Some(now + pause);
        pause
    }

    /// The try has failed.
    pub(crate) fn grow(&mut self) {
        let doubled = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        // Jitter keeps peers that lost the same node from dialling it in step.
        self.pause = doubled.mul_f64(rand::rng().random_range(0.75..=1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_each_failure_up_to_a_second() {
        let mut backoff = Backoff::default();
        let now = Instant::now();
        assert_eq!(backoff.begin(now), Duration::ZERO, "nothing has failed");
        backoff.grow();
        assert!((PAUSE_MIN.mul_f64(0.75)..=PAUSE_MIN).contains(&backoff.pause));
        for _ in 0..20 {
            let before = backoff.pause;
            backoff.grow();
            assert!(backoff.pause >= before.min(PAUSE_MAX.mul_f64(0.75)));
            assert!(backoff.pause <= PAUSE_MAX);
        }
    }

    #[test]
    fn a_pause_counts_from_the_beginning_of_the_last_try() {
        let mut backoff = Backoff::default();
        let begin = Instant::now();
        backoff.begin(begin);
        backoff.grow();
        let pause = backoff.pause;
        let half = pause / 2;
        assert_eq!(backoff.begin(begin + half), pause - half);
        // That try begins when the pause is over, and takes longer than a pause.
        assert_eq!(backoff.begin(begin + pause * 3), Duration::ZERO);
    }
}
