//! The process's side of its disk: hands on what it asks for, each save once, and does at once what needs no waiting.
//!
//! - A save that the process asks for again is under way, or done: nothing is forgotten behind the desk, so it hands nothing on
//!   twice.
//! - The desk has entries applied to the state once the log has them durably ([`committed`](super::committed)): it does so
//!   itself where the state takes them without waiting for the disk, otherwise the scheduler does, behind what that has already.

use std::num::NonZeroU32;

use crate::config::Position;
use crate::engine::{Engine, StoreError};
use crate::operation::Key;
use crate::range::KeyRange;

use super::committed::{ApplyOrder, Committed};
use super::scheduler::Told;
use super::{Cursor, Query, Save, Ticket};

/// The scheduler, which makes checkpoints, is told every so many bytes what was applied without it.
pub const TOLD_BYTES: u64 = 1 << 20;

/// Something handed on, and to whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Handed {
    /// To the scheduler.
    Scheduler(Told),
    /// To those who read single keys.
    Get(Ticket, Key),
    /// To whoever reads in bulk.
    Bulk(BulkRequest),
}

/// What is read in bulk: scans, and states held fixed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BulkRequest {
    /// `Query::Scan`.
    Scan {
        /// Names the question.
        ticket: Ticket,
        /// Which records.
        range: KeyRange,
        /// At most so many records.
        limit: Option<NonZeroU32>,
    },
    /// `Query::OpenView`.
    OpenView {
        /// Names the question, and the view.
        ticket: Ticket,
    },
    /// `Query::ReadView`.
    ReadView {
        /// Names the question.
        ticket: Ticket,
        /// Which.
        view: Ticket,
        /// Where it begins.
        after: Cursor,
    },
    /// `Effect::CloseView`.
    CloseView {
        /// Which.
        view: Ticket,
    },
}

/// Why something cannot be handed on.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The process asked for a disk it was not given.
    #[error("this kind of process has no disk for what it wanted to save")]
    NoDisk,
    /// The state failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The process's side of one disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Desk {
    kind: Kind,
    /// The newest save that was handed on.
    newest: Option<Ticket>,
    order: ApplyOrder,
    /// The scheduler has the state apply up to here, and has not reported it.
    awaited: Option<Position>,
    /// Applied at once, and not told to the process.
    applied: Option<Position>,
    /// Applied at once, and not told to the scheduler.
    untold_bytes: u64,
    told_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    None,
    Arbiter,
    Replica,
}

impl Desk {
    /// Of a process without a disk: a client.
    pub fn none() -> Self {
        Self::new(Kind::None, Position::ZERO, TOLD_BYTES)
    }

    /// Of an arbiter.
    pub fn arbiter() -> Self {
        Self::new(Kind::Arbiter, Position::ZERO, TOLD_BYTES)
    }

    /// Of a replica whose log ends at `log_end`. The scheduler is told of every `told_bytes` that are applied at once,
    /// [`TOLD_BYTES`] in a program.
    pub fn replica(log_end: Position, told_bytes: u64) -> Self {
        Self::new(Kind::Replica, log_end, told_bytes)
    }

    fn new(kind: Kind, log_end: Position, told_bytes: u64) -> Self {
        Self {
            kind,
            newest: None,
            order: ApplyOrder::new(log_end),
            awaited: None,
            applied: None,
            untold_bytes: 0,
            told_bytes,
        }
    }

    /// Was this save, or a later one, asked for before?
    pub fn knows(&self, ticket: Ticket) -> bool {
        self.newest.is_some_and(|newest| ticket <= newest)
    }

    /// The process asks for a save, for the first time or again.
    ///
    /// # Errors
    /// `NoDisk`.
    pub fn persist(
        &mut self,
        ticket: Ticket,
        save: Save,
        out: &mut Vec<Handed>,
    ) -> Result<(), DeskError> {
        let is_fit = match (self.kind, &save) {
            (Kind::None, _) => false,
            (Kind::Arbiter, save) => matches!(save, Save::Arbiter(_)),
            (Kind::Replica, save) => !matches!(save, Save::Arbiter(_)),
        };
        if !is_fit {
            return Err(DeskError::NoDisk);
        }
        if self.knows(ticket) && !planted!(RepeatHandedOn) {
            return Ok(());
        }
        self.newest = Some(ticket);
        self.order.on_save(ticket, &save);
        if let Save::Install { .. } = save {
            // Whatever is being applied is replaced.
            self.awaited = None;
        }
        out.push(Handed::Scheduler(Told::Save(ticket, save)));
        Ok(())
    }

    /// The process has committed entries.
    ///
    /// # Errors
    /// `NoDisk`, or what failed in the state.
    pub fn apply(
        &mut self,
        engine: Option<&dyn Engine>,
        committed: Committed,
        out: &mut Vec<Handed>,
    ) -> Result<(), DeskError> {
        let engine = engine.ok_or(DeskError::NoDisk)?;
        self.order.hold(committed);
        self.release(engine, out)
    }

    /// The process asks a question. Whatever it was told to be applied before is in the answer.
    ///
    /// # Errors
    /// `NoDisk`.
    pub fn query(
        &mut self,
        ticket: Ticket,
        query: Query,
        out: &mut Vec<Handed>,
    ) -> Result<(), DeskError> {
        if self.kind != Kind::Replica {
            return Err(DeskError::NoDisk);
        }
        out.push(match query {
            Query::Get { key } => Handed::Get(ticket, key),
            Query::Scan { range, limit } => Handed::Bulk(BulkRequest::Scan {
                ticket,
                range,
                limit,
            }),
            Query::Log { from } => Handed::Scheduler(Told::Read { ticket, from }),
            Query::OpenView => Handed::Bulk(BulkRequest::OpenView { ticket }),
            Query::ReadView { view, after } => Handed::Bulk(BulkRequest::ReadView {
                ticket,
                view,
                after,
            }),
        });
        Ok(())
    }

    /// The process lets go of a view.
    pub fn close_view(&mut self, view: Ticket, out: &mut Vec<Handed>) {
        out.push(Handed::Bulk(BulkRequest::CloseView { view }));
    }

    /// The process wants the log kept from here on.
    pub fn retain(&mut self, from: Position, out: &mut Vec<Handed>) {
        out.push(Handed::Scheduler(Told::Retain(from)));
    }

    /// The process is about to be told that a save is durable.
    ///
    /// # Errors
    /// What failed in the state.
    pub fn on_persisted(
        &mut self,
        engine: Option<&dyn Engine>,
        ticket: Ticket,
        out: &mut Vec<Handed>,
    ) -> Result<(), DeskError> {
        self.order.on_persisted(ticket);
        match engine {
            Some(engine) => self.release(engine, out),
            None => Ok(()),
        }
    }

    /// The process is about to be told how far the scheduler has had the state apply.
    pub fn on_applied(&mut self, position: Position) {
        self.awaited.take_if(|awaited| *awaited <= position);
    }

    /// Takes how far entries were applied at once, if there were any: the process is to be told that the state contains those
    /// before this.
    pub fn take_applied(&mut self) -> Option<Position> {
        self.applied.take()
    }

    /// Entries that are committed and not handed on, since the log does not have them durably.
    pub fn held(&self) -> usize {
        self.order.held()
    }

    /// Applies the entries that have become durable in the log.
    fn release(&mut self, engine: &dyn Engine, out: &mut Vec<Handed>) -> Result<(), DeskError> {
        while let Some(committed) = self.order.release() {
            let Some(end) = committed.end() else {
                continue;
            };
            let may_overtake = self.awaited.is_none() || planted!(AppliesPastWaiting);
            if may_overtake && engine.applies_at_once() {
                match engine.apply(&committed.entries, &committed.sessions) {
                    Ok(()) => {
                        self.on_applied_at_once(end, committed.bytes() as u64, out);
                        continue;
                    }
                    // The scheduler tries again until there is room.
                    Err(StoreError::NoRoom { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            self.awaited = Some(end);
            out.push(Handed::Scheduler(Told::Apply(committed)));
        }
        Ok(())
    }

    fn on_applied_at_once(&mut self, end: Position, bytes: u64, out: &mut Vec<Handed>) {
        self.applied = Some(end);
        self.untold_bytes += bytes;
        if self.untold_bytes >= self.told_bytes {
            let bytes = std::mem::take(&mut self.untold_bytes);
            out.push(Handed::Scheduler(Told::AppliedAtOnce { bytes }));
        }
    }
}
