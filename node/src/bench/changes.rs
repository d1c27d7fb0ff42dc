//! What has changed from one configuration to the next, in words.

use lockstep_core::config::{Config, NodeId};

/// A change of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// Another replica is primary.
    Primary {
        /// Who was.
        from: Option<NodeId>,
        /// Who is.
        to: Option<NodeId>,
    },
    /// A replica does not count any more.
    OutOfSync(NodeId),
    /// A replica counts.
    InSync(NodeId),
    /// A replica is being brought up to date.
    Joining(NodeId),
    /// A replica has started again, at the same place.
    Restarted(NodeId),
}

/// What has changed.
pub(crate) fn between(before: &Config, after: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    if before.primary != after.primary || before.epoch != after.epoch {
        changes.push(Change::Primary {
            from: before.primary,
            to: after.primary,
        });
    }
    let gone = before.in_sync.difference(&after.in_sync);
    changes.extend(gone.copied().map(Change::OutOfSync));
    let come = after.in_sync.difference(&before.in_sync);
    changes.extend(come.copied().map(Change::InSync));
    let joining = after.joining.difference(&before.joining);
    changes.extend(joining.copied().map(Change::Joining));
    for (node, member) in &after.members {
        let is_restarted = before
            .members
            .get(node)
            .is_some_and(|former| former.incarnation != member.incarnation);
        if is_restarted && !after.joining.contains(node) {
            changes.push(Change::Restarted(*node));
        }
    }
    changes
}

impl Change {
    /// In words, with the names that the configurations give the nodes.
    pub(crate) fn text(&self, configs: [&Config; 2]) -> String {
        let name = |node: &NodeId| {
            let members = configs.iter().find_map(|config| config.members.get(node));
            members.map_or_else(|| node.to_string(), |member| member.name.clone())
        };
        let or_none = |node: &Option<NodeId>| node.as_ref().map_or("none".to_owned(), name);
        match self {
            Self::Primary { from, to } if from == to => {
                format!("{} is primary anew", or_none(to))
            }
            Self::Primary { from, to } => {
                format!("primary {} replaced by {}", or_none(from), or_none(to))
            }
            Self::OutOfSync(node) => format!("{} out of sync", name(node)),
            Self::InSync(node) => format!("{} in sync", name(node)),
            Self::Joining(node) => format!("{} joining", name(node)),
            Self::Restarted(node) => format!("{} has started again", name(node)),
        }
    }
}

#[cfg(test)]
mod tests {
    use lockstep_core::config::{Address, ClusterId, Epoch, Incarnation, Member};

    use super::*;

    fn config(primary: u64, epoch: u64, in_sync: &[u64], joining: &[u64]) -> Config {
        let mut config = Config::new(ClusterId(1));
        config.primary = Some(NodeId(primary));
        config.epoch = Epoch(epoch);
        config.in_sync = in_sync.iter().copied().map(NodeId).collect();
        config.joining = joining.iter().copied().map(NodeId).collect();
        for node in in_sync.iter().chain(joining) {
            let member = Member {
                name: format!("r{node}"),
                address: Address::new(format!("r{node}")),
                incarnation: Incarnation(1),
                terms: Default::default(),
            };
            config.members.insert(NodeId(*node), member);
        }
        config
    }

    fn check(before: &Config, after: &Config, expected: &[&str]) {
        let changes = between(before, after);
        let texts = changes.iter().map(|change| change.text([before, after]));
        assert_eq!(texts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_has_changed_is_told_by_name() {
        let whole = config(1, 1, &[1, 2, 3], &[]);
        check(&whole, &whole, &[]);
        let failed_over = config(2, 2, &[2, 3], &[]);
        let expected = ["primary r1 replaced by r2", "r1 out of sync"];
        check(&whole, &failed_over, &expected);
        let joining = config(2, 2, &[2, 3], &[1]);
        check(&failed_over, &joining, &["r1 joining"]);
        check(&joining, &config(2, 2, &[1, 2, 3], &[]), &["r1 in sync"]);
        check(
            &whole,
            &config(1, 2, &[1, 2, 3], &[]),
            &["r1 is primary anew"],
        );
    }

    #[test]
    fn a_secondary_that_started_again_is_told() {
        let before = config(1, 1, &[1, 2], &[]);
        let mut after = before.clone();
        after.members.get_mut(&NodeId(2)).unwrap().incarnation = Incarnation(2);
        check(&before, &after, &["r2 has started again"]);
    }
}
