//! How long operations took: histograms in nanoseconds, whose steps are a thousandth of the value wherever it lies.

use std::time::Duration;

use hdrhistogram::Histogram;

/// What is shorter or longer is counted as these.
const SHORTEST: Duration = Duration::from_nanos(128);
const LONGEST: Duration = Duration::from_secs(300);
/// Decimal digits that are kept.
const DIGITS: u8 = 3;

/// An empty one.
pub fn histogram() -> Histogram<u64> {
    let (low, high) = (SHORTEST.as_nanos() as u64, LONGEST.as_nanos() as u64);
    Histogram::new_with_bounds(low, high, DIGITS).expect("the bounds are in order")
}

/// Counts one.
pub fn record(latencies: &mut Histogram<u64>, latency: Duration) {
    latencies.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
}

/// A value of a histogram in milliseconds.
pub fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_hundred() {
        let mut latencies = histogram();
        for number in 1..=100 {
            record(&mut latencies, Duration::from_millis(number));
        }
        let check = |share: f64, expected: f64| {
            let found = millis(latencies.value_at_quantile(share));
            assert!(
                (found - expected).abs() <= expected / 1e3,
                "{share}: {found}"
            );
        };
        check(0.5, 50.0);
        check(0.99, 99.0);
        check(1.0, 100.0);
    }

    #[test]
    fn what_lies_beyond_the_bounds_is_counted_at_them() {
        let mut latencies = histogram();
        record(&mut latencies, Duration::ZERO);
        record(&mut latencies, Duration::MAX);
        assert_eq!(latencies.len(), 2);
        assert!(millis(latencies.max()) >= LONGEST.as_secs_f64() * 1e3);
    }
}
