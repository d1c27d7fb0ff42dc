//! The value of the register that is explored: the changes that led to it, so that each value tells whether it is on one chain
//! with any other.

use std::fmt;

/// Changes in their order, at most as many as a scope has; zero is none.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct History([u8; 4]);

impl History {
    /// With one more change.
    pub(super) fn with(mut self, change: u8) -> Self {
        let place = self.0.iter_mut().find(|place| **place == 0);
        *place.expect("a scope has four changes at most") = change;
        self
    }

    /// Is the other one what this one becomes by further changes, or the same?
    pub(super) fn leads_to(self, other: Self) -> bool {
        let mut pairs = self.0.iter().zip(other.0);
        pairs.all(|(own, others)| *own == 0 || *own == others)
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = self.0.iter().filter(|change| **change != 0);
        f.debug_list().entries(changes).finish()
    }
}
