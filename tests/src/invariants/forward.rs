//! [Invariant 4](lockstep_core::docs::protocol#invariants): epoch and version never go back at any node, across restarts too;
//! versions are ordered at the arbiter.

use std::collections::BTreeMap;

use lockstep_core::config::{ConfigVersion, Epoch, NodeId};
use lockstep_core::event::Event;
use lockstep_core::message::Message;

use super::{Fact, Invariant};
use crate::cluster::Cluster;

/// The highest epoch and version seen of each node.
#[derive(Default)]
pub(super) struct CountersGoForward {
    epochs: BTreeMap<NodeId, Epoch>,
    versions: BTreeMap<NodeId, ConfigVersion>,
    decided: (ConfigVersion, Epoch),
}

impl Invariant for CountersGoForward {
    fn name(&self) -> &'static str {
        "epochs and versions never go back"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Event {
                node,
                event: Event::Entered { epoch, version, .. },
            } => {
                let Some(id) = cluster.node_id(*node) else {
                    return Ok(());
                };
                self.acts(id, *epoch)?;
                let known = self.versions.entry(id).or_default();
                if version < known {
                    return Err(format!("{id} entered version {version} after {known}"));
                }
                *known = *version;
                Ok(())
            }
            Fact::Sent {
                message: Message::Peer(peer),
                ..
            } => self.acts(peer.sender, peer.epoch),
            Fact::Decided => {
                let config = cluster.config();
                config.check();
                let (version, epoch) = self.decided;
                if config.version <= version || config.epoch < epoch {
                    return Err(format!(
                        "the arbiter decided version {} of epoch {} after {version} of {epoch}",
                        config.version, config.epoch
                    ));
                }
                self.decided = (config.version, config.epoch);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl CountersGoForward {
    fn acts(&mut self, node: NodeId, epoch: Epoch) -> Result<(), String> {
        let known = self.epochs.entry(node).or_default();
        if epoch < *known {
            return Err(format!("{node} acts in epoch {epoch} after {known}"));
        }
        *known = epoch;
        Ok(())
    }
}
