//! What clients see when the configuration changes: how long nothing succeeds, and what fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_std::task;
use lockstep_bench::client::Course;
use lockstep_bench::pauses::{Pause, Pauses};
use lockstep_core::config::{Address, Config};
use lockstep_core::message::Drain;
use serde_json::{Value as Json, json};

use crate::bench::changes;
use crate::output::{self, Failure};
use crate::status;
use crate::store::Store;

/// Pauses and failures this long before and after a change are told with it.
const AROUND: Duration = Duration::from_secs(2);

/// How often the nodes are asked.
const LOOK: Duration = Duration::from_millis(100);

/// A change of the configuration that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// When it was seen, from the beginning of the warm-up on.
    at: Duration,
    version: u64,
    changes: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failover {
    told: Vec<Told>,
    whole: Effect,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    event: Event,
    effect: Effect,
}

/// What clients noticed in some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Effect {
    writes: Option<Pause>,
    reads: Option<Pause>,
    failed_writes: u64,
    failed_reads: u64,
}

/// The address of the primary that is to be drained.
pub(crate) async fn find_drained(store: &Store, name: &str) -> Result<Address, Failure> {
    let address = store.find_replica(name).await?;
    let answers = store.statuses().await?;
    let primary = status::newest_config(&answers).and_then(Config::primary_member);
    match primary {
        Some(primary) if primary.address != address => Err(Failure::Usage(format!(
            "--drain {name}: it is not primary, {} is",
            primary.name
        ))),
        Some(_) | None => Ok(address),
    }
}

/// Watches the configuration until the schedule ends. `store`: gives up early, so that dead nodes do not hold it up.
pub(crate) async fn watch(
    store: Store,
    course: Arc<Course>,
    drain: Option<(Address, Instant)>,
) -> Vec<Event> {
    let mut events = Vec::new();
    let mut known: Option<Config> = None;
    let mut drain = drain;
    while !course.schedule.is_over(Instant::now()) {
        if let Some((replica, _)) = drain.take_if(|(_, at)| *at <= Instant::now()) {
            // Asked again below if nobody answered: it does no harm twice.
            if store.drain(&replica, Drain::Primary).await.is_err() {
                drain = Some((replica, Instant::now() + LOOK));
            }
        }
        // Nobody may answer for a moment.
        let answers = store.statuses().await.unwrap_or_default();
        if let Some(config) = status::newest_config(&answers) {
            if let Some(known) = &known
                && known.version < config.version
            {
                let changes = changes::between(known, config);
                events.push(Event {
                    at: course.schedule.begun().elapsed(),
                    version: config.version.0,
                    changes: changes
                        .iter()
                        .map(|change| change.text([known, config]))
                        .collect(),
                });
            }
            if known
                .as_ref()
                .is_none_or(|known| known.version < config.version)
            {
                known = Some(config.clone());
            }
        }
        task::sleep(LOOK).await;
    }
    events
}

impl Failover {
    /// Puts changes and pauses together.
    pub(crate) fn new(events: Vec<Event>, reads: &Pauses, writes: &Pauses) -> Self {
        let effect = |from: Duration, to: Duration| Effect {
            writes: writes.longest(from, to),
            reads: reads.longest(from, to),
            failed_writes: writes.failures(from, to),
            failed_reads: reads.failures(from, to),
        };
        let told = events.into_iter().map(|event| {
            let effect = effect(event.at.saturating_sub(AROUND), event.at + AROUND);
            Told { event, effect }
        });
        Self {
            told: told.collect(),
            whole: Effect {
                failed_writes: writes.failures_all(),
                failed_reads: reads.failures_all(),
                ..effect(Duration::ZERO, Duration::MAX)
            },
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let header = [
            "seen at",
            "version",
            "no write for",
            "no read for",
            "failed",
            "change",
        ];
        let rows = self.told.iter().map(|Told { event, effect }| {
            vec![
                format!("{:.1} s", event.at.as_secs_f64()),
                event.version.to_string(),
                in_words(effect.writes),
                in_words(effect.reads),
                output::count(effect.failed_writes + effect.failed_reads),
                event.changes.join(", "),
            ]
        });
        let whole = std::iter::once(vec![
            "in all".to_owned(),
            String::new(),
            in_words(self.whole.writes),
            in_words(self.whole.reads),
            output::count(self.whole.failed_writes + self.whole.failed_reads),
        ]);
        let header = header.map(str::to_owned).to_vec();
        output::columns(std::iter::once(header).chain(rows).chain(whole))
    }

    /// For programs.
    pub(crate) fn json(&self) -> Json {
        let events = self.told.iter().map(|Told { event, effect }| {
            let mut object = effect.json();
            object["seen_at"] = output::round(event.at.as_secs_f64()).into();
            object["version"] = event.version.into();
            object["changes"] = event.changes.clone().into();
            object
        });
        json!({ "events": events.collect::<Vec<Json>>(), "whole": self.whole.json() })
    }
}

impl Effect {
    fn json(&self) -> Json {
        let pause = |pause: Option<Pause>| {
            pause.map(|pause| {
                json!({
                    "from": output::round(pause.from.as_secs_f64()),
                    "seconds": output::round(pause.length().as_secs_f64()),
                })
            })
        };
        json!({
            "longest_without_write": pause(self.writes),
            "longest_without_read": pause(self.reads),
            "failed_writes": self.failed_writes,
            "failed_reads": self.failed_reads,
        })
    }
}

fn in_words(pause: Option<Pause>) -> String {
    match pause {
        Some(pause) => format!("{} ms", output::count(pause.length().as_millis() as u64)),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_change_is_told_with_what_happened_around_it() {
        let begun = Instant::now();
        let (reads, writes) = (Pauses::begin(begun, 20 * MS), Pauses::begin(begun, 20 * MS));
        for at in (0..10_000).step_by(10) {
            let now = begun + at * MS;
            reads.succeeded(now);
            if !(4_000..4_600).contains(&at) && !(9_000..9_100).contains(&at) {
                writes.succeeded(now);
            }
        }
        writes.failed(begun + 4_100 * MS);
        let event = |at| Event {
            at: at * MS,
            version: 7,
            changes: vec!["r1 out of sync".to_owned()],
        };
        let failover = Failover::new(vec![event(4_500), event(7_500)], &reads, &writes);
        let json = failover.json();
        let seconds = |effect: &Json| effect["longest_without_write"]["seconds"].clone();
        assert_eq!(seconds(&json["events"][0]), 0.61);
        assert_eq!(json["events"][0]["failed_writes"], 1);
        assert_eq!(json["events"][0]["longest_without_read"], Json::Null);
        assert_eq!(seconds(&json["events"][1]), 0.11);
        assert_eq!(json["events"][1]["failed_writes"], 0);
        assert_eq!(seconds(&json["whole"]), 0.61);
        assert!(
            failover.text().contains("r1 out of sync"),
            "{}",
            failover.text()
        );
    }
}
