//! The operator's last resort: a primary by force, when everybody in sync is lost for good.
//!
//! The protocol waits for an in-sync replica for ever, because only those are known to have every acknowledged write.
//! Who cannot wait chooses among the replicas that are left, and loses what the chosen one does not have. From then on its
//! log is the truth. All other data directories may contradict it, even in what they know to be committed, so their nodes
//! are superseded: whenever one of them comes back, it is refused.

use std::collections::BTreeSet;

use thiserror::Error;

use super::policy::remove;
use crate::config::{Config, NodeId};
use crate::storage::ArbiterRecord;

/// Why a replica cannot be made primary by force.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotForced {
    /// It is in sync, so nothing needs to be forced.
    #[error(
        "{name} is in sync: start it and the arbiter, and it becomes primary by itself, without losing anything"
    )]
    InSync {
        /// Its name.
        name: String,
    },
    /// No member has that name.
    #[error(
        "there is no replica {name} in the configuration; it has {}",
        members.join(", ")
    )]
    NotMember {
        /// What was asked for.
        name: String,
        /// The names of the members.
        members: Vec<String>,
    },
}

/// What the arbiter is to know when the member called `name` is primary by force, and alone in sync.
///
/// Acknowledged writes that it does not have are lost. Every other node of the former in-sync set has to be stopped for
/// good before the arbiter acts on this: one that runs on, cut off, would go on acknowledging writes.
///
/// # Errors
/// If there is no such member, or if it is in sync.
pub fn force_primary(record: &ArbiterRecord, name: &str) -> Result<ArbiterRecord, NotForced> {
    let config = &record.config;
    let Some(node) = member_called(config, name) else {
        let members = config.members.values();
        return Err(NotForced::NotMember {
            name: name.to_owned(),
            members: members.map(|member| member.name.clone()).collect(),
        });
    };
    if config.in_sync.contains(&node) {
        let name = name.to_owned();
        return Err(NotForced::InSync { name });
    }
    let mut next = record.clone();
    for other in config.members.keys().filter(|other| **other != node) {
        remove(&mut next.config, *other);
    }
    next.config = Config {
        version: config.version.next(),
        epoch: config.epoch.next(),
        primary: Some(node),
        in_sync: BTreeSet::from([node]),
        draining: BTreeSet::new(),
        resting: BTreeSet::new(),
        joining: BTreeSet::new(),
        ..next.config
    };
    for (other, known) in &mut next.nodes {
        known.is_superseded |= *other != node;
    }
    Ok(next)
}

fn member_called(config: &Config, name: &str) -> Option<NodeId> {
    let mut members = config.members.iter();
    members
        .find(|(_, member)| member.name == name)
        .map(|(node, _)| *node)
}
