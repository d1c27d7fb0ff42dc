//! [Invariant 7](lockstep_core::docs::protocol#invariants): a request takes effect at most once, what is told of it stays true,
//! and all replicas remember the same.

use std::collections::BTreeMap;

use lockstep_core::config::Position;
use lockstep_core::limits::SessionLimits;
use lockstep_core::message::{Message, Reply, ReplyBody};
use lockstep_core::operation::{
    ClientId, Entry, Origin, Rejection, RequestId, Resolution, Verdict,
};
use lockstep_core::sessions::{SessionRows, Sessions};

use super::{Fact, Invariant};
use crate::cluster::{AnyHost, Cluster};

/// Follows the ledger.
#[derive(Default)]
pub(super) struct OnceAtMost {
    /// The entry of each request, as far as this has read the ledger.
    entries: BTreeMap<(ClientId, RequestId), u64>,
    read: Position,
}

impl Invariant for OnceAtMost {
    fn name(&self) -> &'static str {
        "a request takes effect at most once"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Apply { .. } => self.read_on(cluster),
            Fact::Sent {
                node,
                message: Message::Reply(reply),
                ..
            } => check_reply(cluster, reply)
                .map_err(|what| format!("{}: {what}", cluster.nodes()[*node].name)),
            Fact::Started { node } => check_tables(cluster, *node),
            Fact::Ended => {
                self.read_on(cluster)?;
                cluster
                    .replicas()
                    .try_for_each(|node| check_tables(cluster, node))
            }
            _ => Ok(()),
        }
    }
}

impl OnceAtMost {
    fn read_on(&mut self, cluster: &Cluster) -> Result<(), String> {
        while let Some(entry) = cluster.ledger().entry(self.read.next_seq()) {
            self.read = Position::behind(entry.seq);
            let Some(key) = entry.origin().map(Origin::request) else {
                continue;
            };
            if let Some(first) = self.entries.insert(key, entry.seq.0) {
                return Err(format!("{key:?} is committed as {first} and {}", entry.seq));
            }
        }
        Ok(())
    }
}

/// Is what a client is told of its request what the ledger has?
fn check_reply(cluster: &Cluster, reply: &Reply) -> Result<(), String> {
    let is_its = |entry: &Entry| {
        let origin = entry.origin().map(Origin::request);
        origin == Some((reply.client, reply.id))
    };
    let is_cancel = |entry: &Entry| entry.verdict == Verdict::Cancelled;
    let (is_true, entry) = match &reply.body {
        ReplyBody::OperationAck { seq, .. }
        | ReplyBody::Resolved(Resolution::Executed { seq, .. }) => {
            let entry = cluster.ledger().entry(*seq);
            let is_true = entry.is_some_and(|entry| is_its(entry) && !is_cancel(entry));
            (is_true, entry)
        }
        ReplyBody::OperationRejected {
            reason: Rejection::SessionExpired | Rejection::SessionTooOld,
            ..
        } => (may_be_forgotten(cluster, reply), None),
        ReplyBody::Resolved(Resolution::NeverExecuted) => {
            let mut entries = cluster.ledger().entries().iter();
            let entry = entries.find(|entry| is_its(entry));
            (entry.is_some_and(|entry| is_cancel(entry)), entry)
        }
        ReplyBody::OperationFailed
        | ReplyBody::OperationRejected { .. }
        | ReplyBody::GetResult { .. }
        | ReplyBody::ScanResult { .. }
        | ReplyBody::Status(_)
        | ReplyBody::Begun => return Ok(()),
    };
    if is_true {
        Ok(())
    } else {
        Err(format!("says {reply:?}, committed is {entry:?}"))
    }
}

/// Did the client say that it has settled the request, or make more of them than are remembered of one?
fn may_be_forgotten(cluster: &Cluster, reply: &Reply) -> bool {
    let limits = &cluster.options().limits.sessions;
    let entries = cluster.ledger().entries().iter();
    let origins = entries.filter_map(|entry| entry.origin());
    let mut its = origins.filter(|origin| origin.client == reply.client);
    limits.clients_max < SessionLimits::default().clients_max
        || its.clone().count() > limits.results_per_client_max
        || its.any(|origin| origin.settled > reply.id)
}

/// Compares what a replica remembers, in memory and on its disk, with what follows from the ledger.
fn check_tables(cluster: &Cluster, node: usize) -> Result<(), String> {
    let node = &cluster.nodes()[node];
    if let Some(disk) = node.disk() {
        let state = disk.state();
        check_table(cluster, &state.sessions, state.applied)
            .map_err(|what| format!("the disk of {}: {what}", node.name))?;
    }
    if let Some(replica) = node.host.as_ref().and_then(AnyHost::replica) {
        let table = replica.sessions().rows();
        check_table(cluster, table, replica.log().committed())
            .map_err(|what| format!("{}: {what}", node.name))?;
    }
    Ok(())
}

fn check_table(cluster: &Cluster, table: &SessionRows, at: Position) -> Result<(), String> {
    let limits = cluster.options().limits.sessions.clone();
    let mut expected = Sessions::open(SessionRows::default(), limits);
    for entry in cluster.ledger().entries() {
        if at.covers(entry.seq) {
            expected.apply(entry);
        }
    }
    if table == expected.rows() {
        Ok(())
    } else {
        let expected = expected.rows();
        Err(format!(
            "remembers {table:?} at {at} instead of {expected:?}"
        ))
    }
}
