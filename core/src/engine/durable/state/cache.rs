//! Records of the state in memory: what was read from fjall, or written to it, lately.
//!
//! Who reads a record from fjall leaves a placeholder in its place before and fills it afterwards; a checkpoint that
//! writes the record in between takes the placeholder away, so that nothing old comes in.

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::engine::StoreError;
use crate::operation::{Key, Record};

/// What a record takes beside its bytes, about.
const OVERHEAD_BYTES: u64 = 200;

/// Records, and keys that are known to be absent, up to a number of bytes.
pub(super) struct Records(Cache<Key, Option<Record>, Bytes>);

#[derive(Clone)]
struct Bytes;

impl Weighter<Key, Option<Record>> for Bytes {
    fn weight(&self, key: &Key, record: &Option<Record>) -> u64 {
        let value_bytes = record.as_ref().map_or(0, |record| record.value.0.len());
        OVERHEAD_BYTES + (key.0.len() + value_bytes) as u64
    }
}

impl Records {
    pub(super) fn new(bytes_max: u64) -> Self {
        let records = bytes_max / (2 * OVERHEAD_BYTES);
        Self(Cache::with_weighter(records as usize, bytes_max, Bytes))
    }

    /// The record, if it is here.
    pub(super) fn peek(&self, key: &Key) -> Option<Option<Record>> {
        self.0.get(key)
    }

    /// The record; `read` gets it from fjall if it is not here.
    pub(super) fn read(
        &self,
        key: &Key,
        read: impl FnOnce() -> Result<Option<Record>, StoreError>,
    ) -> Result<Option<Record>, StoreError> {
        self.0.get_or_insert_with(key, read)
    }

    /// The record was changed in fjall.
    pub(super) fn change(&self, key: &Key, record: &Option<Record>) {
        // A record too large to be kept would leave the placeholder of a read that is under way.
        self.0.remove(key);
        self.0.insert(key.clone(), record.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Revision, Value};

    fn record(value: impl Into<Value>) -> Option<Record> {
        Some(Record::first(value.into(), Revision::FIRST))
    }

    #[test]
    fn what_changes_during_a_read_is_not_overwritten_by_what_was_read() {
        let records = Records::new(1 << 20);
        let key = Key::from("k");
        let changed = record("changed");
        let read = records.read(&key, || {
            records.change(&key, &changed);
            Ok(record("old"))
        });
        assert_eq!(read.unwrap(), record("old"));
        assert_eq!(records.peek(&key), Some(changed));
    }

    #[test]
    fn what_changes_to_something_too_large_is_not_overwritten_by_what_was_read() {
        let records = Records::new(1 << 20);
        let key = Key::from("k");
        let large = record(vec![1; 2 << 20]);
        let read = records.read(&key, || {
            records.change(&key, &large);
            Ok(record("old"))
        });
        assert_eq!(read.unwrap(), record("old"));
        assert_eq!(records.peek(&key), None);
    }

    #[test]
    fn what_was_read_is_kept_and_an_error_is_not() {
        let records = Records::new(1 << 20);
        let key = Key::from("k");
        let broken = records.read(&key, || Err(StoreError::Engine("broken".to_owned())));
        assert!(broken.is_err());
        assert_eq!(records.peek(&key), None);
        assert_eq!(records.read(&key, || Ok(None)).unwrap(), None);
        assert_eq!(records.peek(&key), Some(None));
    }

    #[test]
    fn memory_is_bounded() {
        let records = Records::new(1 << 20);
        for number in 0..10_000_u32 {
            let key = Key::from(&number.to_be_bytes()[..]);
            records.change(&key, &record(vec![0; 1000]));
        }
        assert!(records.0.weight() <= 1 << 20);
    }
}
