//! What the state is busy with: entries applied beside the log, one batch at a time, and checkpoints beside both.

use std::collections::VecDeque;

use crate::config::Position;
use crate::storage::committed::Committed;
use crate::time::Instant;

use super::{Order, SchedulerOptions};

/// Applying and checkpoints of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    waiting: VecDeque<Committed>,
    applying: Option<Applying>,
    /// It had no room for the first of `waiting`.
    is_apply_refused: bool,
    is_checkpointing: bool,
    /// It had no room for a checkpoint.
    is_checkpoint_refused: bool,
    /// Applied since the last checkpoint began.
    applied_bytes: u64,
    checkpoint_due: Instant,
}

/// Entries that are being applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Applying {
    end: Position,
    bytes: u64,
}

impl State {
    pub(super) fn new(now: Instant, options: &SchedulerOptions) -> Self {
        Self {
            waiting: VecDeque::new(),
            applying: None,
            is_apply_refused: false,
            is_checkpointing: false,
            is_checkpoint_refused: false,
            applied_bytes: 0,
            checkpoint_due: now + options.checkpoint_interval,
        }
    }

    pub(super) fn is_applying(&self) -> bool {
        self.applying.is_some()
    }

    pub(super) fn is_checkpointing(&self) -> bool {
        self.is_checkpointing
    }

    pub(super) fn is_idle(&self) -> bool {
        self.applying.is_none() && self.waiting.is_empty()
    }

    pub(super) fn is_refused(&self) -> bool {
        self.is_apply_refused || self.is_checkpoint_refused
    }

    /// When the next checkpoint is due; `None` while one is being made, or waits for room.
    pub(super) fn checkpoint_due(&self) -> Option<Instant> {
        let is_open = !self.is_checkpointing && !self.is_checkpoint_refused;
        is_open.then_some(self.checkpoint_due)
    }

    pub(super) fn wait(&mut self, committed: Committed) {
        self.waiting.push_back(committed);
    }

    pub(super) fn note_applied_bytes(&mut self, bytes: u64) {
        self.applied_bytes += bytes;
    }

    /// Has the entries applied that wait, unless they wait for room.
    pub(super) fn apply(&mut self, options: &SchedulerOptions, orders: &mut Vec<Order>) {
        if !self.is_apply_refused {
            self.apply_next(options, orders);
        }
    }

    /// Many small ones are applied as one.
    fn apply_next(&mut self, options: &SchedulerOptions, orders: &mut Vec<Order>) {
        if self.is_applying() {
            return;
        }
        let Some(mut next) = self.waiting.pop_front() else {
            return;
        };
        while next.bytes() < options.apply_bytes_max
            && let Some(more) = self.waiting.pop_front()
        {
            next.extend(more);
        }
        let bytes = next.bytes() as u64;
        self.applying = next.end().map(|end| Applying { end, bytes });
        orders.push(Order::Apply(next));
    }

    /// The entries are applied. Returns where the state is.
    ///
    /// # Panics
    /// If none were.
    pub(super) fn on_applied(&mut self) -> Position {
        let Applying { end, bytes } = self.applying.take().expect("entries were being applied");
        self.is_apply_refused = false;
        self.applied_bytes += bytes;
        end
    }

    /// There was no room for the entries.
    pub(super) fn on_apply_refused(&mut self, committed: Committed) {
        self.applying = None;
        self.waiting.push_front(committed);
        self.is_apply_refused = true;
    }

    /// What waits is for a state that is being replaced by one that has it. That may have been refused until now.
    pub(super) fn drop_waiting(&mut self) {
        self.waiting.clear();
        self.is_apply_refused = false;
    }

    /// Has the state made durable, if it is time.
    pub(super) fn consider_checkpoint(
        &mut self,
        now: Instant,
        options: &SchedulerOptions,
        orders: &mut Vec<Order>,
    ) {
        let is_due =
            self.applied_bytes >= options.checkpoint_bytes.max(1) || self.checkpoint_due <= now;
        if is_due && !self.is_checkpointing && !self.is_checkpoint_refused {
            self.checkpoint(now, options, orders);
        }
    }

    pub(super) fn checkpoint(
        &mut self,
        now: Instant,
        options: &SchedulerOptions,
        orders: &mut Vec<Order>,
    ) {
        self.is_checkpointing = true;
        self.applied_bytes = 0;
        self.checkpoint_due = now + options.checkpoint_interval;
        orders.push(Order::Checkpoint);
    }

    pub(super) fn on_checkpointed(&mut self) {
        self.is_checkpointing = false;
        self.is_checkpoint_refused = false;
    }

    pub(super) fn on_checkpoint_refused(&mut self) {
        self.is_checkpointing = false;
        self.is_checkpoint_refused = true;
    }

    /// Tries again what was refused. It counts as refused until that has succeeded.
    pub(super) fn retry(
        &mut self,
        now: Instant,
        options: &SchedulerOptions,
        orders: &mut Vec<Order>,
    ) {
        if self.is_apply_refused {
            self.apply_next(options, orders);
        }
        if self.is_checkpoint_refused && !self.is_checkpointing {
            self.checkpoint(now, options, orders);
        }
    }
}
