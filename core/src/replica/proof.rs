//! What the saves of a replica prove, once they are done.

use crate::config::Position;
use crate::storage::pending::Pending;

use super::timer::Timer;

/// The saves of a replica that are under way.
pub(super) type Saves = Pending<Timer, Proof>;

/// What a completed save shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Proof {
    /// The log is durable up to here.
    Log(Position),
    /// Something that who asked for it recognises by its ticket.
    Other,
}

/// The log is being cut off behind `keep`: saves asked for earlier prove nothing of what comes to stand there.
pub(super) fn limit(saves: &mut Saves, keep: Position) {
    for proof in saves.meanings_mut() {
        if let Proof::Log(position) = proof
            && !planted!(StaleProofCounts | TruncationNotAwaited)
        {
            *position = (*position).min(keep);
        }
    }
}
