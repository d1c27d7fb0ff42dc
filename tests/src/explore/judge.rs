//! What must hold after every step, judged by what replicas ask of their disks and say to others.
//!
//! Like `invariants`, from which it borrows, but part of the state that is explored: two worlds in which clients know
//! different things are different.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockstep_core::config::{Config, Epoch, Position};
use lockstep_core::message::{Reply, ReplyBody, RequestBody};
use lockstep_core::operation::{Entry, Key, Origin, ReadLevel, RequestId, Value};

use super::scope::Scope;
use crate::disk::Disk;
use crate::invariants::Ledger;
use crate::shadow::Shadow;

/// What was promised so far, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Judge {
    pub(super) ledger: Ledger,
    acknowledged: Vec<Arc<Entry>>,
    /// Of each key, what a fresh read must at least see: it was acknowledged, or seen by a fresh read.
    seen: BTreeMap<Key, Position>,
    clients: Vec<Asker>,
    /// The highest epoch each process has spoken in.
    epochs: Vec<Epoch>,
}

/// What a client is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Asker {
    /// The question it asks next.
    next: usize,
    open: Option<Open>,
}

/// A question that has no answer yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Open {
    node: usize,
    /// What a fresh read that was asked then must at least see.
    floor: Position,
}

/// The arbiter's decision and who has what, to judge by.
pub(super) struct Evidence<'a> {
    pub(super) config: &'a Config,
    pub(super) disks: Vec<&'a Disk>,
}

impl Judge {
    pub(super) fn new(scope: &Scope) -> Self {
        Self {
            ledger: Ledger::default(),
            acknowledged: Vec::new(),
            seen: BTreeMap::new(),
            clients: vec![Asker::default(); scope.clients.len()],
            epochs: vec![Epoch::ZERO; scope.replicas() + 1],
        }
    }

    /// The number of the question a client asks next; `None` while it waits for an answer.
    pub(super) fn next_ask(&self, client: usize) -> Option<usize> {
        let asker = &self.clients[client];
        asker.open.is_none().then_some(asker.next)
    }

    /// A client asks its next question.
    pub(super) fn on_ask(&mut self, client: usize, node: usize, body: &RequestBody) {
        let floor = match key_of(body) {
            Some(key) => self.seen.get(key).copied().unwrap_or_default(),
            None => Position::ZERO,
        };
        let asker = &mut self.clients[client];
        asker.next += 1;
        asker.open = Some(Open { node, floor });
    }

    /// A process is gone: what was asked there is never answered.
    pub(super) fn on_gone(&mut self, node: usize) {
        for asker in &mut self.clients {
            asker.open.take_if(|open| open.node == node);
        }
    }

    /// Has a replica spoken in a later epoch?
    pub(super) fn is_past(&self, node: usize, epoch: Epoch) -> bool {
        epoch < self.epochs[node]
    }

    /// Has a replica not yet spoken in an epoch?
    pub(super) fn is_news(&self, node: usize, epoch: Epoch) -> bool {
        epoch > self.epochs[node]
    }

    /// A replica speaks in an epoch.
    pub(super) fn learn(&mut self, node: usize, epoch: Epoch) {
        self.epochs[node] = epoch;
    }

    /// A replica, whose log is `shadow`, answers a client.
    pub(super) fn on_reply(
        &mut self,
        scope: &Scope,
        (client, node): (usize, usize),
        reply: &Reply,
        shadow: &Shadow,
        evidence: &Evidence<'_>,
    ) -> Result<(), String> {
        let asker = &mut self.clients[client];
        let asked = asker
            .open
            .take_if(|open| open.node == node && reply.id == request_id(asker.next - 1));
        let Some(open) = asked else {
            return Err(format!("nobody waits for {reply:?}"));
        };
        let request = &scope.clients[client][asker.next - 1].body;
        match (&reply.body, request) {
            (ReplyBody::OperationAck { seq, .. }, _) => {
                let Some(entry) = shadow.entry(*seq).cloned() else {
                    return Err(format!("{seq} is acknowledged, but not in the log"));
                };
                let origin = (reply.client, reply.id);
                if entry.origin().map(Origin::request) != Some(origin) {
                    return Err(format!("{origin:?} got the acknowledgement of {entry:?}"));
                }
                is_durable(&entry, evidence)?;
                for change in &entry.changes {
                    self.see(&change.key, Position::behind(*seq));
                }
                self.acknowledged.push(entry);
                Ok(())
            }
            (ReplyBody::GetResult { key, record, .. }, RequestBody::Get { level, .. })
                if *level == ReadLevel::Linearizable =>
            {
                let value = record.as_ref().map(|record| &record.value);
                let Some(version) = self.version_of(key, value) else {
                    return Err(format!("{key:?}={value:?} was read and never committed"));
                };
                if version < open.floor {
                    return Err(format!(
                        "{key:?}={value:?} was read, of position {version}, when position {} had been seen",
                        open.floor
                    ));
                }
                self.see(key, version);
                Ok(())
            }
            (ReplyBody::OperationRejected { .. }, _) => {
                // It was certainly not executed, and is asked again.
                self.clients[client].next -= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn see(&mut self, key: &Key, position: Position) {
        let seen = self.seen.entry(key.clone()).or_default();
        *seen = position.max(*seen);
    }

    /// Behind which committed entry the key had that value last. Scopes write every value once.
    fn version_of(&self, key: &Key, value: Option<&Value>) -> Option<Position> {
        let sets = self.ledger.entries().iter().rfind(|entry| {
            let change = entry.change_of(key);
            change.is_some_and(|change| change.value().is_some() && change.value() == value)
        });
        match (sets, value) {
            (Some(entry), _) => Some(Position::behind(entry.seq)),
            (None, None) => Some(Position::ZERO),
            (None, Some(_)) => None,
        }
    }

    /// The arbiter has decided: what was acknowledged before is on the disks of new members as well.
    pub(super) fn on_decided(&self, evidence: &Evidence<'_>) -> Result<(), String> {
        self.acknowledged
            .iter()
            .try_for_each(|entry| is_durable(entry, evidence))
    }
}

/// The requests of a client are numbered from 1 on.
pub(super) fn request_id(question: usize) -> RequestId {
    RequestId(question as u64 + 1)
}

fn key_of(body: &RequestBody) -> Option<&Key> {
    match body {
        RequestBody::Get { key, .. } => Some(key),
        _ => None,
    }
}

fn is_durable(entry: &Entry, evidence: &Evidence<'_>) -> Result<(), String> {
    for member in &evidence.config.in_sync {
        let disk = evidence
            .disks
            .iter()
            .find(|disk| disk.meta().node == *member);
        if !disk.is_some_and(|disk| disk.holds(entry)) {
            return Err(format!(
                "{entry:?} is acknowledged, but not on the disk of {member:?}, which is in sync"
            ));
        }
    }
    Ok(())
}
