//! Which promise is broken, and by which operations.

use std::fmt;

use super::Operation;

/// A promise of the store, or of the history to the oracle. Invariants are those of the
/// [protocol](lockstep_core::docs::protocol#invariants).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Property {
    /// Values are written once per key: what the oracle assumes of the clients.
    ValuesAreUnique,
    /// A seq belongs to one write, and writes without an answer find a place between those with one.
    OneWritePerSeq,
    /// Of two acknowledged writes, the one that ended before the other began has the lower seq (invariant 5).
    WritesInRealTime,
    /// A linearizable read sees all that was acknowledged before it began (invariant 5).
    AcknowledgedIsVisible,
    /// A linearizable read sees all that one before it saw (invariant 5).
    ReadsGoForward,
    /// A read sees no write that began after it ended.
    NothingFromTheFuture,
    /// A read of committed state gives the newest write before its position.
    NewestBeforePosition,
    /// What is read was written.
    ValuesAreWritten,
    /// What was rejected is never seen.
    RejectedLeavesNoTrace,
    /// A write takes effect at most once (invariant 7).
    AtMostOnce,
    /// Some order of all operations of a key explains what was read (invariant 5).
    Linearizable,
    /// An `AtLeast` read reaches the position it was asked for (invariant 6).
    AtLeastIsReached,
    /// What one replica shows goes forward, unless it was reset (invariant 6).
    ReplicasGoForward,
}

impl Property {
    /// The promise in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::ValuesAreUnique => "values are written once",
            Self::OneWritePerSeq => "a seq belongs to one write",
            Self::WritesInRealTime => "writes are ordered as they were acknowledged",
            Self::AcknowledgedIsVisible => "linearizable reads see what was acknowledged",
            Self::ReadsGoForward => "linearizable reads do not go backwards",
            Self::NothingFromTheFuture => "reads do not see the future",
            Self::NewestBeforePosition => "reads give the newest write before their position",
            Self::ValuesAreWritten => "what is read was written",
            Self::RejectedLeavesNoTrace => "what was rejected is never seen",
            Self::AtMostOnce => "a write takes effect at most once",
            Self::Linearizable => "the operations of a key are linearizable",
            Self::AtLeastIsReached => "reads reach the position they are asked for",
            Self::ReplicasGoForward => "what one replica shows goes forward",
        }
    }
}

/// A promise that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which.
    pub property: Property,
    /// How.
    pub what: String,
    /// The operations that show it, the one that cannot be explained last.
    pub operations: Vec<Operation>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.property.text(), self.what)?;
        for operation in &self.operations {
            write!(f, "\n    {operation}")?;
        }
        Ok(())
    }
}
