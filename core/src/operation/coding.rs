//! The bytes of entries and records, on a transport and on a disk.
//!
//! Nearly all entries set one key, of which nothing is known before, or remove one key, for a client. What an entry or a
//! record is of that is said in one byte, its shape; what follows from the shape takes no bytes.

use std::fmt;
use std::sync::Arc;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::{Epoch, Seq};

use super::{
    Author, Change, Changes, Entry, Key, LeaseId, Origin, Record, Revision, Value, Verdict,
};

/// An entry changes nothing.
const NOTHING: u8 = 0;
/// It begins the life of one key; key and value follow.
const INSERT: u8 = 1;
/// It removes one key, which follows.
const REMOVE: u8 = 2;
/// A list of changes follows.
const LISTED: u8 = 3;
/// Where in the shape it says what is changed.
const CHANGES: u8 = 3;
/// The request is cancelled.
const CANCELLED: u8 = 4;
/// The cluster is the author, and no origin follows.
const CLUSTER: u8 = 8;

/// A record was set again in the life of its key: where that began, and how often it was set, follow.
const CONTINUED: u8 = 1;
/// It is attached to a lease, which follows.
const LEASED: u8 = 2;

/// More than an entry or a record has parts.
const PARTS_MAX: usize = 8;

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let changes = match self.changes.as_slice() {
            [] => NOTHING,
            [Change { record: None, .. }] => REMOVE,
            [
                Change {
                    record: Some(record),
                    ..
                },
            ] if record.is_first() && record.modified == self.revision => INSERT,
            [..] => LISTED,
        };
        let verdict = match self.verdict {
            Verdict::Executed => 0,
            Verdict::Cancelled => CANCELLED,
        };
        let author = match &self.author {
            Author::Client(..) => 0,
            Author::Cluster => CLUSTER,
        };
        let mut parts = serializer.serialize_tuple(PARTS_MAX)?;
        parts.serialize_element(&self.epoch)?;
        parts.serialize_element(&self.seq)?;
        parts.serialize_element(&(changes | verdict | author))?;
        // The two are never far apart.
        let ahead = self.revision.0.wrapping_sub(self.seq.0).cast_signed();
        parts.serialize_element(&ahead)?;
        match (changes, self.changes.as_slice()) {
            (LISTED, listed) => parts.serialize_element(listed)?,
            (_, changes) => {
                for change in changes {
                    parts.serialize_element(&change.key)?;
                    if let Some(record) = &change.record {
                        parts.serialize_element(&record.value)?;
                    }
                }
            }
        }
        if let Author::Client(origin, owner) = &self.author {
            parts.serialize_element(origin)?;
            parts.serialize_element(owner)?;
        }
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(PARTS_MAX, EntryParts)
    }
}

/// Decodes entries, each where it stays: serde makes what an `Arc` is to hold in a box first.
pub(crate) fn decode_shared<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Arc<Entry>>, D::Error> {
    struct Shared(Arc<Entry>);

    impl<'de> Deserialize<'de> for Shared {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            Entry::deserialize(deserializer).map(|entry| Self(Arc::new(entry)))
        }
    }

    let entries = Vec::<Shared>::deserialize(deserializer)?;
    Ok(entries.into_iter().map(|entry| entry.0).collect())
}

/// Takes an entry together.
struct EntryParts;

impl<'de> Visitor<'de> for EntryParts {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an entry of the log")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Entry, A::Error> {
        let epoch: Epoch = next(&mut parts)?;
        let seq: Seq = next(&mut parts)?;
        let shape: u8 = next(&mut parts)?;
        if shape > CHANGES | CANCELLED | CLUSTER {
            return Err(A::Error::custom("no such shape"));
        }
        let ahead: i64 = next(&mut parts)?;
        let revision = Revision(seq.0.wrapping_add_signed(ahead));
        let changes = match shape & CHANGES {
            NOTHING => Changes::new(),
            INSERT => {
                let key: Key = next(&mut parts)?;
                let value: Value = next(&mut parts)?;
                [Change::insert(key, value, revision)].into()
            }
            REMOVE => [Change::remove(next(&mut parts)?)].into(),
            _ => listed(next(&mut parts)?, revision)?,
        };
        let verdict = match shape & CANCELLED {
            0 => Verdict::Executed,
            _ => Verdict::Cancelled,
        };
        let author = match shape & CLUSTER {
            0 => {
                let origin: Origin = next(&mut parts)?;
                Author::Client(origin, next(&mut parts)?)
            }
            _ => Author::Cluster,
        };
        if verdict == Verdict::Cancelled && !changes.is_empty() {
            return Err(A::Error::custom("what is cancelled changes something"));
        }
        Ok(Entry {
            epoch,
            seq,
            revision,
            changes,
            verdict,
            author,
        })
    }
}

/// The changes of an entry of this revision, if they can be.
fn listed<E: Error>(changes: Vec<Change>, revision: Revision) -> Result<Changes, E> {
    let mut keys: Vec<&Key> = changes.iter().map(|change| &change.key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(E::custom("a key is changed twice"));
    }
    let mut records = changes.iter().filter_map(|change| change.record.as_ref());
    if changes.is_empty() || records.any(|record| record.modified != revision) {
        return Err(E::custom("changes of another entry"));
    }
    Ok(changes.into())
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let is_continued = self.created != self.modified || self.version != 1;
        let continued = if is_continued { CONTINUED } else { 0 };
        let leased = if self.lease.is_some() { LEASED } else { 0 };
        let mut parts = serializer.serialize_tuple(PARTS_MAX)?;
        parts.serialize_element(&(continued | leased))?;
        parts.serialize_element(&self.modified)?;
        if is_continued {
            parts.serialize_element(&self.created)?;
            parts.serialize_element(&self.version)?;
        }
        if let Some(lease) = &self.lease {
            parts.serialize_element(lease)?;
        }
        parts.serialize_element(&self.value)?;
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(PARTS_MAX, RecordParts)
    }
}

/// Takes a record together.
struct RecordParts;

impl<'de> Visitor<'de> for RecordParts {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Record, A::Error> {
        let shape: u8 = next(&mut parts)?;
        if shape > CONTINUED | LEASED {
            return Err(A::Error::custom("no such shape"));
        }
        let modified: Revision = next(&mut parts)?;
        let (created, version) = match shape & CONTINUED {
            0 => (modified, 1),
            _ => (next(&mut parts)?, next(&mut parts)?),
        };
        let lease = match shape & LEASED {
            0 => None,
            _ => Some(next::<LeaseId, A>(&mut parts)?),
        };
        Ok(Record {
            value: next(&mut parts)?,
            created,
            modified,
            version,
            lease,
        })
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(parts: &mut A) -> Result<T, A::Error> {
    let part = parts.next_element()?;
    part.ok_or_else(|| A::Error::custom("something is cut off"))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;
    use crate::config::{Owner, Position};
    use crate::operation::{ClientId, RequestId};

    fn check<T: Serialize + DeserializeOwned + PartialEq + fmt::Debug>(what: &T, expected: &[u8]) {
        let bytes = postcard::to_stdvec(what).unwrap();
        assert_eq!(bytes, expected, "{what:?}");
        assert_eq!(&postcard::from_bytes::<T>(&bytes).unwrap(), what);
        for length in 0..bytes.len() {
            assert!(postcard::from_bytes::<T>(&bytes[..length]).is_err());
        }
    }

    fn entry(changes: Changes, verdict: Verdict, author: Author) -> Entry {
        Entry {
            epoch: Epoch(2),
            seq: Seq(300),
            revision: Revision(290),
            changes,
            verdict,
            author,
        }
    }

    fn continued() -> Record {
        Record {
            value: "v".into(),
            created: Revision(3),
            modified: Revision(290),
            version: 7,
            lease: Some(LeaseId(9)),
        }
    }

    #[test]
    fn entries_of_every_shape_are_decoded_as_they_were() {
        use Verdict::{Cancelled, Executed};
        let insert = || Change::insert("k".into(), "v".into(), Revision(290));
        let remove = || Change::remove("l".into());
        let one = |change| Changes::from([change]);
        let both = || Changes::from_vec(vec![insert(), remove()]);
        let client = || {
            let origin = Origin {
                client: ClientId(5),
                id: RequestId(7),
                born: Position(6),
                settled: RequestId(3),
            };
            Author::Client(origin, Owner(4))
        };
        let continues = Change {
            key: "k".into(),
            record: Some(continued()),
        };
        let check = |changes: Changes, verdict, author, expected: &[u8]| {
            let [shape, rest @ ..] = expected else {
                unreachable!("an entry has a shape");
            };
            // The revision is ten behind the seq.
            let expected = [&[2, 172, 2, *shape, 19], rest].concat();
            super::tests::check(&entry(changes, verdict, author), &expected);
        };
        let expected = [1, 1, b'k', 1, b'v', 5, 7, 6, 3, 4];
        check(one(insert()), Executed, client(), &expected);
        let expected = [2, 1, b'l', 5, 7, 6, 3, 4];
        check(one(remove()), Executed, client(), &expected);
        check(Changes::new(), Cancelled, client(), &[4, 5, 7, 6, 3, 4]);
        check(Changes::new(), Executed, Author::Cluster, &[8]);
        let expected = [10, 1, b'l'];
        check(one(remove()), Executed, Author::Cluster, &expected);
        let listed = [2, 1, b'k', 1, 0, 162, 2, 1, b'v', 1, b'l', 0];
        let expected = [&[3], &listed[..], &[5, 7, 6, 3, 4]].concat();
        check(both(), Executed, client(), &expected);
        let expected = [&[11], &listed[..]].concat();
        check(both(), Executed, Author::Cluster, &expected);
        let expected = [11, 1, 1, b'k', 1, 3, 162, 2, 3, 7, 9, 1, b'v'];
        check(one(continues), Executed, Author::Cluster, &expected);
    }

    #[test]
    fn records_of_every_shape_are_decoded_as_they_were() {
        let first = Record::first("v".into(), Revision(290));
        check(&first, &[0, 162, 2, 1, b'v']);
        let again = Record {
            lease: None,
            ..continued()
        };
        check(&again, &[1, 162, 2, 3, 7, 1, b'v']);
        check(&continued(), &[3, 162, 2, 3, 7, 9, 1, b'v']);
        let leased = Record {
            lease: Some(LeaseId(9)),
            ..first
        };
        check(&leased, &[2, 162, 2, 9, 1, b'v']);
    }

    #[test]
    fn what_is_no_entry_is_not_decoded() {
        let is_none = |bytes: &[u8]| postcard::from_bytes::<Entry>(bytes).is_err();
        let is_some = |bytes: &[u8]| !is_none(bytes);
        assert!(is_none(&[2, 0, 16, 2]), "no such shape");
        assert!(is_none(&[2, 0, 14, 2, 1, b'l']), "cancelled, and a change");
        assert!(is_none(&[2, 0, 11, 2, 0]), "a list of nothing");
        let twice = [2, 0, 11, 2, 2, 1, b'l', 0, 1, b'l', 0];
        assert!(is_none(&twice), "one key twice");
        assert!(is_some(&[2, 0, 11, 4, 1, 1, b'l', 1, 0, 2, 1, b'v']));
        let other = [2, 0, 11, 4, 1, 1, b'l', 1, 0, 3, 1, b'v'];
        assert!(is_none(&other), "modified with another revision");
        assert!(postcard::from_bytes::<Record>(&[4, 2, 1, b'v']).is_err());
    }
}
