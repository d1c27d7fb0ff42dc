//! A history sorted by what the judges look for: keys by number, who wrote a value, and what happened when.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use lockstep_core::operation::{Key, Value};

use super::{Operation, Property, Verdict, What};

/// The beginning or the end of an operation.
///
/// Beginnings sort before ends of the same time, so that operations that touch overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) time: u64,
    pub(super) is_end: bool,
    pub(super) operation: usize,
}

/// A history and what is where in it. Operations are named by their place in the history.
#[derive(Debug)]
pub(super) struct Index<'a> {
    pub(super) history: &'a [Operation],
    /// The operations of each key.
    pub(super) keys: Vec<Vec<usize>>,
    /// The key of each operation.
    pub(super) key_of: Vec<usize>,
    /// Beginnings and known ends, in their order.
    pub(super) moments: Vec<Moment>,
    writers: HashMap<(usize, &'a Value), usize>,
}

impl<'a> Index<'a> {
    /// Sorts a history.
    ///
    /// # Errors
    /// If a value was written twice to a key.
    pub(super) fn new(history: &'a [Operation]) -> Result<Self, Box<Verdict>> {
        let mut numbers: HashMap<&Key, usize> = HashMap::new();
        let mut index = Self {
            history,
            keys: Vec::new(),
            key_of: Vec::with_capacity(history.len()),
            moments: Vec::with_capacity(2 * history.len()),
            writers: HashMap::with_capacity(history.len() / 2),
        };
        for (place, operation) in history.iter().enumerate() {
            assert!(
                operation.begun <= operation.end(),
                "an operation ends before it begins: {operation}"
            );
            let key = *numbers.entry(&operation.key).or_insert(index.keys.len());
            if key == index.keys.len() {
                index.keys.push(Vec::new());
            }
            index.keys[key].push(place);
            index.key_of.push(key);
            index.moments.push(Moment {
                time: operation.begun,
                is_end: false,
                operation: place,
            });
            if let Some(time) = operation.ended {
                index.moments.push(Moment {
                    time,
                    is_end: true,
                    operation: place,
                });
            }
            let What::Write {
                value: Some(value), ..
            } = &operation.what
            else {
                continue;
            };
            match index.writers.entry((key, value)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(place);
                }
                Entry::Occupied(first) => {
                    let first = *first.get();
                    return Err(index.verdict(
                        Property::ValuesAreUnique,
                        "the history writes a value twice and cannot be judged".to_owned(),
                        &[first, place],
                    ));
                }
            }
        }
        index.moments.sort_unstable();
        Ok(index)
    }

    /// Who wrote `value` to `key`.
    pub(super) fn writer(&self, key: usize, value: &Value) -> Option<usize> {
        self.writers.get(&(key, value)).copied()
    }

    /// Had the write begun before the read that saw it was over?
    ///
    /// # Errors
    /// If it had not.
    pub(super) fn check_begun(&self, writer: usize, reader: usize) -> Result<(), Box<Verdict>> {
        if self.history[writer].begun <= self.history[reader].end() {
            return Ok(());
        }
        let what = "the write began when the read was over".to_owned();
        Err(self.verdict(Property::NothingFromTheFuture, what, &[writer, reader]))
    }

    /// A verdict about the operations at these places, of which the same may be named twice.
    pub(super) fn verdict(
        &self,
        property: Property,
        what: String,
        places: &[usize],
    ) -> Box<Verdict> {
        let mut named = Vec::new();
        for place in places {
            if !named.contains(place) {
                named.push(*place);
            }
        }
        let operations = named
            .iter()
            .map(|place| self.history[*place].clone())
            .collect();
        Box::new(Verdict {
            property,
            what,
            operations,
        })
    }
}
