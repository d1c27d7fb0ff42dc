//! What the oracle is told: operations of clients and what they learned, and when replicas may have lost something.

use std::fmt;

use lockstep_core::config::{Address, Position, Seq};
use lockstep_core::operation::{Key, Value};

/// One call of a client, on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Whose call; its calls may overlap.
    pub client: u64,
    /// The key.
    pub key: Key,
    /// When it began, in nanoseconds on the clock of the whole history.
    pub begun: u64,
    /// When its outcome was learned; `None` if it never was. Of two operations that touch, neither is the earlier.
    pub ended: Option<u64>,
    /// What it was and what became of it.
    pub what: What,
}

/// What a call was and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A change of the key.
    Write {
        /// Its value from then on, never written to this key otherwise; `None` removes it.
        value: Option<Value>,
        /// What became of it.
        outcome: WriteOutcome,
    },
    /// A read of the key.
    Read {
        /// What was asked for.
        level: Level,
        /// What was learned; `None` if nothing was.
        answer: Option<Answer>,
    },
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It is in the log for ever.
    Acknowledged {
        /// Its place.
        seq: Seq,
    },
    /// It may take effect once, at any time after it began, or never.
    Unknown,
    /// It certainly never takes effect.
    Rejected,
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The newest committed value.
    Linearizable,
    /// Of committed state at this position or behind it.
    AtLeast(Position),
    /// What the replica has received, committed or not.
    Local,
}

/// What a read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The value; `None` when the key is absent.
    pub value: Option<Value>,
    /// The value is that of the newest write before this position: of those committed, or, if the read was `Local`, of
    /// those in the log of the replica.
    pub position: Position,
    /// Whose state was read.
    pub replica: Address,
}

/// Since then a replica may know less than before: it has restarted, or its log was cut off for a new epoch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reset {
    /// Which.
    pub replica: Address,
    /// When, on the clock of the history.
    pub at: u64,
}

impl Operation {
    /// When it was over for certain, for comparisons.
    pub(super) fn end(&self) -> u64 {
        self.ended.unwrap_or(u64::MAX)
    }

    /// The seq, if this is an acknowledged write.
    pub(super) fn seq(&self) -> Option<Seq> {
        match self.what {
            What::Write {
                outcome: WriteOutcome::Acknowledged { seq },
                ..
            } => Some(seq),
            What::Write { .. } | What::Read { .. } => None,
        }
    }

    /// Level and answer, if this is a read that has one.
    pub(super) fn answer(&self) -> Option<(Level, &Answer)> {
        match &self.what {
            What::Read {
                level,
                answer: Some(answer),
            } => Some((*level, answer)),
            What::Read { answer: None, .. } | What::Write { .. } => None,
        }
    }
}

/// As it stands in a verdict: times, client, call and outcome.
impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: u64| format!("{}.{:06}", time / 1_000_000, time % 1_000_000);
        let ended = self.ended.map_or("…".to_owned(), ms);
        write!(f, "[{} – {ended} ms] ", ms(self.begun))?;
        write!(f, "client {}: ", self.client)?;
        match &self.what {
            What::Write { value, outcome } => {
                match value {
                    Some(value) => write!(f, "insert {:?} = {value:?}: ", self.key)?,
                    None => write!(f, "remove {:?}: ", self.key)?,
                }
                match outcome {
                    WriteOutcome::Acknowledged { seq } => write!(f, "acknowledged as {seq}"),
                    WriteOutcome::Unknown => f.write_str("unknown"),
                    WriteOutcome::Rejected => f.write_str("rejected"),
                }
            }
            What::Read { level, answer } => {
                match level {
                    Level::Linearizable => write!(f, "read {:?}: ", self.key)?,
                    Level::AtLeast(position) => {
                        write!(f, "read {:?} at least at {position}: ", self.key)?;
                    }
                    Level::Local => write!(f, "read {:?} locally: ", self.key)?,
                }
                match answer {
                    Some(answer) => {
                        match &answer.value {
                            Some(value) => write!(f, "{value:?}")?,
                            None => f.write_str("absent")?,
                        }
                        write!(f, " at {} of {}", answer.position, answer.replica)
                    }
                    None => f.write_str("no answer"),
                }
            }
        }
    }
}
