//! Exploration of the register that several arbiters keep: every interleaving of a few of them, on the code itself.
//!
//! The search is that of [`explore`](crate::explore::search). What is explored are
//! [`Register`](lockstep_core::register::Register)s, which keep a value that tells which changes led to it.
//!
//! # What may happen ([`Move`])
//!
//! Whatever was sent arrives at any time, as often as it likes, or never. Arbiters stand for the chair, make changes and are asked
//! questions, as often as the [`Scope`] says. One may crash, and a crash loses what its disk was not done with; a directory may be
//! emptied, and then another arbiter is in its place, which hears what is sent there.
//!
//! # What must hold (`truth`)
//!
//! It is judged by what disks have, and by what is said; the judge knows by itself what a majority is.
//!
//! - What is chosen goes on from all that was chosen under lower marks, whenever it is: one chain, and nothing is undone.
//! - What is told is chosen, and what a question is answered from is the newest of what was chosen before the question came.
//! - Nobody accepts what it has promised not to, also over a crash.
//! - One mark is that of one value only.
//!
//! # What is not told apart, and why that is sound
//!
//! - The disk of one that does not crash any more is done at once: nothing is heard of what waits for it, so a slow disk is a slow
//!   link. For the same reason one whose disk is not done yet takes nothing in: that comes later.
//! - A refusal is no message of its own: whoever has an office may at any time be refused for any higher ballot there is. So is
//!   one of which a late copy meets a promise that was given since.
//! - A message that changes nothing where it arrives is forgotten: promises, marks and offices do not go back, so it never
//!   does again. What a crash, an emptied directory, or a newer set of arbiters would make of it is looked at as well.
//! - One that is down is one to which nothing arrives.
//!
//! Not explored: that anything ever happens.

mod history;
mod landmark;
mod scope;
mod scopes;
mod truth;
mod world;

pub use self::landmark::Landmark;
pub use self::scope::Scope;
pub use self::scopes::SCOPES;
pub use self::world::Move;
use self::world::World;
use crate::explore::search::{self, Ending, Model};
use crate::explore::{Findings, fingerprint};

/// A few arbiters as something that can be explored.
struct Exploration<'a>(&'a Scope);

impl Model for Exploration<'_> {
    type State = World;
    type Move = Move;
    type Landmark = Landmark;

    fn start(&self) -> World {
        World::new(self.0)
    }

    fn moves(&self, state: &World, moves: &mut Vec<Move>) {
        state.moves(self.0, moves);
    }

    fn step(&self, state: &World, next: Move, passed: &mut Vec<Landmark>) -> Result<World, String> {
        let mut world = state.clone();
        world.take(self.0, next, passed)?;
        Ok(world)
    }

    fn fingerprint(&self, state: &World) -> u128 {
        fingerprint::of(state)
    }
}

/// Explores a scope, and stops when as many states are seen.
pub fn explore(scope: &Scope, states_max: usize) -> Findings<Move, Landmark> {
    let report = search::search(&Exploration(scope), states_max);
    let lines = match &report.ending {
        Ending::Violated { path, .. } => replay(scope, path),
        Ending::Exhausted | Ending::Bounded => Vec::new(),
    };
    Findings {
        name: scope.name,
        report,
        lines,
    }
}

/// The scope of that name.
pub fn named(name: &str) -> Option<&'static Scope> {
    SCOPES.iter().find(|scope| scope.name == name)
}

/// What happens on the way `path`.
fn replay(scope: &Scope, path: &[Move]) -> Vec<String> {
    let mut world = World::new(scope);
    let passed = &mut Vec::new();
    let mut lines = Vec::new();
    for next in path {
        lines.push(world.describe(*next));
        if let Err(what) = world.take(scope, *next, passed) {
            lines.push(format!("VIOLATED {what}"));
        }
    }
    lines
}
