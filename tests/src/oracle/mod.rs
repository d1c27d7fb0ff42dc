//! The oracle: says of what clients asked for and learned whether a store that keeps its promises can have answered so.
//!
//! It knows nothing but operations with the times at which they began and ended, all on one clock. So it judges what
//! the simulator recorded and what threads recorded of real processes alike. The store was empty when the history
//! began, and only the history wrote to it; without that, a value that nobody wrote would mean nothing.
//!
//! Two judges that share no code look at it:
//!
//! - `seqs` believes what the store says of its log: an acknowledged write has its seq, a read of committed state has
//!   the position it reflects. If those are true, sorting by them gives the one order that everything must fit, and
//!   what remains is to compare it with the values and with real time. It is nearly linear and looks at everything:
//!   the log keeps real time over all keys, and every read gives the newest write before its position. Where a write
//!   without an answer took effect is not known; the reads that returned its value bound it, `slots` finds it a place.
//! - `search` believes nothing but times and values: it looks for an order of the writes and linearizable reads of each
//!   key that explains them (Wing & Gong 1993, in the form of Lowe 2017). That takes exponential time at worst, so its
//!   work is bounded, and where the bound ends it the summary says so. Linearizability is local (Herlihy & Wing 1990):
//!   a history is linearizable if that of each key is.
//!
//! `sessions` judges the promises below linearizability: `AtLeast` reaches what it was asked for, and what one replica
//! shows goes forward.
//!
//! A position need not be the newest for a linearizable read: a replica in sync whose key is clean answers from its
//! committed state at once, although writes of other keys may be committed that it has not heard of
//! ([reads](lockstep_core::docs::protocol#reads)). The
//! answer is the newest value all the same. So by default positions must respect real time key by key, by what was
//! written between them; [`Order::Log`] demands more.
//!
//! Values are written once per key (removes aside), which is checked: it is what tells who wrote a value that was read.

mod index;
mod operation;
mod search;
mod seqs;
mod sessions;
mod slots;
mod verdict;

pub mod from_simulation;

use self::index::Index;
pub use self::operation::{Answer, Level, Operation, Reset, What, WriteOutcome};
pub use self::verdict::{Property, Verdict};

#[cfg(test)]
mod tests;

/// How strict the oracle is and how hard it works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// What the positions of linearizable reads must respect.
    pub order: Order,
    /// States the search looks at in each window at most; 0 leaves the search out.
    pub steps_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            order: Order::Key,
            steps_max: 10_000,
        }
    }
}

/// What the positions of linearizable reads must respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// What was written to the same key; enough for linearizability.
    Key,
    /// All that was acknowledged, and all linearizable reads that ended before, of any key: as if every read took a
    /// place in the log.
    Log,
}

/// What was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Writes that were acknowledged.
    pub writes_acknowledged: u64,
    /// Writes that may or may not have happened.
    pub writes_unknown: u64,
    /// Writes that certainly did not happen.
    pub writes_rejected: u64,
    /// Linearizable reads with an answer.
    pub reads_linearizable: u64,
    /// `AtLeast` reads with an answer.
    pub reads_at_least: u64,
    /// `Local` reads with an answer.
    pub reads_local: u64,
    /// Reads without an answer, which show nothing.
    pub reads_unanswered: u64,
    /// Keys.
    pub keys: u64,
    /// Windows the search was given: times during which operations of one key overlap.
    pub windows: u64,
    /// Windows of these in which the search gave up.
    pub windows_undecided: u64,
}

impl Summary {
    /// Adds what was checked in another history.
    pub fn add(&mut self, other: &Self) {
        self.writes_acknowledged += other.writes_acknowledged;
        self.writes_unknown += other.writes_unknown;
        self.writes_rejected += other.writes_rejected;
        self.reads_linearizable += other.reads_linearizable;
        self.reads_at_least += other.reads_at_least;
        self.reads_local += other.reads_local;
        self.reads_unanswered += other.reads_unanswered;
        self.keys += other.keys;
        self.windows += other.windows;
        self.windows_undecided += other.windows_undecided;
    }
}

/// Judges a history, whose operations may come in any order. `resets` are the moments since which a replica may know
/// less than before.
///
/// # Errors
/// The first promise found broken.
pub fn check(
    history: &[Operation],
    resets: &[Reset],
    options: Options,
) -> Result<Summary, Box<Verdict>> {
    let index = Index::new(history)?;
    let mut summary = count(history);
    summary.keys = index.keys.len() as u64;
    sessions::check(&index, resets)?;
    seqs::check(&index, options.order)?;
    if options.steps_max > 0 {
        search::check(&index, options.steps_max, &mut summary)?;
    }
    Ok(summary)
}

fn count(history: &[Operation]) -> Summary {
    let mut summary = Summary::default();
    for operation in history {
        let counter = match &operation.what {
            What::Write { outcome, .. } => match outcome {
                WriteOutcome::Acknowledged { .. } => &mut summary.writes_acknowledged,
                WriteOutcome::Unknown => &mut summary.writes_unknown,
                WriteOutcome::Rejected => &mut summary.writes_rejected,
            },
            What::Read { answer: None, .. } => &mut summary.reads_unanswered,
            What::Read { level, .. } => match level {
                Level::Linearizable => &mut summary.reads_linearizable,
                Level::AtLeast(_) => &mut summary.reads_at_least,
                Level::Local => &mut summary.reads_local,
            },
        };
        *counter += 1;
    }
    summary
}
