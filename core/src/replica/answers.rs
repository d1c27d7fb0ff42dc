//! What a replica answers reads with in one round, in bytes.
//!
//! A request of a few bytes may ask for a value of many, and a round answers thousands. Together the answers become bytes before
//! the transport sees how little of them their receiver reads, so they are counted before that, and too many are not given.

use std::collections::BTreeMap;

use crate::config::Address;
use crate::limits;
use crate::shares::Shares;

/// As long as a round has answered with no more than that, nobody has had too much, and nobody is counted.
const UNCOUNTED_MAX: usize = limits::CLIENT_ANSWERS_BYTES_MAX / 2;

/// The answers of one round.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Answers {
    uncounted: usize,
    to: BTreeMap<Address, usize>,
    shares: Shares,
}

impl Answers {
    /// Is there room for one more of so many bytes? Then it counts. The first to somebody has room however large it is, while
    /// there is any at all.
    pub(super) fn take(&mut self, to: &Address, bytes: usize) -> bool {
        if self.uncounted + bytes <= UNCOUNTED_MAX {
            self.uncounted += bytes;
            return true;
        }
        let owner = to.owner();
        let given = self.to.get(to).copied();
        if given.is_some_and(|given| given + bytes > limits::CLIENT_ANSWERS_BYTES_MAX / 2)
            || !self.shares.has_room(owner, limits::ANSWERS_BYTES_MAX)
        {
            return false;
        }
        self.to
            .insert(to.clone(), given.unwrap_or_default() + bytes);
        self.shares.take(owner, bytes);
        true
    }

    /// Another round begins.
    pub(super) fn begin(&mut self) {
        self.uncounted = 0;
        if self.shares.total() > 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: usize = limits::CLIENT_ANSWERS_BYTES_MAX / 2;

    #[test]
    fn a_client_is_given_so_much_in_a_round() {
        let client = |number: usize| Address::new(format!("client {number}"));
        let mut answers = Answers::default();
        assert!(answers.take(&client(0), 3 * HALF), "whatever its size");
        assert!(answers.take(&client(1), HALF));
        assert!(!answers.take(&client(0), 1));
        assert!(answers.take(&client(1), HALF));
        assert!(!answers.take(&client(1), 1));
        answers.begin();
        assert!(answers.take(&client(1), HALF));
        assert!(answers.take(&client(1), HALF));
        assert!(!answers.take(&client(1), 1));
    }

    #[test]
    fn all_together_are_given_so_much_and_an_owner_leaves_something() {
        let mut answers = Answers::default();
        let mut fill = |owner: &str| {
            let given = (0..).take_while(|number| {
                let client = Address::new(format!("{owner}#{number}"));
                answers.take(&client, HALF)
            });
            given.count() * HALF
        };
        let max = limits::ANSWERS_BYTES_MAX;
        // What nobody is counted for, and seven eighths.
        assert_eq!(fill("a"), HALF + max / 8 * 7);
        assert_eq!(fill("b"), max / 8, "the last may be large");
        assert_eq!(fill("c"), 0);
    }
}
