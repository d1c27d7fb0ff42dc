//! What a process has asked its disk to save and not heard of: asked for again until it is done.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits;
use crate::time::{Instant, Timers};

use super::{Save, Ticket};

/// The saves under way, in the order in which they were asked for; and what each means to the process once it is done.
///
/// - The timer is armed while there is any.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pending<T, M> {
    retry: T,
    next: Ticket,
    asked: VecDeque<Asked<M>>,
    /// Since when the disk has no room.
    full_since: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked<M> {
    ticket: Ticket,
    at: Instant,
    save: Save,
    meaning: M,
}

impl<T: Copy + Ord, M> Pending<T, M> {
    /// Nothing is under way. What takes long is asked for again when the timer `retry` is due.
    pub fn new(retry: T) -> Self {
        Self {
            retry,
            next: Ticket::default(),
            asked: VecDeque::new(),
            full_since: None,
        }
    }

    /// Takes up that `save` is asked for, under the ticket that it returns.
    pub fn ask(&mut self, now: Instant, save: &Save, meaning: M, timers: &mut Timers<T>) -> Ticket {
        let ticket = self.next;
        self.next = Ticket(ticket.0 + 1);
        self.asked.push_back(Asked {
            ticket,
            at: now,
            save: save.clone(),
            meaning,
        });
        timers.arm_if_idle(self.retry, now + limits::RETRY_INTERVAL);
        ticket
    }

    /// A save is done: what that means; `None` if it was known already.
    pub fn on_persisted(
        &mut self,
        now: Instant,
        ticket: Ticket,
        timers: &mut Timers<T>,
    ) -> Option<M> {
        let index = self
            .asked
            .binary_search_by_key(&ticket, |asked| asked.ticket)
            .ok()?;
        let done = self.asked.remove(index)?;
        timers.disarm(self.retry);
        if !self.asked.is_empty() {
            timers.arm(self.retry, now + limits::RETRY_INTERVAL);
        }
        Some(done.meaning)
    }

    /// The timer is due: what to ask for again. That does no harm where the disk is merely slow, so the oldest few do.
    pub fn on_retry(&self, now: Instant, timers: &mut Timers<T>) -> Vec<(Ticket, Save)> {
        timers.arm(self.retry, now + limits::RETRY_INTERVAL);
        let oldest = self.asked.iter().take(limits::PERSIST_RETRIES_MAX);
        oldest
            .map(|asked| (asked.ticket, asked.save.clone()))
            .collect()
    }

    /// The disk has no room. Returns whether that is news.
    pub fn on_full(&mut self, now: Instant) -> bool {
        let is_news = !self.is_full();
        self.full_since.get_or_insert(now);
        is_news
    }

    /// The disk has room again. Returns whether that is news.
    pub fn on_room(&mut self) -> bool {
        self.full_since.take().is_some()
    }

    /// Has the disk no room?
    pub fn is_full(&self) -> bool {
        self.full_since.is_some()
    }

    /// Has the disk had no room for `patience` or longer?
    pub fn stays_full(&self, now: Instant, patience: Duration) -> bool {
        self.full_since.is_some_and(|since| now - since >= patience)
    }

    /// Has the disk, although it has room, kept a save for `patience` or longer?
    pub fn hangs(&self, now: Instant, patience: Duration) -> bool {
        !self.is_full() && self.is_stuck(now, patience)
    }

    /// Has the disk, for whatever reason, kept a save for `patience` or longer?
    pub fn is_stuck(&self, now: Instant, patience: Duration) -> bool {
        let oldest = self.asked.front();
        oldest.is_some_and(|asked| now - asked.at >= patience)
    }

    /// Saves asked for and not heard of.
    pub fn len(&self) -> usize {
        self.asked.len()
    }

    /// Is nothing under way?
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// What they mean, in their order.
    pub fn meanings_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut M> {
        self.asked.iter_mut().map(|asked| &mut asked.meaning)
    }
}
