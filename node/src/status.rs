//! What `lockstep status` shows, put together from what the replicas say of themselves: pure, apart from the asking.

use std::collections::BTreeMap;

use lockstep_core::config::{Config, Member, NodeId, Position};
use lockstep_core::message::{NodeStatus, RoleName, Usage};
use serde::Serialize;

use crate::output;

/// A cluster, as far as it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ClusterStatus {
    /// The arbiter, as the replicas see it.
    pub(crate) arbiter: ArbiterStatus,
    /// The cluster's identity; `None` before any replica has joined.
    pub(crate) cluster: Option<String>,
    /// The version of the configuration.
    pub(crate) version: u64,
    /// The tenure of the primary.
    pub(crate) epoch: u64,
    /// The node id of the primary.
    pub(crate) primary: Option<String>,
    /// All members, by name.
    pub(crate) replicas: Vec<ReplicaStatus>,
}

/// The arbiter, as the replicas see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ArbiterStatus {
    /// Where it is.
    pub(crate) address: String,
    /// Some replica has heard from it lately.
    pub(crate) reachable: bool,
}

/// One member of the cluster. What only it knows is `None` while it does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ReplicaStatus {
    /// Its identity.
    pub(crate) node: String,
    /// Its name.
    pub(crate) name: String,
    /// Where it is reached.
    pub(crate) address: String,
    /// `primary`, `secondary` or `joining`.
    pub(crate) role: &'static str,
    /// Every acknowledged write is on its disk.
    pub(crate) in_sync: bool,
    /// It answers linearizable reads.
    pub(crate) lease: Option<bool>,
    /// It answered.
    pub(crate) reachable: bool,
    /// The highest seq on its disk; `None` also when there is none yet.
    pub(crate) persisted: Option<u64>,
    /// The highest seq it knows to be committed; `None` also when there is none yet.
    pub(crate) committed: Option<u64>,
    /// Entries the primary has on disk and it has not.
    pub(crate) lag: Option<u64>,
    /// The version of its software.
    pub(crate) software: Option<String>,
    /// Its disk has no room.
    pub(crate) disk_full: Option<bool>,
    /// Clients whose requests it remembers, so that none is executed twice.
    pub(crate) sessions: Option<u64>,
    /// What it has used since it started; processor, memory and disk of its process, which other nodes may share.
    pub(crate) usage: Option<Usage>,
    /// While it receives the full state.
    pub(crate) state_transfer: Option<StateTransfer>,
}

/// How far a state transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StateTransfer {
    /// Records sent.
    pub(crate) sent: u64,
    /// Records in all, estimated.
    pub(crate) records: u64,
}

/// The newest configuration among the answers.
pub(crate) fn newest_config(answers: &[NodeStatus]) -> Option<&Config> {
    let configs = answers.iter().filter_map(|answer| answer.config.as_ref());
    configs.max_by_key(|config| config.version)
}

/// Puts the answers of the replicas together; `None` if there are none.
pub(crate) fn combine(answers: &[NodeStatus]) -> Option<ClusterStatus> {
    let first = answers.first()?;
    let config = newest_config(answers);
    let by_node: BTreeMap<NodeId, &NodeStatus> =
        answers.iter().map(|answer| (answer.node, answer)).collect();
    let primary = config
        .and_then(|config| config.primary)
        .and_then(|node| by_node.get(&node).copied());
    let mut replicas: Vec<ReplicaStatus> = match config {
        Some(config) => config
            .members
            .iter()
            .map(|(node, member)| {
                replica(config, *node, member, by_node.get(node).copied(), primary)
            })
            .collect(),
        None => Vec::new(),
    };
    replicas.sort_by(|one, other| (&one.name, &one.node).cmp(&(&other.name, &other.node)));
    Some(ClusterStatus {
        arbiter: ArbiterStatus {
            address: host_and_port(first.arbiter.as_str()).to_owned(),
            reachable: answers.iter().any(|answer| answer.arbiter_reachable),
        },
        cluster: config.map(|config| config.cluster.to_string()),
        version: config.map_or(0, |config| config.version.0),
        epoch: config.map_or(0, |config| config.epoch.0),
        primary: config
            .and_then(|config| config.primary)
            .map(|node| node.to_string()),
        replicas,
    })
}

fn replica(
    config: &Config,
    node: NodeId,
    member: &Member,
    own: Option<&NodeStatus>,
    primary: Option<&NodeStatus>,
) -> ReplicaStatus {
    let seq = |position: Position| position.last_seq().map(|seq| seq.0);
    let lag = |own: &NodeStatus| {
        primary.map(|primary| primary.persisted.0.saturating_sub(own.persisted.0))
    };
    let transfer = primary
        .and_then(|primary| primary.peers.iter().find(|peer| peer.node == node))
        .and_then(|peer| peer.state_progress);
    ReplicaStatus {
        node: node.to_string(),
        name: member.name.clone(),
        address: host_and_port(member.address.as_str()).to_owned(),
        role: if config.primary == Some(node) {
            "primary"
        } else if config.joining.contains(&node) {
            "joining"
        } else {
            "secondary"
        },
        in_sync: config.in_sync.contains(&node),
        lease: own.map(|own| own.has_lease),
        reachable: own.is_some(),
        persisted: own.and_then(|own| seq(own.persisted)),
        committed: own.and_then(|own| seq(own.committed)),
        lag: own.and_then(lag),
        software: own.map(|own| own.software.clone()),
        disk_full: own.map(|own| own.disk_full),
        sessions: own.map(|own| own.sessions),
        usage: own.map(|own| own.usage),
        state_transfer: transfer.map(|(sent, records)| StateTransfer { sent, records }),
    }
}

/// The part of an address that people know: `HOST:PORT` of `NAME@HOST:PORT`.
pub(crate) fn host_and_port(address: &str) -> &str {
    address.split_once('@').map_or(address, |(_, rest)| rest)
}

impl ClusterStatus {
    /// As a table for people.
    pub(crate) fn table(&self) -> String {
        let reachable = if self.arbiter.reachable {
            "reachable"
        } else {
            "not reachable: reads and writes go on, joins and removals wait"
        };
        let name = self
            .replicas
            .iter()
            .find(|replica| Some(&replica.node) == self.primary.as_ref())
            .map_or("none", |primary| &primary.name);
        let in_sync = self
            .replicas
            .iter()
            .filter(|replica| replica.in_sync)
            .count();
        let mut text = format!(
            "arbiter  {} ({reachable})\ncluster  {}, version {}, epoch {}, primary {name}, {in_sync} of {} in sync\n\n",
            self.arbiter.address,
            self.cluster
                .as_deref()
                .unwrap_or("not joined by any replica yet"),
            self.version,
            self.epoch,
            self.replicas.len(),
        );
        let header = [
            "name",
            "role",
            "in sync",
            "lease",
            "persisted",
            "committed",
            "lag",
            "sessions",
            "address",
            "software",
            "node",
        ];
        let rows = self.replicas.iter().map(ReplicaStatus::row);
        let header = header.map(str::to_owned).to_vec();
        text.push_str(&output::columns(std::iter::once(header).chain(rows)));
        text
    }
}

impl ReplicaStatus {
    fn row(&self) -> Vec<String> {
        let number = |number: Option<u64>| number.map_or("-".to_owned(), output::count);
        let mut role = self.role.to_owned();
        if let Some(transfer) = self.state_transfer {
            let percent = 100 * transfer.sent.min(transfer.records) / transfer.records.max(1);
            role.push_str(&format!(" ({percent} %)"));
        }
        if !self.reachable {
            role.push_str(" (no answer)");
        }
        if self.disk_full == Some(true) {
            role.push_str(" (disk full)");
        }
        vec![
            self.name.clone(),
            role,
            yes_or_no(self.in_sync),
            self.lease.map_or("-".to_owned(), yes_or_no),
            number(self.persisted),
            number(self.committed),
            number(self.lag),
            number(self.sessions),
            self.address.clone(),
            self.software.clone().unwrap_or_else(|| "-".to_owned()),
            self.node.clone(),
        ]
    }
}

fn yes_or_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

/// The name of a role, for people and for programs.
pub(crate) fn role_name(role: RoleName) -> &'static str {
    match role {
        RoleName::Starting => "starting",
        RoleName::Primary => "primary",
        RoleName::Secondary => "secondary",
        RoleName::Joining => "joining",
        RoleName::Leaving => "leaving",
    }
}

#[cfg(test)]
mod tests {
    use lockstep_core::config::{Address, ClusterId, ConfigVersion, Epoch, Incarnation};
    use lockstep_core::message::PeerStatus;

    use super::*;

    fn config(version: u64) -> Config {
        let mut config = Config::new(ClusterId(0xc));
        config.version = ConfigVersion(version);
        config.epoch = Epoch(2);
        config.primary = Some(NodeId(1));
        config.in_sync = [NodeId(1), NodeId(2)].into();
        config.joining = [NodeId(3)].into();
        for node in 1..=3 {
            let name = format!("replica-{node}");
            let address = Address::new(format!("{name}@127.0.0.1:710{node}"));
            let incarnation = Incarnation(1);
            config.members.insert(
                NodeId(node),
                Member {
                    name,
                    address,
                    incarnation,
                    terms: Default::default(),
                },
            );
        }
        config.check();
        config
    }

    fn answer(node: u64, persisted: u64, committed: u64) -> NodeStatus {
        NodeStatus {
            node: NodeId(node),
            name: format!("replica-{node}"),
            address: Address::new(format!("replica-{node}@127.0.0.1:710{node}")),
            software: "0.1.0".to_owned(),
            role: RoleName::Secondary,
            config: Some(config(7)),
            arbiter: Address::new("arbiter@127.0.0.1:7100"),
            arbiter_reachable: true,
            persisted: Position(persisted),
            committed: Position(committed),
            revision: lockstep_core::operation::Revision(1),
            log_start: Position(0),
            disk_full: false,
            has_lease: true,
            sessions: 4,
            peers: Vec::new(),
            usage: Usage {
                process: 5,
                entries: 70,
                syncs: 6,
                ..Usage::default()
            },
        }
    }

    fn answers() -> Vec<NodeStatus> {
        let mut primary = answer(1, 1_000, 990);
        primary.peers = vec![PeerStatus {
            node: NodeId(3),
            persisted: Position(0),
            state_progress: Some((30, 120)),
        }];
        vec![answer(2, 995, 980), primary]
    }

    #[test]
    fn nobody_is_nothing() {
        assert_eq!(combine(&[]), None);
    }

    #[test]
    fn the_json_has_the_fields_that_scripts_rely_on() {
        let status = combine(&answers()).unwrap();
        let json = serde_json::to_value(&status).unwrap();
        let usage = serde_json::json!({
            "process": 5, "cpu_micros": 0, "memory_bytes": 0, "disk_bytes": 0, "entries": 70, "entry_bytes": 0, "syncs": 6,
            "packets_sent": 0, "packets_received": 0, "bytes_sent": 0, "bytes_received": 0,
        });
        let expected = serde_json::json!({
            "arbiter": { "address": "127.0.0.1:7100", "reachable": true },
            "cluster": "000000000000000c",
            "version": 7,
            "epoch": 2,
            "primary": "0000000000000001",
            "replicas": [
                {
                    "node": "0000000000000001", "name": "replica-1", "address": "127.0.0.1:7101",
                    "role": "primary", "in_sync": true, "lease": true, "reachable": true, "persisted": 999,
                    "committed": 989, "lag": 0, "software": "0.1.0", "disk_full": false, "sessions": 4, "usage": usage, "state_transfer": null,
                },
                {
                    "node": "0000000000000002", "name": "replica-2", "address": "127.0.0.1:7102",
                    "role": "secondary", "in_sync": true, "lease": true, "reachable": true, "persisted": 994,
                    "committed": 979, "lag": 5, "software": "0.1.0", "disk_full": false, "sessions": 4, "usage": usage, "state_transfer": null,
                },
                {
                    "node": "0000000000000003", "name": "replica-3", "address": "127.0.0.1:7103",
                    "role": "joining", "in_sync": false, "lease": null, "reachable": false, "persisted": null,
                    "committed": null, "lag": null, "software": null, "disk_full": null, "sessions": null, "usage": null,
                    "state_transfer": { "sent": 30, "records": 120 },
                },
            ],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn the_newest_configuration_counts() {
        let mut answers = answers();
        let mut newer = config(8);
        newer.epoch = Epoch(3);
        answers[1].config = Some(newer);
        answers.push(answer(3, 0, 0));
        answers[2].config = None;
        let status = combine(&answers).unwrap();
        assert_eq!((status.version, status.epoch), (8, 3));
    }

    #[test]
    fn an_empty_log_has_no_highest_seq() {
        let status = combine(&[answer(1, 0, 0)]).unwrap();
        assert_eq!(status.replicas[0].persisted, None);
        assert_eq!(status.replicas[0].lag, Some(0));
    }

    #[test]
    fn a_replica_that_has_not_joined_shows_an_empty_cluster() {
        let mut lone = answer(1, 0, 0);
        lone.config = None;
        lone.arbiter_reachable = false;
        let status = combine(&[lone]).unwrap();
        assert_eq!(status.primary, None);
        assert!(status.replicas.is_empty());
        assert!(status.table().contains("not joined"));
        assert!(status.table().contains("not reachable"));
    }

    #[test]
    fn the_table_is_for_people() {
        let table = combine(&answers()).unwrap().table();
        let expected = "\
arbiter  127.0.0.1:7100 (reachable)
cluster  000000000000000c, version 7, epoch 2, primary replica-1, 2 of 3 in sync

name       role                        in sync  lease  persisted  committed  lag  sessions  address         software  node
replica-1  primary                     yes      yes    999        989        0    4         127.0.0.1:7101  0.1.0     0000000000000001
replica-2  secondary                   yes      yes    994        979        5    4         127.0.0.1:7102  0.1.0     0000000000000002
replica-3  joining (25 %) (no answer)  no       -      -          -          -    -         127.0.0.1:7103  -         0000000000000003
";
        assert_eq!(table, expected);
    }
}
