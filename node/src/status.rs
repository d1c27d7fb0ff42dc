//! What `lockstep status` shows, put together from what the replicas say of themselves: pure, apart from the asking.

mod arbiters;
mod problems;
#[cfg(test)]
mod tests;
mod why;

use std::collections::BTreeMap;

use lockstep_core::config::{Config, Member, NodeId, Position};
use lockstep_core::message::{NodeStatus, RoleName, Usage};
use serde::Serialize;

use crate::output;

use arbiters::ArbiterOffer;
pub(crate) use arbiters::ArbitersStatus;
pub(crate) use why::Why;

/// A cluster, as far as it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ClusterStatus {
    /// The arbiter, as the replicas see it.
    pub(crate) arbiter: ArbiterStatus,
    /// The arbiters that keep the record.
    pub(crate) arbiters: ArbitersStatus,
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
    /// Who was a member and is missing, by name.
    pub(crate) gone: Vec<GoneStatus>,
    /// How many replicas there are when nobody is missing.
    pub(crate) expected: usize,
    /// What is not as it should be, in sentences; empty when all is well.
    pub(crate) problems: Vec<String>,
}

/// A replica that was a member, went out of the configuration and has not come back, nor was drained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct GoneStatus {
    /// Its identity.
    pub(crate) node: String,
    /// Its name.
    pub(crate) name: String,
    /// Where it was reached.
    pub(crate) address: String,
    /// For how long at least.
    pub(crate) seconds: u64,
}

/// The arbiter, as the replicas see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ArbiterStatus {
    /// Where it is.
    pub(crate) address: String,
    /// Some replica has heard from it lately.
    pub(crate) reachable: bool,
    /// In its place an arbiter of this cluster answers, which is another one.
    pub(crate) foreign: Option<String>,
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
    /// It answered, and every acknowledged write is on its disk.
    pub(crate) in_sync: bool,
    /// The configuration counts it: every acknowledged write is on its disk, whether it answers or not.
    #[serde(skip)]
    pub(crate) counts: bool,
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
    /// As primary it acknowledges writes while so many replicas are in sync.
    pub(crate) min_in_sync: Option<u32>,
    /// What it has used since it started; processor, memory and disk of its process, which other nodes may share.
    pub(crate) usage: Option<Usage>,
    /// While it receives the full state.
    pub(crate) state_transfer: Option<StateTransfer>,
    /// Until when its certificate is valid, in seconds since 1970.
    pub(crate) certificate_expires: Option<u64>,
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
    let gone = config.map_or_else(Vec::new, |config| gone(config, answers));
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
    let arbiter = ArbiterStatus {
        address: host_and_port(first.arbiter.as_str()).to_owned(),
        reachable: answers.iter().any(|answer| answer.arbiter_reachable),
        foreign: answers
            .iter()
            .find_map(|answer| answer.foreign_arbiter)
            .map(|cluster| cluster.to_string()),
    };
    let arbiters = ArbitersStatus::new(config, answers);
    Some(ClusterStatus {
        problems: problems::list(&arbiter, &arbiters, config, &replicas, &gone),
        expected: replicas.len() + gone.len(),
        gone,
        arbiter,
        arbiters,
        cluster: config.map(|config| config.cluster.to_string()),
        version: config.map_or(0, |config| config.version.0),
        epoch: config.map_or(0, |config| config.epoch.0),
        primary: config
            .and_then(|config| config.primary)
            .map(|node| node.to_string()),
        replicas,
    })
}

/// The node that is missing under this name or id.
pub(crate) fn former(answers: &[NodeStatus], wanted: &str) -> Option<NodeId> {
    let mut former = newest_config(answers)?.former.iter();
    former
        .find(|(node, former)| former.name == wanted || node.to_string() == wanted)
        .map(|(node, _)| *node)
}

/// Who is missing, and since when somebody has known that.
fn gone(config: &Config, answers: &[NodeStatus]) -> Vec<GoneStatus> {
    let gone_for = |node: NodeId| {
        let seen = answers.iter().flat_map(|answer| &answer.former);
        let seen = seen.filter(|former| former.node == node);
        seen.map(|former| former.gone_for).max().unwrap_or_default()
    };
    let former = config.former.iter();
    let mut gone: Vec<GoneStatus> = former
        .map(|(node, former)| GoneStatus {
            node: node.to_string(),
            name: former.name.clone(),
            address: host_and_port(former.address.as_str()).to_owned(),
            seconds: gone_for(*node).as_secs(),
        })
        .collect();
    gone.sort_by(|one, other| (&one.name, &one.node).cmp(&(&other.name, &other.node)));
    gone
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
        } else if config.resting.contains(&node) {
            "stopped"
        } else {
            "secondary"
        },
        counts: config.in_sync.contains(&node),
        in_sync: own.is_some() && config.in_sync.contains(&node),
        lease: own.map(|own| own.has_lease),
        reachable: own.is_some(),
        persisted: own.and_then(|own| seq(own.persisted)),
        committed: own.and_then(|own| seq(own.committed)),
        lag: own.and_then(lag),
        software: own.map(|own| own.software.clone()),
        disk_full: own.map(|own| own.disk_full),
        sessions: own.map(|own| own.sessions),
        min_in_sync: own.map(|own| own.min_in_sync),
        usage: own.map(|own| own.usage),
        state_transfer: transfer.map(|(sent, records)| StateTransfer { sent, records }),
        certificate_expires: None,
    }
}

/// The part of an address that people know: `HOST:PORT` of `NAME@HOST:PORT`.
pub(crate) fn host_and_port(address: &str) -> &str {
    address.split_once('@').map_or(address, |(_, rest)| rest)
}

/// A certificate that expires within this time is a problem.
const CERTIFICATE_NOTICE: u64 = 30 * DAY;
const DAY: u64 = 24 * 60 * 60;

impl ClusterStatus {
    /// Adds until when the certificates of the replicas are valid: `expiry` knows it by name and `HOST:PORT`;
    /// all times are seconds since 1970.
    pub(crate) fn add_certificates(
        &mut self,
        now: u64,
        expiry: impl Fn(&str, &str) -> Option<u64>,
    ) {
        for replica in &mut self.replicas {
            let name = &replica.name;
            replica.certificate_expires = expiry(name, &replica.address);
            let Some(expires) = replica.certificate_expires else {
                continue;
            };
            let command = format!("`lockstep certs node {name} --renew`, where ca.key is");
            if expires < now {
                let problem = format!(
                    "the certificate of {name} has expired: clients are refused: renew it with {command}"
                );
                // Of the primary it stops all that clients want.
                match self.primary.as_ref() == Some(&replica.node) {
                    true => self.problems.insert(0, problem),
                    false => self.problems.push(problem),
                }
            } else if expires < now + CERTIFICATE_NOTICE {
                let days = (expires - now) / DAY;
                let problem =
                    format!("the certificate of {name} expires in {days} days: {command}");
                self.problems.push(problem);
            }
        }
    }

    /// As a table for people.
    pub(crate) fn table(&self) -> String {
        let reachable = match &self.arbiter.foreign {
            Some(cluster) => &*format!("of another cluster, {cluster}"),
            None if self.arbiter.reachable => "heard",
            None => "silent",
        };
        let arbiters = match self.arbiters.are_several() {
            true if self.arbiter.reachable => format!("arbiters  {}", self.arbiters.line()),
            _ => format!("arbiter   {}, {reachable}", self.arbiter.address),
        };
        let primary = self.primary_name().unwrap_or("none");
        let in_sync = self.replicas.iter().filter(|replica| replica.in_sync);
        let mut text = format!(
            "{arbiters}\ncluster   {}, version {}, epoch {}\n\
             replicas  {} of {} expected in sync, primary {primary}\n\n",
            self.cluster
                .as_deref()
                .unwrap_or("not joined by any replica yet"),
            self.version,
            self.epoch,
            in_sync.count(),
            self.expected,
        );
        let header = ["name", "role", "in sync", "persisted", "lag", "address"];
        let header = header.map(str::to_owned).to_vec();
        let rows = self.replicas.iter().map(ReplicaStatus::row);
        let gone = self.gone.iter().map(GoneStatus::row);
        text.push_str(&output::columns(
            std::iter::once(header).chain(rows).chain(gone),
        ));
        if !self.problems.is_empty() {
            text.push_str(&format!("\n{}\n", self.problems.join("\n")));
        }
        for offer in &self.arbiters.offers {
            let ArbiterOffer { name, address, .. } = offer;
            text.push_str(&format!(
                "\n{name} at {address} offers itself as an arbiter: see `lockstep arbiters --help`\n"
            ));
        }
        for replica in &self.replicas {
            let refused = replica.usage.map_or(0, |usage| usage.handshakes_refused);
            if refused > 0 {
                text.push_str(&format!(
                    "\n{}: {} connections refused, too many attempts (see its log)\n",
                    replica.name,
                    output::count(refused)
                ));
            }
        }
        text
    }

    /// Whom and what an operation waits for that got no answer, although some replicas give one at once.
    pub(crate) fn standstill(&self) -> String {
        let reached = self.replicas.iter().filter(|replica| replica.reachable);
        let reached: Vec<&str> = reached.map(|replica| replica.name.as_str()).collect();
        let why = match self.problems.first() {
            Some(problem) => problem,
            None => "nothing is wrong with it any more: try again",
        };
        match reached.is_empty() {
            true => format!("a replica was reached, but: {why}"),
            false => format!("{} answered, but: {why}", reached.join(", ")),
        }
    }

    fn primary_name(&self) -> Option<&str> {
        let mut replicas = self.replicas.iter();
        let primary = replicas.find(|replica| Some(&replica.node) == self.primary.as_ref());
        primary.map(|primary| primary.name.as_str())
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
        vec![
            self.name.clone(),
            role,
            match self.reachable {
                true => yes_or_no(self.in_sync),
                false => "unknown".to_owned(),
            },
            number(self.persisted),
            number(self.lag),
            self.address.clone(),
        ]
    }
}

impl GoneStatus {
    fn row(&self) -> Vec<String> {
        let nothing = || "-".to_owned();
        vec![
            self.name.clone(),
            "gone".to_owned(),
            yes_or_no(false),
            nothing(),
            nothing(),
            self.address.clone(),
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
