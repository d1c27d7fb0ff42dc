//! Reads, at each level: from the newest entries where they know the key, else from the state
//! ([protocol: reads](crate::docs::protocol#reads)).
//!
//! An entry stays visible here until every question that reached the state before the entry did is answered, so that
//! two answers of a replica never go backwards. Reads that must not show what is not committed wait here until the log
//! is known to be committed far enough.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;

use crate::config::{Address, Position};
use crate::limits;
use crate::message::{Attempt, CommittedAnswer, ReplyBody};
use crate::operation::{Key, Origin, Rejection, Value};
use crate::range::KeyRange;
use crate::storage::{Answer, Query, Ticket};
use crate::time::Instant;

use super::Timer;
use super::context::Context;

/// Questions of clients that wait for the state, or for the log to be committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Reads {
    asked: BTreeMap<Ticket, Read>,
    scans: usize,
    /// Positions the state has reached, each with the first ticket given afterwards.
    reached: VecDeque<(Position, Ticket)>,
    /// By the position that has to be committed, and the order of arrival.
    waiting: BTreeMap<(Position, u64), Waiting>,
    arrived: u64,
    /// The question to the primary that was asked last.
    question: u64,
    is_question_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Read {
    asker: Asker,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    Get(Key, Level),
    Scan(KeyRange, Option<NonZeroU32>),
}

/// What the answer to a read may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Level {
    /// What was received.
    Local,
    /// What is committed.
    Committed,
    /// What is committed, by a replica that holds a lease when it answers.
    Linearizable,
}

/// A read that waits until the log is committed far enough.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    asker: Asker,
    key: Key,
    level: Level,
    /// The answer to this question, or a later one, is as good; `None` if only the position will do.
    question: Option<u64>,
    deadline: Instant,
}

/// By what a replica answers linearizable reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Authority {
    /// By nothing.
    None,
    /// By its lease as primary, in whose tenure entries before `inherited` may be committed without its knowing.
    Primary { inherited: Position },
    /// By its read lease.
    Secondary,
}

/// Whom to answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asker {
    pub(super) address: Address,
    pub(super) origin: Origin,
    pub(super) attempt: Attempt,
}

impl Reads {
    /// Reads that wait.
    pub(super) fn len(&self) -> usize {
        self.asked.len() + self.waiting.len()
    }

    /// Does a read wait for the log to be committed?
    pub(super) fn is_anything_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Does a read wait for an answer of the primary to a question that was not asked?
    pub(super) fn wants_question(&self) -> bool {
        !self.is_question_open && self.waiting.values().any(|read| read.question.is_some())
    }

    /// The number of the question to ask, for the first time or again; `None` if no read needs it.
    pub(super) fn next_question(&mut self) -> Option<u64> {
        if !self.is_question_open {
            self.question += 1;
        }
        let question = self.question;
        let mut wanted = self.waiting.values().filter_map(|read| read.question);
        self.is_question_open = wanted.any(|wanted| wanted <= question);
        self.is_question_open.then_some(question)
    }
}

/// A client wants the value of a key, now.
pub(super) fn on_get(cx: &mut Context<'_>, asker: Asker, key: Key, level: Level) {
    if let Some(value) = in_log(cx, &key, level) {
        return answer_get(cx, &asker, key, value, level);
    }
    if cx.core.reads.len() >= limits::READS_IN_FLIGHT_MAX {
        return cx.reject(&asker, Rejection::Overloaded);
    }
    let query = Query::Get { key: key.clone() };
    let ticket = cx.core.questions.ask(query, cx.out);
    let what = What::Get(key, level);
    cx.core.reads.asked.insert(ticket, Read { asker, what });
}

/// A client wants the value of a key once the log is committed up to `position`.
pub(super) fn on_get_at_least(cx: &mut Context<'_>, asker: Asker, key: Key, position: Position) {
    if cx.core.log.committed() >= position || planted!(AnswersAheadOfPosition) {
        return on_get(cx, asker, key, Level::Committed);
    }
    wait(cx, asker, key, Level::Committed, position, None);
}

/// A client wants the newest committed value of a key.
///
/// An acknowledged write is in the log of every replica that holds a lease. So it is committed here, or makes the key
/// dirty here; then the primary knows, whose knowledge is complete once it has committed what it inherited.
pub(super) fn on_get_linearizable(
    cx: &mut Context<'_>,
    authority: Authority,
    asker: Asker,
    key: Key,
) {
    let dirty_until = cx.core.log.dirty_until(&key);
    let level = Level::Linearizable;
    match (authority, dirty_until) {
        (Authority::None, _) => cx.reject(&asker, Rejection::NoLease),
        (Authority::Primary { .. } | Authority::Secondary, None) => on_get(cx, asker, key, level),
        (Authority::Primary { inherited }, Some(_))
            if cx.core.log.committed() >= inherited || planted!(ReadsBeforeRecommit) =>
        {
            on_get(cx, asker, key, level);
        }
        (Authority::Primary { inherited }, Some(until)) => {
            wait(cx, asker, key, level, until.min(inherited), None);
        }
        (Authority::Secondary, Some(_)) if planted!(ReadsOldOfDirty) => {
            on_get(cx, asker, key, level)
        }
        (Authority::Secondary, Some(until)) => {
            // One that is under way was asked before this read came.
            let asked = cx.core.reads.question;
            let question = planted!(ReusesQuestion => asked.max(1), asked + 1);
            wait(cx, asker, key, level, until, Some(question));
        }
    }
}

fn wait(
    cx: &mut Context<'_>,
    asker: Asker,
    key: Key,
    level: Level,
    until: Position,
    question: Option<u64>,
) {
    if cx.core.reads.len() >= limits::READS_IN_FLIGHT_MAX {
        return cx.reject(&asker, Rejection::Overloaded);
    }
    let deadline = cx.now + limits::READ_PATIENCE;
    cx.core.timers.arm_if_idle(Timer::Reads, deadline);
    let reads = &mut cx.core.reads;
    reads.arrived += 1;
    let waiting = Waiting {
        asker,
        key,
        level,
        question,
        deadline,
    };
    reads.waiting.insert((until, reads.arrived), waiting);
}

/// Goes on with the reads for which the log is committed far enough.
pub(super) fn release(cx: &mut Context<'_>, authority: Authority) {
    let committed = cx.core.log.committed();
    while let Some(first) = cx.core.reads.waiting.first_entry()
        && first.key().0 <= committed
    {
        let Waiting {
            asker, key, level, ..
        } = first.remove();
        let has_lease = authority != Authority::None || planted!(LeaseNotCheckedAtAnswer);
        if level == Level::Linearizable && !has_lease {
            cx.reject(&asker, Rejection::NoLease);
        } else {
            on_get(cx, asker, key, level);
        }
    }
}

/// The primary has told how far the log is committed: that is as far as reads that came before the question need.
pub(super) fn on_committed_answer(cx: &mut Context<'_>, answer: &CommittedAnswer) {
    let reads = &mut cx.core.reads;
    if answer.number > reads.question {
        return;
    }
    if answer.number == reads.question {
        reads.is_question_open = false;
        cx.core.timers.disarm(Timer::CommittedQuery);
    }
    let answered: Vec<_> = reads
        .waiting
        .iter()
        .filter(|(_, read)| read.question.is_some_and(|asked| asked <= answer.number))
        .map(|(place, _)| *place)
        .collect();
    for (until, order) in answered {
        if let Some(mut read) = reads.waiting.remove(&(until, order)) {
            read.question = None;
            let until = until.min(answer.committed);
            reads.waiting.insert((until, order), read);
        }
    }
}

/// Some reads have waited long enough: others may answer them.
pub(super) fn on_waited(cx: &mut Context<'_>) {
    let committed = cx.core.log.committed();
    let now = cx.now;
    let waiting = std::mem::take(&mut cx.core.reads.waiting);
    let (over, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = waiting
        .into_iter()
        .partition(|(_, read)| read.deadline <= now);
    if let Some(next) = rest.values().map(|read| read.deadline).min() {
        cx.core.timers.arm(Timer::Reads, next);
    }
    cx.core.reads.waiting = rest;
    for read in over.into_values() {
        cx.reject(&read.asker, Rejection::Behind { committed });
    }
}

/// The role that held a lease has ended, and with it the primary that was asked.
pub(super) fn on_role_ended(cx: &mut Context<'_>) {
    cx.core.reads.is_question_open = false;
    let waiting = std::mem::take(&mut cx.core.reads.waiting);
    let (given_up, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = waiting
        .into_iter()
        .partition(|(_, read)| read.level == Level::Linearizable);
    cx.core.reads.waiting = rest;
    for read in given_up.into_values() {
        cx.reject(&read.asker, Rejection::NoLease);
    }
}

/// A client wants records.
pub(super) fn on_scan(
    cx: &mut Context<'_>,
    asker: Asker,
    range: KeyRange,
    limit: Option<NonZeroU32>,
) {
    if cx.core.reads.scans >= limits::SCANS_IN_FLIGHT_MAX {
        return cx.reject(&asker, Rejection::Overloaded);
    }
    cx.core.reads.scans += 1;
    let query = Query::Scan {
        range: range.clone(),
        limit,
    };
    let ticket = cx.core.questions.ask(query, cx.out);
    let what = What::Scan(range, limit);
    cx.core.reads.asked.insert(ticket, Read { asker, what });
}

/// The state answered. False if the question was not of a client.
pub(super) fn on_answered(
    cx: &mut Context<'_>,
    authority: Authority,
    ticket: Ticket,
    answer: &Answer,
) -> bool {
    // While another state is put in place, nobody can tell which one has answered. What is open then is asked again.
    let is_ambiguous = cx.core.installing.is_some() && !planted!(AnswersWhileInstalling);
    if is_ambiguous && cx.core.reads.asked.contains_key(&ticket) {
        return true;
    }
    let Some(read) = cx.core.reads.asked.remove(&ticket) else {
        return false;
    };
    match (read.what, answer) {
        // The value may have been replaced while nobody had to tell this replica.
        (What::Get(_, Level::Linearizable), Answer::Value(_))
            if authority == Authority::None && !planted!(LeaseNotCheckedAtAnswer) =>
        {
            cx.reject(&read.asker, Rejection::NoLease);
        }
        (What::Get(key, level), Answer::Value(value)) => {
            // An entry that came in meanwhile is newer than what the state had.
            let newer = planted!(OverlaysNothing => None, in_log(cx, &key, level));
            let value = newer.unwrap_or_else(|| value.clone());
            answer_get(cx, &read.asker, key, value, level);
        }
        (What::Scan(range, limit), Answer::Page { records, more }) => {
            cx.core.reads.scans -= 1;
            cx.save_log();
            let body = page(cx, &range, limit, records, *more);
            cx.reply(&read.asker, body);
        }
        (What::Get(..) | What::Scan(..), _) => {
            unreachable!("the storage answers what it was asked")
        }
    }
    forget(cx);
    true
}

/// The value that the newest entries the level may show give the key; `None` where they do not change it.
fn in_log(cx: &Context<'_>, key: &Key, level: Level) -> Option<Option<Value>> {
    let value = match level {
        Level::Local => cx.core.log.newest(key),
        Level::Linearizable if planted!(ReadsDirtyValue) => cx.core.log.newest(key),
        Level::Committed | Level::Linearizable => cx.core.log.newest_committed(key),
    };
    value.map(|value| value.cloned())
}

fn answer_get(cx: &mut Context<'_>, asker: &Asker, key: Key, value: Option<Value>, level: Level) {
    let position = match level {
        Level::Local => {
            // The disk is asked for what somebody has seen; the rest may wait for more.
            let dirty_until = cx.core.log.dirty_until(&key);
            if dirty_until > Some(cx.core.saving) {
                cx.save_log();
            }
            cx.core.saving
        }
        Level::Committed | Level::Linearizable => cx.core.log.committed(),
    };
    cx.reply(
        asker,
        ReplyBody::GetResult {
            key,
            value,
            position,
        },
    );
}

/// A page of the state, with the newest entries laid over it. What they add may make it longer than the limit, and what
/// they remove shorter although more follow.
fn page(
    cx: &Context<'_>,
    range: &KeyRange,
    limit: Option<NonZeroU32>,
    records: &[(Key, Value)],
    more: bool,
) -> ReplyBody {
    let through = if more {
        records.last().map(|record| &record.0)
    } else {
        None
    };
    let mut merged: BTreeMap<&Key, Option<&Value>> = records
        .iter()
        .map(|(key, value)| (key, Some(value)))
        .collect();
    if !planted!(ScansStateAlone) {
        let told = through.map_or(range.clone(), |last| range.through(last.clone()));
        merged.extend(cx.core.log.newest_of(&told));
    }
    let mut resume = through;
    let records_max = limits::page_records_max(limit);
    let (mut page, mut bytes) = (Vec::new(), 0);
    for (index, (key, value)) in merged.iter().enumerate() {
        let Some(value) = value else { continue };
        bytes += key.0.len() + value.0.len();
        page.push(((*key).clone(), (*value).clone()));
        let is_full = bytes >= limits::CHUNK_BYTES_MAX || page.len() >= records_max;
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
    let next = cx.core.questions.next_ticket();
    let applied = cx.core.log.applied();
    match cx.core.reads.reached.back_mut() {
        Some(last) if last.1 == next => last.0 = applied,
        Some(_) | None => cx.core.reads.reached.push_back((applied, next)),
    }
    forget(cx);
}

/// Leaves to the state what every question still open, and every later one, finds there.
fn forget(cx: &mut Context<'_>) {
    let oldest = cx.core.reads.asked.keys().next().copied();
    while let Some((position, next)) = cx.core.reads.reached.front().copied() {
        if oldest.is_some_and(|oldest| oldest < next) && !planted!(ForgetsWhileAsked) {
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
    for read in std::mem::take(&mut cx.core.reads.asked).into_values() {
        let query = match &read.what {
            What::Get(key, _) => Query::Get { key: key.clone() },
            What::Scan(range, limit) => Query::Scan {
                range: range.clone(),
                limit: *limit,
            },
        };
        let ticket = cx.core.questions.ask(query, cx.out);
        cx.core.reads.asked.insert(ticket, read);
    }
}
