//! What a replica answers reads with in one round, in bytes.
//!
//! A request of a few bytes may ask for a value of many, and a round answers thousands. Together the answers become bytes before
//! the transport sees how little of them their receiver reads, so they are counted before that, and too many are not given.

use std::collections::BTreeMap;

use crate::config::Address;
use crate::limits;

/// The answers of one round.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Answers {
    bytes: usize,
    to: BTreeMap<Address, usize>,
}

impl Answers {
    /// Is there room for one more of so many bytes? Then it counts. The first to somebody has room however large it is, while
    /// there is any at all.
    pub(super) fn take(&mut self, to: &Address, bytes: usize) -> bool {
        if self.bytes >= limits::ANSWERS_BYTES_MAX {
            return false;
        }
        match self.to.get_mut(to) {
            Some(given) if *given + bytes > limits::CLIENT_ANSWERS_BYTES_MAX => return false,
            Some(given) => *given += bytes,
            None => {
                self.to.insert(to.clone(), bytes);
            }
        }
        self.bytes += bytes;
        true
    }

    /// Another round begins.
    pub(super) fn begin(&mut self) {
        if self.bytes > 0 {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_and_all_together_are_given_so_much_in_a_round() {
        let client = |number: usize| Address::new(format!("client {number}"));
        let half = limits::CLIENT_ANSWERS_BYTES_MAX / 2;
        let mut answers = Answers::default();
        assert!(answers.take(&client(0), 3 * half), "whatever its size");
        assert!(!answers.take(&client(0), 0));
        assert!(answers.take(&client(1), half));
        assert!(answers.take(&client(1), half));
        assert!(!answers.take(&client(1), 1));
        let mut others = 2..;
        while answers.take(&client(others.next().unwrap()), 2 * half) {}
        assert!(answers.bytes >= limits::ANSWERS_BYTES_MAX);
        assert!(answers.bytes < limits::ANSWERS_BYTES_MAX + 2 * half);
        answers.begin();
        assert!(answers.take(&client(1), half));
    }
}
