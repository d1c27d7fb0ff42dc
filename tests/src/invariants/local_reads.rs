//! [Invariant 6](lockstep_core::docs::protocol#invariants): a `Local` read gives the newest value this replica has received, so
//! reads never go backwards for a key.
//! A scan leaves out no record before the place where it is to go on, and has no more than it was asked for.
//!
//! An answer may be of any moment between the arrival of the request and the reply. Each start of a replica is judged
//! by itself: what it had received and not yet persisted is lost in a crash.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::RangeBounds;

use lockstep_core::config::Position;
use lockstep_core::limits;
use lockstep_core::message::{Message, ReplyBody, RequestBody};
use lockstep_core::operation::{ClientId, Key, Keyed, ReadLevel, RequestId};
use lockstep_core::range::KeyRange;

use super::{Fact, Invariant};
use crate::cluster::Cluster;
use crate::shadow::Shadow;

/// A read that has no answer yet.
#[derive(Clone)]
struct Open {
    body: RequestBody,
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
            Fact::Received {
                node,
                message: Message::Request(request),
                ..
            } => {
                let is_judged = match &request.body {
                    RequestBody::Get { level, .. } => *level == ReadLevel::Local,
                    RequestBody::Scan { .. } => true,
                    RequestBody::Insert { .. }
                    | RequestBody::Remove { .. }
                    | RequestBody::Status
                    | RequestBody::Resolve { .. }
                    | RequestBody::Drain(_)
                    | RequestBody::Arbiters(_) => false,
                };
                if is_judged && let Some(shadow) = cluster.nodes()[*node].shadow() {
                    let id = (*node, request.origin.client, request.origin.id);
                    let open = self.open.entry(id).or_insert_with(|| Open {
                        body: request.body.clone(),
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
                open.replies -= 1;
                let asked = open.clone();
                if open.replies == 0 {
                    self.open.remove(&id);
                }
                check(cluster, *node, &asked, &reply.body)
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

fn check(cluster: &Cluster, node: usize, open: &Open, body: &ReplyBody) -> Result<(), String> {
    let Some(shadow) = cluster.nodes()[node].shadow() else {
        return Ok(());
    };
    if shadow.generation() != open.generation {
        return Ok(());
    }
    match body {
        ReplyBody::GetResult {
            key,
            record,
            position,
            ..
        } => {
            if *position < open.from || *position > shadow.end() {
                return Err(format!(
                    "the answer is of position {position}, the log went from {} to {}",
                    open.from,
                    shadow.end()
                ));
            }
            if !shadow.had(key, record.as_ref(), open.from, *position) {
                return Err(format!(
                    "{key:?} was read as {record:?}, which it was not from {} to {position}",
                    open.from
                ));
            }
            Ok(())
        }
        ReplyBody::ScanResult { records, resume } => {
            let RequestBody::Scan { range, limit } = &open.body else {
                return Err("a page, and no scan".to_owned());
            };
            let page = Page {
                range,
                limit: *limit,
                records,
                resume: resume.as_ref(),
            };
            page.check(shadow, open.from)
        }
        ReplyBody::OperationFailed | ReplyBody::OperationRejected { .. } => Ok(()),
        ReplyBody::OperationAck { .. }
        | ReplyBody::Status(_)
        | ReplyBody::Resolved(_)
        | ReplyBody::Begun => Err(format!("{:?} was answered {body:?}", open.body)),
    }
}

/// The answer to a scan.
struct Page<'a> {
    range: &'a KeyRange,
    limit: Option<NonZeroU32>,
    records: &'a [Keyed],
    resume: Option<&'a Key>,
}

impl Page<'_> {
    fn check(&self, shadow: &Shadow, from: Position) -> Result<(), String> {
        let Self { records, limit, .. } = self;
        if records.len() > limits::page_records_max(*limit) {
            return Err(format!("{} records, asked for {limit:?}", records.len()));
        }
        if !records.is_sorted_by(|one, next| one.key < next.key) {
            return Err(format!("out of order: {records:?}"));
        }
        for Keyed { key, record } in *records {
            if !self.covers(key) {
                return Err(format!("{key:?} is not in the page's range"));
            }
            if !shadow.had(key, Some(record), from, shadow.end()) {
                return Err(format!("{key:?} was scanned as {record:?}"));
            }
        }
        let is_missing = |key: &&Key| {
            let is_left_out = records.iter().all(|found| found.key != **key);
            self.covers(key) && is_left_out && !shadow.had(key, None, from, shadow.end())
        };
        match shadow.keys().find(is_missing) {
            Some(key) => Err(format!("a scan left {key:?} out")),
            None => Ok(()),
        }
    }

    /// Is the key between where the page begins and where the next one does?
    fn covers(&self, key: &Key) -> bool {
        self.range.contains(key) && self.resume.is_none_or(|resume| key <= resume)
    }
}
