//! The only place of the stores that rolls dice: identities and salts.

use std::fmt;

/// Where the stores take their random numbers from.
pub struct Draw(Box<dyn FnMut() -> u64 + Send>);

impl Draw {
    /// Numbers that nobody can guess.
    pub fn random() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "identities are drawn by the stores, outside the protocol"
        )]
        Self(Box::new(rand::random::<u64>))
    }

    /// The numbers that `next` gives.
    pub fn from(next: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self(Box::new(next))
    }

    /// The next number.
    pub(super) fn number(&mut self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draw")
    }
}
