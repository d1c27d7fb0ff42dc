//! Judges by times and values alone: looks for an order of the acknowledged writes and linearizable reads of each key
//! that explains what was read, with writes without an answer put in wherever they help.
//!
//! The search is that of Wing & Gong, "Testing and Verifying Concurrent Objects" (1993), in the just-in-time form of
//! Lowe, "Testing for linearizability" (2017): it walks through the beginnings and ends in time and keeps all states
//! the key can be in, each with the set of open operations that have had their effect. An operation must have had it
//! when it ends; only then is it decided what came before it. States met again are not looked at again.
//!
//! What keeps the states few, without losing any that matters:
//! - A read has its effect as soon as the state is what it saw.
//! - A write whose value nobody has still to read may be overwritten at once. It is done with as soon as any other
//!   write has its effect, and is tried for itself only when it ends.
//! - A value that has one writer and has still to be read must stay.
//! - A write without an answer matters only until the last read of its value ends.
//!
//! Where no operation is open that must have an effect, a window ends. One that takes too many steps, or in which too
//! many operations are open, is given up, and the search goes on behind it from any state at all.

use std::collections::{HashMap, HashSet};

use lockstep_core::operation::Value;

use super::index::{Index, Moment};
use super::{Level, Property, Summary, Verdict, What, WriteOutcome};

/// Judges a history, key by key, looking at `steps_max` states in each window.
///
/// # Errors
/// The first operation that nothing explains.
pub(super) fn check(
    index: &Index<'_>,
    steps_max: u64,
    summary: &mut Summary,
) -> Result<(), Box<Verdict>> {
    for places in &index.keys {
        let Some(problem) = Problem::new(index, places) else {
            continue;
        };
        let mut search = Search::new(&problem, steps_max);
        let explained = search.run();
        summary.windows += search.windows;
        summary.windows_undecided += search.windows_undecided;
        if let Err(mut calls) = explained {
            // The one that cannot be explained comes first; people look for it at the end.
            calls.reverse();
            let places: Vec<_> = calls
                .iter()
                .map(|call| problem.calls[*call].place)
                .collect();
            let what = "no order explains the last of these, which overlap".to_owned();
            return Err(index.verdict(Property::Linearizable, what, &places));
        }
    }
    Ok(())
}

/// The value of a key, by number. An absent key is 0.
type ValueNumber = usize;

const ABSENT: ValueNumber = 0;

/// A state of which nothing is known.
const ANYTHING: ValueNumber = usize::MAX;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    /// May have no effect.
    Doubt,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    /// In the history.
    place: usize,
    kind: Kind,
    value: ValueNumber,
}

/// What is known of a value from the beginning.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    reads: u32,
    writers: u32,
    last_read_end: u64,
}

/// The operations of one key that can explain something.
struct Problem {
    calls: Vec<Call>,
    moments: Vec<Moment>,
    fates: Vec<Fate>,
}

impl Problem {
    /// `None` if nobody read the key.
    fn new(index: &Index<'_>, places: &[usize]) -> Option<Self> {
        let mut numbers: HashMap<&Value, ValueNumber> = HashMap::new();
        // An absent key was written by nobody, at the beginning.
        let mut fates = vec![Fate {
            writers: 1,
            ..Fate::default()
        }];
        let mut calls = Vec::new();
        for &place in places {
            let operation = &index.history[place];
            if let What::Read {
                level: Level::Linearizable,
                answer: Some(answer),
            } = &operation.what
            {
                let value = number_of(answer.value.as_ref(), &mut numbers, &mut fates);
                fates[value].reads += 1;
                fates[value].last_read_end = fates[value].last_read_end.max(operation.end());
                calls.push(Call {
                    place,
                    kind: Kind::Read,
                    value,
                });
            }
        }
        if calls.is_empty() {
            return None;
        }
        for &place in places {
            let operation = &index.history[place];
            let What::Write { value, outcome } = &operation.what else {
                continue;
            };
            let value = number_of(value.as_ref(), &mut numbers, &mut fates);
            let fate = &mut fates[value];
            let kind = match outcome {
                WriteOutcome::Acknowledged { .. } => Kind::Write,
                WriteOutcome::Unknown
                    if fate.reads > 0 && operation.begun <= fate.last_read_end =>
                {
                    Kind::Doubt
                }
                WriteOutcome::Unknown | WriteOutcome::Rejected => continue,
            };
            fate.writers += 1;
            calls.push(Call { place, kind, value });
        }
        let mut moments = Vec::with_capacity(2 * calls.len());
        for (number, call) in calls.iter().enumerate() {
            let operation = &index.history[call.place];
            let end = match call.kind {
                Kind::Read | Kind::Write => operation.end(),
                Kind::Doubt => fates[call.value].last_read_end,
            };
            for (time, is_end) in [(operation.begun, false), (end, true)] {
                moments.push(Moment {
                    time,
                    is_end,
                    operation: number,
                });
            }
        }
        moments.sort_unstable();
        Some(Self {
            calls,
            moments,
            fates,
        })
    }
}

/// The number of a value, the next one if it has none yet.
fn number_of<'a>(
    value: Option<&'a Value>,
    numbers: &mut HashMap<&'a Value, ValueNumber>,
    fates: &mut Vec<Fate>,
) -> ValueNumber {
    let Some(value) = value else {
        return ABSENT;
    };
    let next = fates.len();
    let number = *numbers.entry(value).or_insert(next);
    if number == next {
        fates.push(Fate::default());
    }
    number
}

/// A set of open operations, by their slots.
type Slots = u128;

/// A state the key can be in, and which of the open operations have had their effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct State {
    value: ValueNumber,
    done: Slots,
}

/// The search gives a window up.
struct TooMuch;

struct Search<'a> {
    problem: &'a Problem,
    states: Vec<State>,
    /// The call in each slot.
    slots: [usize; Slots::BITS as usize],
    slot_of: Vec<u32>,
    used: Slots,
    /// Open writes, those in doubt included.
    writes: Slots,
    doubts: Slots,
    /// Open reads of each value, and how many are still to begin.
    readers: Vec<(Slots, u32)>,
    /// Open operations that must have an effect.
    due: usize,
    /// Open operations for which there was no slot.
    crowd: usize,
    is_given_up: bool,
    steps: u64,
    steps_max: u64,
    windows: u64,
    windows_undecided: u64,
}

const NO_SLOT: u32 = u32::MAX;

impl<'a> Search<'a> {
    fn new(problem: &'a Problem, steps_max: u64) -> Self {
        Self {
            problem,
            states: vec![State {
                value: ABSENT,
                done: 0,
            }],
            slots: [0; Slots::BITS as usize],
            slot_of: vec![NO_SLOT; problem.calls.len()],
            used: 0,
            writes: 0,
            doubts: 0,
            readers: problem.fates.iter().map(|fate| (0, fate.reads)).collect(),
            due: 0,
            crowd: 0,
            is_given_up: false,
            steps: 0,
            steps_max,
            windows: 0,
            windows_undecided: 0,
        }
    }

    /// Walks through the whole key.
    ///
    /// # Errors
    /// A call that cannot be explained, then those open beside it.
    fn run(&mut self) -> Result<(), Vec<usize>> {
        for moment in &self.problem.moments {
            if moment.is_end {
                self.end(moment.operation)?;
            } else {
                self.begin(moment.operation);
            }
        }
        Ok(())
    }

    fn begin(&mut self, number: usize) {
        let call = self.problem.calls[number];
        self.due += usize::from(call.kind != Kind::Doubt);
        if call.kind == Kind::Read {
            self.readers[call.value].1 -= 1;
        }
        let slot = (!self.used).trailing_zeros();
        if slot == Slots::BITS {
            self.crowd += 1;
            self.give_up();
            return;
        }
        let bit = 1 << slot;
        self.used |= bit;
        self.slots[slot as usize] = number;
        self.slot_of[number] = slot;
        match call.kind {
            Kind::Read => {
                self.readers[call.value].0 |= bit;
                for state in &mut self.states {
                    if state.value == call.value {
                        state.done |= bit;
                    }
                }
            }
            Kind::Write => self.writes |= bit,
            Kind::Doubt => {
                self.writes |= bit;
                self.doubts |= bit;
            }
        }
    }

    fn end(&mut self, number: usize) -> Result<(), Vec<usize>> {
        let call = self.problem.calls[number];
        self.due -= usize::from(call.kind != Kind::Doubt);
        let slot = self.slot_of[number];
        if slot == NO_SLOT {
            self.crowd -= 1;
        } else {
            let bit = 1 << slot;
            if !self.is_given_up && call.kind != Kind::Doubt {
                match self.settle(bit) {
                    Ok(states) if states.is_empty() => return Err(self.open(number)),
                    Ok(states) => self.states = states,
                    Err(TooMuch) => self.give_up(),
                }
            }
            self.close(call, bit);
        }
        if self.due == 0 {
            self.end_window();
        }
        Ok(())
    }

    /// The slot is free again.
    fn close(&mut self, call: Call, bit: Slots) {
        self.used &= !bit;
        self.writes &= !bit;
        self.doubts &= !bit;
        if call.kind == Kind::Read {
            self.readers[call.value].0 &= !bit;
        }
        for state in &mut self.states {
            state.done &= !bit;
        }
        if self.states.len() > 1 {
            let mut met = HashSet::with_capacity(self.states.len());
            self.states.retain(|state| met.insert(*state));
        }
    }

    fn give_up(&mut self) {
        self.is_given_up = true;
        self.states.clear();
    }

    fn end_window(&mut self) {
        // What is open without a slot could still explain something.
        if self.is_given_up && self.crowd > 0 {
            return;
        }
        self.windows += u64::from(self.steps > 0 || self.is_given_up);
        self.steps = 0;
        if self.is_given_up {
            self.windows_undecided += 1;
            self.is_given_up = false;
            self.states = vec![State {
                value: ANYTHING,
                done: 0,
            }];
        }
    }

    fn open(&self, number: usize) -> Vec<usize> {
        let mut calls = vec![number];
        let mut rest = self.used;
        while rest != 0 {
            calls.push(self.slots[rest.trailing_zeros() as usize]);
            rest &= rest - 1;
        }
        calls
    }

    /// The states in which the operation of slot `bit`, which ends, has had its effect.
    fn settle(&mut self, bit: Slots) -> Result<Vec<State>, TooMuch> {
        self.steps += self.states.len() as u64;
        if self.states.iter().all(|state| state.done & bit != 0) {
            return Ok(self.states.clone());
        }
        let mut settled = Vec::new();
        let mut met: HashSet<State> = HashSet::new();
        let mut waiting = self.states.clone();
        let mut next = Vec::new();
        while let Some(state) = waiting.pop() {
            if !met.insert(state) {
                continue;
            }
            if state.done & bit != 0 {
                settled.push(state);
                continue;
            }
            self.steps += 1;
            if self.steps > self.steps_max {
                return Err(TooMuch);
            }
            self.successors(state, bit, &mut next);
            waiting.append(&mut next);
        }
        Ok(settled)
    }

    /// What `state` can become by one write, before or with the end of the operation of slot `bit`.
    fn successors(&self, state: State, bit: Slots, next: &mut Vec<State>) {
        if state.value == ANYTHING {
            // It may have been what an open read saw.
            let mut reads = self.used & !self.writes & !state.done;
            while reads != 0 {
                let slot = reads.trailing_zeros() as usize;
                reads &= reads - 1;
                next.push(self.become_value(state.done, self.call(slot).value));
            }
        } else if self.problem.fates[state.value].writers <= 1
            && self.is_wanted(state.value, state.done)
        {
            return;
        }
        let open = self.writes & !state.done;
        let mut useless = 0;
        let mut rest = open;
        while rest != 0 {
            let slot = rest.trailing_zeros() as usize;
            if !self.is_wanted(self.call(slot).value, state.done) {
                useless |= 1 << slot;
            }
            rest &= rest - 1;
        }
        let mut rest = open & (!useless | bit);
        let mut in_doubt = Vec::new();
        while rest != 0 {
            let slot = rest.trailing_zeros() as usize;
            let one: Slots = 1 << slot;
            rest &= rest - 1;
            let value = self.call(slot).value;
            if self.doubts & one != 0 {
                // Those of one value end together, so one is as good as another.
                if in_doubt.contains(&value) {
                    continue;
                }
                in_doubt.push(value);
            }
            next.push(self.become_value(state.done | one | useless, value));
        }
    }

    fn become_value(&self, done: Slots, value: ValueNumber) -> State {
        State {
            value,
            done: done | self.readers[value].0,
        }
    }

    /// Is there a read of this value that has not had its effect?
    fn is_wanted(&self, value: ValueNumber, done: Slots) -> bool {
        let (open, to_begin) = self.readers[value];
        to_begin > 0 || open & !done != 0
    }

    fn call(&self, slot: usize) -> Call {
        self.problem.calls[self.slots[slot]]
    }
}
