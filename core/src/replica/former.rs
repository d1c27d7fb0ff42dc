//! For how long those that a configuration tells of as former members have been gone. Nothing is decided by it.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use crate::config::{Config, NodeId};
use crate::message::FormerMember;
use crate::time::Instant;

/// When each was first seen to be gone, since this process began.
///
/// - Two replicas that differ in it alone act alike, so they count as equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Former(BTreeMap<NodeId, Instant>);

impl Former {
    /// Takes up a newer configuration.
    pub(super) fn on_config(&mut self, now: Instant, config: &Config) {
        self.0.retain(|node, _| config.former.contains_key(node));
        for node in config.former.keys() {
            self.0.entry(*node).or_insert(now);
        }
    }

    /// The former members of `config`, which was taken up last.
    pub(super) fn list(&self, now: Instant, config: &Config) -> Vec<FormerMember> {
        let former = config.former.iter();
        former
            .map(|(node, former)| FormerMember {
                node: *node,
                name: former.name.clone(),
                address: former.address.clone(),
                gone_for: now - self.0[node],
            })
            .collect()
    }
}

impl PartialEq for Former {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Former {}

impl Hash for Former {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
