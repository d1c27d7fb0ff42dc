//! A rejected write never takes effect: the replica that rejects it has no entry for it, before or afterwards.
//!
//! Another replica may have one: a client that was rejected tries elsewhere under the same id.

use std::collections::BTreeSet;

use lockstep_core::message::{Message, ReplyBody};
use lockstep_core::operation::{ClientId, RequestId};
use lockstep_core::storage::Write;

use super::{Fact, Invariant};
use crate::cluster::Cluster;
use crate::repeats;

/// The last word of each primary on each request.
#[derive(Default)]
pub(super) struct RejectedHasNoEffect {
    appended: BTreeSet<(usize, (ClientId, RequestId))>,
}

impl Invariant for RejectedHasNoEffect {
    fn name(&self) -> &'static str {
        "a rejected write never takes effect"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Sent {
                node,
                message: Message::Reply(reply),
                ..
            } if matches!(reply.body, ReplyBody::OperationRejected { .. }) => {
                let origin = (reply.client, reply.id);
                // Of what is asked several times, one copy is rejected and another one is executed.
                if repeats::is_one(reply.client) {
                    return Ok(());
                }
                if self.appended.contains(&(*node, origin)) {
                    return Err(format!(
                        "{} rejected {origin:?}, of which it has an entry",
                        cluster.nodes()[*node].name
                    ));
                }
                Ok(())
            }
            Fact::Persist {
                node,
                write: Write::Append { entries, .. },
            } => {
                for entry in entries {
                    let origin = (entry.origin.client, entry.origin.id);
                    self.appended.insert((*node, origin));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
