//! Discrete time: how long leases and promises last, and how far clocks drift.
//!
//! Nothing in the model is a point in time. What matters is how long ago something was on the clock of the node that
//! measures it, so a state holds ages, which stop growing once they have expired.

use std::hash::{Hash, Hasher};

/// Ticks since something happened, on one node's clock.
pub(super) type Age = u8;

/// `D`: how long a lease lasts, on the clock of its holder.
pub(super) const LEASE: Age = 2;

/// `D * (1 + rho)`, with a `rho` of a half: how long a promise lasts, on the clock of whoever gave it.
///
/// A clock may stand still for a single tick of a run, so while one clock advances by `LEASE`, no other advances by
/// more than this.
pub(super) const PROMISE: Age = LEASE + 1;

/// When a clock showed something: its reading travels in messages, and means something only to its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Ticks of the owner's clock since then; `LEASE` if there is no stamp or it is too old to be of use.
    pub(super) age: Age,
    /// The start of the owner that took it.
    pub(super) incarnation: u8,
}

impl Stamp {
    pub(super) const NONE: Self = Self {
        age: LEASE,
        incarnation: 0,
    };

    pub(super) fn is_useful(self) -> bool {
        self.age < LEASE
    }

    /// Time passes on the owner's clock. After a restart that clock began anew, and the reading is what it was.
    pub(super) fn pass(&mut self, owner: Clock) {
        if self.incarnation == owner.incarnation {
            pass(&mut self.age, owner.ticks, LEASE);
        }
        if !self.is_useful() {
            *self = Self::NONE;
        }
    }

    pub(super) fn forget_unless(&mut self, incarnation: u8) {
        if self.incarnation != incarnation {
            *self = Self::NONE;
        }
    }
}

impl Hash for Stamp {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u8(self.age << 4 | self.incarnation);
    }
}

/// What passes on the clock of one node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) ticks: Age,
    /// The start that the clock began with.
    pub(super) incarnation: u8,
}

/// Lets `age` grow, up to where it makes no difference any more.
pub(super) fn pass(age: &mut Age, ticks: Age, end: Age) {
    *age = (*age + ticks).min(end);
}
