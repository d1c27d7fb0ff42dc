//! What the answer to a read may show, and when it may be given.

use crate::config::Position;
use crate::log::Log;
use crate::operation::{Key, ReadLevel};

use super::waiting::Until;

/// What the answer to a read may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Level {
    /// What was received.
    Local,
    /// What is committed.
    Committed,
    /// What is committed, by a replica that holds a lease when it answers.
    Linearizable,
}

/// By what a replica answers linearizable reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replica) enum Authority {
    /// By nothing.
    None,
    /// By its lease as primary, in whose tenure entries before `inherited` may be committed without its knowing.
    Primary { inherited: Position },
    /// By its read lease.
    Secondary,
}

/// When a read may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// At once.
    Now,
    /// Once it has waited for this.
    Later(Until),
    /// Not by this replica, as it is.
    Never,
}

impl Level {
    pub(super) fn of(level: ReadLevel) -> Self {
        match level {
            ReadLevel::Local => Self::Local,
            ReadLevel::AtLeast(_) => Self::Committed,
            ReadLevel::Linearizable => Self::Linearizable,
        }
    }

    /// May it be answered by a replica with this authority, as far as that goes?
    pub(super) fn is_allowed(self, authority: Authority) -> bool {
        self != Self::Linearizable
            || authority != Authority::None
            || planted!(LeaseNotCheckedAtAnswer)
    }
}

/// When a replica with this authority may answer a read of the key.
///
/// An acknowledged write is in the log of every replica that holds a lease. So it is committed there, or makes the key
/// dirty there; then the primary knows, whose knowledge is complete once it has committed what it inherited.
pub(super) fn when(level: ReadLevel, authority: Authority, log: &Log, key: &Key) -> When {
    let committed = log.committed();
    match level {
        ReadLevel::Local => return When::Now,
        ReadLevel::AtLeast(position)
            if committed >= position || planted!(AnswersAheadOfPosition) =>
        {
            return When::Now;
        }
        ReadLevel::AtLeast(position) => return When::Later(Until::Committed(position)),
        ReadLevel::Linearizable => {}
    }
    match (authority, log.dirty_until(key)) {
        (Authority::None, _) => When::Never,
        (Authority::Primary { .. } | Authority::Secondary, None) => When::Now,
        (Authority::Primary { inherited }, Some(_))
            if committed >= inherited || planted!(ReadsBeforeRecommit) =>
        {
            When::Now
        }
        (Authority::Primary { inherited }, Some(until)) => {
            When::Later(Until::Committed(until.min(inherited)))
        }
        (Authority::Secondary, Some(_)) if planted!(ReadsOldOfDirty) => When::Now,
        (Authority::Secondary, Some(until)) => When::Later(Until::CommittedOrTold(until)),
    }
}
