//! What a loss of power leaves of that which was not synced.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Numbers changes in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Stamp(pub(super) u64);

/// Which of the changes that were not synced survive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Survival {
    /// None.
    Nothing,
    /// All.
    Everything,
    /// Those up to the change of this number; the first one that was ever made is 0.
    UpTo(u64),
    /// All but what the change of this number alone has made.
    AllBut(u64),
    /// Each thing is as it was at any time since it was synced, and as it was last with this probability.
    Random(f64),
}

impl Survival {
    /// Any.
    pub fn random(rng: &mut ChaCha8Rng, changes: u64) -> Self {
        match rng.random_range(0..10) {
            0 => Self::Nothing,
            1 => Self::Everything,
            2 | 3 => Self::UpTo(changes.saturating_sub(rng.random_range(0..12))),
            4 | 5 => Self::AllBut(changes.saturating_sub(rng.random_range(2..5))),
            6 => Self::Random(0.5),
            7 | 8 => Self::Random(0.9),
            _ => Self::Random(0.99),
        }
    }

    /// How many of the versions of one thing there have been on the disk, the last of which is what it has.
    pub(super) fn of_versions<T>(self, versions: &[(Stamp, T)], rng: &mut ChaCha8Rng) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Everything => versions.len(),
            Self::UpTo(last) => versions.partition_point(|(stamp, _)| stamp.0 <= last),
            Self::AllBut(lost) => {
                let kept = versions.iter().rposition(|(stamp, _)| stamp.0 != lost);
                kept.map_or(0, |index| index + 1)
            }
            Self::Random(probability) => {
                if rng.random_bool(probability) {
                    versions.len()
                } else {
                    rng.random_range(0..=versions.len())
                }
            }
        }
    }

    /// Does a change survive that does not depend on others?
    pub(super) fn keeps(self, stamp: Stamp, rng: &mut ChaCha8Rng) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::UpTo(last) => stamp.0 <= last,
            Self::AllBut(lost) => stamp.0 != lost,
            Self::Random(probability) => rng.random_bool(probability),
        }
    }
}
