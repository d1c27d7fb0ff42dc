//! What the scheduler is told, what it wants done, and what comes of that: plain data.

use std::sync::Arc;

use crate::config::Position;
use crate::epochs::EpochHistory;
use crate::operation::{Entry, Moment};
use crate::storage::committed::Committed;
use crate::storage::{Answer, Save, Ticket};

/// What the scheduler is told by others than who carries out its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    /// The process asks for a save, for the first time.
    Save(Ticket, Save),
    /// Committed entries, which the log has durably, and which were not applied at once.
    Apply(Committed),
    /// So many bytes of entries were applied at once.
    AppliedAtOnce {
        /// How many.
        bytes: u64,
    },
    /// The process asks for entries of the log.
    Read {
        /// Names the question.
        ticket: Ticket,
        /// The first entry it wants.
        from: Position,
    },
    /// From now on, keep the log from this position on.
    Retain(Position),
    /// The entries of `Order::Apply` are applied.
    Applied,
    /// The state had no room for them.
    NotApplied(Committed),
    /// The state is durable up to here, as `Order::Checkpoint` wanted.
    Checkpointed(Position),
    /// There was no room for that.
    NotCheckpointed,
    /// The process ends: finish what can be done without room being made, then save the state.
    Close,
}

/// What the scheduler wants of others than who carries out its jobs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Tell the process.
    Report(Report),
    /// Apply these, and tell `Applied` or `NotApplied`. Never two at a time.
    Apply(Committed),
    /// Make the state durable, and tell `Checkpointed` or `NotCheckpointed`. Never two at a time.
    Checkpoint,
}

/// What a process is told of its disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    /// These saves are durable, and everything asked for before them.
    Persisted(Vec<Ticket>),
    /// There is no room; what is not reported waits.
    Full,
    /// There is room again.
    Room,
    /// The state contains the entries before this.
    Applied(Position),
    /// The log begins here.
    Trimmed(Position),
    /// Answers to questions.
    Answered(Vec<(Ticket, Answer)>),
}

/// What is carried out next, by whoever owns log and state; see [`carry_out`](crate::storage::carry_out).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    /// What the process has asked for; of an installation the first half, up to where the log begins anew.
    Save(Save),
    /// `LogStore::sync`.
    Sync,
    /// `LogStore::reset`, and durably so: the second half of an installation.
    Reset {
        /// Where the log begins: the moment the state is of.
        at: Moment,
        /// The epochs of the entries before it.
        history: EpochHistory,
    },
    /// `LogStore::trim`.
    Trim {
        /// Nothing at or behind this is dropped.
        before: Position,
        /// Nothing is dropped of a log that is no longer than this.
        bytes_max: u64,
    },
    /// `LogStore::read`.
    Read {
        /// The first entry wanted.
        from: Position,
    },
}

/// What became of a job. Whatever else can become of one ends the process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is done.
    Done,
    /// There was no room for it, and nothing was changed.
    Refused,
    /// The log begins here.
    Trimmed(Position),
    /// These entries were read.
    Entries(Vec<Arc<Entry>>),
}

impl Job {
    /// What carries a save out.
    pub(super) fn of(save: Save) -> Self {
        match save {
            Save::Install { at, history } if planted!(LogAnewBeforeState) => {
                Self::Reset { at, history }
            }
            save => Self::Save(save),
        }
    }

    /// Lets it carry out the save that follows as well, where one job does for both; gives that save back otherwise.
    pub(super) fn grow(&mut self, next: Save) -> Result<(), Save> {
        match (self, next) {
            (
                Self::Save(Save::Append { entries, committed }),
                Save::Append {
                    entries: more,
                    committed: later,
                },
            ) => {
                entries.extend(more);
                *committed = later.max(*committed);
                Ok(())
            }
            // Each record takes the place of the one before it, so the last one makes all of them durable.
            (Self::Save(Save::Arbiter(record)), Save::Arbiter(newer)) => {
                *record = planted!(OldestRecordSaved => record.clone(), newer);
                Ok(())
            }
            (_, next) => Err(next),
        }
    }

    /// Is it made durable by a sync that it shares with what comes before and behind it? Whatever else is durable once it
    /// is done, and begins when all before it is durable.
    pub(super) fn shares_sync(&self) -> bool {
        matches!(
            self,
            Self::Save(Save::Append { .. } | Save::Truncate { .. })
        )
    }

    /// Bytes of the entries or records that it writes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Save(save) => save.bytes(),
            Self::Sync | Self::Reset { .. } | Self::Trim { .. } | Self::Read { .. } => 0,
        }
    }
}
