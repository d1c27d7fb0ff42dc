//! [Invariant 11](lockstep_core::docs::protocol#invariants): the state of a replica never has what its log does not have durably.
//! A start that found such entries could not tell what they were.

use super::{Fact, Invariant};
use crate::cluster::Cluster;

/// Compares log and state whenever a process has had a turn.
#[derive(Default)]
pub(super) struct StateFollowsLog;

impl Invariant for StateFollowsLog {
    fn name(&self) -> &'static str {
        "the state never gets ahead of the log"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Stepped { node } = fact else {
            return Ok(());
        };
        let node = &cluster.nodes()[*node];
        let Some(disk) = node.disk().filter(|disk| !disk.is_between_states()) else {
            return Ok(());
        };
        let (applied, end) = (disk.state().applied, disk.log().end());
        if applied > end {
            return Err(format!(
                "{} has applied up to {applied}, its log is durable up to {end}",
                node.name
            ));
        }
        Ok(())
    }
}
