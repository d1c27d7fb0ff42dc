//! Reads: answered from the newest entries where they know the key, else from the state.
//!
//! An entry stays visible here until every question that reached the state before the entry did is answered, so that
//! two answers of a replica never go backwards.

use std::collections::{BTreeMap, VecDeque};

use crate::config::{Address, Position};
use crate::limits;
use crate::message::ReplyBody;
use crate::operation::{ClientId, Key, Rejection, RequestId, Session, Value};
use crate::storage::{Answer, Query, Ticket};

use super::context::Context;

/// Questions of clients that wait for the state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Reads {
    waiting: BTreeMap<Ticket, Read>,
    scans: usize,
    /// Positions the state has reached, each with the first ticket given afterwards.
    reached: VecDeque<(Position, Ticket)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Read {
    asker: Asker,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    Get(Key),
    Scan(Option<Key>),
}

/// Whom to answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    pub(super) address: Address,
    pub(super) client: ClientId,
    pub(super) id: RequestId,
    pub(super) session: Session,
}

impl Reads {
    /// Reads that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// A client wants the value of a key.
pub(super) fn on_get(cx: &mut Context<'_>, asker: Asker, key: Key) {
    if let Some(value) = cx.core.log.newest(&key) {
        let value = value.cloned();
        return answer_get(cx, &asker, key, value);
    }
    if cx.core.reads.waiting.len() >= limits::READS_IN_FLIGHT_MAX {
        return cx.reject(&asker, Rejection::Overloaded);
    }
    let query = Query::Get { key: key.clone() };
    let ticket = cx.core.disk.query(query, cx.out);
    let what = What::Get(key);
    cx.core.reads.waiting.insert(ticket, Read { asker, what });
}

/// A client wants records.
pub(super) fn on_scan(cx: &mut Context<'_>, asker: Asker, after: Option<Key>) {
    if cx.core.reads.scans >= limits::SCANS_IN_FLIGHT_MAX {
        return cx.reject(&asker, Rejection::Overloaded);
    }
    cx.core.reads.scans += 1;
    let query = Query::Scan {
        after: after.clone(),
    };
    let ticket = cx.core.disk.query(query, cx.out);
    let what = What::Scan(after);
    cx.core.reads.waiting.insert(ticket, Read { asker, what });
}

/// The state answered. False if the question was not of a client.
pub(super) fn on_answered(cx: &mut Context<'_>, ticket: Ticket, answer: &Answer) -> bool {
    let Some(read) = cx.core.reads.waiting.remove(&ticket) else {
        return false;
    };
    match (read.what, answer) {
        (What::Get(key), Answer::Value(value)) => {
            // An entry that came in meanwhile is newer than what the state had.
            let value = match cx.core.log.newest(&key) {
                Some(newer) => newer.cloned(),
                None => value.clone(),
            };
            answer_get(cx, &read.asker, key, value);
        }
        (What::Scan(after), Answer::Page { records, more }) => {
            cx.core.reads.scans -= 1;
            let body = page(cx, after.as_ref(), records, *more);
            cx.reply(&read.asker, body);
        }
        (What::Get(_) | What::Scan(_), _) => unreachable!("the storage answers what it was asked"),
    }
    forget(cx);
    true
}

fn answer_get(cx: &mut Context<'_>, asker: &Asker, key: Key, value: Option<Value>) {
    let position = cx.core.log.end();
    cx.reply(
        asker,
        ReplyBody::GetResult {
            key,
            value,
            position,
        },
    );
}

/// A page of the state, with the newest entries laid over it.
fn page(cx: &Context<'_>, after: Option<&Key>, records: &[(Key, Value)], more: bool) -> ReplyBody {
    let through = if more {
        records.last().map(|record| &record.0)
    } else {
        None
    };
    let mut merged: BTreeMap<&Key, Option<&Value>> = records
        .iter()
        .map(|(key, value)| (key, Some(value)))
        .collect();
    merged.extend(cx.core.log.newest_between(after, through));
    let mut resume = through;
    let (mut page, mut bytes) = (Vec::new(), 0);
    for (index, (key, value)) in merged.iter().enumerate() {
        let Some(value) = value else { continue };
        bytes += key.0.len() + value.0.len();
        page.push(((*key).clone(), (*value).clone()));
        let is_full = bytes >= limits::CHUNK_BYTES_MAX || page.len() >= limits::CHUNK_RECORDS_MAX;
        if is_full && index + 1 < merged.len() {
            resume = Some(*key);
            break;
        }
    }
    ReplyBody::ScanResult {
        records: page,
        resume: resume.cloned(),
    }
}

/// The state has the entries before `position`.
pub(super) fn on_applied(cx: &mut Context<'_>, position: Position) {
    cx.core.log.advance_applied(position);
    let next = cx.core.disk.next_ticket();
    let applied = cx.core.log.applied();
    match cx.core.reads.reached.back_mut() {
        Some(last) if last.1 == next => last.0 = applied,
        Some(_) | None => cx.core.reads.reached.push_back((applied, next)),
    }
    forget(cx);
}

/// Leaves to the state what every question still open, and every later one, finds there.
fn forget(cx: &mut Context<'_>) {
    let oldest = cx.core.reads.waiting.keys().next().copied();
    while let Some((position, next)) = cx.core.reads.reached.front().copied() {
        if oldest.is_some_and(|oldest| oldest < next) {
            return;
        }
        cx.core.reads.reached.pop_front();
        cx.core.log.forget(position);
    }
}

/// The state was replaced: positions it had reached before mean nothing any more, and what waits is asked again, so that
/// no answer of the former state comes after one of the present.
pub(super) fn on_installed(cx: &mut Context<'_>) {
    cx.core.reads.reached.clear();
    for read in std::mem::take(&mut cx.core.reads.waiting).into_values() {
        let query = match &read.what {
            What::Get(key) => Query::Get { key: key.clone() },
            What::Scan(after) => Query::Scan {
                after: after.clone(),
            },
        };
        let ticket = cx.core.disk.query(query, cx.out);
        cx.core.reads.waiting.insert(ticket, read);
    }
}
