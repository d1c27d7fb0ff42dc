//! [Invariant 10](lockstep_core::docs::protocol#invariants): a rejected write never takes effect. The replica that rejects it has
//! no entry for it, before or afterwards.
//!
//! Another replica may have one: a client that was rejected tries elsewhere under the same id. And of what was asked
//! several times, one copy may be rejected and another one executed: only requests that came once are judged.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::message::{Message, ReplyBody};
use lockstep_core::operation::{ClientId, RequestId};
use lockstep_core::storage::Save;

use super::{Fact, Invariant};
use crate::cluster::Cluster;
use crate::repeats;

/// The last word of each primary on each request.
#[derive(Default)]
pub(super) struct RejectedHasNoEffect {
    appended: BTreeSet<(usize, (ClientId, RequestId))>,
    copies: BTreeMap<(ClientId, RequestId), u32>,
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
                let came_once = self.copies.get(&origin) == Some(&1);
                if came_once
                    && !repeats::is_one(reply.client)
                    && self.appended.contains(&(*node, origin))
                {
                    return Err(format!(
                        "{} rejected {origin:?}, of which it has an entry",
                        cluster.nodes()[*node].name
                    ));
                }
                Ok(())
            }
            Fact::Received {
                message: Message::Request(request),
                ..
            } => {
                let origin = request.origin.request();
                *self.copies.entry(origin).or_default() += 1;
                Ok(())
            }
            Fact::Persist {
                node,
                save: Save::Append { entries, .. },
            } => {
                for entry in entries {
                    if let Some(origin) = entry.origin() {
                        self.appended.insert((*node, origin.request()));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
