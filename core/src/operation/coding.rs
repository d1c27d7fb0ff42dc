//! The bytes of an entry, on a transport and in a log.
//!
//! Nearly all entries set or remove one key for a client. What an entry is of that is said in one byte, its shape; what
//! follows from the shape takes no bytes.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::{Epoch, Seq};

use super::{Author, Change, Changes, Entry, Key, Origin, Value, Verdict};

/// It changes nothing.
const NOTHING: u8 = 0;
/// It sets one key; key and value follow.
const INSERT: u8 = 1;
/// It removes one key, which follows.
const REMOVE: u8 = 2;
/// A list of changes follows.
const LISTED: u8 = 3;
/// Where in a shape it says what is changed.
const CHANGES: u8 = 3;
/// The request is cancelled.
const CANCELLED: u8 = 4;
/// The cluster is the author, and no origin follows.
const CLUSTER: u8 = 8;

/// More than any entry has parts.
const PARTS_MAX: usize = 8;

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let changes = match self.changes.as_slice() {
            [] => NOTHING,
            [change] if change.record.is_some() => INSERT,
            [_] => REMOVE,
            [..] => LISTED,
        };
        let verdict = match self.verdict {
            Verdict::Executed => 0,
            Verdict::Cancelled => CANCELLED,
        };
        let author = match &self.author {
            Author::Client(_) => 0,
            Author::Cluster => CLUSTER,
        };
        let mut parts = serializer.serialize_tuple(PARTS_MAX)?;
        parts.serialize_element(&self.epoch)?;
        parts.serialize_element(&self.seq)?;
        parts.serialize_element(&(changes | verdict | author))?;
        match self.changes.as_slice() {
            [] => {}
            [change] => {
                parts.serialize_element(&change.key)?;
                if let Some(record) = &change.record {
                    parts.serialize_element(&record.value)?;
                }
            }
            listed => parts.serialize_element(listed)?,
        }
        if let Author::Client(origin) = &self.author {
            parts.serialize_element(origin)?;
        }
        parts.end()
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(PARTS_MAX, Parts)
    }
}

/// Takes an entry together.
struct Parts;

impl<'de> Visitor<'de> for Parts {
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
        let changes = match shape & CHANGES {
            NOTHING => Changes::new(),
            INSERT => {
                let key: Key = next(&mut parts)?;
                let value: Value = next(&mut parts)?;
                [Change::insert(key, value)].into()
            }
            REMOVE => [Change::remove(next(&mut parts)?)].into(),
            _ => listed(next(&mut parts)?)?,
        };
        let verdict = match shape & CANCELLED {
            0 => Verdict::Executed,
            _ => Verdict::Cancelled,
        };
        let author = match shape & CLUSTER {
            0 => Author::Client(next::<Origin, A>(&mut parts)?),
            _ => Author::Cluster,
        };
        if verdict == Verdict::Cancelled && !changes.is_empty() {
            return Err(A::Error::custom("what is cancelled changes something"));
        }
        Ok(Entry {
            epoch,
            seq,
            changes,
            verdict,
            author,
        })
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(parts: &mut A) -> Result<T, A::Error> {
    let part = parts.next_element()?;
    part.ok_or_else(|| A::Error::custom("an entry that is cut off"))
}

/// Several changes, each of another key: of one alone there is another shape.
fn listed<E: Error>(changes: Vec<Change>) -> Result<Changes, E> {
    let mut keys: Vec<&Key> = changes.iter().map(|change| &change.key).collect();
    keys.sort_unstable();
    let is_repeated = keys.windows(2).any(|pair| pair[0] == pair[1]);
    if changes.len() < 2 || is_repeated {
        return Err(E::custom("changes that are no list of several keys"));
    }
    Ok(changes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Position;
    use crate::operation::{ClientId, RequestId};

    fn entry(changes: Changes, verdict: Verdict, author: Author) -> Entry {
        Entry {
            epoch: Epoch(2),
            seq: Seq(300),
            changes,
            verdict,
            author,
        }
    }

    fn client() -> Author {
        Author::Client(Origin {
            client: ClientId(5),
            id: RequestId(7),
            born: Position(6),
            settled: RequestId(3),
        })
    }

    #[test]
    fn entries_of_every_shape_are_decoded_as_they_were() {
        let insert = || Change::insert("k".into(), "v".into());
        let remove = || Change::remove("l".into());
        let check = |entry: Entry, expected: &[u8]| {
            let bytes = postcard::to_stdvec(&entry).unwrap();
            assert_eq!(bytes, [&[2, 172, 2], expected].concat());
            assert_eq!(postcard::from_bytes::<Entry>(&bytes).unwrap(), entry);
            for length in 0..bytes.len() {
                assert!(postcard::from_bytes::<Entry>(&bytes[..length]).is_err());
            }
        };
        use Verdict::{Cancelled, Executed};
        let one = |change| Changes::from([change]);
        let both = || Changes::from_vec(vec![insert(), remove()]);
        let cluster = || Author::Cluster;
        check(
            entry(one(insert()), Executed, client()),
            &[1, 1, b'k', 1, b'v', 5, 7, 6, 3],
        );
        check(
            entry(one(remove()), Executed, client()),
            &[2, 1, b'l', 5, 7, 6, 3],
        );
        check(entry(Changes::new(), Cancelled, client()), &[4, 5, 7, 6, 3]);
        check(entry(Changes::new(), Executed, cluster()), &[8]);
        check(entry(one(remove()), Executed, cluster()), &[10, 1, b'l']);
        check(
            entry(both(), Executed, client()),
            &[3, 2, 1, b'k', 1, 1, b'v', 1, b'l', 0, 5, 7, 6, 3],
        );
        check(
            entry(both(), Executed, cluster()),
            &[11, 2, 1, b'k', 1, 1, b'v', 1, b'l', 0],
        );
    }

    #[test]
    fn what_is_no_entry_is_not_decoded() {
        let is_none = |bytes: &[u8]| postcard::from_bytes::<Entry>(bytes).is_err();
        assert!(is_none(&[2, 0, 16]), "no such shape");
        assert!(is_none(&[2, 0, 14, 1, b'l']), "cancelled, and a change");
        assert!(is_none(&[2, 0, 11, 1, 1, b'l', 0]), "one change as a list");
        assert!(
            is_none(&[2, 0, 11, 2, 1, b'l', 0, 1, b'l', 0]),
            "one key twice"
        );
    }
}
