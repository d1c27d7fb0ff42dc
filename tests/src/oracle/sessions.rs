//! Judges what is promised below linearizability: `AtLeast` reads reach their position, replicas go forward.
//!
//! Reads that were under way when their replica was reset may be of before or after, and are left out.

use std::collections::{HashMap, HashSet};

use lockstep_core::config::Address;
use lockstep_core::operation::Value;

use super::index::Index;
use super::{Answer, Level, Operation, Property, Reset, Verdict, What, WriteOutcome};

/// Judges a history.
///
/// # Errors
/// The first promise found broken.
pub(super) fn check(index: &Index<'_>, resets: &[Reset]) -> Result<(), Box<Verdict>> {
    for (place, operation) in index.history.iter().enumerate() {
        match operation.answer() {
            Some((Level::AtLeast(asked), answer)) if answer.position < asked => {
                let what = format!("asked for {asked}, answered at {}", answer.position);
                return Err(index.verdict(Property::AtLeastIsReached, what, &[place]));
            }
            Some((Level::Local, answer)) => check_written(index, place, answer)?,
            Some(_) | None => {}
        }
    }
    let resets = Resets::new(resets);
    check_positions(index, &resets)?;
    check_values(index, &resets)
}

/// A value that was read locally was written, whether it stayed or not.
fn check_written(index: &Index<'_>, place: usize, answer: &Answer) -> Result<(), Box<Verdict>> {
    let Some(value) = &answer.value else {
        return Ok(());
    };
    let Some(writer) = index.writer(index.key_of[place], value) else {
        let what = format!("nobody ever wrote {value:?} there");
        return Err(index.verdict(Property::ValuesAreWritten, what, &[place]));
    };
    let is_rejected = matches!(
        index.history[writer].what,
        What::Write {
            outcome: WriteOutcome::Rejected,
            ..
        }
    );
    if is_rejected {
        let what = "a rejected write was seen".to_owned();
        return Err(index.verdict(Property::RejectedLeavesNoTrace, what, &[writer, place]));
    }
    index.check_begun(writer, place)
}

/// The resets of each replica, in order.
struct Resets<'a>(HashMap<&'a Address, Vec<u64>>);

impl<'a> Resets<'a> {
    fn new(resets: &'a [Reset]) -> Self {
        let mut times: HashMap<_, Vec<_>> = HashMap::new();
        for reset in resets {
            times.entry(&reset.replica).or_default().push(reset.at);
        }
        for times in times.values_mut() {
            times.sort_unstable();
        }
        Self(times)
    }

    /// After how many resets of its replica the read took place; `None` if one came while it was under way.
    fn life(&self, operation: &Operation, replica: &Address) -> Option<usize> {
        let Some(times) = self.0.get(replica) else {
            return Some(0);
        };
        let before = times.partition_point(|time| *time < operation.begun);
        let until = times.partition_point(|time| *time <= operation.end());
        (before == until).then_some(before)
    }
}

/// The furthest positions a replica has shown since it was reset, and the reads that show them.
#[derive(Clone, Copy, Default)]
struct Shown {
    life: usize,
    received: Option<(u64, usize)>,
    committed: Option<(u64, usize)>,
}

/// Positions of reads at one replica, of which one ended before the other began.
fn check_positions(index: &Index<'_>, resets: &Resets<'_>) -> Result<(), Box<Verdict>> {
    let mut replicas: HashMap<&Address, Shown> = HashMap::new();
    for moment in &index.moments {
        let place = moment.operation;
        let operation = &index.history[place];
        let Some((level, answer)) = operation.answer() else {
            continue;
        };
        // A linearizable read may have been answered by another replica than the one that was asked.
        if level == Level::Linearizable {
            continue;
        }
        let Some(life) = resets.life(operation, &answer.replica) else {
            continue;
        };
        let shown = replicas.entry(&answer.replica).or_default();
        if shown.life != life {
            *shown = Shown {
                life,
                ..Shown::default()
            };
        }
        let position = answer.position.0;
        if moment.is_end {
            let furthest = match level {
                Level::Local => &mut shown.received,
                Level::AtLeast(_) | Level::Linearizable => &mut shown.committed,
            };
            *furthest = (*furthest).max(Some((position, place)));
            continue;
        }
        // What is committed has been received, but not the other way round.
        let furthest = match level {
            Level::Local => shown.received.max(shown.committed),
            Level::AtLeast(_) | Level::Linearizable => shown.committed,
        };
        if let Some((furthest, by)) = furthest
            && position < furthest
        {
            let what = format!("{furthest} was read, then {position}");
            return Err(index.verdict(Property::ReplicasGoForward, what, &[by, place]));
        }
    }
    Ok(())
}

/// A local read, by where and when it was, and what it saw.
type Seen<'a> = (&'a Address, usize, usize, u64, Option<&'a Value>, usize);

/// Along the log of one replica, each value of a key comes and goes once.
fn check_values(index: &Index<'_>, resets: &Resets<'_>) -> Result<(), Box<Verdict>> {
    let mut seen: Vec<Seen<'_>> = Vec::new();
    for (place, operation) in index.history.iter().enumerate() {
        if let Some((Level::Local, answer)) = operation.answer()
            && let Some(life) = resets.life(operation, &answer.replica)
        {
            seen.push((
                &answer.replica,
                life,
                index.key_of[place],
                answer.position.0,
                answer.value.as_ref(),
                place,
            ));
        }
    }
    seen.sort_unstable();
    let mut gone: HashSet<&Value> = HashSet::new();
    for pair in seen.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        if (first.0, first.1, first.2) != (second.0, second.1, second.2) {
            gone.clear();
            continue;
        }
        if first.4 == second.4 {
            continue;
        }
        let places = [first.5, second.5];
        if first.3 == second.3 {
            let what = format!("position {} was read with two values", first.3);
            return Err(index.verdict(Property::ReplicasGoForward, what, &places));
        }
        gone.extend(first.4);
        if let Some(value) = second.4
            && gone.contains(value)
        {
            let what = format!("{value:?} was seen, then something else, then it again");
            return Err(index.verdict(Property::ReplicasGoForward, what, &places));
        }
    }
    Ok(())
}
