//! What a bench says at the end, to people and to programs.

use std::time::Duration;

use hdrhistogram::Histogram;
use lockstep_bench::latencies::millis;
use lockstep_bench::tally::{Errors, Kind, Totals};
use serde_json::{Value as Json, json};

use crate::bench::costs::Costs;
use crate::bench::keys_left::KeysLeft;
use crate::bench::settings::Settings;
use crate::output;

/// The quantiles that are told, with what they are called.
const QUANTILES: [(&str, f64); 6] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

/// What came of a bench.
pub(crate) struct Outcome {
    /// What it was to do.
    pub(crate) settings: Settings,
    /// The keys that were written first.
    pub(crate) filled: Option<Filled>,
    /// How long was measured.
    pub(crate) seconds: f64,
    /// The user ended it early.
    pub(crate) is_interrupted: bool,
    /// Operations that succeeded in this time.
    pub(crate) operations: u64,
    /// Operations that did not.
    pub(crate) errors: Errors,
    /// The first of them.
    pub(crate) first_error: Option<String>,
    /// Operations that were due, the warm-up included, and that no client was free to begin.
    pub(crate) not_begun: u64,
    /// By kind.
    pub(crate) kinds: Vec<KindResult>,
    /// By second.
    pub(crate) series: Vec<Second>,
    /// What was looked at besides, for people and for programs; `None` if nothing was.
    pub(crate) besides: Option<(String, Json)>,
    /// What it cost the nodes.
    pub(crate) costs: Costs,
    /// What was read back; `None` if nothing was to be.
    pub(crate) verified: Option<Verified>,
    /// Reads that did not give what was written, during the run and at its end.
    pub(crate) mismatches: u64,
    /// The first of them.
    pub(crate) examples: Vec<String>,
    /// What became of the keys it wrote.
    pub(crate) keys: KeysLeft,
    /// Writes that may or may not have taken effect.
    pub(crate) unknown_writes: u64,
}

/// The keys that were written first.
pub(crate) struct Filled {
    /// How many.
    pub(crate) keys: u64,
    /// In what time.
    pub(crate) seconds: f64,
}

/// The keys that were read back.
pub(crate) struct Verified {
    /// How many.
    pub(crate) keys: u64,
    /// In what time.
    pub(crate) seconds: f64,
}

/// What came of the operations of one kind.
pub(crate) struct KindResult {
    /// Which.
    pub(crate) kind: Kind,
    /// Those that succeeded in the time that was measured.
    pub(crate) operations: u64,
    /// Of those that were due in this time.
    pub(crate) latencies: Histogram<u64>,
}

/// What was done in about a second.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Second {
    /// When it ended, from the beginning of the warm-up on.
    at: f64,
    operations_per_second: f64,
    errors: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Second {
    /// `at`: its end. `length`: its true length.
    pub(crate) fn new(
        at: Duration,
        length: Duration,
        done: &Totals,
        latencies: &Histogram<u64>,
    ) -> Self {
        Self {
            at: at.as_secs_f64(),
            operations_per_second: per_second(done.operations(), length.as_secs_f64()),
            errors: done.errors.total(),
            p50_ms: millis(latencies.value_at_quantile(0.5)),
            p99_ms: millis(latencies.value_at_quantile(0.99)),
            max_ms: millis(latencies.max()),
        }
    }

    /// For people, on a line.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{:>6.1} s  {:>9} operations/s  p50 {:>8}  p99 {:>8}  max {:>8} ms",
            self.at,
            output::count(self.operations_per_second as u64),
            in_words(self.p50_ms),
            in_words(self.p99_ms),
            in_words(self.max_ms),
        );
        if self.errors > 0 {
            text.push_str(&format!("  {} errors", output::count(self.errors)));
        }
        text
    }

    fn json(&self) -> Json {
        json!({
            "at": output::round(self.at),
            "operations_per_second": output::round(self.operations_per_second),
            "errors": self.errors,
            "p50_ms": output::round(self.p50_ms),
            "p99_ms": output::round(self.p99_ms),
            "max_ms": output::round(self.max_ms),
        })
    }
}

impl Outcome {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{}\n{} operations/s: {} in {:.1} s{}, {} errors\n",
            self.settings.text(),
            output::count(per_second(self.operations, self.seconds) as u64),
            output::count(self.operations),
            self.seconds,
            if self.is_interrupted {
                " (interrupted)"
            } else {
                ""
            },
            output::count(self.errors.total()),
        );
        if self.not_begun > 0 {
            text.push_str(&format!(
                "{} operations were due and not begun: all clients were waiting, the cluster does not keep up with this rate\n",
                output::count(self.not_begun)
            ));
        }
        if let Some(error) = &self.first_error {
            text.push_str(&format!(
                "errors: {} rejected, {} unknown, {} unreachable; the first: {error}\n",
                self.errors.rejected, self.errors.unknown, self.errors.unreachable
            ));
        }
        text.push('\n');
        text.push_str(&self.table());
        text.push('\n');
        if let Some((besides, _)) = &self.besides {
            text.push_str(besides);
            text.push('\n');
        }
        let costs = self.costs.table();
        if !costs.is_empty() {
            text.push_str(&costs);
            if self.settings.load.mem.is_some() {
                text.push_str("(the clients are part of the process)\n");
            }
            text.push('\n');
        }
        text.push_str(&self.verdict());
        if let Some(keys) = self.keys.text(&self.settings.load.prefix) {
            text.push_str(&format!("{keys}\n"));
        }
        if matches!(self.keys, KeysLeft::Removed(_)) && self.unknown_writes > 0 {
            text.push_str(&format!(
                "{} writes of unknown outcome may still put keys there\n",
                output::count(self.unknown_writes)
            ));
        }
        text.push_str(&format!("seed {}\n", self.settings.seed));
        text
    }

    fn table(&self) -> String {
        let kinds = self.kinds.iter();
        let kinds = kinds.map(|result| (result.kind.name(), &result.latencies));
        latency_table(&kinds.collect::<Vec<_>>())
    }

    fn verdict(&self) -> String {
        let mut text = match &self.verified {
            None => "what was written was not read back\n".to_owned(),
            Some(verified) if self.mismatches == 0 => format!(
                "read back {} keys in {:.1} s: each holds what was written last\n",
                output::count(verified.keys),
                verified.seconds
            ),
            Some(verified) => format!(
                "read back {} keys in {:.1} s\n",
                output::count(verified.keys),
                verified.seconds
            ),
        };
        if self.mismatches > 0 {
            text.push_str(&format!(
                "{} reads did not give what was written:\n",
                output::count(self.mismatches)
            ));
            for example in &self.examples {
                text.push_str(&format!("  {example}\n"));
            }
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Json {
        let kinds = self.kinds.iter().map(|result| {
            let mut object = json!({
                "operations": result.operations,
                "operations_per_second": output::round(per_second(result.operations, self.seconds)),
                "latency_ms": latency_json(&result.latencies),
            });
            object["measured"] = result.latencies.len().into();
            (result.kind.name().to_owned(), object)
        });
        json!({
            "software": env!("CARGO_PKG_VERSION"),
            "settings": self.settings.told(),
            "loaded": self.filled.as_ref().map(|filled| json!({
                "keys": filled.keys,
                "seconds": output::round(filled.seconds),
                "keys_per_second": output::round(per_second(filled.keys, filled.seconds)),
            })),
            "seconds": output::round(self.seconds),
            "interrupted": self.is_interrupted,
            "operations": self.operations,
            "operations_per_second": output::round(per_second(self.operations, self.seconds)),
            "not_begun": self.not_begun,
            "errors": {
                "rejected": self.errors.rejected,
                "unknown": self.errors.unknown,
                "unreachable": self.errors.unreachable,
                "first": self.first_error,
            },
            "kinds": kinds.collect::<serde_json::Map<String, Json>>(),
            "series": self.series.iter().map(Second::json).collect::<Vec<Json>>(),
            "besides": self.besides.as_ref().map(|(_, json)| json),
            "costs": self.costs.json(),
            "verification": {
                "keys": self.verified.as_ref().map(|verified| verified.keys),
                "seconds": self.verified.as_ref().map(|verified| output::round(verified.seconds)),
                "mismatches": self.mismatches,
                "examples": self.examples,
                "unknown_writes": self.unknown_writes,
            },
            "keys": self.keys.json(),
        })
    }
}

/// Latencies for people, a line each.
pub(crate) fn latency_table(results: &[(&str, &Histogram<u64>)]) -> String {
    let mut header = vec!["ms".to_owned(), "count".to_owned(), "mean".to_owned()];
    header.extend(QUANTILES.map(|(name, _)| name.to_owned()));
    header.push("max".to_owned());
    let rows = results.iter().map(|(name, latencies)| {
        let quantile = |share| in_words(millis(latencies.value_at_quantile(share)));
        let mut row = vec![
            (*name).to_owned(),
            output::count(latencies.len()),
            in_words(latencies.mean() / 1e6),
        ];
        row.extend(QUANTILES.map(|(_, share)| quantile(share)));
        row.push(in_words(millis(latencies.max())));
        row
    });
    output::columns(std::iter::once(header).chain(rows))
}

/// Latencies for programs, in milliseconds.
pub(crate) fn latency_json(latencies: &Histogram<u64>) -> Json {
    let mut object = json!({
        "min": output::round(millis(latencies.min())),
        "mean": output::round(latencies.mean() / 1e6),
        "max": output::round(millis(latencies.max())),
    });
    for (name, share) in QUANTILES {
        object[name] = output::round(millis(latencies.value_at_quantile(share))).into();
    }
    object
}

fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds.max(1e-6)
}

/// Milliseconds with three digits that mean something, for people.
fn in_words(millis: f64) -> String {
    match millis {
        millis if millis < 10.0 => format!("{millis:.3}"),
        millis if millis < 100.0 => format!("{millis:.2}"),
        millis => format!("{millis:.1}"),
    }
}
