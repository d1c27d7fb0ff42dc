//! How far the log may be trimmed: what neither a restart nor a replica that is behind needs.

use crate::config::Position;

use super::Job;

/// What bounds the trimming of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Trimming {
    /// Where the log begins.
    start: Position,
    /// The state is durable up to here, and a restart needs no log before it.
    checkpointed: Position,
    /// Nothing from here on is dropped; `None` before the process has said anything.
    retained: Option<Position>,
    /// It was trimmed last with this bound.
    tried: Position,
}

impl Trimming {
    pub(super) fn new(start: Position) -> Self {
        Self {
            start,
            checkpointed: Position::ZERO,
            retained: None,
            tried: Position::ZERO,
        }
    }

    pub(super) fn retain(&mut self, from: Position) {
        self.retained = Some(from);
    }

    pub(super) fn on_checkpointed(&mut self, position: Position) {
        self.checkpointed = self.checkpointed.max(position);
    }

    /// The log begins anew.
    pub(super) fn on_reset(&mut self, at: Position) {
        *self = Self {
            retained: self.retained,
            ..Self::new(at)
        };
    }

    /// The log begins here. Is that news?
    pub(super) fn on_trimmed(&mut self, start: Position) -> bool {
        let is_news = start > self.start;
        self.start = start.max(self.start);
        is_news
    }

    /// What is to be trimmed, if that has become more.
    pub(super) fn next(&mut self, bytes_max: u64) -> Option<Job> {
        let retained = self.retained.unwrap_or(self.checkpointed);
        let before = planted!(TrimsUncheckpointed => retained, retained.min(self.checkpointed));
        if before <= self.start || before == self.tried {
            return None;
        }
        self.tried = before;
        Some(Job::Trim { before, bytes_max })
    }
}
