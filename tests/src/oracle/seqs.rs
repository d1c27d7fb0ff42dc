//! Judges by the order that the store itself tells: seqs of acknowledged writes, positions of reads of committed state.
//!
//! What it cannot tell: whether seqs that no acknowledged write has are those of writes of this history, and which of
//! several removes without an answer a read saw; it only counts these.

use lockstep_core::operation::Value;

use super::index::Index;
use super::slots::{self, Bounds};
use super::{Answer, Level, Operation, Order, Property, Verdict, What, WriteOutcome};

/// Judges a history.
///
/// # Errors
/// The first promise found broken.
pub(super) fn check(index: &Index<'_>, order: Order) -> Result<(), Box<Verdict>> {
    let taken = seqs(index)?;
    let floors = check_log(index, order)?;
    let mut versions = Versions {
        index,
        floors: &floors,
        numbers: vec![0; index.history.len()],
        bounds: Vec::new(),
    };
    for key in 0..index.keys.len() {
        versions.check_key(key)?;
    }
    let Versions {
        numbers, bounds, ..
    } = versions;
    slots::place(bounds, &taken).map_err(|bounds| {
        index.verdict(
            Property::OneWritePerSeq,
            format!(
                "a write without an answer must have one of the seqs {} to {}, all of which belong to others",
                bounds.first, bounds.last
            ),
            &[bounds.shown_by],
        )
    })?;
    check_real_time(index, &numbers)
}

/// The seqs of all acknowledged writes, sorted.
fn seqs(index: &Index<'_>) -> Result<Vec<u64>, Box<Verdict>> {
    let mut seqs: Vec<(u64, usize)> = index
        .history
        .iter()
        .enumerate()
        .filter_map(|(place, operation)| operation.seq().map(|seq| (seq.0, place)))
        .collect();
    seqs.sort_unstable();
    for pair in seqs.windows(2) {
        if pair[0].0 == pair[1].0 {
            let what = format!("two writes were acknowledged as {}", pair[0].0);
            let places = [pair[0].1, pair[1].1];
            return Err(index.verdict(Property::OneWritePerSeq, what, &places));
        }
    }
    Ok(seqs.into_iter().map(|(seq, _)| seq).collect())
}

/// The committed position that this read tells, if it does.
fn committed(operation: &Operation) -> Option<(Level, &Answer)> {
    operation
        .answer()
        .filter(|(level, _)| *level != Level::Local)
}

/// The most that is known to have been reached, and the operation that shows it.
#[derive(Clone, Copy, Debug, Default)]
struct Floor {
    reached: u64,
    by: usize,
}

impl Floor {
    fn raise(&mut self, reached: u64, by: usize) {
        if reached > self.reached {
            *self = Self { reached, by };
        }
    }
}

/// Real time over all keys. Gives for each write the least seq it can have, going by what ended before it began.
fn check_log(index: &Index<'_>, order: Order) -> Result<Vec<u64>, Box<Verdict>> {
    let (mut log, mut acknowledged, mut read) =
        (Floor::default(), Floor::default(), Floor::default());
    let mut floors = vec![0; index.history.len()];
    for moment in &index.moments {
        let place = moment.operation;
        let operation = &index.history[place];
        match (&operation.what, moment.is_end) {
            (What::Write { outcome, .. }, false) => {
                floors[place] = log.reached;
                if let WriteOutcome::Acknowledged { seq } = outcome
                    && seq.0 < log.reached
                {
                    let property = match index.history[log.by].what {
                        What::Write { .. } => Property::WritesInRealTime,
                        What::Read { .. } => Property::NothingFromTheFuture,
                    };
                    let what = format!("the second began later, but has seq {seq}");
                    return Err(index.verdict(property, what, &[log.by, place]));
                }
            }
            (What::Write { .. }, true) => {
                if let Some(seq) = operation.seq() {
                    log.raise(seq.0 + 1, place);
                    acknowledged.raise(seq.0 + 1, place);
                }
            }
            (What::Read { .. }, is_end) => {
                let Some((level, answer)) = committed(operation) else {
                    continue;
                };
                let is_linearizable = level == Level::Linearizable;
                let position = answer.position.0;
                if is_end {
                    log.raise(position, place);
                    if is_linearizable {
                        read.raise(position, place);
                    }
                } else if is_linearizable && order == Order::Log {
                    for (floor, property) in [
                        (acknowledged, Property::AcknowledgedIsVisible),
                        (read, Property::ReadsGoForward),
                    ] {
                        if position < floor.reached {
                            let what = format!(
                                "position {position} is before {}, which was reached earlier",
                                floor.reached
                            );
                            return Err(index.verdict(property, what, &[floor.by, place]));
                        }
                    }
                }
            }
        }
    }
    Ok(floors)
}

/// Numbers what each key was, one after the other, and each operation by what it wrote or saw.
struct Versions<'a> {
    index: &'a Index<'a>,
    /// The least seq each write can have.
    floors: &'a [u64],
    /// The version that each write made and each read saw.
    numbers: Vec<u64>,
    /// Writes without an answer that took effect.
    bounds: Vec<Bounds>,
}

/// What a key is at a point of the log.
#[derive(Clone, Copy)]
struct Current<'a> {
    number: u64,
    value: Option<&'a Value>,
    /// Who wrote it; `None` at the beginning and for removes that are not known.
    writer: Option<usize>,
    /// It is so from here at the latest: a seq behind that of its write, or the position of the last read that saw it.
    since: u64,
    /// The last operation that shows it.
    shown_by: Option<usize>,
}

/// A time during which a key was absent although no known write had removed it.
struct Absence {
    bounds: Bounds,
    /// The end of the first read that saw it, at which the remove had begun.
    begun_by: u64,
}

impl<'a> Versions<'a> {
    fn check_key(&mut self, key: usize) -> Result<(), Box<Verdict>> {
        let index = self.index;
        // Right before the entry n lies 2n, the entry itself is 2n + 1.
        let mut points: Vec<(u64, usize)> = index.keys[key]
            .iter()
            .filter_map(|&place| {
                let operation = &index.history[place];
                let seq = operation.seq().map(|seq| 2 * seq.0 + 1);
                let point = seq.or(committed(operation).map(|(_, answer)| 2 * answer.position.0));
                point.map(|point| (point, place))
            })
            .collect();
        points.sort_unstable();
        let mut current = Current {
            number: 0,
            value: None,
            writer: None,
            since: 0,
            shown_by: None,
        };
        let mut absences: Vec<Absence> = Vec::new();
        for (point, place) in points {
            match &index.history[place].what {
                What::Write { value, .. } => {
                    current = Current {
                        number: current.number + 1,
                        value: value.as_ref(),
                        writer: Some(place),
                        since: point / 2 + 1,
                        shown_by: Some(place),
                    };
                }
                What::Read { answer, .. } => {
                    let value = answer.as_ref().and_then(|answer| answer.value.as_ref());
                    self.read(key, &mut current, &mut absences, value, place, point / 2)?;
                }
            }
            self.numbers[place] = current.number;
        }
        self.check_absences(key, &absences)?;
        self.bounds
            .extend(absences.iter().map(|absence| absence.bounds));
        Ok(())
    }

    /// A read saw `value` at `position`.
    fn read(
        &mut self,
        key: usize,
        current: &mut Current<'a>,
        absences: &mut Vec<Absence>,
        value: Option<&'a Value>,
        place: usize,
        position: u64,
    ) -> Result<(), Box<Verdict>> {
        let index = self.index;
        let ended = index.history[place].end();
        if value != current.value {
            let mut bounds = Bounds {
                first: current.since,
                last: position.wrapping_sub(1),
                shown_by: place,
            };
            let writer = match value {
                Some(value) => {
                    let writer = self.late_writer(key, current, value, place, position)?;
                    bounds.first = bounds.first.max(self.floors[writer]);
                    Some(writer)
                }
                None => {
                    absences.push(Absence {
                        bounds,
                        begun_by: ended,
                    });
                    None
                }
            };
            if bounds.first >= position {
                let what = format!(
                    "position {position} was read with two values, or its value cannot have been written before {}",
                    bounds.first
                );
                let shown_by = current.shown_by.or(writer).unwrap_or(place);
                let places = [shown_by, writer.unwrap_or(place), place];
                return Err(index.verdict(Property::NewestBeforePosition, what, &places));
            }
            if writer.is_some() {
                self.bounds.push(bounds);
            }
            *current = Current {
                number: current.number + 1,
                value,
                writer,
                since: position,
                shown_by: Some(place),
            };
            if let Some(writer) = writer {
                self.numbers[writer] = current.number;
            }
        }
        if let Some(writer) = current.writer {
            index.check_begun(writer, place)?;
        }
        if current.writer.is_none()
            && current.number > 0
            && let Some(absence) = absences.last_mut()
        {
            absence.begun_by = absence.begun_by.min(ended);
        }
        current.since = position;
        current.shown_by = Some(place);
        Ok(())
    }

    /// Who wrote a value that is not the newest of known place: a write without an answer, that nobody has seen yet.
    fn late_writer(
        &self,
        key: usize,
        current: &Current<'_>,
        value: &Value,
        place: usize,
        position: u64,
    ) -> Result<usize, Box<Verdict>> {
        let index = self.index;
        let Some(writer) = index.writer(key, value) else {
            let what = format!("nobody ever wrote {value:?} there");
            return Err(index.verdict(Property::ValuesAreWritten, what, &[place]));
        };
        let newest = current.shown_by.unwrap_or(writer);
        let What::Write { outcome, .. } = index.history[writer].what else {
            unreachable!("only writes write")
        };
        match outcome {
            WriteOutcome::Rejected => {
                let what = "a rejected write was seen".to_owned();
                Err(index.verdict(Property::RejectedLeavesNoTrace, what, &[writer, place]))
            }
            WriteOutcome::Acknowledged { seq } if seq.0 >= position => {
                let what = format!("seq {seq} was seen at position {position}, before it");
                Err(index.verdict(Property::NewestBeforePosition, what, &[writer, place]))
            }
            WriteOutcome::Acknowledged { seq } => {
                let what = format!("seq {seq} was seen at {position}, where it was overwritten");
                let places = [writer, newest, place];
                Err(index.verdict(Property::NewestBeforePosition, what, &places))
            }
            WriteOutcome::Unknown if self.numbers[writer] > 0 => {
                let what = format!("{value:?} was seen, then something else, then it again");
                Err(index.verdict(Property::AtMostOnce, what, &[writer, newest, place]))
            }
            WriteOutcome::Unknown => index.check_begun(writer, place).map(|()| writer),
        }
    }

    /// Are there removes without an answer, one for each absence?
    ///
    /// Of two removes, the one that began first can explain whatever the other can.
    fn check_absences(&self, key: usize, absences: &[Absence]) -> Result<(), Box<Verdict>> {
        if absences.is_empty() {
            return Ok(());
        }
        let index = self.index;
        let mut removes: Vec<(u64, u64)> = index.keys[key]
            .iter()
            .filter(|&&place| {
                matches!(
                    index.history[place].what,
                    What::Write {
                        value: None,
                        outcome: WriteOutcome::Unknown
                    }
                )
            })
            .map(|&place| (index.history[place].begun, self.floors[place]))
            .collect();
        removes.sort_unstable();
        let mut candidates: Vec<(usize, usize)> = absences
            .iter()
            .map(|absence| {
                let count = removes.partition_point(|(begun, floor)| {
                    *begun <= absence.begun_by && *floor <= absence.bounds.last
                });
                (count, absence.bounds.shown_by)
            })
            .collect();
        candidates.sort_unstable();
        for (needed, (count, place)) in (1..).zip(candidates) {
            if count == 0 {
                let what = "the key was absent though nobody removed it".to_owned();
                return Err(index.verdict(Property::NewestBeforePosition, what, &[place]));
            }
            if count < needed {
                let what = format!(
                    "the key became absent {needed} times by {count} removes without answer"
                );
                return Err(index.verdict(Property::AtMostOnce, what, &[place]));
            }
        }
        Ok(())
    }
}

/// Linearizable reads see what was acknowledged, and seen by others of their kind, before they began.
fn check_real_time(index: &Index<'_>, numbers: &[u64]) -> Result<(), Box<Verdict>> {
    let mut floors = vec![Floor::default(); index.keys.len()];
    for moment in &index.moments {
        let place = moment.operation;
        let operation = &index.history[place];
        let is_linearizable =
            matches!(operation.answer(), Some((level, _)) if level == Level::Linearizable);
        let floor = &mut floors[index.key_of[place]];
        if moment.is_end {
            if is_linearizable || operation.seq().is_some() {
                floor.raise(numbers[place], place);
            }
        } else if is_linearizable && numbers[place] < floor.reached {
            let property = match index.history[floor.by].what {
                What::Write { .. } => Property::AcknowledgedIsVisible,
                What::Read { .. } => Property::ReadsGoForward,
            };
            let what = "the second began later, but saw less".to_owned();
            return Err(index.verdict(property, what, &[floor.by, place]));
        }
    }
    Ok(())
}
