//! What is explored: how many arbiters, and what may happen to them.

use super::landmark::Landmark;

/// What an exploration looks at, all of it.
#[derive(Clone, Debug)]
pub struct Scope {
    /// What it is called.
    pub name: &'static str,
    /// How many arbiters there are in the beginning, which hold a value from the beginning: those numbered from 1 on.
    pub arbiters: u64,
    /// How many more processes there are, numbered behind them, that know nothing.
    pub strangers: u64,
    /// The first one has sat in the chair since before it begins.
    pub has_chair: bool,
    /// How often each may stand for the chair.
    pub stands: &'static [u8],
    /// How often somebody changes the value.
    pub changes: u8,
    /// Sets of arbiters that somebody changes to, in this order.
    pub sets: &'static [&'static [u64]],
    /// How often somebody asks a question.
    pub questions: u8,
    /// How many crashes there are.
    pub crashes: u8,
    /// Who may crash; its disk is done whenever it likes until then.
    pub crashing: &'static [u64],
    /// This arbiter's directory is emptied at some moment: it goes on under a new number, ten higher.
    pub wiped: Option<u64>,
    /// What must have happened.
    pub landmarks: &'static [Landmark],
}

impl Scope {
    /// More states than any scope has.
    pub const STATES_MAX: usize = 1_000_000;

    /// Three arbiters, the first in the chair, and nothing that happens.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            arbiters: 3,
            strangers: 0,
            has_chair: true,
            stands: &[],
            changes: 0,
            sets: &[],
            questions: 0,
            crashes: 0,
            crashing: &[],
            wiped: None,
            landmarks: &[],
        }
    }
}
