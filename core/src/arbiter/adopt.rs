//! An arbiter whose record is lost, or a majority of several, in the place of which a new one takes up the cluster that lives on.
//!
//! While no arbiter is there, no configuration is decided. So the newest that anybody knows who might act in it is the last
//! one that matters: what was decided behind it nobody has heard of, and nobody will. Who might act are those in sync, and
//! those joining, which may be in sync by a decision that the others have not heard.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::config::{ClusterId, Config, ConfigVersion, NodeId, StartId, Token};
use crate::message::NodeStatus;
use crate::storage::{ArbiterRecord, NodeRecord};

/// By how much the version of an adopted configuration is above what replicas know: by more than former arbiters have decided that
/// nobody has heard of. So if a majority of them is ever started again, it finds by the replicas that its record is behind, and
/// decides nothing.
const AHEAD: u64 = 1 << 20;

/// Why a cluster cannot be adopted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotAdopted {
    /// Nobody who answers has a configuration.
    #[error("no replica that answers has ever been in a cluster")]
    NoCluster,
    /// They are not of one cluster.
    #[error("{one} and {other} are of different clusters: {of_one} and {of_other}")]
    TwoClusters {
        /// The name of one.
        one: String,
        /// The name of another one.
        other: String,
        /// The cluster of the one.
        of_one: ClusterId,
        /// The cluster of the other.
        of_other: ClusterId,
    },
    /// Somebody does not answer who may know better.
    #[error(
        "{} may know more than those that answer: start them, or, if they are gone for good, say so",
        names.join(", ")
    )]
    Missing {
        /// Their names.
        names: Vec<String>,
    },
}

/// The record of a new arbiter for the cluster whose replicas say this of themselves.
///
/// The former arbiter must be gone for good. `missing_are_gone`: whoever does not answer does not run, and never will with
/// the data that it had. Tokens are lost with the former record, so each node's next Join is believed once without.
///
/// `secret` is drawn at random; tokens are made of it.
///
/// # Errors
/// If they are not of one cluster, or somebody is missing.
pub fn adopt(
    answers: &[NodeStatus],
    secret: u64,
    missing_are_gone: bool,
) -> Result<ArbiterRecord, NotAdopted> {
    let known = |answer: &NodeStatus| Some((answer.name.clone(), answer.config.clone()?));
    let mut known = answers.iter().filter_map(known);
    let (first, mut newest) = known.next().ok_or(NotAdopted::NoCluster)?;
    for (name, config) in known {
        if config.cluster != newest.cluster {
            return Err(NotAdopted::TwoClusters {
                one: first,
                other: name,
                of_one: newest.cluster,
                of_other: config.cluster,
            });
        }
        if config.version > newest.version {
            newest = config;
        }
    }
    let names = missing(&newest, answers);
    if !names.is_empty() && !missing_are_gone {
        return Err(NotAdopted::Missing { names });
    }
    newest.version = ConfigVersion(newest.version.0.saturating_add(AHEAD));
    newest.arbiters.clear();
    let nodes: BTreeMap<NodeId, NodeRecord> = newest
        .members
        .iter()
        .map(|(node, member)| {
            let record = NodeRecord {
                name: member.name.clone(),
                address: member.address.clone(),
                incarnation: member.incarnation,
                token: Token::LOST,
                former_token: Token::LOST,
                start: StartId(0),
                joined: newest.version,
                removed: ConfigVersion::ZERO,
                has_left: false,
                is_superseded: false,
            };
            (*node, record)
        })
        .collect();
    Ok(ArbiterRecord {
        config: newest,
        nodes,
        secret,
        acts: Vec::new(),
    })
}

/// Who might act, and does not answer.
fn missing(config: &Config, answers: &[NodeStatus]) -> Vec<String> {
    let may_act = config.in_sync.iter().chain(&config.joining);
    may_act
        .filter(|node| answers.iter().all(|answer| answer.node != **node))
        .map(|node| config.members[node].name.clone())
        .collect()
}
