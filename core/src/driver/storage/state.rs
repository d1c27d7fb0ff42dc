//! The state thread applies committed entries and takes in transferred states; the checkpointer makes the state
//! durable from time to time, beside it.
//!
//! An Install concerns log and state. The log thread leads: when everything before the Install is durable, it lets
//! the state thread go, which has waited at that point of its own queue, and begins the log anew afterwards.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, TrySendError};
use std::time::Duration;

use async_channel::Sender;

use crate::config::Position;
use crate::driver::clock::Clock;
use crate::engine::{Engine, StoreError};
use crate::epochs::EpochHistory;
use crate::operation::{Key, Value};
use crate::sessions::SessionRows;
use crate::storage::Ticket;
use crate::time::Instant;

use super::log::LogRequest;
use super::order::Committed;
use super::{Completion, Fate, Submission, send};

/// Entries applied at once, in bytes: readers wait while they are, and see the outcome soon.
const APPLY_BYTES_MAX: usize = 64 << 10;

/// A checkpoint is made when this much was applied since the last: about what a restart reads back in a second. Or
/// when it is half of what the log may hold, which can be trimmed behind a checkpoint only.
const CHECKPOINT_BYTES: u64 = 64 << 20;

/// A checkpoint is made when the last was this long ago and there is anything new.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(10);

/// Entries that find no room are tried again this often.
const ROOM_INTERVAL: Duration = Duration::from_millis(200);

/// What the state thread does.
#[derive(Debug)]
pub(super) enum StateRequest {
    /// Committed entries.
    Apply(Committed),
    /// So much was applied elsewhere.
    Applied { bytes: u64 },
    /// A durable change.
    Write(Submission<StateWrite>),
}

/// Durable changes that concern the state.
#[derive(Debug)]
pub(super) enum StateWrite {
    StageBegin,
    Stage {
        records: Vec<(Key, Value)>,
        sessions: SessionRows,
    },
    Install {
        at: Position,
        history: EpochHistory,
    },
}

/// The log thread's side of the Installs: each is let go or skipped, in their order.
pub(super) struct Installs {
    verdicts: mpsc::Sender<Verdict>,
    outcomes: mpsc::Receiver<Installed>,
}

/// The state thread's side.
pub(super) struct InstallCalls {
    verdicts: mpsc::Receiver<Verdict>,
    outcomes: mpsc::Sender<Installed>,
}

enum Verdict {
    Go,
    Skip,
}

/// What became of an Install that was let go.
pub(super) enum Installed {
    /// The new state is in place, durably.
    Done,
    /// Nothing was changed.
    NoRoom,
    /// The state thread has ended and told why.
    Ended,
}

impl Installs {
    pub(super) fn new() -> (Self, InstallCalls) {
        let (verdict_sender, verdicts) = mpsc::channel();
        let (outcome_sender, outcomes) = mpsc::channel();
        (
            Self {
                verdicts: verdict_sender,
                outcomes,
            },
            InstallCalls {
                verdicts,
                outcomes: outcome_sender,
            },
        )
    }

    /// Lets the state thread install and waits for it.
    pub(super) fn go(&self) -> Installed {
        match self.verdicts.send(Verdict::Go) {
            Ok(()) => self.outcomes.recv().unwrap_or(Installed::Ended),
            Err(_) => Installed::Ended,
        }
    }

    /// The Install was thrown away.
    pub(super) fn skip(&self) {
        // Fails only when the state thread has ended, and it has told why.
        let _ended = self.verdicts.send(Verdict::Skip);
    }
}

/// Changes the state.
pub(super) struct StateThread {
    engine: Arc<dyn Engine>,
    installs: InstallCalls,
    log: mpsc::Sender<Vec<LogRequest>>,
    checkpoints: Checkpoints,
    report: Sender<Completion>,
    fate: Fate,
    waiting: VecDeque<StateRequest>,
    /// The newest write of a transfer that was done; when asked for again, its report is already on its way.
    staged: Option<Ticket>,
    /// Writes of generations up to this found no room.
    failed: Option<u64>,
    checkpoint_bytes: u64,
    applied_bytes: u64,
    checkpointed_at: Instant,
}

/// The state thread's side of the checkpoints: it says when one is wanted.
pub(super) struct Checkpoints {
    wanted: mpsc::SyncSender<()>,
    /// The position of the last one.
    made: Arc<AtomicU64>,
}

/// The checkpointer's side.
pub(super) struct CheckpointCalls {
    wanted: mpsc::Receiver<()>,
    made: Arc<AtomicU64>,
}

impl Checkpoints {
    pub(super) fn new() -> (Self, CheckpointCalls) {
        let (sender, wanted) = mpsc::sync_channel(1);
        let made = Arc::new(AtomicU64::new(0));
        let calls = CheckpointCalls {
            wanted,
            made: made.clone(),
        };
        let checkpoints = Self {
            wanted: sender,
            made,
        };
        (checkpoints, calls)
    }
}

impl StateThread {
    pub(super) fn new(
        engine: Arc<dyn Engine>,
        log_bytes_max: u64,
        installs: InstallCalls,
        log: mpsc::Sender<Vec<LogRequest>>,
        checkpoints: Checkpoints,
        report: Sender<Completion>,
        fate: Fate,
    ) -> Self {
        Self {
            engine,
            installs,
            log,
            checkpoints,
            report,
            fate,
            waiting: VecDeque::new(),
            staged: None,
            failed: None,
            checkpoint_bytes: CHECKPOINT_BYTES.min(log_bytes_max / 2),
            applied_bytes: 0,
            checkpointed_at: Clock.now(),
        }
    }

    pub(super) fn run(
        mut self,
        requests: &mpsc::Receiver<Vec<StateRequest>>,
    ) -> Result<(), StoreError> {
        loop {
            if self.waiting.is_empty() {
                match requests.recv_timeout(CHECKPOINT_INTERVAL) {
                    Ok(batch) => self.waiting.extend(batch),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            self.waiting.extend(requests.try_iter().flatten());
            if self.fate.is_abandoned() {
                return Ok(());
            }
            match self.waiting.pop_front() {
                Some(StateRequest::Apply(committed)) => self.apply(committed)?,
                Some(StateRequest::Applied { bytes }) => self.applied_bytes += bytes,
                Some(StateRequest::Write(submission)) => self.write(submission)?,
                None => {}
            }
            self.consider_checkpoint();
        }
        if self.is_anything_new() && !self.fate.is_abandoned() {
            // The next start then finds everything applied. Without room it applies the log again.
            match self.engine.checkpoint() {
                Ok(_) | Err(StoreError::NoRoom { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Applies entries, and those that wait directly behind them.
    fn apply(&mut self, committed: Committed) -> Result<(), StoreError> {
        let mut bytes = committed.bytes();
        let Committed {
            mut entries,
            mut sessions,
        } = committed;
        while bytes < APPLY_BYTES_MAX
            && let Some(StateRequest::Apply(_)) = self.waiting.front()
        {
            let Some(StateRequest::Apply(more)) = self.waiting.pop_front() else {
                break;
            };
            bytes += more.bytes();
            entries.extend(more.entries);
            sessions.extend(more.sessions);
        }
        let Some(last) = entries.last() else {
            return Ok(());
        };
        let position = Position::behind(last.seq);
        while let Err(error) = self.engine.apply(&entries, &sessions) {
            let StoreError::NoRoom { .. } = error else {
                return Err(error);
            };
            // Whoever writes must learn that there is no room, although the log may still have some.
            self.report_no_room(None);
            if !self.fate.sleep(ROOM_INTERVAL) {
                return Ok(());
            }
        }
        self.applied_bytes += bytes as u64;
        send(&self.report, Completion::Applied(position));
        Ok(())
    }

    fn write(&mut self, submission: Submission<StateWrite>) -> Result<(), StoreError> {
        let Submission {
            ticket,
            generation,
            write,
        } = submission;
        let is_stale = Some(generation) <= self.failed;
        let outcome = match write {
            StateWrite::Install { at, history } => {
                return self.install(ticket, is_stale, at, &history);
            }
            StateWrite::StageBegin | StateWrite::Stage { .. }
                if is_stale || Some(ticket) <= self.staged =>
            {
                return Ok(());
            }
            StateWrite::StageBegin => self.engine.stage_begin(),
            StateWrite::Stage { records, sessions } => self.engine.stage(&records, &sessions),
        };
        match outcome {
            Ok(()) => {
                self.staged = Some(ticket);
                send(&self.report, Completion::Persisted(vec![ticket]));
            }
            Err(StoreError::NoRoom { .. }) => {
                self.failed = Some(generation);
                self.report_no_room(Some(generation));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The log thread decides about all writes what is thrown away.
    fn report_no_room(&self, generation: Option<u64>) {
        // Fails only when the log thread has ended, and it has told why.
        let _ended = self.log.send(vec![LogRequest::NoRoom { generation }]);
    }

    fn install(
        &mut self,
        ticket: Ticket,
        is_stale: bool,
        at: Position,
        history: &EpochHistory,
    ) -> Result<(), StoreError> {
        match self.installs.verdicts.recv() {
            Ok(Verdict::Go) => {}
            Ok(Verdict::Skip) => return Ok(()),
            // The log thread has ended and told why.
            Err(mpsc::RecvError) => {
                self.fate.abandon();
                return Ok(());
            }
        }
        let installed = if is_stale {
            Installed::NoRoom
        } else {
            match self.engine.install(at, history) {
                Ok(()) => {
                    self.staged = Some(ticket);
                    Installed::Done
                }
                Err(StoreError::NoRoom { .. }) => Installed::NoRoom,
                Err(error) => return Err(error),
            }
        };
        // Fails only when the log thread has ended, and it has told why.
        let _ended = self.installs.outcomes.send(installed);
        Ok(())
    }

    /// Was anything applied since the last checkpoint?
    fn is_anything_new(&self) -> bool {
        self.engine.applied().0 != self.checkpoints.made.load(Ordering::Relaxed)
    }

    fn consider_checkpoint(&mut self) {
        let now = Clock.now();
        let is_due = self.applied_bytes >= self.checkpoint_bytes.max(1)
            || (now - self.checkpointed_at >= CHECKPOINT_INTERVAL && self.is_anything_new());
        if !is_due {
            return;
        }
        match self.checkpoints.wanted.try_send(()) {
            Ok(()) => {
                self.applied_bytes = 0;
                self.checkpointed_at = now;
            }
            // The last one is still being made; this one comes soon after it.
            Err(TrySendError::Full(())) => {}
            // It has failed and told why.
            Err(TrySendError::Disconnected(())) => {}
        }
    }
}

/// Makes the state durable without holding up those who apply and read.
pub(super) struct Checkpointer {
    engine: Arc<dyn Engine>,
    log: mpsc::Sender<Vec<LogRequest>>,
    calls: CheckpointCalls,
}

impl Checkpointer {
    pub(super) fn new(
        engine: Arc<dyn Engine>,
        log: mpsc::Sender<Vec<LogRequest>>,
        calls: CheckpointCalls,
    ) -> Self {
        Self { engine, log, calls }
    }

    pub(super) fn run(self) -> Result<(), StoreError> {
        while self.calls.wanted.recv().is_ok() {
            match self.engine.checkpoint() {
                Ok(durable) => {
                    self.calls.made.store(durable.0, Ordering::Relaxed);
                    // Fails only when the log thread has ended, and it has told why.
                    let _ended = self.log.send(vec![LogRequest::Checkpointed(durable)]);
                }
                // The log keeps what the state would have made superfluous; the next one may find room.
                Err(StoreError::NoRoom { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
