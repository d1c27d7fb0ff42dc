//! What is known of each key, to judge what is read: some bytes a key, and a line for each write without an outcome.
//!
//! The order of all writes, which every acknowledgement tells, says which write of a key is the last one. So what a key
//! holds at the end is known exactly, whoever wrote it at the same time.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use lockstep_core::config::Seq;
use lockstep_core::operation::Value;

use crate::values::{Stamp, Values};

/// Clients that work with different keys rarely wait for each other.
const PARTS: u64 = 256;

/// What is known of all keys.
#[derive(Debug)]
pub struct Ledger {
    parts: Box<[Mutex<Part>]>,
}

#[derive(Debug, Default)]
struct Part {
    /// Of each `PARTS`th key.
    keys: Vec<Entry>,
    /// Writes that may have been executed: key and write.
    unknown: BTreeSet<(u64, u32)>,
}

/// What is known of a key. Its writes are numbered from 1 in the order in which they are begun.
///
/// - `open` counts the writes without an outcome, those included that will never have one.
/// - What lies in the log before an acknowledged write that was begun later than `stale` ended is not read any more: a
///   value of a write up to `stale` is older than one that was acknowledged.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// The place of the last acknowledged write, as a position; 0 if there is none.
    acknowledged_at: u64,
    /// Its number.
    acknowledged: u32,
    begun: u32,
    stale: u32,
    open: u32,
}

/// A write under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// The number of its key.
    pub key: u64,
    /// Its own number among the writes of the key.
    pub number: u32,
    /// Writes of the key up to this one had ended when it was begun.
    ended: u32,
}

/// What a read that begins now must not miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    stale: u32,
    is_written: bool,
}

/// Why what was read is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// A write was acknowledged, and the key is absent.
    #[error("it is absent, although a write of it was acknowledged")]
    Absent,
    /// The value was never written by a bench, or a byte of it has changed.
    #[error("it holds a value that was never written")]
    Garbled,
    /// The value belongs to another key.
    #[error("it holds the value of another key, number {0}")]
    OtherKey(u64),
    /// A write was acknowledged, and the value is of another run.
    #[error(
        "it holds a value of another run, although a write of this one was acknowledged; do two runs share a --prefix?"
    )]
    OtherRun,
    /// The run has not begun this write.
    #[error("it holds the value of write {0} of it, which was not begun")]
    NotBegun(u32),
    /// A later write was acknowledged.
    #[error("it holds the value of write {found} of it, although a later one was acknowledged")]
    Stale {
        /// The write whose value was read.
        found: u32,
    },
    /// The write was certainly not executed.
    #[error("it holds the value of write {0} of it, which was rejected")]
    Rejected(u32),
    /// A scan gave the key before, or began behind it.
    #[error("a scan gave it out of order")]
    OutOfOrder,
    /// A scan gave more records than it was to.
    #[error("a scan gave it although it had all its {limit} records")]
    TooMany {
        /// Records it was to give.
        limit: u32,
    },
}

impl Default for Ledger {
    /// Nothing is known.
    fn default() -> Self {
        let parts = (0..PARTS).map(|_| Mutex::default()).collect();
        Self { parts }
    }
}

impl Ledger {
    /// A write of the key begins.
    pub fn begin(&self, key: u64) -> Write {
        let mut part = self.part(key);
        let entry = part.entry(key);
        let ended = if entry.open == 0 { entry.begun } else { 0 };
        entry.begun += 1;
        entry.open += 1;
        Write {
            key,
            number: entry.begun,
            ended,
        }
    }

    /// The write has this place among all writes.
    pub fn acknowledged(&self, write: Write, seq: Seq) {
        let mut part = self.part(write.key);
        let entry = part.entry(write.key);
        entry.open -= 1;
        if entry.acknowledged_at <= seq.0 {
            entry.acknowledged_at = seq.0 + 1;
            entry.acknowledged = write.number;
        }
        entry.stale = entry.stale.max(write.ended);
    }

    /// The write was certainly not executed.
    pub fn not_executed(&self, write: Write) {
        self.part(write.key).entry(write.key).open -= 1;
    }

    /// Whether the write was or will be executed is not known. It stays open.
    pub fn unknown(&self, write: Write) {
        let mut part = self.part(write.key);
        part.unknown.insert((write.key, write.number));
    }

    /// Writes whose outcome is not known.
    pub fn unknown_count(&self) -> u64 {
        self.parts().map(|part| part.unknown.len() as u64).sum()
    }

    /// Was a write of the key begun?
    pub fn is_touched(&self, key: u64) -> bool {
        self.part(key).find(key).begun > 0
    }

    /// Before a linearizable read of the key.
    pub fn expect(&self, key: u64) -> Expected {
        let entry = self.part(key).find(key);
        Expected {
            stale: entry.stale,
            is_written: entry.acknowledged_at > 0,
        }
    }

    /// Judges what was read, by what was known before the read; `None` where the level promises nothing.
    pub fn judge(
        &self,
        values: &Values,
        key: u64,
        value: Option<&Value>,
        expected: Option<Expected>,
    ) -> Result<(), Mismatch> {
        let Some(stamp) = own_stamp(values, key, value)? else {
            return match expected {
                Some(Expected {
                    is_written: true, ..
                }) => Err(foreign(value)),
                Some(_) | None => Ok(()),
            };
        };
        let found = stamp.write;
        if found == 0 || found > self.part(key).find(key).begun {
            return Err(Mismatch::NotBegun(found));
        }
        match expected {
            Some(expected) if found <= expected.stale => Err(Mismatch::Stale { found }),
            Some(_) | None => Ok(()),
        }
    }

    /// Judges what a key holds when no write is under way.
    pub fn judge_last(
        &self,
        values: &Values,
        key: u64,
        value: Option<&Value>,
    ) -> Result<(), Mismatch> {
        let part = self.part(key);
        let entry = part.find(key);
        let stamp = own_stamp(values, key, value)?;
        let Some(Stamp { write: found, .. }) = stamp else {
            return match entry.acknowledged_at {
                0 => Ok(()),
                _ => Err(foreign(value)),
            };
        };
        if found == 0 || found > entry.begun {
            return Err(Mismatch::NotBegun(found));
        }
        if found == entry.acknowledged || part.unknown.contains(&(key, found)) {
            return Ok(());
        }
        match entry.acknowledged_at {
            0 => Err(Mismatch::Rejected(found)),
            _ => Err(Mismatch::Stale { found }),
        }
    }

    fn part(&self, key: u64) -> MutexGuard<'_, Part> {
        let part = &self.parts[(key % PARTS) as usize];
        part.lock().expect("nobody panics with it")
    }

    fn parts(&self) -> impl Iterator<Item = MutexGuard<'_, Part>> {
        let parts = self.parts.iter();
        parts.map(|part| part.lock().expect("nobody panics with it"))
    }
}

impl Part {
    fn entry(&mut self, key: u64) -> &mut Entry {
        let index = (key / PARTS) as usize;
        if self.keys.len() <= index {
            self.keys.resize(index + 1, Entry::default());
        }
        &mut self.keys[index]
    }

    fn find(&self, key: u64) -> Entry {
        let index = (key / PARTS) as usize;
        self.keys.get(index).copied().unwrap_or_default()
    }
}

/// The stamp of a value of this run; `None` if it is absent or of another run.
fn own_stamp(values: &Values, key: u64, value: Option<&Value>) -> Result<Option<Stamp>, Mismatch> {
    let Some(value) = value else {
        return Ok(None);
    };
    let stamp = values.stamp(value).ok_or(Mismatch::Garbled)?;
    if stamp.key != key {
        return Err(Mismatch::OtherKey(stamp.key));
    }
    Ok((stamp.run == values.run()).then_some(stamp))
}

/// What is wrong where a write of this run must be seen, and none is.
fn foreign(value: Option<&Value>) -> Mismatch {
    match value {
        Some(_) => Mismatch::OtherRun,
        None => Mismatch::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: u64 = 300;

    fn values() -> Values {
        Values::new(7, 64).unwrap()
    }

    fn last(ledger: &Ledger, write: u32) -> Result<(), Mismatch> {
        let values = values();
        ledger.judge_last(&values, KEY, Some(&values.value(KEY, write)))
    }

    fn read(ledger: &Ledger, expected: Expected, write: u32) -> Result<(), Mismatch> {
        let values = values();
        ledger.judge(
            &values,
            KEY,
            Some(&values.value(KEY, write)),
            Some(expected),
        )
    }

    #[test]
    fn the_write_with_the_highest_place_is_the_last() {
        let ledger = Ledger::default();
        let writes = [(); 3].map(|()| ledger.begin(KEY));
        ledger.acknowledged(writes[0], Seq(11));
        ledger.acknowledged(writes[1], Seq(12));
        ledger.acknowledged(writes[2], Seq(10));
        assert_eq!(last(&ledger, 2), Ok(()));
        for found in [1, 3] {
            assert_eq!(last(&ledger, found), Err(Mismatch::Stale { found }));
        }
        assert_eq!(last(&ledger, 4), Err(Mismatch::NotBegun(4)));
        let absent = ledger.judge_last(&values(), KEY, None);
        assert_eq!(absent, Err(Mismatch::Absent));
    }

    #[test]
    fn a_write_without_an_outcome_may_be_the_last_and_one_that_was_rejected_not() {
        let ledger = Ledger::default();
        let [acknowledged, unknown, rejected] = [(); 3].map(|()| ledger.begin(KEY));
        ledger.unknown(unknown);
        ledger.not_executed(rejected);
        assert_eq!(last(&ledger, 2), Ok(()));
        assert_eq!(last(&ledger, 3), Err(Mismatch::Rejected(3)));
        assert_eq!(ledger.judge_last(&values(), KEY, None), Ok(()));
        ledger.acknowledged(acknowledged, Seq(0));
        assert_eq!(last(&ledger, 1), Ok(()));
        assert_eq!(last(&ledger, 2), Ok(()));
        assert_eq!(ledger.unknown_count(), 1);
    }

    #[test]
    fn a_value_of_another_key_or_run_or_of_nobody_is_seen() {
        let ledger = Ledger::default();
        let values = values();
        let check = |value: Value, expected| {
            assert_eq!(ledger.judge_last(&values, KEY, Some(&value)), expected);
            assert_eq!(ledger.judge(&values, KEY, Some(&value), None), expected);
        };
        check(values.value(KEY + 1, 1), Err(Mismatch::OtherKey(KEY + 1)));
        check("hello".into(), Err(Mismatch::Garbled));
        let other = Values::new(8, 64).unwrap().value(KEY, 1);
        check(other.clone(), Ok(()));
        let write = ledger.begin(KEY);
        ledger.acknowledged(write, Seq(0));
        let judged = ledger.judge_last(&values, KEY, Some(&other));
        assert_eq!(judged, Err(Mismatch::OtherRun));
    }

    #[test]
    fn a_read_sees_what_was_acknowledged_before_it_began() {
        let ledger = Ledger::default();
        let first = ledger.begin(KEY);
        let before = ledger.expect(KEY);
        ledger.acknowledged(first, Seq(0));
        let second = ledger.begin(KEY);
        assert_eq!(read(&ledger, ledger.expect(KEY), 1), Ok(()));
        ledger.acknowledged(second, Seq(1));
        assert_eq!(read(&ledger, before, 1), Ok(()), "it began before");
        let stale = Err(Mismatch::Stale { found: 1 });
        assert_eq!(read(&ledger, ledger.expect(KEY), 1), stale);
        assert_eq!(read(&ledger, ledger.expect(KEY), 2), Ok(()));
        let judged = ledger.judge(&values(), KEY, None, Some(ledger.expect(KEY)));
        assert_eq!(judged, Err(Mismatch::Absent));
        assert_eq!(ledger.judge(&values(), KEY, None, Some(before)), Ok(()));
    }

    #[test]
    fn writes_at_the_same_time_may_have_either_order() {
        let ledger = Ledger::default();
        let writes = [(); 2].map(|()| ledger.begin(KEY));
        ledger.acknowledged(writes[1], Seq(0));
        ledger.acknowledged(writes[0], Seq(1));
        for write in [1, 2] {
            assert_eq!(read(&ledger, ledger.expect(KEY), write), Ok(()));
        }
    }

    #[test]
    fn a_write_without_an_outcome_may_come_late() {
        let ledger = Ledger::default();
        let unknown = ledger.begin(KEY);
        ledger.unknown(unknown);
        for seq in 0..3 {
            let write = ledger.begin(KEY);
            ledger.acknowledged(write, Seq(seq));
        }
        assert_eq!(read(&ledger, ledger.expect(KEY), 1), Ok(()));
    }
}
