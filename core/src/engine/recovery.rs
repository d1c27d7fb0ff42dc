//! What a replica finds when it starts: [`recover`] brings log and state together, and counts the start
//! ([protocol: recovery](crate::docs::protocol#recovery)).
//!
//! The same for every log and engine. Whether their bytes are sound is their own affair.

use crate::config::{Position, StartId};
use crate::engine::{Engine, LogStore, StoreError};
use crate::limits::{STARTS_REMEMBERED_MAX, SessionLimits};
use crate::sessions::Sessions;
use crate::storage::Recovered;

/// Entries read from the log and applied at once; bounds the memory a start takes.
const REPLAY_BYTES: usize = 4 << 20;

/// Brings log and state together, raises the incarnation durably, and notes that this is the start `start`, a number that
/// was drawn for it.
///
/// - A crash between `Engine::install` and `LogStore::reset` is made good: the log begins anew where the state is.
/// - Entries known to be committed are applied; those behind are the `tail` of the result.
///
/// # Errors
/// `Mismatch` if the log neither holds nor continues what the state contains, which no crash explains.
pub fn recover(
    log: &mut dyn LogStore,
    engine: &dyn Engine,
    limits: &SessionLimits,
    start: StartId,
) -> Result<Recovered, StoreError> {
    let committed = planted!(ReplaysUncommitted => log.end(), log.committed_hint());
    let sessions = bring_together(log, engine, limits, committed)?;
    let applied = engine.applied();
    let mut tail = Vec::new();
    let mut from = applied;
    while from < log.end() {
        let entries = log.read(from, REPLAY_BYTES)?;
        from = Position(from.0 + entries.len() as u64);
        tail.extend(entries);
    }
    let mut meta = log.meta().clone();
    meta.incarnation = meta.incarnation.next();
    if meta.starts.len() >= STARTS_REMEMBERED_MAX {
        meta.starts.remove(0);
    }
    meta.starts.push(start);
    log.save_meta(&meta)?;
    Ok(Recovered {
        meta,
        log_start: log.start(),
        log_end: log.end(),
        history: log.history().clone(),
        applied,
        revision: engine.revision(),
        sessions: sessions.rows().clone(),
        tail,
    })
}

/// Brings log and state together, where the entries before `until` are to be applied.
///
/// # Errors
/// As of `recover`.
pub(in crate::engine) fn bring_together(
    log: &mut dyn LogStore,
    engine: &dyn Engine,
    limits: &SessionLimits,
    until: Position,
) -> Result<Sessions, StoreError> {
    finish_install(log, engine)?;
    let applied = engine.applied();
    if applied < log.start() || log.end() < applied {
        return Err(StoreError::Mismatch {
            path: log.path().to_owned(),
            what: format!(
                "holds a state of {applied} entries, but a log of the entries {} to {}: files are missing or were \
                 restored separately; remove the data directory and let the node join anew",
                log.start(),
                log.end()
            ),
        });
    }
    let mut sessions = Sessions::open(engine.sessions()?, limits.clone());
    let until = until.min(log.end());
    replay(log, engine, &mut sessions, until)?;
    Ok(sessions)
}

/// Begins the log anew if a state was installed and the log does not know of it.
fn finish_install(log: &mut dyn LogStore, engine: &dyn Engine) -> Result<(), StoreError> {
    let Some((at, history)) = engine.installed() else {
        return Ok(());
    };
    // Entries are applied to an installed state only after the log has begun anew.
    if engine.applied() > at {
        return Ok(());
    }
    let reaches = log.start() <= at && at <= log.end();
    // Two logs that agree on the epoch of an entry agree on everything before it.
    let agrees = at
        .last_seq()
        .is_none_or(|last| log.history().epoch_of(last) == history.epoch_of(last));
    if reaches && agrees || planted!(InstallNotFinished) {
        return Ok(());
    }
    log.reset(at, &history)?;
    log.sync()
}

/// Applies the entries of the log before `until`.
fn replay(
    log: &mut dyn LogStore,
    engine: &dyn Engine,
    sessions: &mut Sessions,
    until: Position,
) -> Result<(), StoreError> {
    let mut applied = engine.applied();
    while applied < until {
        let mut entries = log.read(applied, REPLAY_BYTES)?;
        entries.retain(|entry| until.covers(entry.seq));
        for entry in &entries {
            sessions.apply(entry);
        }
        engine.apply(&entries, &sessions.take_changes())?;
        applied = Position(applied.0 + entries.len() as u64);
    }
    Ok(())
}
