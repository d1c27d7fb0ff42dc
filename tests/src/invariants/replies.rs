//! [Invariant 7](lockstep_core::docs::protocol#invariants): exactly one reply per request; a write is answered within its second,
//! `OperationFailed` exactly then.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::limits;
use lockstep_core::message::{Goal, Message, Reply, ReplyBody, RoleName};
use lockstep_core::operation::{ClientId, RequestId};
use lockstep_core::time::Instant;

use super::{Fact, Invariant};
use crate::cluster::{AnyHost, Cluster};
use crate::repeats;

/// Requests of clients that repeat themselves are left out: copies that come while the first is under way share its
/// answer, others have one each.
///
/// A request that has no reply yet.
struct Open {
    /// When it arrived first, by the replica's clock.
    arrived: Instant,
    /// When a copy of it arrived last.
    arrived_last: Instant,
    /// Before this it did not wait for an answer that is still to come. A copy that was taken in the turn that answered the
    /// one before may wait since then, however many follow.
    waits_from: Instant,
    /// How many replies it may have: a client repeats what is not answered. Each copy of a read is answered, copies of
    /// a write are answered together or each by itself.
    replies: u32,
    is_write: bool,
    is_answered: bool,
}

/// The requests under way at each replica.
#[derive(Default)]
pub(super) struct OneReply {
    open: BTreeMap<(usize, ClientId, RequestId), Open>,
    /// The writes among them, by arrival.
    writes: BTreeSet<(usize, Instant, ClientId, RequestId)>,
}

impl Invariant for OneReply {
    fn name(&self) -> &'static str {
        "one reply per request, for a write within its second"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Received {
                node,
                message: Message::Request(request),
                ..
            } if !repeats::is_one(request.origin.client) => {
                let arrived = cluster.nodes()[*node].clock.local(cluster.now());
                let open = self
                    .open
                    .entry((*node, request.origin.client, request.origin.id))
                    .or_insert(Open {
                        arrived,
                        arrived_last: arrived,
                        waits_from: arrived,
                        replies: 0,
                        is_write: false,
                        is_answered: false,
                    });
                open.replies += 1;
                open.arrived_last = arrived;
                if open.is_answered {
                    open.arrived = arrived;
                }
                if request.body.row().goal == Goal::Primary {
                    (open.is_write, open.is_answered) = (true, false);
                    self.writes.insert((
                        *node,
                        open.arrived,
                        request.origin.client,
                        request.origin.id,
                    ));
                }
                Ok(())
            }
            Fact::Sent {
                node,
                message: Message::Reply(reply),
                ..
            } if !repeats::is_one(reply.client) => self
                .replied(cluster, *node, reply)
                .map_err(|what| format!("{}: {what}", cluster.nodes()[*node].name)),
            Fact::Ceased { node } => {
                self.open.retain(|(replica, ..), _| replica != node);
                self.writes.retain(|(replica, ..)| replica != node);
                Ok(())
            }
            Fact::Stepped { node } => self.check_overdue(cluster, *node),
            Fact::Ended => {
                // A late copy may have come just now.
                let is_due = |node: usize, open: &Open| {
                    let local = cluster.nodes()[node].clock.local(cluster.now());
                    open.arrived_last + limits::OPERATION_DEADLINE <= local
                };
                let mut open = self.open.iter();
                let unanswered = open.find(|((node, ..), open)| {
                    (!open.is_write || !open.is_answered) && is_due(*node, open)
                });
                match unanswered {
                    Some(((node, client, id), _)) => Err(format!(
                        "{} never answered {id} of {client:?}",
                        cluster.nodes()[*node].name
                    )),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

impl OneReply {
    fn check_overdue(&self, cluster: &Cluster, node: usize) -> Result<(), String> {
        let local = cluster.nodes()[node].clock.local(cluster.now());
        let first = (node, Instant::ZERO, ClientId(0), RequestId(0));
        match self.writes.range(first..).next() {
            Some((replica, arrived, client, id))
                if *replica == node && *arrived + limits::OPERATION_DEADLINE <= local =>
            {
                Err(format!(
                    "write {id} of {client:?} has no answer after a second"
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn replied(&mut self, cluster: &Cluster, node: usize, reply: &Reply) -> Result<(), String> {
        let id = (node, reply.client, reply.id);
        let Some(open) = self.open.get_mut(&id) else {
            return Err(format!("nobody waits for {reply:?}"));
        };
        let (arrived, waits_from) = (open.arrived, open.waits_from);
        let clock = cluster.nodes()[node].clock;
        let local = clock.local(cluster.now());
        open.waits_from = local;
        // A copy taken in the turn that answered the one before has a second of its own.
        let is_of_a_copy = open.is_write && std::mem::replace(&mut open.is_answered, true);
        open.replies -= 1;
        if open.replies == 0 {
            self.open.remove(&id);
        }
        self.writes.remove(&(node, arrived, reply.client, reply.id));
        let deadline = arrived + limits::OPERATION_DEADLINE;
        let earliest = waits_from + limits::OPERATION_DEADLINE;
        // A process that was paused over the deadline takes what came before it and its timer in the same turn.
        let is_first_turn_since = clock.local(cluster.nodes()[node].turned) < deadline;
        // What is pending when a tenure ends is never confirmed.
        let has_tenure = matches!(
            cluster.nodes()[node].host.as_ref().and_then(AnyHost::replica),
            Some(replica) if replica.role() == RoleName::Primary
        );
        if is_of_a_copy {
            return Ok(());
        }
        match reply.body {
            ReplyBody::OperationAck { .. } if local > deadline && !is_first_turn_since => Err(
                format!("{} acknowledged {:?} late", reply.id, local - deadline),
            ),
            ReplyBody::OperationFailed if local < earliest && has_tenure => {
                Err(format!("{} failed {:?} early", reply.id, earliest - local))
            }
            ReplyBody::OperationFailed if !is_first_turn_since => {
                Err(format!("{} failed {:?} late", reply.id, local - deadline))
            }
            ReplyBody::OperationAck { .. }
            | ReplyBody::OperationFailed
            | ReplyBody::OperationRejected { .. }
            | ReplyBody::GetResult { .. }
            | ReplyBody::ScanResult { .. }
            | ReplyBody::Status(_)
            | ReplyBody::Resolved(_)
            | ReplyBody::Begun => Ok(()),
        }
    }
}
