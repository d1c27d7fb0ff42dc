//! What owners of clients have of something of which there is only so much: whoever has many connections, or asks for much, leaves
//! something to those who come later.

use std::collections::BTreeMap;

use crate::config::Owner;

/// An owner may have so many times what is left. Alone it gets seven eighths; two that want all get seven fifteenths each; and
/// whoever comes anew always finds something. Nobody has to know how many there are. (A. K. Choudhury, E. L. Hahne: Dynamic
/// Queue Length Thresholds for Shared-Memory Packet Switches, IEEE/ACM Transactions on Networking 6(2), 1998, section II.)
const TIMES_LEFT: usize = 7;

/// What each owner has.
///
/// - Every owner in `of` has something. `total` is what all have together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Shares {
    of: BTreeMap<Owner, usize>,
    total: usize,
}

impl Shares {
    /// What all have together.
    pub fn total(&self) -> usize {
        self.total
    }

    /// May the owner have more, where there is `max` for all? The last that it is given may be large: it is not looked at.
    pub fn has_room(&self, owner: Owner, max: usize) -> bool {
        let left = max.saturating_sub(self.total);
        self.of(owner) < left.saturating_mul(TIMES_LEFT)
    }

    /// The owner has so much more.
    pub fn take(&mut self, owner: Owner, amount: usize) {
        if amount > 0 {
            *self.of.entry(owner).or_default() += amount;
            self.total += amount;
        }
    }

    /// The owner has so much less.
    ///
    /// # Panics
    /// If it has not got that much.
    pub fn give_back(&mut self, owner: Owner, amount: usize) {
        let rest = self.of(owner).checked_sub(amount);
        self.total -= amount;
        match rest.expect("nobody gives back what he has not got") {
            0 => self.of.remove(&owner),
            rest => self.of.insert(owner, rest),
        };
    }

    fn of(&self, owner: Owner) -> usize {
        self.of.get(&owner).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets owners take in turns as long as any of them may.
    fn fill(shares: &mut Shares, owners: &[u32], max: usize) {
        let mut is_full = false;
        while !is_full {
            is_full = true;
            for owner in owners.iter().copied().map(Owner) {
                if shares.has_room(owner, max) {
                    shares.take(owner, 1);
                    is_full = false;
                }
            }
        }
    }

    #[test]
    fn one_alone_gets_nearly_all_and_whoever_comes_finds_something() {
        let mut shares = Shares::default();
        fill(&mut shares, &[1], 800);
        assert_eq!(shares.of(Owner(1)), 700);
        fill(&mut shares, &[2], 800);
        assert_eq!(shares.of(Owner(2)), 88, "seven eighths of what was left");
        fill(&mut shares, &[3], 800);
        assert!(shares.of(Owner(3)) >= 10);
    }

    #[test]
    fn those_who_want_all_get_as_much_as_each_other() {
        let mut shares = Shares::default();
        fill(&mut shares, &[1, 2, 3], 880);
        for owner in 1..=3 {
            assert_eq!(shares.of(Owner(owner)), 280, "{owner}");
        }
    }

    #[test]
    fn what_is_given_back_is_there_again() {
        let mut shares = Shares::default();
        fill(&mut shares, &[1], 8);
        assert!(!shares.has_room(Owner(1), 8));
        shares.give_back(Owner(1), 7);
        assert_eq!(shares, Shares::default());
        assert!(!shares.has_room(Owner(1), 0));
        shares.take(Owner(1), 9);
        assert!(!shares.has_room(Owner(2), 8), "nothing is left");
    }
}
