//! What clients noticed on the way: reads that were wrong, and what failed first.

use std::sync::{Mutex, MutexGuard};

use crate::ledger::Mismatch;
use crate::tally::Cause;
use crate::target::Failure;

/// Mismatches that are told one by one.
const MISMATCHES_TOLD: usize = 10;

/// What was noticed, by all clients together.
#[derive(Debug)]
pub struct Findings<F> {
    inner: Mutex<Found<F>>,
}

/// See [`Findings`].
#[derive(Clone, Debug)]
pub struct Found<F> {
    /// Reads that did not give what was written.
    pub mismatches: u64,
    /// The first of them.
    pub examples: Vec<String>,
    /// The first operation that failed.
    pub first_error: Option<String>,
    /// What makes it pointless to go on.
    pub fatal: Option<Trouble<F>>,
}

/// Why an operation did not succeed, or was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble<F> {
    /// Every number that fits into a key is in use. Nothing was executed.
    #[error("there are no more keys to insert")]
    NoMoreKeys,
    /// The target says so.
    #[error("{0}")]
    Failed(F),
}

impl<F: Failure> Trouble<F> {
    /// What that means for the operation.
    pub fn cause(&self) -> Cause {
        match self {
            Self::NoMoreKeys => Cause::Rejected,
            Self::Failed(failure) => failure.cause(),
        }
    }

    /// Would every other operation fail as well?
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::NoMoreKeys => true,
            Self::Failed(failure) => failure.is_fatal(),
        }
    }
}

impl<F> Default for Findings<F> {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Found {
                mismatches: 0,
                examples: Vec::new(),
                first_error: None,
                fatal: None,
            }),
        }
    }
}

impl<F: Failure> Findings<F> {
    /// What was noticed so far.
    pub fn found(&self) -> Found<F> {
        self.lock().clone()
    }

    /// A read of this key did not give what was written.
    pub fn mismatch(&self, key: &[u8], mismatch: Mismatch) {
        let mut found = self.lock();
        found.mismatches += 1;
        if found.examples.len() < MISMATCHES_TOLD {
            let key = String::from_utf8_lossy(key);
            found.examples.push(format!("{key}: {mismatch}"));
        }
    }

    /// An operation did not succeed.
    pub fn failed(&self, trouble: Trouble<F>) {
        let mut found = self.lock();
        if found.first_error.is_none() {
            found.first_error = Some(trouble.to_string());
        }
        if trouble.is_fatal() {
            found.fatal.get_or_insert(trouble);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Found<F>> {
        self.inner.lock().expect("nobody panics with it")
    }
}
