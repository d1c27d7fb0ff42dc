//! How soon replicas that join are in sync, and what writes notice of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_std::task;
use lockstep_bench::client::Course;
use lockstep_bench::notes::{Notes, Stage, Stages};
use lockstep_core::config::NodeId;
use lockstep_core::message::NodeStatus;
use serde_json::{Value as Json, json};

use crate::bench::report;
use crate::output;
use crate::status;
use crate::store::Store;

/// How often the nodes are asked.
const LOOK: Duration = Duration::from_millis(100);

/// The way of one replica into sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Join {
    name: String,
    /// When it was seen to join, from the beginning of the warm-up on.
    from: Duration,
    /// When it was seen in sync; `None` if it was not.
    to: Option<Duration>,
    /// What it said of itself first and last.
    progress: Option<(Progress, Progress)>,
    /// Records of the full state that were sent to it.
    records: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    process: u64,
    persisted: u64,
    bytes_received: u64,
}

/// Watches who joins until the schedule ends, and tells the clients what is going on.
pub(crate) async fn watch(store: Store, course: Arc<Course>) -> Vec<Join> {
    let mut joins = Joins::default();
    while !course.schedule.is_over(Instant::now()) {
        // Nobody may answer for a moment.
        let answers = store.statuses().await.unwrap_or_default();
        let stage = joins.look(&answers, course.schedule.begun().elapsed());
        if let Notes::Stages(stages) = &course.notes {
            stages.enter(stage);
        }
        task::sleep(LOOK).await;
    }
    joins.all
}

#[derive(Debug, Default)]
struct Joins {
    all: Vec<Join>,
    /// Those not in sync yet, by their place in `all`.
    open: BTreeMap<NodeId, usize>,
    /// Processes that were seen before they joined, or never did.
    known: BTreeSet<u64>,
}

impl Joins {
    fn look(&mut self, answers: &[NodeStatus], now: Duration) -> Stage {
        if let Some(config) = status::newest_config(answers) {
            for node in &config.joining {
                let index = *self.open.entry(*node).or_insert_with(|| {
                    self.all.push(Join {
                        name: config.members[node].name.clone(),
                        from: now,
                        to: None,
                        progress: None,
                        records: 0,
                    });
                    self.all.len() - 1
                });
                self.all[index].take(*node, answers, &self.known);
            }
            let all = &mut self.all;
            self.open.retain(|node, index| {
                let is_open = !config.in_sync.contains(node);
                if !is_open {
                    all[*index].take(*node, answers, &self.known);
                    all[*index].to = Some(now);
                }
                is_open
            });
        }
        let others = answers
            .iter()
            .filter(|answer| !self.open.contains_key(&answer.node));
        self.known.extend(others.map(|answer| answer.usage.process));
        match (self.open.is_empty(), self.all.is_empty()) {
            (false, _) => Stage::During,
            (true, false) => Stage::After,
            (true, true) => Stage::Before,
        }
    }
}

impl Join {
    fn take(&mut self, node: NodeId, answers: &[NodeStatus], known: &BTreeSet<u64>) {
        if let Some(own) = answers.iter().find(|answer| answer.node == node) {
            let progress = Progress {
                process: own.usage.process,
                persisted: own.persisted.0,
                bytes_received: own.usage.bytes_received,
            };
            // One that has started again begins anew.
            let first = self
                .progress
                .map(|(first, _)| first)
                .filter(|first| first.process == progress.process);
            // What a process received before it was seen for the first time is part of this.
            let begun = match known.contains(&progress.process) {
                true => progress,
                false => Progress {
                    bytes_received: 0,
                    ..progress
                },
            };
            self.progress = Some((first.unwrap_or(begun), progress));
        }
        let peers = answers.iter().flat_map(|answer| &answer.peers);
        for peer in peers.filter(|peer| peer.node == node) {
            if let Some((sent, _)) = peer.state_progress {
                self.records = self.records.max(sent);
            }
        }
    }

    fn seconds(&self) -> Option<f64> {
        self.to.map(|to| (to - self.from).as_secs_f64())
    }

    fn gained(&self, of: fn(&Progress) -> u64) -> Option<u64> {
        let (first, last) = self.progress?;
        Some(of(&last).saturating_sub(of(&first)))
    }
}

/// For people.
pub(crate) fn text(joins: &[Join], stages: &Stages) -> String {
    let mut text = String::new();
    if joins.is_empty() {
        text.push_str("nobody has joined\n");
    } else {
        let header = [
            "replica",
            "seen at",
            "in sync after",
            "entries",
            "records",
            "received",
            "per second",
        ];
        let rows = joins.iter().map(|join| {
            let bytes = join.gained(|progress| progress.bytes_received);
            let rate = join
                .seconds()
                .zip(bytes)
                .map(|(seconds, bytes)| bytes as f64 / seconds);
            let number = |number: Option<u64>| number.map_or("-".to_owned(), output::count);
            let size = |bytes: Option<u64>| bytes.map_or("-".to_owned(), output::bytes);
            vec![
                join.name.clone(),
                format!("{:.1} s", join.from.as_secs_f64()),
                join.seconds()
                    .map_or("not yet".to_owned(), |seconds| format!("{seconds:.1} s")),
                number(join.gained(|progress| progress.persisted)),
                output::count(join.records),
                size(bytes),
                size(rate.map(|rate| rate as u64)),
            ]
        });
        let header = header.map(str::to_owned).to_vec();
        text.push_str(&output::columns(std::iter::once(header).chain(rows)));
    }
    text.push('\n');
    let results = Stage::ALL.map(|stage| (stage.name(), stages.latencies(stage)));
    let results: Vec<_> = results.iter().map(|(name, all)| (*name, all)).collect();
    text.push_str(&report::latency_table(&results));
    text
}

/// For programs.
pub(crate) fn json(joins: &[Join], stages: &Stages) -> Json {
    let join = |join: &Join| {
        json!({
            "name": join.name,
            "seen_at": output::round(join.from.as_secs_f64()),
            "seconds": join.seconds().map(output::round),
            "entries": join.gained(|progress| progress.persisted),
            "records": join.records,
            "bytes_received": join.gained(|progress| progress.bytes_received),
        })
    };
    let mut latencies = json!({});
    for stage in Stage::ALL {
        latencies[stage.name()] = report::latency_json(&stages.latencies(stage));
    }
    json!({ "joins": joins.iter().map(join).collect::<Vec<Json>>(), "latency_ms": latencies })
}

#[cfg(test)]
mod tests {
    use lockstep_core::config::{Address, ClusterId, Config, ConfigVersion, Incarnation, Member};
    use lockstep_core::config::{Epoch, Position};
    use lockstep_core::message::{PeerStatus, RoleName, Usage};

    use super::*;

    /// What both nodes answer while the second is joining or in sync.
    fn answers(version: u64, is_in_sync: bool, second: (u64, u64), sent: u64) -> Vec<NodeStatus> {
        let mut config = Config::new(ClusterId(1));
        config.version = ConfigVersion(version);
        config.epoch = Epoch(1);
        config.primary = Some(NodeId(1));
        config.in_sync = [NodeId(1)].into();
        match is_in_sync {
            true => config.in_sync.insert(NodeId(2)),
            false => config.joining.insert(NodeId(2)),
        };
        for node in [1, 2] {
            let member = Member {
                name: format!("r{node}"),
                address: Address::new(format!("r{node}")),
                incarnation: Incarnation(1),
                terms: Default::default(),
            };
            config.members.insert(NodeId(node), member);
        }
        let (persisted, bytes_received) = second;
        let answer = |node: u64| NodeStatus {
            node: NodeId(node),
            name: format!("r{node}"),
            address: Address::new(format!("r{node}")),
            software: String::new(),
            role: RoleName::Secondary,
            config: Some(config.clone()),
            arbiter: Address::new("arbiter"),
            arbiter_reachable: true,
            foreign_arbiter: None,
            persisted: Position(persisted),
            committed: Position(persisted),
            revision: lockstep_core::operation::Revision(1),
            log_start: Position(0),
            disk_full: false,
            peers: vec![PeerStatus {
                node: NodeId(2),
                persisted: Position(persisted),
                state_progress: Some((sent, 100)),
            }],
            has_lease: false,
            sessions: 0,
            former: Vec::new(),
            min_in_sync: 1,
            arbiters: None,
            usage: Usage {
                process: node,
                bytes_received,
                ..Usage::default()
            },
        };
        vec![answer(1), answer(2)]
    }

    #[test]
    fn a_join_lasts_until_the_replica_is_in_sync() {
        let mut joins = Joins::default();
        let seconds = Duration::from_secs;
        assert_eq!(joins.look(&[], seconds(1)), Stage::Before);
        let first = joins.look(&answers(2, false, (10, 1_000), 5), seconds(2));
        assert_eq!(first, Stage::During);
        assert_eq!(
            joins.look(&[], seconds(3)),
            Stage::During,
            "nobody answered"
        );
        let last = joins.look(&answers(3, true, (50, 9_000), 80), seconds(6));
        assert_eq!(last, Stage::After);
        let [join] = &joins.all[..] else {
            panic!("{:?}", joins.all);
        };
        assert_eq!((join.seconds(), join.records), (Some(4.0), 80));
        assert_eq!(join.gained(|progress| progress.persisted), Some(40));
        let received = |join: &Join| join.gained(|progress| progress.bytes_received);
        assert_eq!(received(join), Some(9_000), "all since it started");
        joins.look(&answers(4, false, (60, 10_000), 0), seconds(7));
        joins.look(&answers(5, true, (70, 12_000), 0), seconds(8));
        assert_eq!(received(&joins.all[1]), Some(2_000), "it was there before");
    }
}
