//! Which records may be on their way: a bounded number, and of each key only one, the others behind it in the order of
//! the file. Pipelined writes of one key could overtake each other, above all when one of them is repeated.

use std::collections::{BTreeMap, VecDeque};

use lockstep_core::operation::Key;

use super::reader::Line;

/// The records taken from the file and not yet written.
///
/// - A key is in `keys` exactly while one of its records is on its way; the queue holds those that wait for it.
/// - `records` and `bytes` count both kinds.
#[derive(Debug)]
pub(crate) struct Window {
    keys: BTreeMap<Key, VecDeque<Line>>,
    records: usize,
    bytes: usize,
    records_max: usize,
    bytes_max: usize,
}

impl Window {
    /// An empty window for at most `records_max` records of at most `bytes_max` bytes, or one larger record.
    pub(crate) fn new(records_max: usize, bytes_max: usize) -> Self {
        Self {
            keys: BTreeMap::new(),
            records: 0,
            bytes: 0,
            records_max,
            bytes_max,
        }
    }

    /// May another record be offered?
    pub(crate) fn has_room(&self) -> bool {
        self.records < self.records_max && self.bytes < self.bytes_max
    }

    /// Is nothing on its way?
    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Takes a record in; returns it if it may be sent at once.
    pub(crate) fn offer(&mut self, line: Line) -> Option<Line> {
        self.records += 1;
        self.bytes += line.record.size();
        if let Some(waiting) = self.keys.get_mut(&line.record.key) {
            waiting.push_back(line);
            return None;
        }
        self.keys.insert(line.record.key.clone(), VecDeque::new());
        Some(line)
    }

    /// The record of `key` that was on its way, of `size` bytes, is written; returns the one that may be sent next.
    pub(crate) fn finish(&mut self, key: &Key, size: usize) -> Option<Line> {
        self.records -= 1;
        self.bytes -= size;
        let waiting = self
            .keys
            .get_mut(key)
            .expect("a record that is finished was on its way");
        let next = waiting.pop_front();
        if next.is_none() {
            self.keys.remove(key);
        }
        next
    }

    /// Drops what was not sent: the import ends early.
    pub(crate) fn drop_waiting(&mut self) {
        for waiting in self.keys.values_mut() {
            for line in waiting.drain(..) {
                self.records -= 1;
                self.bytes -= line.record.size();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Record;

    fn line(number: u64, key: &str) -> Line {
        let record = Record {
            key: key.into(),
            value: "four".into(),
        };
        Line { number, record }
    }

    fn size(key: &str) -> usize {
        key.len() + 4
    }

    #[test]
    fn records_of_different_keys_travel_together() {
        let mut window = Window::new(3, 1000);
        assert!(window.is_empty());
        assert!(window.offer(line(1, "a")).is_some());
        assert!(window.offer(line(2, "b")).is_some());
        assert!(window.has_room());
        assert!(window.offer(line(3, "c")).is_some());
        assert!(!window.has_room());
        assert!(window.finish(&"b".into(), size("b")).is_none());
        assert!(window.has_room());
    }

    #[test]
    fn records_of_one_key_travel_one_after_the_other() {
        let mut window = Window::new(10, 1000);
        assert_eq!(window.offer(line(1, "a")).unwrap().number, 1);
        assert!(window.offer(line(2, "a")).is_none());
        assert!(window.offer(line(3, "b")).is_some());
        assert!(window.offer(line(4, "a")).is_none());
        let mut next = || {
            window
                .finish(&"a".into(), size("a"))
                .map(|line| line.number)
        };
        assert_eq!(next(), Some(2));
        assert_eq!(next(), Some(4));
        assert_eq!(next(), None);
        assert!(!window.is_empty());
        assert!(window.finish(&"b".into(), size("b")).is_none());
        assert!(window.is_empty());
        assert!(window.offer(line(5, "a")).is_some(), "a is free again");
    }

    #[test]
    fn bytes_are_bounded_but_one_record_always_fits() {
        let mut window = Window::new(10, 3);
        assert!(window.has_room());
        assert!(window.offer(line(1, "a")).is_some());
        assert!(!window.has_room());
        window.finish(&"a".into(), size("a"));
        assert!(window.has_room());
    }

    #[test]
    fn an_early_end_waits_only_for_what_is_on_its_way() {
        let mut window = Window::new(10, 1000);
        window.offer(line(1, "a"));
        window.offer(line(2, "a"));
        window.offer(line(3, "a"));
        window.drop_waiting();
        assert!(!window.is_empty());
        assert!(window.finish(&"a".into(), size("a")).is_none());
        assert!(window.is_empty());
    }
}
