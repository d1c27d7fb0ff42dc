//! How long commands try.

use std::time::{Duration, Instant};

/// How long the calls of a client try.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// So long, each.
    EachCall(Duration),
    /// All together until `end`: a command that asks several times has one deadline.
    InAll {
        /// The end of all.
        end: Instant,
        /// Before that, time for finding out why nothing came of a call.
        inquiry: Duration,
    },
}

/// The time that is kept for finding out why nothing came of a call, in parts of what there is, and at most.
const INQUIRY_SHARE: u32 = 5;
const INQUIRY_MAX: Duration = Duration::from_millis(500);

impl Patience {
    /// All calls together so long, from now on.
    pub(crate) fn in_all(deadline: Duration) -> Self {
        Self::InAll {
            end: Instant::now() + deadline,
            inquiry: inquiry(deadline),
        }
    }

    /// How long the next call may take.
    pub(crate) fn of_a_call(self) -> Duration {
        match self {
            Self::EachCall(deadline) => deadline,
            Self::InAll { inquiry, .. } => self.left().saturating_sub(inquiry),
        }
    }

    /// How long it may take to find out why nothing came of a call; nothing where many calls may ask at once.
    pub(crate) fn of_an_inquiry(self) -> Duration {
        match self {
            Self::EachCall(_) => Duration::ZERO,
            Self::InAll { .. } => self.left(),
        }
    }

    /// Is there no time left?
    pub(crate) fn is_over(self) -> bool {
        self.left().is_zero()
    }

    fn left(self) -> Duration {
        match self {
            Self::EachCall(deadline) => deadline,
            Self::InAll { end, .. } => end.saturating_duration_since(Instant::now()),
        }
    }
}

fn inquiry(deadline: Duration) -> Duration {
    (deadline / INQUIRY_SHARE).min(INQUIRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_a_command_share_one_deadline_and_leave_time_to_look_why() {
        let deadline = Duration::from_secs(60);
        let whole = Patience::in_all(deadline);
        assert!(whole.of_a_call() <= deadline - INQUIRY_MAX);
        let passed = Patience::in_all(Duration::ZERO);
        assert!(passed.is_over() && passed.of_a_call().is_zero());
        let each = Patience::EachCall(deadline);
        assert_eq!(
            (each.of_a_call(), each.of_an_inquiry()),
            (deadline, Duration::ZERO)
        );
    }
}
