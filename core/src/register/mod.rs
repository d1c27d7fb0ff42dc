//! The register: one value that several arbiters keep together, so that any minority of them may be away or lost.
//!
//! It is single-decree Paxos (Lamport, 1998), again and again over the same slot (Rystsov, CASPaxos, 2018), with a chair that keeps
//! its ballot and a set of arbiters that changes; [`protocol`](crate::docs::protocol#register) says how it goes and why it is
//! safe. The laboratory explores this code, every interleaving of a few arbiters (`tests/src/register`); [`arbiter`](crate::arbiter) runs it.
//!
//! Each arbiter is a [`Keeper`] and can decide; what it does about deciding is its `office`. This file takes what comes to both.
//! It knows no time, no disk and no addresses: whoever runs it repeats what is not answered, carries out its effects in
//! their order ([`Effect`]), and knows where arbiters are. What the value is does not matter to it: the laboratory explores it with one
//! that is small and tells its own history.

mod arbiters;
mod ballot;
mod effects;
mod keeper;
mod message;
mod office;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::config::{ArbiterId, QuestionRound, Step};

pub use self::arbiters::Arbiters;
pub use self::ballot::{Ballot, Mark};
pub use self::effects::{Effect, Effects};
use self::keeper::Response;
pub use self::keeper::{Held, Keeper};
pub use self::message::Message;
use self::office::{Chair, Office, Questions, Standing};

/// The register, at one arbiter.
///
/// - While it has an office, its keeper has promised to its own ballot last.
/// - It counts its own keeper at once: what rests on that leaves behind the save of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Register<V> {
    keeper: Keeper<V>,
    office: Office<V>,
    /// The highest ballot that others have refused this arbiter for: the next one is above it.
    heard: Ballot,
}

impl<V: Clone> Register<V> {
    /// That of an arbiter whose disk has this.
    pub fn open(keeper: Keeper<V>) -> Self {
        Self {
            keeper,
            office: Office::Idle,
            heard: Ballot::NONE,
        }
    }

    /// What its keeper knows.
    pub fn keeper(&self) -> &Keeper<V> {
        &self.keeper
    }

    /// The newest value that it knows of: what it holds, or what it has found while it stands for the chair.
    pub fn newest(&self) -> Option<&Held<V>> {
        match &self.office {
            Office::Standing(standing) => Some(&standing.newest),
            Office::Chair(_) | Office::Idle => self.keeper.held(),
        }
    }

    /// Is it one of the arbiters, as far as it knows?
    pub fn is_one(&self) -> bool {
        let held = self.keeper.held();
        held.is_some_and(|held| held.arbiters.has(self.keeper.id()))
    }

    /// Does it sit in the chair?
    pub fn is_chair(&self) -> bool {
        matches!(self.office, Office::Chair(_))
    }

    /// Does it leave deciding to others?
    pub fn is_idle(&self) -> bool {
        matches!(self.office, Office::Idle)
    }

    /// Is there anything that [`repeat`](Self::repeat) would send again?
    pub fn is_waiting(&self) -> bool {
        match &self.office {
            Office::Idle => false,
            Office::Standing(_) => true,
            Office::Chair(chair) => !chair.is_chosen || chair.questions.answered_by.is_some(),
        }
    }

    /// What may be changed, and what questions are answered from: the chosen value, if this arbiter sits in the chair and
    /// no change is under way. An answer from it may be told when the next round of questions is confirmed.
    pub fn present(&self) -> Option<&Held<V>> {
        match &self.office {
            Office::Chair(chair) if chair.is_chosen => self.keeper.held(),
            Office::Chair(_) | Office::Standing(_) | Office::Idle => None,
        }
    }

    /// Stands for the chair. Returns whether it does: not if it has that office already, or is a
    /// stranger, which knows nothing or is none of the arbiters.
    pub fn stand(&mut self, out: &mut Effects<V>) -> bool {
        let Office::Idle = self.office else {
            return false;
        };
        let Some(newest) = self.keeper.held().cloned() else {
            return false;
        };
        let ballot = Ballot {
            round: self.keeper.promised().max(self.heard).round.next(),
            arbiter: self.keeper.id(),
        };
        // The greatest round has none after it.
        let is_new = ballot > self.keeper.promised().max(self.heard);
        if !newest.arbiters.has(self.keeper.id()) || !is_new {
            return false;
        }
        self.keeper.promise(ballot);
        if !planted!(RoundReused) {
            out.save(self.keeper.clone());
        }
        let others = self.others(&newest.arbiters);
        let by = BTreeSet::from([self.keeper.id()]);
        self.office = Office::Standing(Standing { by, newest });
        for to in others {
            out.send(to, Message::Prepare { ballot });
        }
        self.sit_down(out);
        true
    }

    /// Changes the value. Returns the mark under which it is done once that is chosen; `None` where nothing is
    /// [`present`](Self::present).
    pub fn change(&mut self, value: V, out: &mut Effects<V>) -> Option<Mark> {
        let held = self.present()?;
        Some(self.begin(held.mark.step.next(), held.arbiters.clone(), value, out))
    }

    /// Changes the value, and begins a change of the set of arbiters, which goes on by itself. Returns the mark of its first
    /// half; `None` where nothing is [`present`](Self::present).
    pub fn change_arbiters(
        &mut self,
        next: Arbiters,
        value: V,
        out: &mut Effects<V>,
    ) -> Option<Mark> {
        let held = if planted!(SecondSetChangeAtOnce) && self.is_chair() {
            self.keeper.held()
        } else {
            self.present()
        };
        let held = held?;
        let arbiters = held.arbiters.towards(next);
        Some(self.begin(held.mark.step.next(), arbiters, value, out))
    }

    /// Tells another one what is [`present`](Self::present): one that came by a change and has not heard of it, or one that went.
    pub fn tell(&self, to: ArbiterId, out: &mut Effects<V>) {
        if let Some(held) = self.present() {
            out.send(to, Message::Accept(held.clone()));
        }
    }

    /// Has the others asked whether anybody else may have decided anything. Returns the round whose confirmation answers that;
    /// `None` where nothing is [`present`](Self::present).
    ///
    /// Answers to a round that began earlier do not: they may be older than what was decided before the question.
    pub fn question(&mut self, out: &mut Effects<V>) -> Option<QuestionRound> {
        self.present()?;
        let ballot = self.keeper.promised();
        let Office::Chair(chair) = &mut self.office else {
            return None;
        };
        let questions = &mut chair.questions;
        if planted!(AnsweredWithoutRound) {
            out.confirmed(ballot, questions.round);
            return Some(questions.round);
        }
        if questions.answered_by.is_some() {
            if planted!(FormerRoundAnswers) {
                return Some(questions.round);
            }
            questions.is_wanted = true;
            return Some(questions.round.next());
        }
        let round = questions.round.next();
        self.ask(out);
        Some(round)
    }

    /// Sends again what is not answered.
    pub fn repeat(&self, out: &mut Effects<V>) {
        let ballot = self.keeper.promised();
        match (&self.office, self.keeper.held()) {
            (Office::Standing(standing), _) => {
                for to in self.others(&standing.newest.arbiters) {
                    if !standing.by.contains(&to) {
                        out.send(to, Message::Prepare { ballot });
                    }
                }
            }
            (Office::Chair(chair), Some(held)) => {
                for to in self.others(&held.arbiters) {
                    if !chair.accepted_by.contains(&to) {
                        out.send(to, Message::Accept(held.clone()));
                    }
                    let answered_by = chair.questions.answered_by.as_ref();
                    if answered_by.is_some_and(|by| !by.contains(&to)) {
                        let round = chair.questions.round;
                        out.send(to, Message::Ask { ballot, round });
                    }
                }
            }
            (Office::Chair(_) | Office::Idle, _) => {}
        }
    }

    /// Takes a message from another arbiter.
    pub fn on_message(&mut self, from: ArbiterId, message: Message<V>, out: &mut Effects<V>) {
        match message {
            Message::Prepare { ballot } => self.on_prepare(from, ballot, out),
            Message::Accept(held) => self.on_accept(from, held, out),
            Message::Ask { ballot, round } => {
                if ballot < self.keeper.promised() {
                    self.refuse(from, ballot, out);
                } else {
                    out.send(from, Message::Still { ballot, round });
                }
            }
            Message::Promise { ballot, held } => self.on_promise(from, ballot, held, out),
            Message::Accepted { mark } => self.on_accepted(from, mark, out),
            Message::Still { ballot, round } => self.on_still(from, ballot, round, out),
            Message::Refused { ballot, promised } => {
                if ballot == self.keeper.promised() && ballot < promised {
                    self.heard = promised;
                    self.office = Office::Idle;
                }
            }
        }
    }

    fn on_prepare(&mut self, from: ArbiterId, ballot: Ballot, out: &mut Effects<V>) {
        match self.keeper.promise(ballot) {
            Response::Done => {
                self.office = Office::Idle;
                if !planted!(PromiseNotSaved) {
                    out.save(self.keeper.clone());
                }
            }
            Response::Known => {}
            Response::Overtaken => return,
            Response::Refused => {
                self.refuse(from, ballot, out);
                return;
            }
        }
        let held = self.keeper.held().cloned();
        out.send(from, Message::Promise { ballot, held });
    }

    fn on_accept(&mut self, from: ArbiterId, held: Held<V>, out: &mut Effects<V>) {
        let mark = held.mark;
        match self.keeper.accept(held) {
            Response::Done => {
                self.office = Office::Idle;
                if !planted!(AcceptanceNotSaved) {
                    out.save(self.keeper.clone());
                }
            }
            Response::Known => {}
            Response::Overtaken => return,
            Response::Refused => {
                self.refuse(from, mark.ballot, out);
                return;
            }
        }
        out.send(from, Message::Accepted { mark });
    }

    fn refuse(&self, from: ArbiterId, ballot: Ballot, out: &mut Effects<V>) {
        let promised = self.keeper.promised();
        out.send(from, Message::Refused { ballot, promised });
    }

    fn on_promise(
        &mut self,
        from: ArbiterId,
        ballot: Ballot,
        held: Option<Held<V>>,
        out: &mut Effects<V>,
    ) {
        let Office::Standing(standing) = &mut self.office else {
            return;
        };
        if ballot != self.keeper.promised() || !standing.newest.arbiters.counts(from) {
            return;
        }
        standing.by.insert(from);
        if let Some(held) = held
            && (held.mark > standing.newest.mark || planted!(AnyAnswerTaken))
        {
            let asked = standing.newest.arbiters.all();
            let newcomers = held.arbiters.all().into_iter();
            for to in newcomers.filter(|to| !asked.contains(to) && *to != self.keeper.id()) {
                out.send(to, Message::Prepare { ballot });
            }
            standing.newest = held;
        }
        self.sit_down(out);
    }

    /// Takes the chair once a majority has promised. What was found is chosen anew under this ballot before it is changed or
    /// told: a minority may have accepted it, and may be all who ever do.
    fn sit_down(&mut self, out: &mut Effects<V>) {
        let Office::Standing(Standing { by, newest }) = &self.office else {
            return;
        };
        // The arbiters that count are those of what was found, whatever this one went by until then.
        let rule = planted!(OlderRuleKept => self.keeper.held().unwrap_or(newest), newest);
        if !rule.arbiters.is_majority(by) {
            return;
        }
        let Held {
            arbiters, value, ..
        } = newest.clone();
        self.office = Office::Chair(Chair {
            accepted_by: BTreeSet::new(),
            is_chosen: false,
            questions: Questions::default(),
        });
        self.begin(Step::ZERO, arbiters, value, out);
    }

    /// Has a value accepted. The others hear of it before the own disk knows it: what they do with it rests on nothing there.
    fn begin(&mut self, step: Step, arbiters: Arbiters, value: V, out: &mut Effects<V>) -> Mark {
        let ballot = self.keeper.promised();
        let mark = Mark { ballot, step };
        let held = Held {
            mark,
            arbiters,
            value,
        };
        for to in self.others(&held.arbiters) {
            out.send(to, Message::Accept(held.clone()));
        }
        self.keeper.accept(held);
        out.save(self.keeper.clone());
        if planted!(ToldBeforeChosen) {
            out.chosen(mark);
        }
        if let Office::Chair(chair) = &mut self.office {
            chair.accepted_by = BTreeSet::from([self.keeper.id()]);
            chair.is_chosen = false;
        }
        self.conclude(out);
        mark
    }

    fn on_accepted(&mut self, from: ArbiterId, mark: Mark, out: &mut Effects<V>) {
        if let (Office::Chair(chair), Some(held)) = (&mut self.office, self.keeper.held())
            && held.mark == mark
            && held.arbiters.counts(from)
        {
            chair.accepted_by.insert(from);
            self.conclude(out);
        }
    }

    /// What follows if a majority has accepted the value.
    fn conclude(&mut self, out: &mut Effects<V>) {
        let (Office::Chair(chair), Some(held)) = (&mut self.office, self.keeper.held()) else {
            return;
        };
        let is_majority =
            planted!(ChosenWithoutMajority => true, held.arbiters.is_majority(&chair.accepted_by));
        let is_chosen =
            planted!(FoundIsTold => is_majority || held.mark.step == Step::ZERO, is_majority);
        if chair.is_chosen || !is_chosen {
            return;
        }
        chair.is_chosen = true;
        out.chosen(held.mark);
        if let Some(arbiters) = held.arbiters.settled() {
            let (step, value) = (held.mark.step.next(), held.value.clone());
            self.begin(step, arbiters, value, out);
        } else if !held.arbiters.has(self.keeper.id()) {
            // It has been the last to decide for those that it was one of.
            self.office = Office::Idle;
        }
    }

    /// Begins a round of questions.
    fn ask(&mut self, out: &mut Effects<V>) {
        let (Office::Chair(chair), Some(held)) = (&mut self.office, self.keeper.held()) else {
            return;
        };
        let questions = &mut chair.questions;
        questions.round = questions.round.next();
        questions.answered_by = Some(BTreeSet::from([self.keeper.id()]));
        questions.is_wanted = false;
        let (ballot, round) = (self.keeper.promised(), questions.round);
        for to in self.others(&held.arbiters) {
            out.send(to, Message::Ask { ballot, round });
        }
        self.confirm(out);
    }

    fn on_still(
        &mut self,
        from: ArbiterId,
        ballot: Ballot,
        round: QuestionRound,
        out: &mut Effects<V>,
    ) {
        if let (Office::Chair(chair), Some(held)) = (&mut self.office, self.keeper.held())
            && held.arbiters.counts(from)
            && ballot == self.keeper.promised()
            && round == chair.questions.round
            && let Some(answered_by) = &mut chair.questions.answered_by
        {
            answered_by.insert(from);
            self.confirm(out);
        }
    }

    /// What follows if a majority has answered the questions.
    fn confirm(&mut self, out: &mut Effects<V>) {
        let (Office::Chair(chair), Some(held)) = (&mut self.office, self.keeper.held()) else {
            return;
        };
        let questions = &mut chair.questions;
        let answered_by = questions.answered_by.as_ref();
        if !answered_by.is_some_and(|by| held.arbiters.is_majority(by)) {
            return;
        }
        questions.answered_by = None;
        out.confirmed(self.keeper.promised(), questions.round);
        if questions.is_wanted {
            self.ask(out);
        }
    }

    fn others(&self, arbiters: &Arbiters) -> BTreeSet<ArbiterId> {
        let mut others = arbiters.all();
        others.remove(&self.keeper.id());
        others
    }
}
