//! Exploration: everything that a tiny cluster can do, on the same state machines that run in production.
//!
//! A simulation draws one course of events for a seed; an exploration takes them all, breadth first, and recognises
//! what it has seen. Within a [`Scope`] nothing is left to luck: when a search ends with [`Ending::Exhausted`], no order
//! of messages, disk writes, timers, crashes and questions within that scope breaks a property.
//!
//! # What may happen ([`Move`])
//!
//! Any message under way arrives next, so messages overtake each other without limit; one that never arrives is lost.
//! A link has room for few messages, and what finds no room is lost, as the transport contract has it; the scope
//! may allow some to be lost in spite of room, or to arrive twice. The disk of a replica is done with one write at a
//! time, in order, whenever it likes. A crash keeps any beginning of what waited, entry by entry. Clients are scripted.
//!
//! # Time
//!
//! There is one clock, which every process reads, and it goes on only when a timer fires: to the moment at which the
//! next timer of anybody is due. Everything else takes no time, and as many things as one likes happen between two
//! timers; a message that takes long is one that others, and timers, come before. So every course of events that is
//! explored is one that real clocks (here: clocks that run equally fast) allow, and an expired lease is never taken for
//! a good one nor the other way round. Timers come in their order, as the contract of `Process` demands, and no process
//! misses one, unless it stands still: the scope may allow a process to be stopped for a while, and then it finds its
//! timers late and its messages waiting. The clock goes on up to the scope's horizon.
//!
//! # What is not told apart, and why that is sound
//!
//! - The arbiter's disk is done at once. Its answers wait for its disk, so a slow disk is a slow link to everybody else;
//!   and since nobody hears of what is not durable, its crash is the loss of messages.
//! - What clients ask arrives at once, and their answers too. A question that was asked earlier, or answered later,
//!   is promised less.
//! - Of two equal messages on a link one is under way, since a duplicate is a matter of the budget.
//! - What is sent to a process that is down is lost at once. What was sent to it before waits for its next start.
//!
//! Not explored, although it can happen: committed entries are applied as soon as they are on the disk, clocks do not
//! drift, and disks are never full.
//!
//! # Reading on
//!
//! `scope` says what is explored, `moves` what may happen next, `world` what becomes of it, `judge` what must hold,
//! `landmark` what must have been seen, `search` goes through it and knows nothing of clusters, `fingerprint` recognises
//! what was seen, `findings` says how it ended. `scopes` is the table of all scopes, which the tests go through.

mod findings;
pub mod fingerprint;
mod judge;
mod landmark;
mod moves;
mod scope;
mod scopes;
pub mod search;
mod world;

use std::panic::{self, AssertUnwindSafe};

pub use self::findings::Findings;
pub use self::landmark::Landmark;
pub use self::moves::Move;
pub use self::scope::{Ask, Budget, Scope};
pub use self::scopes::scopes;
use self::search::{Ending, Model};
use self::world::Witness;
pub use self::world::{Underway, World};
use crate::trace::{Detail, Trace};

/// A cluster as something that can be explored.
struct Exploration<'a>(&'a Scope);

impl Model for Exploration<'_> {
    type State = World;
    type Move = Move;
    type Landmark = Landmark;

    fn start(&self) -> World {
        World::new(self.0, &mut Trace::default())
    }

    fn moves(&self, state: &World, moves: &mut Vec<Move>) {
        moves::next_moves(self.0, state, moves);
    }

    fn step(&self, state: &World, next: Move, passed: &mut Vec<Landmark>) -> Result<World, String> {
        let mut world = state.clone();
        let mut witness = Witness {
            trace: &mut Trace::default(),
            passed,
        };
        world.take(next, &mut witness)?;
        Ok(world)
    }

    fn fingerprint(&self, state: &World) -> u128 {
        state.fingerprint()
    }
}

/// Explores the scope of that name, and stops when as many states are seen; `None` if there is no such scope.
pub fn run(name: &str, states_max: usize) -> Option<Findings<Move, Landmark>> {
    let scope = scopes().into_iter().find(|scope| scope.name == name)?;
    Some(explore(&scope, states_max))
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

/// What happens on the way `path`, from where the exploration begins.
pub fn replay(scope: &Scope, path: &[Move]) -> Vec<String> {
    let mut trace = Trace::new(Detail::All);
    let mut world = World::new(scope, &mut trace);
    trace.take_lines();
    // The last step may be one that panics.
    let run = panic::catch_unwind(AssertUnwindSafe(|| {
        for next in path {
            let mut witness = Witness {
                trace: &mut trace,
                passed: &mut Vec::new(),
            };
            world.take(*next, &mut witness)?;
        }
        Ok(())
    }));
    let what: Option<String> = match run {
        Ok(Ok(())) => None,
        Ok(Err(what)) => Some(what),
        Err(payload) => Some(format!(
            "it panicked: {}",
            search::text_of(payload.as_ref())
        )),
    };
    let mut lines = trace.take_lines();
    lines.extend(what.map(|what| format!("VIOLATED {what}")));
    lines
}
