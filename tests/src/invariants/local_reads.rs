//! PROTOCOL 9.6: a `Local` read gives the newest value this replica has received, so reads never go backwards for a key.
//!
//! An answer may be of any moment between the arrival of the request and the reply. Each start of a replica is judged
//! by itself: what it had received and not yet persisted is lost in a crash.

use std::collections::BTreeMap;

use lockstep_core::config::Position;
use lockstep_core::message::{Message, ReplyBody, RequestBody};
use lockstep_core::operation::{ClientId, ReadLevel, RequestId};
use lockstep_core::process::Input;

use super::{Fact, Invariant};
use crate::cluster::Cluster;

/// A read that has no answer yet.
#[derive(Clone, Copy)]
struct Open {
    generation: u64,
    /// Where the log ended when the request came first.
    from: Position,
    /// Replies it may have: a client repeats a read that is not answered.
    replies: u32,
}

/// The reads under way at each replica.
#[derive(Default)]
pub(super) struct LocalReads {
    open: BTreeMap<(usize, ClientId, RequestId), Open>,
}

impl Invariant for LocalReads {
    fn name(&self) -> &'static str {
        "local reads give the newest value received"
    }

    fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Input {
                node,
                stimulus:
                    Input::Message {
                        message: Message::Request(request),
                        ..
                    },
            } => {
                let is_read = matches!(
                    request.body,
                    RequestBody::Get {
                        level: ReadLevel::Local,
                        ..
                    } | RequestBody::Scan { .. }
                );
                if is_read && let Some(shadow) = cluster.nodes()[*node].shadow() {
                    let id = (*node, request.client, request.id);
                    let open = self.open.entry(id).or_insert(Open {
                        generation: shadow.generation(),
                        from: shadow.end(),
                        replies: 0,
                    });
                    open.replies += 1;
                }
                Ok(())
            }
            Fact::Sent {
                node,
                message: Message::Reply(reply),
                ..
            } => {
                let id = (*node, reply.client, reply.id);
                let Some(open) = self.open.get_mut(&id) else {
                    return Ok(());
                };
                let asked = *open;
                open.replies -= 1;
                if open.replies == 0 {
                    self.open.remove(&id);
                }
                check(cluster, *node, asked, &reply.body)
                    .map_err(|what| format!("{}: {what}", cluster.nodes()[*node].name))
            }
            Fact::Ceased { node } => {
                self.open.retain(|(replica, ..), _| replica != node);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn check(cluster: &Cluster, node: usize, open: Open, body: &ReplyBody) -> Result<(), String> {
    let Some(shadow) = cluster.nodes()[node].shadow() else {
        return Ok(());
    };
    if shadow.generation() != open.generation {
        return Ok(());
    }
    match body {
        ReplyBody::GetResult {
            key,
            value,
            position,
        } => {
            if *position < open.from || *position > shadow.end() {
                return Err(format!(
                    "the answer is of position {position}, the log went from {} to {}",
                    open.from,
                    shadow.end()
                ));
            }
            if !shadow.had(key, value.as_ref(), open.from, *position) {
                return Err(format!(
                    "{key:?} was read as {value:?}, which it was not from {} to {position}",
                    open.from
                ));
            }
            Ok(())
        }
        ReplyBody::ScanResult { records, .. } => {
            let wrong = records
                .iter()
                .find(|(key, value)| !shadow.had(key, Some(value), open.from, shadow.end()));
            match wrong {
                Some((key, value)) => Err(format!("{key:?} was scanned as {value:?}")),
                None => Ok(()),
            }
        }
        ReplyBody::OperationAck { .. }
        | ReplyBody::OperationFailed
        | ReplyBody::OperationRejected { .. }
        | ReplyBody::Status(_)
        | ReplyBody::Resolved(_)
        | ReplyBody::Draining => Ok(()),
    }
}
