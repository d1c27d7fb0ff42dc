//! What a replica counts for.

/// What an acknowledgement of the replica counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::replica) enum Standing {
    /// It is in sync: nothing commits without it.
    InSync,
    /// It is about to be proposed, or is: nothing commits without it, although the arbiter may not know.
    Counted,
    /// It was removed, but may still answer linearizable reads: nothing commits without it.
    Draining,
    /// It was removed and answers linearizable reads no more.
    Drained,
    /// It is catching up: nothing waits for it.
    Joining,
}

impl Standing {
    /// Does nothing commit without it?
    pub(in crate::replica) fn counts(self) -> bool {
        match self {
            Self::Counted if planted!(CountedOnConfirmation) => false,
            Self::InSync | Self::Counted | Self::Draining => true,
            Self::Drained | Self::Joining => false,
        }
    }
}
