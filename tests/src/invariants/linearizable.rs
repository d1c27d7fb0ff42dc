//! [Invariant 5](lockstep_core::docs::protocol#invariants), as seen by one who sees everything: a
//! `Linearizable` read is as new as every write acknowledged and every such read answered before it came, an `AtLeast` read as
//! new as it was told, and both give what is committed.
//!
//! What clients can tell by themselves is the oracle's.

use std::collections::BTreeMap;

use lockstep_core::config::Position;
use lockstep_core::message::{Message, Reply, ReplyBody, RequestBody};
use lockstep_core::operation::{ClientId, Key, ReadLevel, RequestId};

use super::{Fact, Invariant};
use crate::cluster::Cluster;

/// How new the answers must be of the reads under way at each replica.
#[derive(Default)]
pub(super) struct Linearizable {
    /// Of each key, the position behind the newest write that a client knows to have happened.
    known: BTreeMap<Key, Position>,
    open: BTreeMap<(usize, ClientId, RequestId), Vec<(ReadLevel, Position)>>,
}

impl Invariant for Linearizable {
    fn name(&self) -> &'static str {
        "linearizable reads are never stale"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Received {
                node,
                message: Message::Request(request),
                ..
            } => {
                let least = match &request.body {
                    RequestBody::Get { key, level } => match level {
                        ReadLevel::Local => return Ok(()),
                        ReadLevel::AtLeast(position) => (*level, *position),
                        ReadLevel::Linearizable => {
                            let known = self.known.get(key).copied();
                            (*level, known.unwrap_or_default())
                        }
                    },
                    RequestBody::Insert { .. }
                    | RequestBody::Remove { .. }
                    | RequestBody::Scan { .. }
                    | RequestBody::Status
                    | RequestBody::Resolve { .. }
                    | RequestBody::Drain(_)
                    | RequestBody::Arbiters(_) => return Ok(()),
                };
                let id = (*node, request.origin.client, request.origin.id);
                self.open.entry(id).or_default().push(least);
                Ok(())
            }
            Fact::Sent {
                node,
                message: Message::Reply(reply),
                ..
            } if cluster.options().is_drift_bounded => self
                .replied(cluster, *node, reply)
                .map_err(|what| format!("{}: {what}", cluster.nodes()[*node].name)),
            Fact::Ceased { node } => {
                self.open.retain(|(replica, ..), _| replica != node);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Linearizable {
    fn replied(&mut self, cluster: &Cluster, node: usize, reply: &Reply) -> Result<(), String> {
        if let ReplyBody::OperationAck { seq, .. } = reply.body {
            let shadow = cluster.nodes()[node].shadow();
            if let Some(entry) = shadow.and_then(|shadow| shadow.entry(seq)) {
                for change in &entry.changes {
                    self.learn(&change.key, Position::behind(seq));
                }
            }
            return Ok(());
        }
        let id = (node, reply.client, reply.id);
        let Some(open) = self.open.get_mut(&id) else {
            return Ok(());
        };
        // Copies of one request: which is answered cannot be told, so the first is the one that demands least.
        let (level, least) = open.remove(0);
        if open.is_empty() {
            self.open.remove(&id);
        }
        let (key, record, position) = match &reply.body {
            ReplyBody::GetResult {
                key,
                record,
                position,
                ..
            } => (key, record, position),
            ReplyBody::OperationFailed | ReplyBody::OperationRejected { .. } => return Ok(()),
            ReplyBody::OperationAck { .. }
            | ReplyBody::ScanResult { .. }
            | ReplyBody::Status(_)
            | ReplyBody::Resolved(_)
            | ReplyBody::Begun => {
                return Err(format!("a {level:?} read was answered {:?}", reply.body));
            }
        };
        if *position > cluster.ledger().end() {
            return Err(format!(
                "{level:?} of {key:?} was answered from position {position}, which is not committed"
            ));
        }
        let before = &cluster.ledger().entries()[..usize::try_from(position.0).expect("an index")];
        let mut newest_first = before.iter().rev();
        let newest = newest_first.find_map(|entry| Some((entry.seq, entry.change_of(key)?)));
        let expected = newest.and_then(|(_, change)| change.record.as_ref());
        if record.as_ref() != expected {
            return Err(format!(
                "{key:?} was read as {record:?}, but was {expected:?} at {position}"
            ));
        }
        let behind_it = newest.map_or(Position::ZERO, |(seq, _)| Position::behind(seq));
        // A position says little of other keys: one that did not change is as good at an older position.
        let is_stale = match level {
            ReadLevel::Linearizable => behind_it < least,
            ReadLevel::AtLeast(_) | ReadLevel::Local => *position < least,
        };
        if is_stale {
            return Err(format!(
                "{level:?} of {key:?} was answered from position {position} with the write before \
                 {behind_it}, {least} was required"
            ));
        }
        if level == ReadLevel::Linearizable {
            self.learn(key, behind_it);
        }
        Ok(())
    }

    fn learn(&mut self, key: &Key, position: Position) {
        let known = self.known.entry(key.clone()).or_default();
        *known = position.max(*known);
    }
}
