//! Breadth first through every state of a scope; the first violation has the shortest trace.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use super::model::{Action, Model};
use super::omissions::Omission;
use super::property::Violation;
use super::scope::Scope;
use super::state::State;

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The states that were reached.
    pub states: usize,
    /// The first violation, and how it comes about.
    pub found: Option<(Violation, Vec<String>)>,
    /// Which interesting events were reached.
    pub reached: super::Reached,
}

/// Searches `scope`, with one rule left out or none, until it ends, a violation is found, or there are `bound` states.
pub fn search(scope: &Scope, omission: Option<Omission>, bound: usize) -> Outcome {
    let model = Model {
        scope: *scope,
        omission,
    };
    let actions = model.actions();
    let start = scope.start();
    let mut seen = Seen::default();
    seen.insert(fingerprint(&start));
    // How each state was reached first: from which, and by what.
    let mut parents: Vec<(u32, u8)> = vec![(0, 0)];
    let mut level = vec![start];
    let mut level_start = 0;
    let mut reached = super::Reached::default();
    while !level.is_empty() {
        let mut next_level = Vec::new();
        for (i, state) in level.iter().enumerate() {
            for (number, action) in actions.iter().enumerate() {
                let Some(next) = model.apply(state, *action) else {
                    continue;
                };
                if !seen.insert(fingerprint(&next)) {
                    continue;
                }
                parents.push(((level_start + i) as u32, number as u8));
                reached.note(&model, state, *action, &next);
                if let Some(violation) = model.violation(&next) {
                    let trace = trace(&model, &actions, &parents);
                    return Outcome {
                        states: parents.len(),
                        found: Some((violation, trace)),
                        reached,
                    };
                }
                next_level.push(next);
            }
        }
        if parents.len() > bound {
            break;
        }
        level_start += level.len();
        level = next_level;
    }
    Outcome {
        states: parents.len(),
        found: None,
        reached,
    }
}

/// How the last state was reached, in words.
fn trace(model: &Model, actions: &[Action], parents: &[(u32, u8)]) -> Vec<String> {
    let mut taken = Vec::new();
    let mut at = parents.len() - 1;
    while at != 0 {
        let (parent, action) = parents[at];
        taken.push(actions[usize::from(action)]);
        at = parent as usize;
    }
    let mut state = model.scope.start();
    let mut words = Vec::new();
    for action in taken.into_iter().rev() {
        let next = model
            .apply(&state, action)
            .expect("what was possible once is possible again");
        words.push(super::words::describe(&state, action, &next));
        state = next;
    }
    words
}

/// The fingerprints of the states that were seen. With 128 bits, two states never share one.
type Seen = HashSet<u128, BuildHasherDefault<Taken>>;

fn fingerprint(state: &State) -> u128 {
    let mut hasher = Fingerprint::default();
    state.hash(&mut hasher);
    hasher.end()
}

/// Folds bytes into 128 bits, eight at a time.
#[derive(Default)]
struct Fingerprint {
    low: u64,
    high: u64,
    word: u64,
    bytes: u32,
}

impl Fingerprint {
    fn fold(&mut self) {
        self.low = mix(self.low ^ self.word, 0x9e37_79b9_7f4a_7c15);
        self.high = mix(
            self.high.rotate_left(23) ^ self.word ^ 0x2545_f491_4f6c_dd1d,
            0xd6e8_feb8_6659_fd93,
        );
        self.word = 0;
        self.bytes = 0;
    }

    fn end(mut self) -> u128 {
        self.fold();
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0xa076_1d64_78bd_642f) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u8(*byte);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.word |= u64::from(byte) << (8 * self.bytes);
        self.bytes += 1;
        if self.bytes == 8 {
            self.fold();
        }
    }

    // Lengths of arrays and numbers of variants are small.
    fn write_usize(&mut self, number: usize) {
        self.write_u8(number as u8);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u8(number as u8);
    }

    fn finish(&self) -> u64 {
        self.low
    }
}

/// Takes a fingerprint for its own hash.
#[derive(Default)]
struct Taken(u64);

impl Hasher for Taken {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are hashed")
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
