//! What an experiment showed: for people, for programs, and whether anything is broken.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use hdrhistogram::Histogram;
use lockstep_bench::latencies::{self, histogram};
use serde_json::json;

use super::Scenario;
use crate::oracle::{Summary, Verdict};

/// How long clients may go without a success when the primary is lost, or a machine, which may be its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The median is below this.
    pub p50: Duration,
    /// The 99th percentile is below this.
    pub p99: Duration,
}

impl Limits {
    /// Those of a scenario. An arbiter may have to take the chair first where a machine is lost.
    pub fn of(scenario: Scenario) -> Self {
        let p99 = if scenario.needs_machines() {
            1200
        } else {
            1000
        };
        Self {
            p50: Duration::from_millis(700),
            p99: Duration::from_millis(p99),
        }
    }
}

/// What an experiment showed.
#[derive(Debug)]
pub struct Report {
    /// What went wrong.
    pub scenario: Scenario,
    /// How often.
    pub rounds: u64,
    /// How long it took.
    pub seconds: f64,
    /// How busy the machine was before, where it tells.
    pub load_before: Option<f64>,
    /// How busy it was in the end.
    pub load_after: Option<f64>,
    /// Failures that clients were told, by what they were told.
    pub errors: BTreeMap<String, u64>,
    /// How often a client was told that a write had failed. It tried again.
    pub failed: u64,
    /// What did not come about.
    pub troubles: Vec<String>,
    /// What the oracle says.
    pub oracle: Result<Summary, Box<Verdict>>,
    /// Where the cluster's directory was kept.
    pub kept: Option<PathBuf>,
    pub(super) rows: Vec<Row>,
}

/// How long the client that was worst off went without a success, round by round.
#[derive(Debug)]
pub(super) struct Row {
    fault: &'static str,
    writes: Histogram<u64>,
    reads: Histogram<u64>,
}

impl Row {
    /// A round's.
    pub(super) fn add(&mut self, writes: Duration, reads: Duration) {
        for (histogram, time) in [(&mut self.writes, writes), (&mut self.reads, reads)] {
            latencies::record(histogram, time);
        }
    }

    fn columns(&self) -> [(&'static str, &Histogram<u64>); 2] {
        [("writes", &self.writes), ("reads", &self.reads)]
    }
}

fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

impl Report {
    pub(super) fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            rounds: 0,
            seconds: 0.0,
            load_before: None,
            load_after: None,
            errors: BTreeMap::new(),
            failed: 0,
            troubles: Vec::new(),
            oracle: Ok(Summary::default()),
            kept: None,
            rows: Vec::new(),
        }
    }

    /// The row of a fault.
    pub(super) fn row(&mut self, fault: &'static str) -> &mut Row {
        let place = self.rows.iter().position(|row| row.fault == fault);
        let place = place.unwrap_or_else(|| {
            self.rows.push(Row {
                fault,
                writes: histogram(),
                reads: histogram(),
            });
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }

    /// What must never be, however slow the machine is.
    pub fn broken_promises(&self) -> Vec<String> {
        let mut broken = self.troubles.clone();
        if let Err(verdict) = &self.oracle {
            broken.push(verdict.to_string());
        }
        for (error, count) in &self.errors {
            broken.push(format!("{count} times a client was told of {error}"));
        }
        broken
    }

    /// What took too long: until writes went on where the primary was lost, or any machine, and any write where it was not.
    pub fn broken_limits(&self, limits: Limits) -> Vec<String> {
        match self.scenario {
            Scenario::KillPrimary
            | Scenario::StopPrimary
            | Scenario::KillMachine
            | Scenario::StopMachine
            | Scenario::CutMachine
            | Scenario::WipeMachine => self.late_writes(limits),
            Scenario::KillSecondary
            | Scenario::KillArbiter
            | Scenario::StopSecondary
            | Scenario::StopArbiter
            | Scenario::CutSecondary
            | Scenario::CutArbiter
            | Scenario::HandOver => {
                let times = (self.failed > 0).then_some(self.failed);
                let broken = |times| format!("{times} times a write was not confirmed in a second");
                times.map(broken).into_iter().collect()
            }
            // How long is measured, not limited: it depends on how slow the disk is, and for how long it has no room.
            Scenario::CutPrimary
            | Scenario::FullPrimary
            | Scenario::FullSecondary
            | Scenario::FullArbiter
            | Scenario::FullFailover
            | Scenario::SlowPrimary
            | Scenario::SlowSecondary
            | Scenario::SlowArbiter
            | Scenario::HangPrimary
            | Scenario::EioPrimary
            | Scenario::EioSecondary
            | Scenario::EioArbiter => Vec::new(),
        }
    }

    fn late_writes(&self, limits: Limits) -> Vec<String> {
        let mut broken = Vec::new();
        for row in &self.rows {
            for (quantile, limit) in [(0.5, limits.p50), (0.99, limits.p99)] {
                let time = Duration::from_nanos(row.writes.value_at_quantile(quantile));
                if time >= limit {
                    broken.push(format!(
                        "writes took {:.3} s (p{:.0}) to go on, the limit is {:.3} s",
                        time.as_secs_f64(),
                        quantile * 100.0,
                        limit.as_secs_f64()
                    ));
                }
            }
        }
        broken
    }

    /// For people.
    pub fn table(&self) -> String {
        let load = |load: Option<f64>| load.map_or("unknown".to_owned(), |load| load.to_string());
        let mut lines = vec![
            format!(
                "{}: {} rounds in {:.0} s; load average {} before, {} after",
                self.scenario.name(),
                self.rounds,
                self.seconds,
                load(self.load_before),
                load(self.load_after)
            ),
            "  seconds without a success, of the client that was worst off in the round:"
                .to_owned(),
            format!(
                "  {:16}  {:6}  {:>6}  {:>6}  {:>6}  {:>6}",
                "", "", "rounds", "p50", "p99", "max"
            ),
        ];
        for row in &self.rows {
            for (what, times) in row.columns() {
                lines.push(format!(
                    "  {:16}  {what:6}  {:>6}  {:>6.3}  {:>6.3}  {:>6.3}",
                    row.fault,
                    times.len(),
                    seconds(times.value_at_quantile(0.5)),
                    seconds(times.value_at_quantile(0.99)),
                    seconds(times.max())
                ));
            }
        }
        let errors: u64 = self.errors.values().sum();
        lines.push(format!(
            "  clients were told of {errors} errors; {} times a write failed and was tried again",
            self.failed
        ));
        match &self.oracle {
            Ok(summary) => lines.push(format!(
                "  oracle: all is well with {} writes acknowledged, {} unknown, {} rejected, {} linearizable reads ({} without \
                 an answer) of {} keys; {} windows searched, {} of them undecided",
                summary.writes_acknowledged,
                summary.writes_unknown,
                summary.writes_rejected,
                summary.reads_linearizable,
                summary.reads_unanswered,
                summary.keys,
                summary.windows,
                summary.windows_undecided
            )),
            Err(verdict) => lines.push(format!("  oracle: {verdict}")),
        }
        lines.join("\n")
    }

    /// For programs.
    pub fn json(&self, limits: Limits) -> serde_json::Value {
        let times = |times: &Histogram<u64>| {
            json!({
                "p50": seconds(times.value_at_quantile(0.5)),
                "p99": seconds(times.value_at_quantile(0.99)),
                "max": seconds(times.max()),
            })
        };
        let faults: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "fault": row.fault,
                    "rounds": row.writes.len(),
                    "writes": times(&row.writes),
                    "reads": times(&row.reads),
                })
            })
            .collect();
        let broken = [self.broken_promises(), self.broken_limits(limits)].concat();
        let oracle = match &self.oracle {
            Ok(summary) => json!({
                "writes_acknowledged": summary.writes_acknowledged,
                "writes_unknown": summary.writes_unknown,
                "writes_rejected": summary.writes_rejected,
                "reads_linearizable": summary.reads_linearizable,
                "reads_unanswered": summary.reads_unanswered,
                "keys": summary.keys,
                "windows": summary.windows,
                "windows_undecided": summary.windows_undecided,
            }),
            Err(verdict) => json!({ "violation": verdict.to_string() }),
        };
        json!({
            "scenario": self.scenario.name(),
            "rounds": self.rounds,
            "seconds": self.seconds,
            "load_average": { "before": self.load_before, "after": self.load_after },
            "unavailable_seconds": faults,
            "errors": self.errors,
            "operations_failed": self.failed,
            "oracle": oracle,
            "broken": broken,
            "kept": self.kept,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scenario: Scenario, millis: &[u64], failed: u64, broken: usize) {
        let mut report = Report::new(scenario);
        for millis in millis {
            let writes = Duration::from_millis(*millis);
            report.row("killed").add(writes, Duration::ZERO);
        }
        report.failed = failed;
        let found = report.broken_limits(Limits::of(scenario));
        assert_eq!(found.len(), broken, "{scenario:?} {millis:?}: {found:?}");
        assert!(report.broken_promises().is_empty());
    }

    #[test]
    fn times_are_limited_where_the_primary_is_lost() {
        check(Scenario::KillPrimary, &[], 0, 0);
        check(Scenario::KillPrimary, &[600, 600, 999], 9, 0);
        check(Scenario::KillPrimary, &[600, 600, 1100], 0, 1);
        check(Scenario::KillPrimary, &[600, 720, 990], 0, 1);
        check(Scenario::StopPrimary, &[1100], 0, 2);
        check(Scenario::CutPrimary, &[5000], 9, 0);
        check(Scenario::KillMachine, &[600, 600, 1100], 9, 0);
        check(Scenario::KillMachine, &[600, 600, 1300], 0, 1);
        check(Scenario::WipeMachine, &[1300], 0, 2);
    }

    #[test]
    fn no_write_is_late_where_the_primary_is_spared() {
        check(Scenario::KillSecondary, &[5000], 0, 0);
        check(Scenario::KillSecondary, &[], 1, 1);
        check(Scenario::StopSecondary, &[], 2, 1);
        check(Scenario::KillArbiter, &[], 3, 1);
    }

    #[test]
    fn what_a_client_is_told_breaks_a_promise_at_any_speed() {
        let mut report = Report::new(Scenario::KillPrimary);
        report.errors.insert("a read: no answer".to_owned(), 2);
        assert_eq!(
            report.broken_promises(),
            ["2 times a client was told of a read: no answer"]
        );
    }
}
