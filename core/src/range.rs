//! Keys from one to another, in their order: what scans are of.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, Range, RangeBounds, RangeFrom, RangeFull, RangeTo};

use serde::{Deserialize, Serialize};

use crate::operation::Key;

/// The keys between two ends. It may have none.
///
/// An end need not be a key that there could be: it may be empty, or longer than keys are allowed to be.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRange {
    /// Where it begins.
    pub from: Bound<Key>,
    /// Where it ends.
    pub to: Bound<Key>,
}

impl KeyRange {
    /// All keys.
    pub fn all() -> Self {
        Self {
            from: Bound::Unbounded,
            to: Bound::Unbounded,
        }
    }

    /// The keys behind `key`.
    pub fn behind(key: impl Into<Key>) -> Self {
        Self {
            from: Bound::Excluded(key.into()),
            to: Bound::Unbounded,
        }
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Key>) -> Self {
        let prefix = prefix.into();
        let to = next_prefix(prefix.as_ref()).map_or(Bound::Unbounded, Bound::Excluded);
        Self {
            from: Bound::Included(prefix),
            to,
        }
    }

    /// What of it lies behind `key`, and `key`.
    #[must_use]
    pub fn onwards(&self, key: Key) -> Self {
        let begins_there = match &self.from {
            Bound::Unbounded => false,
            Bound::Included(first) | Bound::Excluded(first) => *first >= key,
        };
        match begins_there {
            true => self.clone(),
            false => Self {
                from: Bound::Included(key),
                to: self.to.clone(),
            },
        }
    }

    /// What of it lies behind `key`: the rest, where a page of it ends with that.
    #[must_use]
    pub fn rest(&self, key: Key) -> Self {
        Self {
            from: Bound::Excluded(key),
            to: self.to.clone(),
        }
    }

    /// What of it lies before `key`, and `key`.
    #[must_use]
    pub fn through(&self, key: Key) -> Self {
        Self {
            from: self.from.clone(),
            to: Bound::Included(key),
        }
    }

    /// Is no key in it, whatever there is?
    pub fn is_empty(&self) -> bool {
        match (&self.from, &self.to) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (
                Bound::Included(from) | Bound::Excluded(from),
                Bound::Included(to) | Bound::Excluded(to),
            ) => from >= to,
        }
    }

    /// Has `other` every key that could be in this range?
    pub fn is_within(&self, other: &Self) -> bool {
        let begins_within = match (&self.from, &other.from) {
            (_, Bound::Unbounded) => true,
            (Bound::Unbounded, _) => false,
            (Bound::Included(ours), Bound::Excluded(theirs)) => ours > theirs,
            (
                Bound::Included(ours) | Bound::Excluded(ours),
                Bound::Included(theirs) | Bound::Excluded(theirs),
            ) => ours >= theirs,
        };
        let ends_within = match (&self.to, &other.to) {
            (_, Bound::Unbounded) => true,
            (Bound::Unbounded, _) => false,
            (Bound::Included(ours), Bound::Excluded(theirs)) => ours < theirs,
            (
                Bound::Included(ours) | Bound::Excluded(ours),
                Bound::Included(theirs) | Bound::Excluded(theirs),
            ) => ours <= theirs,
        };
        begins_within && ends_within
    }

    /// What of the map has its keys in it.
    pub fn of<'a, V>(&self, map: &'a BTreeMap<Key, V>) -> impl Iterator<Item = (&'a Key, &'a V)> {
        // A map does not take ends the wrong way round.
        let found =
            (!self.is_empty()).then(|| map.range::<Key, _>((self.from.as_ref(), self.to.as_ref())));
        found.into_iter().flatten()
    }
}

/// The first of the keys behind all that begin with `prefix`; `None` if those are the last.
fn next_prefix(prefix: &[u8]) -> Option<Key> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut next = prefix[..=kept].to_vec();
    next[kept] += 1;
    Some(next.into())
}

impl RangeBounds<Key> for KeyRange {
    fn start_bound(&self) -> Bound<&Key> {
        self.from.as_ref()
    }

    fn end_bound(&self) -> Bound<&Key> {
        self.to.as_ref()
    }
}

impl From<RangeFull> for KeyRange {
    fn from(_: RangeFull) -> Self {
        Self::all()
    }
}

impl<K: Into<Key>> From<RangeFrom<K>> for KeyRange {
    fn from(range: RangeFrom<K>) -> Self {
        Self {
            from: Bound::Included(range.start.into()),
            to: Bound::Unbounded,
        }
    }
}

impl<K: Into<Key>> From<RangeTo<K>> for KeyRange {
    fn from(range: RangeTo<K>) -> Self {
        Self {
            from: Bound::Unbounded,
            to: Bound::Excluded(range.end.into()),
        }
    }
}

impl<K: Into<Key>> From<Range<K>> for KeyRange {
    fn from(range: Range<K>) -> Self {
        Self {
            from: Bound::Included(range.start.into()),
            to: Bound::Excluded(range.end.into()),
        }
    }
}

/// As `a..b`; `>a..=b` without its first end, and with its last one.
impl fmt::Debug for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            Bound::Unbounded => {}
            Bound::Included(from) => write!(f, "{from:?}")?,
            Bound::Excluded(from) => write!(f, ">{from:?}")?,
        }
        f.write_str("..")?;
        match &self.to {
            Bound::Unbounded => Ok(()),
            Bound::Included(to) => write!(f, "={to:?}"),
            Bound::Excluded(to) => write!(f, "{to:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: impl Into<KeyRange>, expected: &str) {
        let range = range.into();
        let keys = ["a", "a\0", "ab", "b", "c"].map(Key::from);
        let map: BTreeMap<Key, ()> = keys.into_iter().map(|key| (key, ())).collect();
        let found: Vec<String> = range.of(&map).map(|(key, _)| format!("{key:?}")).collect();
        assert_eq!(found.join(" "), expected, "{range:?}");
        for key in map.keys() {
            let is_found = range.of(&map).any(|(found, _)| found == key);
            assert_eq!(range.contains(key), is_found, "{key:?} of {range:?}");
        }
        let has_any = range.of(&map).next().is_some();
        assert!(!range.is_empty() || !has_any, "{range:?}");
    }

    #[test]
    fn a_range_has_the_keys_between_its_ends() {
        check(.., r"a a\0 ab b c");
        check("ab".., "ab b c");
        check(.."ab", r"a a\0");
        check("a".."b", r"a a\0 ab");
        check("a".."a", "");
        check("b".."a", "");
        check("".."", " ".trim());
        check(KeyRange::behind("a"), r"a\0 ab b c");
        check(KeyRange::behind("c"), "");
        check(KeyRange::prefix("a"), r"a a\0 ab");
        check(KeyRange::prefix(""), r"a a\0 ab b c");
        check(KeyRange::prefix("d"), "");
    }

    #[test]
    fn a_range_is_within_another_if_that_has_both_its_ends() {
        let check = |inner: KeyRange, outer: KeyRange, expected| {
            assert_eq!(inner.is_within(&outer), expected, "{inner:?} in {outer:?}");
        };
        let all = KeyRange::all;
        check(all(), all(), true);
        check(("a".."b").into(), all(), true);
        check(all(), ("a"..).into(), false);
        check(all(), (.."b").into(), false);
        check(("a".."c").into(), ("a".."c").into(), true);
        check(("a".."c").into(), ("b".."c").into(), false);
        check(("a".."c").into(), ("a".."b").into(), false);
        check(("a"..).into(), KeyRange::behind("a"), false);
        check(KeyRange::behind("a"), ("a"..).into(), true);
        let through = KeyRange::from("a".."c").through("c".into());
        check(through.clone(), ("a".."c").into(), false);
        check(("a".."c").into(), through, true);
    }

    #[test]
    fn a_range_goes_on_from_a_key() {
        let range = KeyRange::from("a\0".."c");
        check(range.onwards("".into()), r"a\0 ab b");
        check(range.onwards("ab".into()), "ab b");
        check(range.onwards("c".into()), "");
        check(KeyRange::all().onwards("b".into()), "b c");
        check(KeyRange::behind("a").onwards("a".into()), r"a\0 ab b c");
    }

    #[test]
    fn pages_of_a_range_take_up_where_the_last_one_ended() {
        let range = KeyRange::from("a".."c");
        check(range.through("a".into()), "a");
        check(range.rest("a".into()), r"a\0 ab b");
        check(range.rest("a".into()).through("ab".into()), r"a\0 ab");
        check(range.rest("ab".into()).through("ab".into()), "");
        check(range.rest("b".into()), "");
        check(range.rest("d".into()), "");
    }

    #[test]
    fn a_prefix_ends_before_the_next_one() {
        let check = |prefix: &[u8], expected: Bound<&[u8]>| {
            let to = KeyRange::prefix(prefix).to;
            assert_eq!(to, expected.map(Key::from), "{prefix:?}");
        };
        check(b"ab", Bound::Excluded(b"ac"));
        check(&[7, 255], Bound::Excluded(&[8]));
        check(&[7, 255, 255], Bound::Excluded(&[8]));
        check(&[255, 255], Bound::Unbounded);
        check(b"", Bound::Unbounded);
    }
}
