//! Places in the log for writes whose place nobody learned: each needs one of its own within the bounds that reads give.
//!
//! Jobs of one unit with a release and a deadline: taking the earliest deadline first finds a schedule if there is one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A write that took effect at one of the seqs `first..=last`, and the read that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bounds {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) shown_by: usize,
}

/// Finds each write a seq of its own that is not in `taken`, which is sorted.
///
/// # Errors
/// The bounds of a write for which there is none.
pub(super) fn place(mut writes: Vec<Bounds>, taken: &[u64]) -> Result<(), Bounds> {
    writes.sort_unstable();
    let mut open: BinaryHeap<Reverse<(u64, u64, usize)>> = BinaryHeap::new();
    let mut waiting = writes.into_iter().peekable();
    let mut taken = taken.iter().copied().peekable();
    let mut seq = 0;
    loop {
        if open.is_empty() {
            let Some(next) = waiting.peek() else {
                return Ok(());
            };
            seq = seq.max(next.first);
        }
        while let Some(next) = waiting.next_if(|next| next.first <= seq) {
            open.push(Reverse((next.last, next.first, next.shown_by)));
        }
        while taken.next_if(|taken| *taken < seq).is_some() {}
        if taken.peek() == Some(&seq) {
            seq += 1;
            continue;
        }
        if let Some(Reverse((last, first, shown_by))) = open.pop() {
            if last < seq {
                return Err(Bounds {
                    first,
                    last,
                    shown_by,
                });
            }
            seq += 1;
        }
    }
}
