//! What clients read, whatever the replica's role is ([protocol: reads](crate::docs::protocol#reads)): what it answers at once,
//! what waits for the state, and what waits for the log to be committed.
//!
//! [`levels`] says when a read may be answered; [`points`] and [`scans`] how; [`asked`] what the state is asked; [`waiting`]
//! holds what has to wait.

mod asked;
mod levels;
mod points;
mod scans;
pub(super) mod views;
mod waiting;

use std::num::NonZeroU32;

use crate::config::Position;
use crate::limits;
use crate::message::CommittedAnswer;
use crate::operation::{Key, ReadLevel, Rejection};
use crate::range::KeyRange;
use crate::shares::Shares;
use crate::storage::{Answer, Query, Ticket};

use self::asked::Asked;
pub(super) use self::levels::Authority;
use self::levels::{Level, When};
use self::points::Point;
use self::scans::Scan;
use self::waiting::Waiting;
use super::asker::Asker;
use super::context::Context;
use super::timer::Timer;

/// The reads that are not answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Reads {
    asked: Asked<Read>,
    waiting: Waiting<Point>,
    /// All in `asked` and `waiting`.
    shares: Shares,
    /// The scans among `asked`.
    scans: Shares,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Read {
    Point(Point),
    Scan(Scan),
}

impl Read {
    fn query(&self) -> Query {
        match self {
            Self::Point(point) => point.query(),
            Self::Scan(scan) => scan.query(),
        }
    }

    fn asker(&self) -> &Asker {
        match self {
            Self::Point(point) => &point.asker,
            Self::Scan(scan) => &scan.asker,
        }
    }
}

impl Reads {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.shares.total()
    }

    /// Does a read wait for the log to be committed?
    pub(super) fn is_anything_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    // ---------------------------------------------------------------------------------------------- clients

    /// A client wants the value of a key.
    pub(super) fn on_get(
        &mut self,
        cx: &mut Context<'_>,
        authority: Authority,
        asker: Asker,
        key: Key,
        level: ReadLevel,
    ) {
        // In sync it has what anybody has seen, so that nobody has seen that position. What is behind may catch up.
        if let ReadLevel::AtLeast(position) = level
            && position > cx.core.log.end()
            && cx.core.is_in_sync()
        {
            let committed = cx.core.log.committed();
            return cx.reject(&asker, Rejection::Behind { committed });
        }
        let when = levels::when(level, authority, &cx.core.log, &key);
        let level = Level::of(level);
        let point = Point { asker, key, level };
        match when {
            When::Now => self.read(cx, point),
            When::Never => cx.reject(&point.asker, Rejection::NoLease),
            When::Later(_) if !self.has_room(&point.asker) => {
                cx.reject(&point.asker, Rejection::Overloaded);
            }
            When::Later(until) => {
                let deadline = cx.now.time + limits::READ_PATIENCE;
                cx.core.timers.arm_if_idle(Timer::Reads, deadline);
                self.shares.take(point.asker.owner(), 1);
                self.waiting.wait(point, until, deadline);
            }
        }
    }

    /// A client wants records.
    pub(super) fn on_scan(
        &mut self,
        cx: &mut Context<'_>,
        asker: Asker,
        range: KeyRange,
        limit: Option<NonZeroU32>,
    ) {
        let has_room = self
            .scans
            .has_room(asker.owner(), limits::SCANS_IN_FLIGHT_MAX);
        if !has_room || !self.has_room(&asker) {
            return cx.reject(&asker, Rejection::Overloaded);
        }
        let scan = Scan {
            asker,
            range,
            limit,
        };
        self.ask(cx, Read::Scan(scan));
    }

    /// The value is wanted now: from the newest entries, or else from the state, at once where memory has it.
    fn read(&mut self, cx: &mut Context<'_>, point: Point) {
        let in_state = || match is_ambiguous(cx) {
            true => None,
            false => cx.now.peek(&point.key),
        };
        if let Some(record) = point.in_log(&cx.core.log).or_else(in_state) {
            return point.answer(cx, record);
        }
        if !self.has_room(&point.asker) {
            return cx.reject(&point.asker, Rejection::Overloaded);
        }
        self.ask(cx, Read::Point(point));
    }

    fn has_room(&self, asker: &Asker) -> bool {
        self.shares
            .has_room(asker.owner(), limits::READS_IN_FLIGHT_MAX)
    }

    fn ask(&mut self, cx: &mut Context<'_>, read: Read) {
        let owner = read.asker().owner();
        self.shares.take(owner, 1);
        if let Read::Scan(_) = read {
            self.scans.take(owner, 1);
        }
        let ticket = cx.query(read.query());
        self.asked.insert(ticket, read);
    }

    /// The state has answered, or is asked anew.
    fn on_not_asked(&mut self, read: &Read) {
        let owner = read.asker().owner();
        self.shares.give_back(owner, 1);
        if let Read::Scan(_) = read {
            self.scans.give_back(owner, 1);
        }
    }

    // -------------------------------------------------------------------------------------------- the state

    /// The state answered. False if the question was not of a client.
    pub(super) fn on_answered(
        &mut self,
        cx: &mut Context<'_>,
        authority: Authority,
        ticket: Ticket,
        answer: &Answer,
    ) -> bool {
        // What is open then is asked again.
        if is_ambiguous(cx) && self.asked.has(ticket) {
            return true;
        }
        let Some(read) = self.asked.remove(ticket) else {
            return false;
        };
        self.on_not_asked(&read);
        match (read, answer) {
            (Read::Point(point), Answer::Record(record)) => {
                point.on_found(cx, authority, record.as_ref());
            }
            (Read::Scan(scan), Answer::Page(page)) => {
                scan.on_found(cx, page);
            }
            (read, Answer::Failed(reason)) => {
                let reason = reason.clone();
                cx.reject(read.asker(), Rejection::Failed { reason });
            }
            (Read::Point(_) | Read::Scan(_), _) => {
                unreachable!("the storage answers what it was asked")
            }
        }
        self.forget(cx);
        true
    }

    /// The state has the entries before `position`.
    pub(super) fn on_applied(&mut self, cx: &mut Context<'_>, position: Position) {
        cx.core.log.advance_applied(position);
        self.asked
            .on_applied(cx.core.log.applied(), cx.core.next_query);
        self.forget(cx);
    }

    /// Leaves to the state what every question still open, and every later one, finds there.
    fn forget(&mut self, cx: &mut Context<'_>) {
        while let Some(position) = self.asked.next_found() {
            cx.core.log.forget(position);
        }
    }

    /// The state was replaced: what waits is asked again, so that no answer of the former state comes after one of the
    /// present.
    pub(super) fn on_installed(&mut self, cx: &mut Context<'_>) {
        for read in self.asked.on_replaced() {
            self.on_not_asked(&read);
            match read {
                Read::Point(point) => self.read(cx, point),
                Read::Scan(_) => self.ask(cx, read),
            }
        }
    }

    // ------------------------------------------------------------------------------------- what is committed

    /// Goes on with the reads for which the log is committed far enough.
    pub(super) fn release(&mut self, cx: &mut Context<'_>, authority: Authority) {
        while let Some(point) = self.waiting.next_ready(cx.core.log.committed()) {
            self.shares.give_back(point.asker.owner(), 1);
            if point.level.is_allowed(authority) {
                self.read(cx, point);
            } else {
                cx.reject(&point.asker, Rejection::NoLease);
            }
        }
    }

    /// Some reads have waited long enough: others may answer them.
    pub(super) fn on_waited(&mut self, cx: &mut Context<'_>) {
        let committed = cx.core.log.committed();
        while let Some(point) = self.waiting.next_over(cx.now.time) {
            self.shares.give_back(point.asker.owner(), 1);
            cx.reject(&point.asker, Rejection::Behind { committed });
        }
        if let Some(next) = self.waiting.deadline() {
            cx.core.timers.arm(Timer::Reads, next);
        }
    }

    /// The role that held a lease has ended, and with it the primary that was asked.
    pub(super) fn on_role_ended(&mut self, cx: &mut Context<'_>) {
        self.waiting.drop_question();
        let is_given_up = |point: &Point| point.level == Level::Linearizable;
        for point in self.waiting.give_up(is_given_up) {
            self.shares.give_back(point.asker.owner(), 1);
            cx.reject(&point.asker, Rejection::NoLease);
        }
    }

    /// The number of a question to the primary that is to be asked for the first time; `None` while one is open, or if no read
    /// needs it.
    pub(super) fn next_question(&mut self) -> Option<u64> {
        self.waiting.next_question()
    }

    /// The number of the open question, which is to be asked again; `None` if no read needs it.
    pub(super) fn repeated_question(&mut self) -> Option<u64> {
        self.waiting.repeated_question()
    }

    /// The primary has told how far the log is committed: that is as far as reads that came before the question need.
    pub(super) fn on_committed_answer(&mut self, cx: &mut Context<'_>, answer: &CommittedAnswer) {
        if self.waiting.on_told(answer.number, answer.committed) {
            cx.core.timers.disarm(Timer::CommittedQuery);
        }
    }
}

/// While another state is put in place, nobody can tell which one answers.
fn is_ambiguous(cx: &Context<'_>) -> bool {
    cx.core.installing.is_some() && !planted!(AnswersWhileInstalling)
}
