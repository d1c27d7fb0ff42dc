//! What a process may look at while a step lasts.

use std::fmt;

use crate::engine::Engine;
use crate::operation::{Key, Record};
use crate::time::Instant;

/// What holds while a step lasts: the time, and what memory has of the state.
#[derive(Clone, Copy)]
pub struct Now<'a> {
    /// The time.
    pub time: Instant,
    state: Option<&'a dyn Engine>,
}

impl<'a> Now<'a> {
    /// That time, and whatever memory has of `state`; `None` for a process that has no state.
    pub fn new(time: Instant, state: Option<&'a dyn Engine>) -> Self {
        Self { time, state }
    }

    /// The record that the state has for the key, if memory knows: `Some(None)` where the key is absent. `None` if the storage
    /// has to be asked. The state may have more entries by now than the process was told.
    pub fn peek(&self, key: &Key) -> Option<Option<Record>> {
        self.state?.peek(key)
    }
}

/// Nothing in memory.
impl From<Instant> for Now<'_> {
    fn from(time: Instant) -> Self {
        Self::new(time, None)
    }
}

impl fmt::Debug for Now<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Now")
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}
