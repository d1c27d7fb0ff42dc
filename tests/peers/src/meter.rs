//! What the clients learned, and the CPU time it took, while it is measured.

use std::time::Duration;

use hdrhistogram::Histogram;
use lockstep_bench::latencies::millis;
use lockstep_bench::tally::{Cause, Kind, Measured, Tally};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::cpu::Sample;
use crate::lane::{Failure, Request};
use crate::work;

/// One thread counts for all clients.
const CLIENT: usize = 0;

/// Counts what is done between [`Meter::start`] and [`Meter::stop`].
pub(crate) struct Meter {
    tally: Tally,
    first_error: Option<String>,
    /// `None` during the warm-up.
    begin: Option<Sample>,
}

impl Meter {
    /// Nothing counts yet, except failures.
    pub(crate) fn new() -> Self {
        Self {
            tally: Tally::default(),
            first_error: None,
            begin: None,
        }
    }

    /// A batch came to its end.
    pub(crate) fn on_end(
        &mut self,
        kind: work::Kind,
        batch: &[Request],
        outcome: Result<(), Failure>,
    ) {
        if let Err(failure) = outcome {
            self.first_error.get_or_insert_with(|| failure.to_string());
            for _ in batch {
                self.tally.failed(CLIENT, Cause::Unknown);
            }
            return;
        }
        let measured = match self.begin {
            Some(_) => Measured::Yes,
            None => Measured::WarmUp,
        };
        let end = Instant::now();
        for request in batch {
            let latency = end - request.since;
            self.tally.done(CLIENT, kind.counted(), latency, measured);
        }
    }

    /// The warm-up is over.
    pub(crate) fn start(&mut self, begin: Sample) {
        self.begin = Some(begin);
    }

    /// Ends the measurement: the results, called as `lockstep bench` calls them.
    pub(crate) fn stop(&mut self, end: &Sample) -> Map<String, Value> {
        let begin = self
            .begin
            .take()
            .expect("a measurement that is stopped was started");
        let used = end.since(&begin);
        let seconds = used.time.as_secs_f64();
        let kinds = [Kind::Read, Kind::Write].map(|kind| (kind, self.tally.latencies(kind)));
        let operations: u64 = kinds.iter().map(|(_, latencies)| latencies.len()).sum();
        // Not a number, and so null, where nothing was done.
        let each = |time: Duration| json!(time.as_secs_f64() * 1e6 / operations as f64);
        let kinds = kinds.iter();
        let kinds = kinds.filter(|(_, latencies)| !latencies.is_empty());
        let kinds: Map<String, Value> = kinds
            .map(|(kind, latencies)| (kind.name().to_owned(), kind_json(latencies)))
            .collect();
        let results = [
            ("seconds", json!(seconds)),
            ("operations", json!(operations)),
            ("operations_per_second", json!(operations as f64 / seconds)),
            ("kinds", json!(kinds)),
            (
                "errors",
                json!({ "count": self.tally.totals().errors.total(), "first": self.first_error }),
            ),
            ("client_cpu_us", each(used.client)),
            ("server_cpu_us", each(used.nodes)),
        ];
        results
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

fn kind_json(latencies: &Histogram<u64>) -> Value {
    let quantile = |quantile: f64| millis(latencies.value_at_quantile(quantile));
    json!({
        "operations": latencies.len(),
        "latency_ms": {
            "p50": quantile(0.5),
            "p99": quantile(0.99),
            "p99.9": quantile(0.999),
            "max": millis(latencies.max()),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::WindowArgs;

    fn sample() -> Sample {
        let client = std::process::id();
        Sample::take(&WindowArgs {
            duration: Duration::ZERO,
            warm_up: Duration::ZERO,
            pids: Vec::new(),
            client,
        })
        .unwrap()
    }

    fn batch(size: usize) -> Vec<Request> {
        let since = Instant::now() - Duration::from_millis(100);
        std::iter::repeat_with(|| Request {
            since,
            key: "".into(),
            value: "".into(),
        })
        .take(size)
        .collect()
    }

    #[test]
    fn operations_count_from_the_start_on_and_failures_always() {
        let mut meter = Meter::new();
        meter.on_end(work::Kind::Put, &batch(5), Ok(()));
        meter.on_end(work::Kind::Put, &batch(2), Err(Failure::NotFound));
        meter.start(sample());
        meter.on_end(work::Kind::Put, &batch(3), Ok(()));
        meter.on_end(work::Kind::Get, &batch(4), Ok(()));
        meter.on_end(work::Kind::Put, &batch(1), Err(Failure::NoOrder));
        let results = meter.stop(&sample());
        assert_eq!(results["operations"], 7);
        assert_eq!(results["errors"]["count"], 3);
        assert_eq!(results["errors"]["first"], Failure::NotFound.to_string());
        assert_eq!(results["kinds"]["write"]["operations"], 3);
        let read = &results["kinds"]["read"];
        assert_eq!(read["operations"], 4);
        let p50 = read["latency_ms"]["p50"].as_f64();
        assert!(p50.is_some_and(|p50| p50 >= 99.0), "{read}");
    }
}
