//! A bounded number of something at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many there may be, and are.
pub(crate) struct Permits {
    max: usize,
    given: Arc<AtomicUsize>,
}

/// Leave for one of them, for as long as it lives.
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permits {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            given: Arc::default(),
        }
    }

    /// Leave for one more, unless there are as many as may be.
    pub(crate) fn give(&self) -> Option<Permit> {
        let one_more = |given: usize| (given < self.max).then_some(given + 1);
        self.given
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()
            .map(|_| Permit(Arc::clone(&self.given)))
    }

    /// How many there are.
    pub(crate) fn given(&self) -> usize {
        self.given.load(Ordering::Relaxed)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
