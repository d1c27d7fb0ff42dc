//! How long writes took, in bounded memory: a histogram whose buckets are at most 3 % wide.

use std::time::Duration;

/// Buckets between a power of two and the next.
const STEPS: u64 = 32;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Enough for any number of microseconds.
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) * STEPS as usize;

/// Counts durations.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    longest: Duration,
}

impl Latencies {
    /// None counted.
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            longest: Duration::ZERO,
        }
    }

    /// Counts one.
    pub(crate) fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.longest = self.longest.max(latency);
    }

    /// The duration that `share` of all (0 to 1) do not exceed, rounded up by at most 3 %; `None` if there are none.
    pub(crate) fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut passed = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            passed += count;
            if passed >= rank {
                return Some(Duration::from_micros(upper(index)).min(self.longest));
            }
        }
        None
    }

    /// The longest one.
    pub(crate) fn longest(&self) -> Option<Duration> {
        (self.count > 0).then_some(self.longest)
    }
}

fn bucket(micros: u64) -> usize {
    let power = (u64::BITS - micros.leading_zeros()).saturating_sub(STEP_BITS + 1);
    // Below 2 * STEPS each number has a bucket of its own; above, each power of two is cut into STEPS.
    let index = u64::from(power) * STEPS + (micros >> power);
    usize::try_from(index).expect("an index below BUCKETS")
}

/// The largest number of a bucket.
fn upper(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let power = index / STEPS - 1;
    let step = index % STEPS + STEPS;
    ((step + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_numbers_and_is_narrow() {
        for shift in 0..56 {
            for offset in [0, 1, 7] {
                let micros = (1_u64 << shift) + offset;
                let upper = upper(bucket(micros));
                assert!(upper >= micros, "{micros} is above its bucket's {upper}");
                assert!(
                    upper - micros <= micros / STEPS,
                    "{micros} is reported as {upper}"
                );
            }
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn buckets_ascend_with_the_numbers() {
        let mut last = 0;
        for micros in 0..100_000 {
            let next = bucket(micros);
            assert!(next == last || next == last + 1, "{micros}");
            last = next;
        }
    }

    #[test]
    fn quantiles_of_a_hundred() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.quantile(0.5), None);
        for millis in 1..=100 {
            latencies.add(Duration::from_millis(millis));
        }
        let near = |share: f64, millis: u64| {
            let found = latencies.quantile(share).unwrap();
            let exact = Duration::from_millis(millis);
            assert!(
                found >= exact && found <= exact.mul_f64(1.04),
                "{share}: {found:?}"
            );
        };
        near(0.5, 50);
        near(0.99, 99);
        assert_eq!(latencies.quantile(1.0), Some(Duration::from_millis(100)));
        assert_eq!(latencies.longest(), Some(Duration::from_millis(100)));
    }
}
