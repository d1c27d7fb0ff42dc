//! Committed entries on their way into the state: at once where the engine takes them without waiting for the disk, else
//! by the state thread, behind what it has already.

use std::fmt;
use std::sync::Arc;

use crate::config::Position;
use crate::engine::{Engine, StoreError};

use super::Queue;
use super::order::Committed;
use super::state::StateRequest;

/// The state thread, which makes checkpoints, is told every so many bytes what was applied without it.
const TOLD_BYTES: u64 = 1 << 20;

/// The process's side of the state.
pub(super) struct Applier {
    engine: Arc<dyn Engine>,
    thread: Queue<StateRequest>,
    /// The state thread applies up to here, and has not reported it.
    awaited: Option<Position>,
    /// Applied and not told to the process.
    applied: Option<Position>,
    /// Applied and not told to the state thread.
    untold_bytes: u64,
}

impl Applier {
    pub(super) fn new(engine: Arc<dyn Engine>, thread: Queue<StateRequest>) -> Self {
        Self {
            engine,
            thread,
            awaited: None,
            applied: None,
            untold_bytes: 0,
        }
    }

    /// Applies what is durable in the log.
    ///
    /// # Errors
    /// If the engine has failed.
    pub(super) fn apply(&mut self, committed: Committed) -> Result<(), StoreError> {
        let Some(last) = committed.entries.last() else {
            return Ok(());
        };
        let position = Position::behind(last.seq);
        if self.awaited.is_none() && self.engine.applies_at_once() {
            match self.engine.apply(&committed.entries, &committed.sessions) {
                Ok(()) => {
                    self.on_applied_at_once(position, &committed);
                    return Ok(());
                }
                // The state thread tries again until there is room.
                Err(StoreError::NoRoom { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.awaited = Some(position);
        self.thread.push(StateRequest::Apply(committed));
        Ok(())
    }

    fn on_applied_at_once(&mut self, position: Position, committed: &Committed) {
        self.applied = Some(position);
        self.untold_bytes += committed.bytes() as u64;
        if self.untold_bytes >= TOLD_BYTES {
            let bytes = std::mem::take(&mut self.untold_bytes);
            self.thread.push(StateRequest::Applied { bytes });
        }
    }

    /// The state thread has applied that much.
    pub(super) fn on_applied(&mut self, position: Position) {
        self.awaited.take_if(|awaited| *awaited <= position);
    }

    /// How far was applied at once since this was asked last.
    pub(super) fn take_applied(&mut self) -> Option<Position> {
        self.applied.take()
    }

    /// What else the state thread is to do.
    pub(super) fn thread(&mut self) -> &mut Queue<StateRequest> {
        &mut self.thread
    }
}

impl fmt::Debug for Applier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Applier")
            .field("awaited", &self.awaited)
            .finish_non_exhaustive()
    }
}
