//! [Invariant 9](lockstep_core::docs::protocol#invariants): what a replica has in flight is bounded, whatever the others do.

use lockstep_core::limits;
use lockstep_core::message::{Message, PeerMessage, RoleName};

use super::{Fact, Invariant};
use crate::cluster::{AnyHost, Cluster};

/// Looks at what replicas have handed to their disks, and at the size of what they send.
#[derive(Default)]
pub(super) struct MemoryIsBounded;

impl Invariant for MemoryIsBounded {
    fn name(&self) -> &'static str {
        "memory in flight is bounded"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Stepped { node } => {
                check_disk(cluster, *node)?;
                check_log(cluster, *node)
            }
            Fact::Sent {
                node,
                message: Message::Peer(peer),
                ..
            } => check_size(&peer.body)
                .map_err(|what| format!("{}: {what}", cluster.nodes()[*node].name)),
            _ => Ok(()),
        }
    }
}

fn check_disk(cluster: &Cluster, node: usize) -> Result<(), String> {
    let Some(disk) = cluster.nodes()[node].disk() else {
        return Ok(());
    };
    let bounds = &cluster.options().limits;
    let name = &cluster.nodes()[node].name;
    // A replica takes entries as long as it is below the first bound; the last message may go beyond it.
    let bytes_max = 2 * bounds.uncommitted_bytes_max + limits::SNAPSHOTS_BYTES_MAX;
    let bytes = disk.bytes_waiting();
    if bytes > bytes_max {
        return Err(format!("{name} has {bytes} bytes wait for its disk"));
    }
    if disk.views_open() > limits::MEMBERS_MAX {
        return Err(format!("{name} holds {} views", disk.views_open()));
    }
    Ok(())
}

/// What a primary takes on from clients is less than the bound before the last write; what it inherited comes on top.
fn check_log(cluster: &Cluster, node: usize) -> Result<(), String> {
    let node = &cluster.nodes()[node];
    let Some(replica) = node.host.as_ref().and_then(AnyHost::replica) else {
        return Ok(());
    };
    let (log, bound) = (
        replica.log(),
        cluster.options().limits.uncommitted_bytes_max,
    );
    if log.unapplied().total() <= bound || replica.role() != RoleName::Primary {
        return Ok(());
    }
    let epoch = replica.config().map(|config| config.epoch);
    let unapplied = log.entries(log.applied(), usize::MAX, usize::MAX);
    let mut taken: Vec<_> = unapplied.into_iter().flatten().collect();
    taken.retain(|entry| Some(entry.epoch) == epoch);
    let last = taken.pop().map_or(0, |last| last.size());
    let bytes: usize = taken.iter().map(|entry| entry.size()).sum();
    if bytes >= bound && last > 0 {
        return Err(format!(
            "{} has taken {bytes} bytes of writes, then one more",
            node.name
        ));
    }
    Ok(())
}

fn check_size(body: &PeerMessage) -> Result<(), String> {
    match body {
        PeerMessage::Snapshots(snapshots)
            if snapshots.entries.len() > limits::SNAPSHOTS_ENTRIES_MAX =>
        {
            Err(format!("{} entries in a message", snapshots.entries.len()))
        }
        PeerMessage::StateChunk(chunk) if chunk.records.len() > limits::CHUNK_RECORDS_MAX => {
            Err(format!("{} records in a message", chunk.records.len()))
        }
        _ => Ok(()),
    }
}
