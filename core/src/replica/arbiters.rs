//! Which of the arbiters a replica speaks to.

use crate::config::Address;
use crate::limits;
use crate::time::Instant;

/// The arbiters, of which a replica speaks to one: to whom it has heard last, and to the next one as soon as that one does
/// not answer. Any of them decides.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Arbiters {
    addresses: Vec<Address>,
    current: usize,
    /// Since when the present one owes an answer. Nothing depends on that where there is one only.
    waiting_since: Option<Instant>,
}

impl Arbiters {
    /// # Panics
    /// If there is none.
    pub(super) fn new(addresses: Vec<Address>) -> Self {
        assert!(!addresses.is_empty(), "a replica is told of an arbiter");
        Self {
            addresses,
            current: 0,
            waiting_since: None,
        }
    }

    /// The one it speaks to.
    pub(super) fn current(&self) -> &Address {
        &self.addresses[self.current]
    }

    /// Is it one of them?
    pub(super) fn has(&self, address: &Address) -> bool {
        self.addresses.contains(address)
    }

    /// Whom to ask now.
    pub(super) fn ask(&mut self, now: Instant) -> &Address {
        if self.addresses.len() > 1 {
            let since = *self.waiting_since.get_or_insert(now);
            if now - since >= limits::ARBITER_PATIENCE {
                self.current = (self.current + 1) % self.addresses.len();
                self.waiting_since = Some(now);
            }
        }
        self.current()
    }

    /// One of them has spoken.
    pub(super) fn on_heard(&mut self, from: &Address) {
        if let Some(place) = self.addresses.iter().position(|address| address == from) {
            self.current = place;
            self.waiting_since = None;
        }
    }
}
