//! What has happened, as nobody in the cluster sees it, and whether that may be.
//!
//! It judges by what is on disks and what is told, and knows by itself what a majority is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lockstep_core::config::{ArbiterId, QuestionRound};
use lockstep_core::register::{Ballot, Held, Keeper, Mark, Message};

use super::history::History;
use super::landmark::Landmark;

/// What was accepted, chosen, promised and asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(super) struct Truth {
    votes: BTreeMap<Mark, Vote>,
    /// Of all values that were chosen the one with most changes.
    newest: History,
    /// The highest ballot that each has sent a promise for.
    promised: BTreeMap<ArbiterId, Ballot>,
    questions: BTreeSet<Question>,
}

/// Who has accepted something durably.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Vote {
    held: Arc<Held<History>>,
    /// `None` once it is chosen.
    by: Option<BTreeSet<ArbiterId>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Question {
    ballot: Ballot,
    round: QuestionRound,
    /// What it was answered from.
    mark: Mark,
    /// Something else was chosen already.
    is_stale: bool,
}

impl Truth {
    /// A disk has this.
    pub(super) fn on_saved(
        &mut self,
        by: ArbiterId,
        keeper: &Keeper<History>,
        passed: &mut Vec<Landmark>,
    ) -> Result<(), String> {
        let Some(held) = keeper.held() else {
            return Ok(());
        };
        let mark = held.mark;
        let vote = self.votes.entry(mark).or_insert_with(|| Vote {
            held: Arc::new(held.clone()),
            by: Some(BTreeSet::new()),
        });
        if *vote.held != *held {
            return Err(format!("{mark:?} is of {held:?} and of {:?}", vote.held));
        }
        let Some(voters) = &mut vote.by else {
            return Ok(());
        };
        voters.insert(by);
        let is_majority = |set: &BTreeSet<ArbiterId>| 2 * (set & voters).len() > set.len();
        let (present, next) = (held.arbiters.present(), held.arbiters.next());
        if !is_majority(present) || !next.is_none_or(is_majority) {
            return Ok(());
        }
        vote.by = None;
        let value = held.value;
        let is_new = self.newest != value && self.newest.leads_to(value);
        if is_new && mark.step.0 == 0 {
            passed.push(Landmark::Rescued);
        }
        if mark.step.0 == 0 && mark.ballot.round.0 > 1 {
            passed.push(Landmark::TakenOver);
        }
        if next.is_some() {
            passed.push(Landmark::Joint);
        }
        let mut votes = self.votes.values();
        if votes.any(|vote| vote.held.arbiters.next() == Some(present)) {
            passed.push(Landmark::Settled);
        }
        if is_new {
            self.newest = value;
        }
        self.check_chain(mark, value)
    }

    /// Does everything that is chosen go on from what was chosen under lower marks?
    fn check_chain(&self, mark: Mark, value: History) -> Result<(), String> {
        let chosen = self.votes.values().filter(|vote| vote.by.is_none());
        for other in chosen.map(|vote| &vote.held) {
            let (earlier, later) = if other.mark < mark {
                (other.value, value)
            } else {
                (value, other.value)
            };
            if !earlier.leads_to(later) {
                let other = other.mark;
                return Err(format!(
                    "{mark:?} and {other:?} are chosen, where {later:?} does not go on from {earlier:?}"
                ));
            }
        }
        Ok(())
    }

    fn is_chosen(&self, mark: Mark) -> bool {
        let vote = self.votes.get(&mark);
        vote.is_some_and(|vote| vote.by.is_none())
    }

    /// Something is told.
    pub(super) fn on_told(&self, mark: Mark) -> Result<(), String> {
        if self.is_chosen(mark) {
            Ok(())
        } else {
            Err(format!("{mark:?} is told and not chosen"))
        }
    }

    /// Somebody asks for a round, for a question that is answered from this.
    pub(super) fn on_question(&mut self, round: QuestionRound, from: &Held<History>) {
        self.questions.insert(Question {
            ballot: from.mark.ballot,
            round,
            mark: from.mark,
            is_stale: !self.newest.leads_to(from.value),
        });
    }

    /// The answers to all questions of this round are told.
    pub(super) fn on_confirmed(
        &mut self,
        ballot: Ballot,
        round: QuestionRound,
    ) -> Result<(), String> {
        for question in &self.questions {
            if question.ballot != ballot || question.round > round {
                continue;
            }
            if question.is_stale {
                return Err(format!(
                    "{question:?} is answered, although something newer was chosen before it came"
                ));
            }
            self.on_told(question.mark)?;
        }
        self.questions
            .retain(|question| question.ballot != ballot || question.round > round);
        Ok(())
    }

    /// Is somebody waiting for a round of this ballot?
    pub(super) fn is_asked(&self, ballot: Ballot) -> bool {
        self.questions
            .iter()
            .any(|question| question.ballot == ballot)
    }

    /// A message leaves.
    pub(super) fn on_sent(
        &mut self,
        by: ArbiterId,
        message: &Message<History>,
    ) -> Result<(), String> {
        match message {
            Message::Promise { ballot, .. } => {
                let promised = self.promised.entry(by).or_insert(*ballot);
                *promised = (*promised).max(*ballot);
            }
            Message::Accepted { mark } => {
                let promised = self.promised.get(&by);
                if promised.is_some_and(|promised| mark.ballot < *promised) {
                    return Err(format!(
                        "{by:?} accepts {mark:?} after it promised {promised:?}"
                    ));
                }
            }
            Message::Prepare { .. }
            | Message::Accept(_)
            | Message::Ask { .. }
            | Message::Still { .. }
            | Message::Refused { .. } => {}
        }
        Ok(())
    }
}
