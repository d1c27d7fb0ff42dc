//! Who was a member and is none any more: for operators, who miss what they do not see. Nothing is decided by it.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use crate::config::{Config, Member, NodeId};
use crate::limits;
use crate::message::FormerMember;
use crate::time::Instant;

/// Members that were seen to go and not to return, since this process began.
///
/// - Two replicas that differ in it alone act alike, so they count as equal.
#[derive(Clone, Debug, Default)]
pub(super) struct Former(BTreeMap<NodeId, (Member, Instant)>);

impl Former {
    /// Takes up that one configuration follows another.
    pub(super) fn on_config(&mut self, now: Instant, before: Option<&Config>, after: &Config) {
        let gone = before.into_iter().flat_map(|config| &config.members);
        for (node, member) in gone.filter(|(node, _)| !after.is_member(**node)) {
            self.0.insert(*node, (member.clone(), now));
        }
        // A machine that was lost comes back under its name, with an empty directory.
        let is_back = |name: &str| after.members.values().any(|member| member.name == name);
        self.0.retain(|_, (member, _)| !is_back(&member.name));
        while self.0.len() > limits::FORMER_MEMBERS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, (_, since))| *since);
            let Some(node) = oldest.map(|(node, _)| *node) else {
                return;
            };
            self.0.remove(&node);
        }
    }

    /// That one is not expected to return.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.0.remove(&node);
    }

    pub(super) fn list(&self, now: Instant) -> Vec<FormerMember> {
        let former = self.0.iter();
        former
            .map(|(node, (member, since))| FormerMember {
                node: *node,
                name: member.name.clone(),
                address: member.address.clone(),
                gone_for: now - *since,
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
