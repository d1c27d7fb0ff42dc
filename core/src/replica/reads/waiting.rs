//! What waits until the log is known to be committed far enough, or the primary has said how far that must be.
//!
//! What it is that waits is for others to say. Nothing goes through all of it, except where a role ends.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Position;
use crate::time::Instant;

/// Some that wait, and the question to the primary.
///
/// - The sets have exactly the waiters, each by its place in the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiting<W> {
    waiters: BTreeMap<u64, Waiter<W>>,
    by_position: BTreeSet<(Position, u64)>,
    /// Those that the answer to a question, or to a later one, helps.
    by_question: BTreeSet<(u64, u64)>,
    by_deadline: BTreeSet<(Instant, u64)>,
    arrived: u64,
    /// The question to the primary that was asked last.
    question: u64,
    is_question_open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiter<W> {
    what: W,
    until: Position,
    /// `None` if only the position will do.
    question: Option<u64>,
    deadline: Instant,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// That the log is known to be committed up to here.
    Committed(Position),
    /// The same, or as far as the primary says that it is when it is asked from now on.
    CommittedOrTold(Position),
}

impl<W> Waiting<W> {
    /// Does nobody wait?
    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// One more waits.
    pub(super) fn wait(&mut self, what: W, until: Until, deadline: Instant) {
        self.arrived += 1;
        let place = self.arrived;
        let (until, question) = match until {
            Until::Committed(position) => (position, None),
            Until::CommittedOrTold(position) => {
                // A question that is under way was asked before this came.
                let asked = self.question;
                let question = planted!(ReusesQuestion => asked.max(1), asked + 1);
                self.by_question.insert((question, place));
                (position, Some(question))
            }
        };
        self.by_position.insert((until, place));
        self.by_deadline.insert((deadline, place));
        let waiter = Waiter {
            what,
            until,
            question,
            deadline,
        };
        self.waiters.insert(place, waiter);
    }

    fn remove(&mut self, place: u64) -> Option<W> {
        let waiter = self.waiters.remove(&place)?;
        self.by_position.remove(&(waiter.until, place));
        self.by_deadline.remove(&(waiter.deadline, place));
        if let Some(question) = waiter.question {
            self.by_question.remove(&(question, place));
        }
        Some(waiter.what)
    }

    /// Takes out the next for which the log, committed up to `committed`, is committed far enough.
    pub(super) fn next_ready(&mut self, committed: Position) -> Option<W> {
        let (until, place) = *self.by_position.first()?;
        if until > committed {
            return None;
        }
        self.remove(place)
    }

    /// Takes out the next whose deadline is over.
    pub(super) fn next_over(&mut self, now: Instant) -> Option<W> {
        let (deadline, place) = *self.by_deadline.first()?;
        if deadline > now {
            return None;
        }
        self.remove(place)
    }

    /// The next deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// Takes out those that are given up, in the order of their positions.
    pub(super) fn give_up(&mut self, is_given_up: impl Fn(&W) -> bool) -> Vec<W> {
        let places: Vec<u64> = self.by_position.iter().map(|(_, place)| *place).collect();
        let given_up = places
            .into_iter()
            .filter(|place| is_given_up(&self.waiters[place].what));
        let given_up: Vec<u64> = given_up.collect();
        given_up
            .into_iter()
            .filter_map(|place| self.remove(place))
            .collect()
    }

    // --------------------------------------------------------------------------------- the question to the primary

    /// The number of a question that is to be asked for the first time; `None` while one is open, or if nobody needs it.
    pub(super) fn next_question(&mut self) -> Option<u64> {
        if self.is_question_open || self.by_question.is_empty() {
            return None;
        }
        self.question += 1;
        self.is_question_open = true;
        Some(self.question)
    }

    /// The number of the open question, which is to be asked again; `None`, and it is open no more, if nobody needs it.
    pub(super) fn repeated_question(&mut self) -> Option<u64> {
        let wanted = self.by_question.first();
        self.is_question_open = wanted.is_some_and(|(wanted, _)| *wanted <= self.question);
        self.is_question_open.then_some(self.question)
    }

    /// Whoever was asked is gone.
    pub(super) fn drop_question(&mut self) {
        self.is_question_open = false;
    }

    /// The primary answers the question of that number: that the log is committed up to `committed` is enough for whoever came
    /// before it was asked. Returns whether no question is open any more thereby.
    pub(super) fn on_told(&mut self, number: u64, committed: Position) -> bool {
        if number > self.question {
            return false;
        }
        while let Some((question, place)) = self.by_question.first().copied()
            && question <= number
        {
            self.by_question.remove(&(question, place));
            if let Some(waiter) = self.waiters.get_mut(&place) {
                waiter.question = None;
                self.by_position.remove(&(waiter.until, place));
                waiter.until = waiter.until.min(committed);
                self.by_position.insert((waiter.until, place));
            }
        }
        let is_last = number == self.question;
        if is_last {
            self.is_question_open = false;
        }
        is_last
    }
}

impl<W> Default for Waiting<W> {
    fn default() -> Self {
        Self {
            waiters: BTreeMap::new(),
            by_position: BTreeSet::new(),
            by_question: BTreeSet::new(),
            by_deadline: BTreeSet::new(),
            arrived: 0,
            question: 0,
            is_question_open: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Instant = Instant(9);

    fn ready(waiting: &mut Waiting<&'static str>, committed: u64) -> String {
        let ready = std::iter::from_fn(|| waiting.next_ready(Position(committed)));
        ready.collect()
    }

    #[test]
    fn those_go_on_for_which_the_log_is_committed_far_enough() {
        let mut waiting = Waiting::default();
        for (what, until) in [("a", 7), ("b", 3), ("c", 7), ("d", 9)] {
            waiting.wait(what, Until::Committed(Position(until)), LATER);
        }
        assert_eq!(ready(&mut waiting, 2), "");
        assert_eq!(ready(&mut waiting, 7), "bac");
        assert_eq!(waiting.waiters.len(), 1);
        assert_eq!(waiting.next_question(), None, "nobody needs one");
    }

    #[test]
    fn an_answer_helps_those_that_came_before_it_was_asked_for() {
        let mut waiting = Waiting::default();
        let told = Until::CommittedOrTold(Position(8));
        waiting.wait("a", told, LATER);
        assert_eq!(waiting.next_question(), Some(1));
        waiting.wait("b", told, LATER);
        waiting.wait("c", Until::Committed(Position(8)), LATER);
        assert_eq!(waiting.next_question(), None, "one is open");
        assert_eq!(waiting.repeated_question(), Some(1));
        assert!(!waiting.on_told(2, Position(3)), "nobody asked that");
        assert!(waiting.on_told(1, Position(3)));
        assert_eq!(ready(&mut waiting, 3), "a");
        assert_eq!(waiting.repeated_question(), None, "it is answered");
        assert_eq!(waiting.next_question(), Some(2));
        assert!(!waiting.on_told(1, Position(3)), "a late copy");
        assert_eq!(ready(&mut waiting, 7), "");
        assert!(waiting.on_told(2, Position(9)));
        assert_eq!(ready(&mut waiting, 7), "", "it is not committed so far yet");
        assert_eq!(ready(&mut waiting, 8), "bc");
        assert!(waiting.is_empty());
    }

    #[test]
    fn those_whose_deadline_is_over_are_taken_out_and_those_that_are_given_up() {
        let mut waiting = Waiting::default();
        for (what, until, deadline) in [("a", 7, 3), ("b", 3, 2), ("c", 5, 4)] {
            let until = Until::CommittedOrTold(Position(until));
            waiting.wait(what, until, Instant(deadline));
        }
        assert_eq!(waiting.deadline(), Some(Instant(2)));
        assert_eq!(waiting.next_over(Instant(1)), None);
        assert_eq!(waiting.next_over(Instant(2)), Some("b"));
        assert_eq!(waiting.next_over(Instant(2)), None);
        assert_eq!(waiting.deadline(), Some(Instant(3)));
        assert_eq!(waiting.give_up(|_| true), ["c", "a"]);
        assert!(waiting.is_empty());
        assert_eq!(waiting.next_question(), None, "nobody needs one");
        assert_eq!(waiting.deadline(), None);
    }
}
