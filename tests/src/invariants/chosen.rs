//! [Invariant 13](lockstep_core::docs::protocol#invariants): arbiters tell nothing that is not chosen. That what was chosen is
//! never undone, the cluster sees to as it looks at their disks.

use lockstep_core::config::Config;
use lockstep_core::message::{FromArbiter, Message};

use super::{Fact, Invariant};
use crate::cluster::Cluster;

/// Whatever configuration an arbiter tells is on the disks of a majority.
#[derive(Default)]
pub(super) struct ToldIsChosen;

impl Invariant for ToldIsChosen {
    fn name(&self) -> &'static str {
        "arbiters tell what is chosen"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Sent {
            node,
            message: Message::FromArbiter(message),
            ..
        } = fact
        else {
            return Ok(());
        };
        let (told, chosen) = (config_of(message), cluster.config());
        let is_copied = cluster.nodes()[*node].is_copied();
        match told {
            Some(told) if !is_copied && told.version > chosen.version => {
                let name = &cluster.nodes()[*node].name;
                let (told, chosen) = (told.version, chosen.version);
                Err(format!("{name} tells version {told}, chosen is {chosen}"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn config_of(message: &FromArbiter) -> Option<&Config> {
    match message {
        FromArbiter::JoinedPrimary(joined) | FromArbiter::JoinedSecondary(joined) => {
            Some(&joined.config)
        }
        FromArbiter::Replicas(config) | FromArbiter::ProposalRefused(config) => Some(config),
        FromArbiter::JoinRefused(_) | FromArbiter::Arbiters(_) => None,
    }
}
