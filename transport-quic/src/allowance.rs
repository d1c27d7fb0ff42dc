//! Bytes that many share: what waits for clients, all together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes at the same time; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    max: usize,
    used: Arc<AtomicUsize>,
}

impl Allowance {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            used: Arc::default(),
        }
    }

    /// Takes so many bytes, if they are left.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let used = self.used.fetch_add(bytes, Ordering::Relaxed);
        let is_left = used.saturating_add(bytes) <= self.max;
        if !is_left {
            self.give_back(bytes);
        }
        is_left
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let allowance = Allowance::new(10);
        assert!(allowance.take(6) && allowance.clone().take(4));
        assert!(!allowance.take(1) && allowance.take(0));
        allowance.give_back(6);
        assert!(!allowance.take(7) && allowance.take(6));
    }
}
