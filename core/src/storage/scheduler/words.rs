//! What the scheduler is told, what it wants done, and what comes of that: plain data.

use std::sync::Arc;

use crate::config::Position;
use crate::epochs::EpochHistory;
use crate::operation::{Entry, Keyed, Moment};
use crate::sessions::SessionRows;
use crate::storage::committed::Committed;
use crate::storage::{Answer, ArbiterRecord, Meta, Save, Ticket};

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
    /// `LogStore::append`.
    Append {
        /// Consecutive, the first right behind the log's end.
        entries: Vec<Arc<Entry>>,
        /// Known to be committed.
        committed: Position,
    },
    /// `LogStore::truncate`.
    Truncate {
        /// The log's new end.
        keep: Position,
    },
    /// `LogStore::sync`.
    Sync,
    /// `LogStore::save_meta`.
    SaveMeta(Meta),
    /// `Engine::stage_begin`.
    StageBegin,
    /// `Engine::stage`.
    Stage {
        /// In the order of their keys.
        records: Vec<Keyed>,
        /// In the order of their clients.
        sessions: SessionRows,
    },
    /// `Engine::install`.
    Install {
        /// The moment the state is of.
        at: Moment,
        /// The epochs of the entries before it.
        history: EpochHistory,
    },
    /// `LogStore::reset`, and durably so.
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
    /// `ArbiterStore::save`.
    SaveRecord(Box<ArbiterRecord>),
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
            Save::Append { entries, committed } => Self::Append { entries, committed },
            Save::Truncate { keep } => Self::Truncate { keep },
            Save::Meta(meta) => Self::SaveMeta(meta),
            Save::StageBegin => Self::StageBegin,
            Save::Stage { records, sessions } => Self::Stage { records, sessions },
            Save::Install { at, history } => {
                planted!(LogAnewBeforeState => Self::Reset { at, history }, Self::Install { at, history })
            }
            Save::Arbiter(record) => Self::SaveRecord(record),
        }
    }

    /// The save that it carries out, if one asks for it.
    #[cfg(feature = "planted")]
    pub(super) fn save(self) -> Option<Save> {
        Some(match self {
            Self::Append { entries, committed } => Save::Append { entries, committed },
            Self::Truncate { keep } => Save::Truncate { keep },
            Self::SaveMeta(meta) => Save::Meta(meta),
            Self::StageBegin => Save::StageBegin,
            Self::Stage { records, sessions } => Save::Stage { records, sessions },
            Self::Install { at, history } => Save::Install { at, history },
            Self::SaveRecord(record) => Save::Arbiter(record),
            Self::Sync | Self::Reset { .. } | Self::Trim { .. } | Self::Read { .. } => return None,
        })
    }

    /// Lets it carry out the save that follows as well, where one job does for both; gives that save back otherwise.
    pub(super) fn grow(&mut self, next: Save) -> Result<(), Save> {
        match (self, next) {
            (
                Self::Append { entries, committed },
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
            (Self::SaveRecord(record), Save::Arbiter(newer)) => {
                *record = planted!(OldestRecordSaved => record.clone(), newer);
                Ok(())
            }
            (_, next) => Err(next),
        }
    }

    /// Is it made durable by a sync that it shares with what comes before and behind it? Whatever else is durable once it
    /// is done, and begins when all before it is durable.
    pub(super) fn shares_sync(&self) -> bool {
        match self {
            Self::Append { .. } | Self::Truncate { .. } => true,
            Self::Sync
            | Self::SaveMeta(_)
            | Self::StageBegin
            | Self::Stage { .. }
            | Self::Install { .. }
            | Self::Reset { .. }
            | Self::Trim { .. }
            | Self::Read { .. }
            | Self::SaveRecord(_) => false,
        }
    }

    /// Bytes of the entries or records that it writes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => Entry::size_of_all(entries),
            Self::Stage { records, .. } => records.iter().map(Keyed::size).sum(),
            Self::Truncate { .. }
            | Self::Sync
            | Self::SaveMeta(_)
            | Self::StageBegin
            | Self::Install { .. }
            | Self::Reset { .. }
            | Self::Trim { .. }
            | Self::Read { .. }
            | Self::SaveRecord(_) => 0,
        }
    }
}
