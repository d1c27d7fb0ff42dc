//! Breadth first through everything a model can do, so that the way to a violation is a shortest one.
//!
//! Of a state that was left behind only its fingerprint and how it was reached are kept. A step may panic: the way there
//! is then told like that to any other violation.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{self, AssertUnwindSafe};

/// Something that can be explored.
pub trait Model {
    /// All that decides about the future.
    type State;
    /// Something that may happen next.
    type Move: Copy + Debug;
    /// Something that a search should have seen.
    type Landmark: Copy + Ord + Debug;

    /// Where it begins.
    fn start(&self) -> Self::State;

    /// Adds what may happen next to `moves`, always in the same order.
    fn moves(&self, state: &Self::State, moves: &mut Vec<Self::Move>);

    /// What `state` becomes by `next`. Adds the landmarks it passes.
    ///
    /// # Errors
    /// What is wrong, if a property does not hold then.
    fn step(
        &self,
        state: &Self::State,
        next: Self::Move,
        passed: &mut Vec<Self::Landmark>,
    ) -> Result<Self::State, String>;

    /// Equal for states that have the same future.
    fn fingerprint(&self, state: &Self::State) -> u128;
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending<M> {
    /// Nothing else can happen.
    Exhausted,
    /// There is more than was looked at.
    Bounded,
    /// A property does not hold.
    Violated {
        /// What is wrong.
        what: String,
        /// What happened, from the start; nothing shorter leads to a violation.
        path: Vec<M>,
    },
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Report<M, L> {
    /// Different states.
    pub states: usize,
    /// Steps tried.
    pub steps: u64,
    /// Length of the longest of all shortest ways to a state.
    pub depth: usize,
    /// How often each landmark was passed.
    pub landmarks: BTreeMap<L, u64>,
    /// How it ended.
    pub ending: Ending<M>,
}

/// Looks at all states, or at `states_max` of them.
pub fn search<M: Model>(model: &M, states_max: usize) -> Report<M::Move, M::Landmark> {
    let mut search = Search {
        seen: HashSet::default(),
        origins: Vec::new(),
        current: None,
        report: Report {
            states: 0,
            steps: 0,
            depth: 0,
            landmarks: BTreeMap::new(),
            ending: Ending::Exhausted,
        },
    };
    let run = panic::catch_unwind(AssertUnwindSafe(|| search.run(model, states_max)));
    let broken = match run {
        Ok(Ok(())) => None,
        Ok(Err(what)) => Some(what),
        Err(payload) => Some(format!("it panicked: {}", text_of(payload.as_ref()))),
    };
    if let Some(what) = broken {
        let path = search.path();
        search.report.ending = Ending::Violated { what, path };
    }
    search.report.states = search.seen.len();
    search.report
}

/// What a panic said.
pub fn text_of(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

/// A state seen for the first time: the one before it, and what led from there to it.
struct Origin<M> {
    before: u32,
    by: M,
}

struct Search<M: Model> {
    seen: HashSet<u128, BuildHasherDefault<Identity>>,
    /// Of every state but the first, which is number 0.
    origins: Vec<Origin<M::Move>>,
    /// The step that is being taken: from which state, and what happens.
    current: Option<(u32, M::Move)>,
    report: Report<M::Move, M::Landmark>,
}

impl<M: Model> Search<M> {
    fn run(&mut self, model: &M, states_max: usize) -> Result<(), String> {
        let start = model.start();
        self.seen.insert(model.fingerprint(&start));
        let mut level = vec![(0, start)];
        let (mut moves, mut passed) = (Vec::new(), Vec::new());
        while !level.is_empty() {
            let mut next_level = Vec::new();
            for (number, state) in level {
                moves.clear();
                model.moves(&state, &mut moves);
                for next in &moves {
                    self.current = Some((number, *next));
                    let reached = model.step(&state, *next, &mut passed);
                    self.report.steps += 1;
                    for landmark in passed.drain(..) {
                        *self.report.landmarks.entry(landmark).or_default() += 1;
                    }
                    let reached = reached?;
                    if self.seen.insert(model.fingerprint(&reached)) {
                        self.origins.push(Origin {
                            before: number,
                            by: *next,
                        });
                        let number = u32::try_from(self.origins.len());
                        next_level.push((number.expect("memory ends before"), reached));
                    }
                }
                if self.seen.len() >= states_max {
                    self.report.ending = Ending::Bounded;
                    return Ok(());
                }
            }
            self.report.depth += usize::from(!next_level.is_empty());
            level = next_level;
        }
        Ok(())
    }

    /// What led to the step that is being taken, that one included.
    fn path(&self) -> Vec<M::Move> {
        let mut path = Vec::new();
        let mut step = self.current;
        while let Some((before, by)) = step {
            path.push(by);
            let index = (before as usize).checked_sub(1);
            step = index.map(|index| (self.origins[index].before, self.origins[index].by));
        }
        path.reverse();
        path
    }
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are looked up");
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::fingerprint;
    use super::*;

    /// Processes that each add one to a shared counter, by reading it, then writing what they read and one.
    struct Counter {
        processes: usize,
        is_atomic: bool,
        panics: bool,
    }

    #[derive(Clone, Debug, Hash)]
    struct Counting {
        value: u8,
        processes: Vec<Stage>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    enum Stage {
        Idle,
        Read(u8),
        Done,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct AllDone;

    impl Model for Counter {
        type State = Counting;
        type Move = usize;
        type Landmark = AllDone;

        fn start(&self) -> Counting {
            Counting {
                value: 0,
                processes: vec![Stage::Idle; self.processes],
            }
        }

        fn moves(&self, state: &Counting, moves: &mut Vec<usize>) {
            let stages = state.processes.iter().enumerate();
            moves.extend(
                stages
                    .filter(|(_, stage)| **stage != Stage::Done)
                    .map(|(index, _)| index),
            );
        }

        fn step(
            &self,
            state: &Counting,
            next: usize,
            passed: &mut Vec<AllDone>,
        ) -> Result<Counting, String> {
            let mut state = state.clone();
            state.processes[next] = match state.processes[next] {
                Stage::Idle if !self.is_atomic => Stage::Read(state.value),
                Stage::Idle => {
                    state.value += 1;
                    Stage::Done
                }
                Stage::Read(value) => {
                    state.value = value + 1;
                    Stage::Done
                }
                Stage::Done => unreachable!("it has nothing to do"),
            };
            if state.processes.iter().all(|stage| *stage == Stage::Done) {
                passed.push(AllDone);
                if usize::from(state.value) != self.processes {
                    assert!(!self.panics, "lost an update");
                    return Err("lost an update".to_owned());
                }
            }
            Ok(state)
        }

        fn fingerprint(&self, state: &Counting) -> u128 {
            fingerprint::of(state)
        }
    }

    #[test]
    fn a_race_is_found_by_a_shortest_way() {
        let racy = Counter {
            processes: 2,
            is_atomic: false,
            panics: false,
        };
        let Ending::Violated { what, path } = search(&racy, usize::MAX).ending else {
            panic!("the race is there");
        };
        assert_eq!(what, "lost an update");
        assert_eq!(path, [0, 1, 0, 1]);
    }

    #[test]
    fn a_panic_is_told_like_a_violation() {
        let racy = Counter {
            processes: 2,
            is_atomic: false,
            panics: true,
        };
        let Ending::Violated { what, path } = search(&racy, usize::MAX).ending else {
            panic!("the race is there");
        };
        assert_eq!(what, "it panicked: lost an update");
        assert_eq!(path.len(), 4);
    }

    #[test]
    fn without_a_race_everything_is_looked_at_once() {
        let sound = Counter {
            processes: 3,
            is_atomic: true,
            panics: false,
        };
        let report = search(&sound, usize::MAX);
        assert_eq!(report.ending, Ending::Exhausted);
        // Every subset may be done; the last one of all can be any of three.
        assert_eq!((report.states, report.steps, report.depth), (8, 12, 3));
        assert_eq!(report.landmarks[&AllDone], 3);
    }

    #[test]
    fn a_search_that_is_not_over_says_so() {
        let sound = Counter {
            processes: 3,
            is_atomic: true,
            panics: false,
        };
        assert_eq!(search(&sound, 4).ending, Ending::Bounded);
    }
}
