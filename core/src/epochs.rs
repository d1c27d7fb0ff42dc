//! Which epoch made which part of a log, and how far two logs agree.

use serde::{Deserialize, Serialize};

use crate::config::{Epoch, Position, Seq};
use crate::limits;

/// The runs of epochs in a log: `(epoch, position of its first entry)`, both strictly ascending.
///
/// - The log may be trimmed: entries before the first run are of unknown epochs.
/// - At most `limits::EPOCH_HISTORY_MAX` runs; the oldest are forgotten first.
///
/// An entry is identified by its epoch and seq, since one primary makes the entries of an epoch, each seq once,
/// on top of a log it never changes. So two logs that agree on the epoch of a seq agree on everything before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct EpochHistory {
    runs: Vec<(Epoch, Position)>,
}

impl EpochHistory {
    /// The history of an empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs as they were stored; `None` if they do not ascend or are too many.
    pub fn from_runs(runs: Vec<(Epoch, Position)>) -> Option<Self> {
        let history = Self { runs };
        history.is_valid().then_some(history)
    }

    /// Does what arrived from elsewhere keep what the struct promises?
    pub fn is_valid(&self) -> bool {
        self.runs.len() <= limits::EPOCH_HISTORY_MAX
            && self
                .runs
                .windows(2)
                .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1)
    }

    /// The runs, oldest first.
    pub fn runs(&self) -> &[(Epoch, Position)] {
        &self.runs
    }

    /// The epoch of the newest entry; 0 for an empty log.
    pub fn last_epoch(&self) -> Epoch {
        self.runs.last().map_or(Epoch::ZERO, |run| run.0)
    }

    /// The epoch of the entry `seq`, given that the log reaches beyond it; `None` if it is too old to be known.
    pub fn epoch_of(&self, seq: Seq) -> Option<Epoch> {
        let after = self.runs.partition_point(|run| run.1.next_seq() <= seq);
        after.checked_sub(1).map(|index| self.runs[index].0)
    }

    /// Takes up that the entry `seq` is of `epoch`. Entries are taken up in the order of the log.
    ///
    /// # Panics
    /// If the epoch is older than the newest one: logs only grow by entries of the same or a newer epoch.
    pub fn append(&mut self, epoch: Epoch, seq: Seq) {
        assert!(
            epoch >= self.last_epoch(),
            "an entry of an older epoch behind a newer one"
        );
        if epoch > self.last_epoch() {
            self.runs.push((epoch, Position::before(seq)));
            if self.runs.len() > limits::EPOCH_HISTORY_MAX {
                self.runs.remove(0);
            }
        }
    }

    /// Forgets what lies at or behind `end`.
    pub fn truncate(&mut self, end: Position) {
        self.runs.retain(|run| run.1 < end);
    }

    /// The history of the log that ends at `end`.
    #[must_use]
    pub fn up_to(&self, end: Position) -> Self {
        let mut history = self.clone();
        history.truncate(end);
        history
    }
}

/// How far two logs agree: the largest position up to which both have the same entries, as far as their histories tell.
pub fn common_prefix(
    a: &EpochHistory,
    a_end: Position,
    b: &EpochHistory,
    b_end: Position,
) -> Position {
    let mut end = a_end.min(b_end);
    loop {
        let Some(seq) = end.last_seq() else {
            return Position::ZERO;
        };
        match (run_at(a, seq), run_at(b, seq)) {
            (Some(in_a), Some(in_b)) if in_a.0 == in_b.0 => return end,
            // The seq is of different epochs: the log whose epoch is newer can agree only before that epoch began.
            (Some(in_a), Some(in_b)) => end = if in_a.0 > in_b.0 { in_a.1 } else { in_b.1 },
            (None, _) | (_, None) => return Position::ZERO,
        }
    }
}

fn run_at(history: &EpochHistory, seq: Seq) -> Option<(Epoch, Position)> {
    history
        .runs
        .iter()
        .rev()
        .find(|run| run.1.next_seq() <= seq)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(runs: &[(u64, u64)]) -> EpochHistory {
        EpochHistory::from_runs(
            runs.iter()
                .map(|run| (Epoch(run.0), Position(run.1)))
                .collect(),
        )
        .expect("ascending runs")
    }

    fn check(a: (&[(u64, u64)], u64), b: (&[(u64, u64)], u64), expected: u64) {
        let (left, right) = (history(a.0), history(b.0));
        assert_eq!(
            common_prefix(&left, Position(a.1), &right, Position(b.1)),
            Position(expected)
        );
        assert_eq!(
            common_prefix(&right, Position(b.1), &left, Position(a.1)),
            Position(expected)
        );
    }

    #[test]
    fn logs_agree_up_to_where_their_epochs_do() {
        check((&[], 0), (&[], 0), 0);
        check((&[(1, 0)], 5), (&[], 0), 0);
        check((&[(1, 0)], 5), (&[(1, 0)], 3), 3);
        check((&[(1, 0), (2, 3)], 6), (&[(1, 0)], 3), 3);
        check((&[(1, 0), (2, 3)], 6), (&[(1, 0)], 5), 3);
        check((&[(1, 0), (2, 3)], 6), (&[(1, 0), (3, 3)], 6), 3);
        check(
            (&[(1, 0), (2, 3), (4, 5)], 7),
            (&[(1, 0), (2, 3), (3, 4)], 9),
            4,
        );
        check((&[(2, 0)], 4), (&[(3, 0)], 4), 0);
    }

    #[test]
    fn trimmed_histories_agree_on_what_both_know() {
        check((&[(2, 3)], 6), (&[(1, 0), (2, 3)], 8), 6);
        check((&[(2, 3)], 6), (&[(1, 0)], 3), 0);
    }

    #[test]
    fn an_entry_belongs_to_the_run_that_began_last_before_it() {
        let history = history(&[(1, 2), (4, 5)]);
        let epochs: Vec<_> = (0..7)
            .map(|seq| history.epoch_of(Seq(seq)).map(|epoch| epoch.0))
            .collect();
        assert_eq!(
            epochs,
            [None, None, Some(1), Some(1), Some(1), Some(4), Some(4)]
        );
    }

    #[test]
    fn truncation_forgets_the_runs_behind_the_end() {
        let mut long = history(&[(1, 0), (2, 3), (4, 5)]);
        long.truncate(Position(5));
        assert_eq!(long, history(&[(1, 0), (2, 3)]));
        assert_eq!(long.up_to(Position(0)), EpochHistory::new());
    }
}
