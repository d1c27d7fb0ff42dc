//! Arbiters, their disks, and everything that was ever sent.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use lockstep_core::config::{ArbiterId, Round, Step};
use lockstep_core::register::{
    Arbiters, Ballot, Effect, Effects, Held, Keeper, Mark, Message, Register,
};

use super::history::History;
use super::landmark::Landmark;
use super::scope::Scope;
use super::truth::Truth;

/// How much higher the number is that an arbiter goes on under when its directory was emptied.
const WIPED: u64 = 10;

/// Something that may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A message arrives: which, in their order.
    Arrive(u16),
    /// Somebody stands for the chair: who, in the order of places.
    Stand(u8),
    /// Somebody is refused for a higher ballot: for which of those that there are.
    Refuse(u8, u8),
    /// Somebody changes the value.
    Change(u8),
    /// Somebody changes the set of arbiters.
    ChangeSet(u8),
    /// Somebody is asked a question.
    Ask(u8),
    /// A disk is done with what it was given first.
    Save(u8),
    /// Somebody loses power, and starts again.
    Crash(u8),
    /// A directory is emptied, and its arbiter starts again.
    Wipe,
}

/// All that decides about the future.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    nodes: Vec<Node>,
    /// Whatever was sent, for ever: any of it arrives at any time, as often as it likes, or never.
    sent: BTreeSet<Arc<Letter>>,
    /// Those under which anybody has stood.
    ballots: BTreeSet<Ballot>,
    stands: Vec<u8>,
    changes: u8,
    /// Changes that were made, of the value and of the set.
    made: u8,
    sets: u8,
    questions: u8,
    crashes: u8,
    is_wiped: bool,
    truth: Truth,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    register: Register<History>,
    disk: Arc<Keeper<History>>,
    /// What waits for the disk; a `Save` first, if anything.
    waiting: VecDeque<Effect<History>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Letter {
    to: u8,
    from: ArbiterId,
    message: Message<History>,
}

impl Node {
    fn new(keeper: Keeper<History>) -> Self {
        Self {
            register: Register::open(keeper.clone()),
            disk: Arc::new(keeper),
            waiting: VecDeque::new(),
        }
    }
}

impl World {
    pub(super) fn new(scope: &Scope) -> Self {
        let first = (1..=scope.arbiters).map(ArbiterId).collect();
        let held = Held {
            mark: Mark {
                ballot: Ballot {
                    round: Round(1),
                    arbiter: ArbiterId(1),
                },
                step: Step::ZERO,
            },
            arbiters: Arbiters::new(first).expect("a scope has arbiters"),
            value: History::default(),
        };
        let node = |id| {
            if id <= scope.arbiters {
                Node::new(Keeper::holding(ArbiterId(id), held.clone()))
            } else {
                Node::new(Keeper::new(ArbiterId(id)))
            }
        };
        let count = scope.arbiters + scope.strangers;
        let mut world = Self {
            nodes: (1..=count).map(node).collect(),
            sent: BTreeSet::new(),
            ballots: BTreeSet::new(),
            stands: (0..count as usize)
                .map(|place| scope.stands.get(place).copied().unwrap_or(0))
                .collect(),
            changes: scope.changes,
            made: 0,
            sets: 0,
            questions: scope.questions,
            crashes: scope.crashes,
            is_wiped: false,
            truth: Truth::default(),
        };
        let passed = &mut Vec::new();
        for node in &world.nodes {
            let saved = world
                .truth
                .on_saved(node.register.keeper().id(), &node.disk, passed);
            saved.expect("all of them hold the same");
        }
        if scope.has_chair {
            world.seat(scope).expect("there is no other one");
        }
        world
    }

    /// Has the first arbiter take the chair, while all goes well.
    fn seat(&mut self, scope: &Scope) -> Result<(), String> {
        let at_once = Scope {
            crashing: &[],
            wiped: None,
            ..scope.clone()
        };
        let passed = &mut Vec::new();
        self.stands[0] += 1;
        self.take(&at_once, Move::Stand(0), passed)?;
        while !self.sent.is_empty() {
            self.take(&at_once, Move::Arrive(0), passed)?;
        }
        Ok(())
    }

    pub(super) fn moves(&self, scope: &Scope, moves: &mut Vec<Move>) {
        let is_waiting = |place: u8| !self.nodes[usize::from(place)].waiting.is_empty();
        for (number, letter) in self.sent.iter().enumerate() {
            if !is_waiting(letter.to) {
                moves.push(Move::Arrive(number as u16));
            }
        }
        for (place, node) in self.nodes.iter().enumerate() {
            let place = place as u8;
            if self.may_crash(scope, place) {
                moves.push(Move::Crash(place));
            }
            // Whatever came meanwhile would be heard of when the disk is done: it comes then.
            if is_waiting(place) {
                moves.push(Move::Save(place));
                continue;
            }
            if self.stands[usize::from(place)] > 0 {
                moves.push(Move::Stand(place));
            }
            let promised = node.register.keeper().promised();
            for (number, ballot) in self.ballots.iter().enumerate() {
                if promised.arbiter == node.register.keeper().id() && promised < *ballot {
                    moves.push(Move::Refuse(place, number as u8));
                }
            }
            if node.register.is_chair() {
                if self.changes > 0 {
                    moves.push(Move::Change(place));
                }
                if usize::from(self.sets) < scope.sets.len() {
                    moves.push(Move::ChangeSet(place));
                }
                if self.questions > 0 {
                    moves.push(Move::Ask(place));
                }
            }
        }
        if scope.wiped.is_some() && !self.is_wiped {
            moves.push(Move::Wipe);
        }
    }

    pub(super) fn take(
        &mut self,
        scope: &Scope,
        next: Move,
        passed: &mut Vec<Landmark>,
    ) -> Result<(), String> {
        let out = &mut Effects::default();
        let place = match next {
            Move::Arrive(letter) => {
                let letter = self.sent.iter().nth(usize::from(letter));
                let letter = Arc::clone(letter.expect("it was sent"));
                let register = &mut self.nodes[usize::from(letter.to)].register;
                let message = letter.message.clone();
                let (was_chair, ballot) = (register.is_chair(), register.keeper().promised());
                register.on_message(letter.from, message, out);
                if was_chair && !register.is_chair() && self.truth.is_asked(ballot) {
                    passed.push(Landmark::Overtaken);
                }
                letter.to
            }
            Move::Stand(place) => {
                let register = &mut self.nodes[usize::from(place)].register;
                if register.stand(out) {
                    self.ballots.insert(register.keeper().promised());
                    self.stands[usize::from(place)] -= 1;
                }
                place
            }
            Move::Refuse(place, number) => {
                let promised = self.ballots.iter().nth(usize::from(number));
                let promised = *promised.expect("somebody has stood under it");
                let register = &mut self.nodes[usize::from(place)].register;
                let ballot = register.keeper().promised();
                let refused = Message::Refused { ballot, promised };
                register.on_message(promised.arbiter, refused, out);
                passed.push(Landmark::Refused);
                place
            }
            Move::Change(place) => {
                let made = self.made + 1;
                let register = self.register(place);
                let value = register.keeper().held().expect("a chair has it").value;
                if register.change(value.with(made), out).is_some() {
                    self.made = made;
                    self.changes -= 1;
                }
                place
            }
            Move::ChangeSet(place) => {
                let made = self.made + 1;
                let set = scope.sets[usize::from(self.sets)];
                let set = Arbiters::new(set.iter().copied().map(ArbiterId).collect());
                let set = set.expect("a scope changes to arbiters");
                let register = self.register(place);
                let value = register.keeper().held().expect("a chair has it").value;
                if register
                    .change_arbiters(set, value.with(made), out)
                    .is_some()
                {
                    self.made = made;
                    self.sets += 1;
                }
                place
            }
            Move::Ask(place) => {
                let register = &mut self.nodes[usize::from(place)].register;
                if let Some(held) = register.present().cloned()
                    && let Some(round) = register.question(out)
                {
                    self.truth.on_question(round, &held);
                    self.questions -= 1;
                }
                place
            }
            Move::Save(place) => {
                self.save_first(place, passed)?;
                place
            }
            Move::Crash(place) => {
                let node = &mut self.nodes[usize::from(place)];
                if !node.waiting.is_empty() {
                    passed.push(Landmark::Lost);
                }
                *node = Node::new((*node.disk).clone());
                self.crashes -= 1;
                passed.push(Landmark::Crashed);
                place
            }
            Move::Wipe => {
                let id = scope.wiped.expect("the scope has it");
                let place = id as u8 - 1;
                let node = &mut self.nodes[usize::from(place)];
                *node = Node::new(Keeper::new(ArbiterId(id + WIPED)));
                self.is_wiped = true;
                passed.push(Landmark::Wiped);
                place
            }
        };
        self.nodes[usize::from(place)].waiting.extend(out.drain());
        let before = self.sent.clone();
        self.carry_out(place, passed)?;
        // The disk of one that does not crash is done at once: a slow one would be a slow link.
        let is_slow = |world: &Self, place| world.may_crash(scope, place);
        for place in 0..self.nodes.len() as u8 {
            while !is_slow(self, place) && !self.nodes[usize::from(place)].waiting.is_empty() {
                self.save_first(place, passed)?;
                self.carry_out(place, passed)?;
            }
        }
        self.forget(scope, place, &before);
        Ok(())
    }

    /// Forgets messages that would change nothing, at whatever time they arrive: what a register takes no notice of once it
    /// takes none of later, and only what was sent just now, or is for somebody who has just changed, can be of that kind.
    fn forget(&mut self, scope: &Scope, place: u8, before: &BTreeSet<Arc<Letter>>) {
        let sent = self.sent.iter();
        let forgotten: Vec<_> = sent
            .filter(|letter| letter.to == place || !before.contains(*letter))
            .filter(|letter| !self.matters(scope, letter))
            .cloned()
            .collect();
        for letter in forgotten {
            self.sent.remove(&letter);
        }
    }

    /// Would it change anything if it arrived: as the receiver is, as a crash would leave it, or after its directory was emptied?
    fn matters(&self, scope: &Scope, letter: &Letter) -> bool {
        let node = &self.nodes[usize::from(letter.to)];
        let id = node.register.keeper().id();
        let may_crash = self.may_crash(scope, letter.to) && *node.disk != *node.register.keeper();
        let may_be_wiped = !self.is_wiped && scope.wiped == Some(id.0);
        may_count(&node.register, &letter.message)
            || self.changes_something(&node.register, letter)
            || may_crash && {
                let keeper = (*node.disk).clone();
                self.changes_something(&Register::open(keeper), letter)
            }
            || may_be_wiped && {
                let id = ArbiterId(id.0 + WIPED);
                self.changes_something(&Register::open(Keeper::new(id)), letter)
            }
    }

    fn changes_something(&self, register: &Register<History>, letter: &Letter) -> bool {
        let mut reached = register.clone();
        let out = &mut Effects::default();
        reached.on_message(letter.from, letter.message.clone(), out);
        let from = register.keeper().id();
        reached != *register
            || out.drain().any(|effect| match effect {
                Effect::Send {
                    message: Message::Refused { .. },
                    ..
                } => false,
                Effect::Send { to, message } => {
                    let to = place_of(to);
                    let answer = Letter { to, from, message };
                    let node = &self.nodes[usize::from(to)];
                    !self.sent.contains(&answer) && self.changes_something(&node.register, &answer)
                }
                Effect::Save(_) | Effect::Chosen(_) | Effect::Confirmed(..) => true,
            })
    }

    fn may_crash(&self, scope: &Scope, place: u8) -> bool {
        self.crashes > 0 && scope.crashing.contains(&(u64::from(place) + 1))
    }

    /// What happens next, in words.
    pub(super) fn describe(&self, next: Move) -> String {
        match next {
            Move::Arrive(letter) => {
                let letter = self.sent.iter().nth(usize::from(letter));
                format!("{:?}", letter.expect("it was sent"))
            }
            Move::Stand(_)
            | Move::Refuse(..)
            | Move::Change(_)
            | Move::ChangeSet(_)
            | Move::Ask(_)
            | Move::Save(_)
            | Move::Crash(_)
            | Move::Wipe => format!("{next:?}"),
        }
    }

    fn register(&mut self, place: u8) -> &mut Register<History> {
        &mut self.nodes[usize::from(place)].register
    }

    /// The disk is done with what waits first.
    fn save_first(&mut self, place: u8, passed: &mut Vec<Landmark>) -> Result<(), String> {
        let node = &mut self.nodes[usize::from(place)];
        if let Some(Effect::Save(keeper)) = node.waiting.pop_front() {
            self.truth
                .on_saved(node.register.keeper().id(), &keeper, passed)?;
            node.disk = Arc::new(keeper);
        }
        Ok(())
    }

    /// Does what waits for nothing.
    fn carry_out(&mut self, place: u8, passed: &mut Vec<Landmark>) -> Result<(), String> {
        let node = &mut self.nodes[usize::from(place)];
        let from = node.register.keeper().id();
        while let Some(effect) = node.waiting.pop_front() {
            match effect {
                Effect::Save(_) => {
                    node.waiting.push_front(effect);
                    break;
                }
                // It may come at any time, as `Move::Refuse`.
                Effect::Send {
                    message: Message::Refused { .. },
                    ..
                } => {}
                Effect::Send { to, message } => {
                    self.truth.on_sent(from, &message)?;
                    let to = place_of(to);
                    self.sent.insert(Arc::new(Letter { to, from, message }));
                }
                Effect::Chosen(mark) => {
                    self.truth.on_told(mark)?;
                    if mark.step > Step::ZERO {
                        passed.push(Landmark::Changed);
                    }
                }
                Effect::Confirmed(ballot, round) => {
                    self.truth.on_confirmed(ballot, round)?;
                    passed.push(Landmark::Confirmed);
                }
            }
        }
        Ok(())
    }
}

/// Is it an answer that counts as soon as the receiver knows of other arbiters?
fn may_count(register: &Register<History>, message: &Message<History>) -> bool {
    match message {
        Message::Promise { ballot, .. } => {
            *ballot == register.keeper().promised() && !register.is_chair()
        }
        Message::Still { ballot, .. } => {
            *ballot == register.keeper().promised() && register.is_chair()
        }
        Message::Prepare { .. }
        | Message::Accept(_)
        | Message::Accepted { .. }
        | Message::Ask { .. }
        | Message::Refused { .. } => false,
    }
}

fn place_of(id: ArbiterId) -> u8 {
    ((id.0 - 1) % WIPED) as u8
}
