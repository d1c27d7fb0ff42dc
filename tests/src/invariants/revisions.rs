//! [Invariant 12](lockstep_core::docs::protocol#invariants): revisions count the changes, and every answer tells that of the
//! entries it is of.

use lockstep_core::config::Position;
use lockstep_core::message::{Message, ReplyBody};
use lockstep_core::operation::{Entry, Resolution, Revision};

use super::{Fact, Invariant};
use crate::cluster::{AnyHost, Cluster};

/// Follows the ledger.
#[derive(Default)]
pub(super) struct RevisionsCountChanges {
    read: Position,
    revision: Revision,
}

impl Invariant for RevisionsCountChanges {
    fn name(&self) -> &'static str {
        "revisions count the changes"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Apply { .. } => self.read_on(cluster),
            Fact::Sent {
                node,
                message: Message::Reply(reply),
                ..
            } => check_reply(cluster, *node, &reply.body)
                .map_err(|what| format!("{}: {what}", cluster.nodes()[*node].name)),
            Fact::Started { node } => check_replica(cluster, *node),
            Fact::Ended => {
                self.read_on(cluster)?;
                cluster
                    .replicas()
                    .try_for_each(|node| check_replica(cluster, node))
            }
            _ => Ok(()),
        }
    }
}

impl RevisionsCountChanges {
    fn read_on(&mut self, cluster: &Cluster) -> Result<(), String> {
        while let Some(entry) = cluster.ledger().entry(self.read.next_seq()) {
            check_entry(entry, self.revision)?;
            self.read = Position::behind(entry.seq);
            self.revision = entry.revision;
        }
        Ok(())
    }
}

fn check_entry(entry: &Entry, before: Revision) -> Result<(), String> {
    let expected = match entry.changes.len() {
        0 => before,
        _ => before.next(),
    };
    if entry.revision != expected {
        return Err(format!("{entry:?} comes behind revision {before}"));
    }
    let mut records = entry
        .changes
        .iter()
        .filter_map(|change| change.record.as_ref());
    match records.find(|record| record.modified != expected || record.created > expected) {
        Some(record) => Err(format!("{record:?} was written with {entry:?}")),
        None => Ok(()),
    }
}

/// Is what a client is told of revisions what the ledger says, or of what is not committed the replica's log?
fn check_reply(cluster: &Cluster, node: usize, body: &ReplyBody) -> Result<(), String> {
    let (position, told) = match body {
        ReplyBody::OperationAck { seq, revision }
        | ReplyBody::Resolved(Resolution::Executed { seq, revision }) => {
            (Position::behind(*seq), *revision)
        }
        ReplyBody::GetResult {
            record,
            position,
            revision,
            ..
        } => {
            if record
                .as_ref()
                .is_some_and(|record| record.modified > *revision)
            {
                return Err(format!("{record:?} is shown at revision {revision}"));
            }
            (*position, *revision)
        }
        ReplyBody::OperationFailed
        | ReplyBody::OperationRejected { .. }
        | ReplyBody::ScanResult { .. }
        | ReplyBody::Status(_)
        | ReplyBody::Resolved(Resolution::NeverExecuted)
        | ReplyBody::Begun => return Ok(()),
    };
    let shadow = cluster.nodes()[node].shadow();
    let own = || {
        let last = position.last_seq()?;
        let entry = shadow?.entry(last)?;
        Some(entry.revision)
    };
    let expected = own().or_else(|| cluster.ledger().revision_at(position));
    match expected.is_some_and(|expected| expected != told) {
        true => Err(format!("{body:?}, where the revision is {expected:?}")),
        false => Ok(()),
    }
}

/// Compares what a replica has, in memory and on its disk, with the ledger.
fn check_replica(cluster: &Cluster, node: usize) -> Result<(), String> {
    let node = &cluster.nodes()[node];
    let check = |what: &str, position, revision: Revision| {
        let expected = cluster.ledger().revision_at(position);
        match expected.is_some_and(|expected| expected != revision) {
            true => Err(format!(
                "{what} of {} is at revision {revision} at {position} instead of {expected:?}",
                node.name
            )),
            false => Ok(()),
        }
    };
    if let Some(disk) = node.disk().filter(|_| !node.is_copied()) {
        let state = disk.state();
        check("the state", state.applied, state.revision)?;
    }
    if let Some(replica) = node.host.as_ref().and_then(AnyHost::replica) {
        let log = replica.log();
        check("the log", log.committed(), log.revision_at(log.committed()))?;
    }
    Ok(())
}
