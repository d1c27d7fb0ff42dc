//! [Invariant 2](lockstep_core::docs::protocol#invariants): an acknowledged write is, at that moment, on the disk of every
//! member of the arbiter's `in_sync`, and of as many members as writes require to be in sync.

use lockstep_core::message::{Message, Reply, ReplyBody};
use lockstep_core::operation::{Entry, Origin};

use super::{Fact, Invariant};
use crate::cluster::Cluster;

/// Looks at all disks whenever a write is acknowledged, and again whenever the set changes.
#[derive(Default)]
pub(super) struct AcknowledgedIsDurable {
    acknowledged: Vec<Entry>,
}

/// Acknowledged writes looked at again when the configuration changes.
const LOOK_BACK: usize = 32;

impl Invariant for AcknowledgedIsDurable {
    fn name(&self) -> &'static str {
        "an acknowledged write is durable wherever it must be"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Sent {
                node,
                message: Message::Reply(reply),
                ..
            } => self.replied(cluster, *node, reply),
            // The set may have grown: what was acknowledged before is on the new member's disk as well.
            Fact::Decided => self
                .acknowledged
                .iter()
                .rev()
                .take(LOOK_BACK)
                .try_for_each(|entry| check(cluster, entry)),
            Fact::Ended => self
                .acknowledged
                .iter()
                .try_for_each(|entry| check(cluster, entry)),
            _ => Ok(()),
        }
    }
}

impl AcknowledgedIsDurable {
    fn replied(&mut self, cluster: &Cluster, node: usize, reply: &Reply) -> Result<(), String> {
        let ReplyBody::OperationAck { seq, .. } = reply.body else {
            return Ok(());
        };
        let shadow = cluster.nodes()[node].shadow();
        // Of a write that is asked for again long afterwards the log may not have the entry any more.
        let trimmed = shadow
            .filter(|shadow| shadow.start().covers(seq))
            .and_then(|_| cluster.ledger().entry(seq));
        let held = shadow.and_then(|shadow| shadow.entry(seq)).or(trimmed);
        let Some(entry) = held else {
            return Err(format!("seq {seq} is acknowledged, but not in the log"));
        };
        let origin = (reply.client, reply.id);
        if entry.origin().map(Origin::request) != Some(origin) {
            return Err(format!("{origin:?} got the acknowledgement of {entry:?}"));
        }
        check(cluster, entry)?;
        let members = cluster.config().members.keys();
        let holders = members.filter(|member| {
            let disk = cluster.disk_of(**member);
            disk.is_some_and(|disk| disk.holds(entry))
        });
        let (copies, required) = (holders.count(), cluster.options().limits.min_in_sync);
        if copies < required as usize {
            return Err(format!(
                "{entry:?} is acknowledged with {copies} copies of {required}"
            ));
        }
        self.acknowledged.push((**entry).clone());
        Ok(())
    }
}

fn check(cluster: &Cluster, entry: &Entry) -> Result<(), String> {
    for member in &cluster.config().in_sync {
        let Some(disk) = cluster.disk_of(*member) else {
            return Err(format!("{member} is in sync and has no disk"));
        };
        if !disk.holds(entry) {
            let name = &cluster.config().members[member].name;
            return Err(format!(
                "{entry:?} is acknowledged, but not on the disk of {name}, whose log is {}..{}",
                disk.log().start(),
                disk.log().end()
            ));
        }
    }
    Ok(())
}
