//! Carrying out what the scheduler wants: the only place that turns its words into calls of log and state.
//!
//! Lack of room is an outcome; whatever else fails ends the process.

use std::collections::BTreeMap;

use crate::config::Position;
use crate::engine::{ArbiterStore, Engine, LogStore, StoreError, View};
use crate::limits;

use super::committed::Committed;
use super::desk::BulkRequest;
use super::scheduler::{Job, Outcome, Told};
use super::{Answer, Cursor, Save, Ticket};

/// Carries out a job of a replica's scheduler.
///
/// # Errors
/// What is not lack of room. What the disk has is then for the next start to find out.
pub fn carry_out(
    job: &Job,
    log: &mut dyn LogStore,
    engine: &dyn Engine,
) -> Result<Outcome, StoreError> {
    let outcome = match job {
        Job::Save(save) => carry_out_save(save, log, engine),
        // A failed sync is the end, for whatever reason: what the disk has is then unknown.
        Job::Sync => return log.sync().map(|()| Outcome::Done),
        Job::Reset { at, history } => match log.reset(at.position, history) {
            Ok(()) => return log.sync().map(|()| Outcome::Done),
            refused => refused,
        },
        Job::Trim { before, bytes_max } => {
            return log.trim(*before, *bytes_max).map(Outcome::Trimmed);
        }
        Job::Read { from } => {
            let entries = log.read(*from, limits::SNAPSHOTS_BYTES_MAX)?;
            return Ok(Outcome::Entries(entries));
        }
    };
    done_or_refused(outcome)
}

fn carry_out_save(
    save: &Save,
    log: &mut dyn LogStore,
    engine: &dyn Engine,
) -> Result<(), StoreError> {
    match save {
        Save::Append { entries, committed } => log.append(entries, *committed),
        Save::Truncate { keep } if *keep < log.end() => log.truncate(*keep),
        Save::Truncate { .. } => Ok(()),
        Save::Meta(meta) => log.save_meta(meta),
        Save::StageBegin => engine.stage_begin(),
        Save::Stage { records, sessions } => engine.stage(records, sessions),
        Save::Install { at, history } => engine.install(*at, history),
        Save::Arbiter(_) => unreachable!("a replica keeps no arbiter's record"),
    }
}

/// Carries out a job of an arbiter's scheduler.
///
/// # Errors
/// What is not lack of room.
pub fn carry_out_for_arbiter(
    job: &Job,
    store: &mut dyn ArbiterStore,
) -> Result<Outcome, StoreError> {
    match job {
        Job::Save(Save::Arbiter(record)) => done_or_refused(store.save(record)),
        job => unreachable!("an arbiter keeps its record and nothing else: {job:?}"),
    }
}

fn done_or_refused(outcome: Result<(), StoreError>) -> Result<Outcome, StoreError> {
    match outcome {
        Ok(()) => Ok(Outcome::Done),
        Err(StoreError::NoRoom { .. }) => Ok(Outcome::Refused),
        Err(error) => Err(error),
    }
}

/// Carries out `Order::Apply`. Returns what the scheduler is to be told.
///
/// # Errors
/// What is not lack of room.
pub fn apply(committed: Committed, engine: &dyn Engine) -> Result<Told, StoreError> {
    match engine.apply(&committed.entries, &committed.sessions) {
        Ok(()) => Ok(Told::Applied),
        Err(StoreError::NoRoom { .. }) => Ok(Told::NotApplied(committed)),
        Err(error) => Err(error),
    }
}

/// Carries out `Order::Checkpoint`, where anything was applied since the last, which made `durable` durable. Returns what
/// the scheduler is to be told.
///
/// # Errors
/// What is not lack of room.
pub fn checkpoint(durable: &mut Position, engine: &dyn Engine) -> Result<Told, StoreError> {
    if engine.applied() == *durable {
        return Ok(Told::Checkpointed(*durable));
    }
    match engine.checkpoint() {
        Ok(position) => {
            *durable = position;
            Ok(Told::Checkpointed(position))
        }
        Err(StoreError::NoRoom { .. }) => Ok(Told::NotCheckpointed),
        Err(error) => Err(error),
    }
}

/// The views that are open.
pub type Views = BTreeMap<Ticket, Box<dyn View>>;

/// Answers a request to read in bulk, if it has an answer.
///
/// # Errors
/// What failed in the state.
pub fn answer(
    request: BulkRequest,
    engine: &dyn Engine,
    views: &mut Views,
) -> Result<Option<(Ticket, Answer)>, StoreError> {
    let answered = match request {
        BulkRequest::Scan {
            ticket,
            range,
            limit,
        } => (ticket, Answer::Page(engine.scan(&range, limit)?)),
        BulkRequest::OpenView { ticket } => {
            let view = engine.view()?;
            let (at, records) = (view.at(), view.records());
            views.insert(ticket, view);
            (ticket, Answer::View { at, records })
        }
        BulkRequest::ReadView {
            ticket,
            view,
            after,
        } => {
            let Some(view) = views.get(&view) else {
                // The process let go of the view after it had asked, and waits for no answer.
                return Ok(None);
            };
            let answer = match after {
                Cursor::Records(range) => Answer::Page(view.scan(&range, None)?),
                Cursor::Sessions(after) => Answer::Sessions(view.sessions(after)?),
            };
            (ticket, answer)
        }
        BulkRequest::CloseView { view } => {
            views.remove(&view);
            return Ok(None);
        }
    };
    Ok(Some(answered))
}
