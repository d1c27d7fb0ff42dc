//! Keys and values of a state in fjall.

use std::error::Error;
use std::iter;
use std::ops::Bound;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::durable::files;
use crate::engine::{StoreError, is_full};
use crate::operation::{ClientId, Key};
use crate::range::KeyRange;

/// The key of the moment that a state is of. In the order of keys it is the first.
pub(super) const REACHED: [u8; 1] = [0];

/// The key of `SessionRows::forgotten`. In the order of keys it is the last.
pub(super) const FORGOTTEN: [u8; 1] = [3];

/// Bytes of the longest key that fjall takes.
const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// Keys of records begin with this.
const RECORD: u8 = 1;

/// Keys of sessions begin with this.
const SESSION: u8 = 2;

/// A range of fjall's keys.
pub(super) type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

pub(super) fn record_key(key: &Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + key.0.len());
    bytes.push(RECORD);
    bytes.extend_from_slice(&key.0);
    bytes
}

/// Can there be a record with that key? fjall takes no longer ones, not even to look for them.
pub(super) fn is_record_key(key: &Key) -> bool {
    key.0.len() < KEY_BYTES_MAX
}

/// The records of `range`; `None` if it can have none.
pub(super) fn records_of(range: &KeyRange) -> Option<Range> {
    // No record has a longer key, so that those before such an end are those before its beginning, and that one itself.
    let possible = |key: &Key| Key(key.0.slice(..KEY_BYTES_MAX - 1));
    let from = match &range.from {
        Bound::Included(key) | Bound::Excluded(key) if !is_record_key(key) => {
            Bound::Excluded(possible(key))
        }
        from => from.clone(),
    };
    let to = match &range.to {
        Bound::Included(key) | Bound::Excluded(key) if !is_record_key(key) => {
            Bound::Included(possible(key))
        }
        to => to.clone(),
    };
    let range = KeyRange { from, to };
    let end = |bound: &Bound<Key>| bound.as_ref().map(record_key);
    let from = match end(&range.from) {
        Bound::Unbounded => Bound::Included(vec![RECORD]),
        from => from,
    };
    let to = match end(&range.to) {
        Bound::Unbounded => Bound::Excluded(vec![RECORD + 1]),
        to => to,
    };
    (!range.is_empty()).then_some((from, to))
}

pub(super) fn session_key(client: ClientId) -> Vec<u8> {
    let mut bytes = vec![SESSION];
    bytes.extend_from_slice(&client.0.to_be_bytes());
    bytes
}

/// The sessions behind `after`.
pub(super) fn sessions_behind(after: Option<ClientId>) -> Range {
    let start = after.map_or(Bound::Included(vec![SESSION]), |client| {
        Bound::Excluded(session_key(client))
    });
    (start, Bound::Excluded(vec![SESSION + 1]))
}

/// The client whose session has that key.
pub(super) fn client_of(path: &Path, key: &[u8]) -> Result<ClientId, StoreError> {
    let client = key[1..]
        .try_into()
        .map_err(|_| files::damaged(path, 0, "the key of a session does not have its length"))?;
    Ok(ClientId(u64::from_be_bytes(client)))
}

/// Something that the state notes down; as at the beginning where it does not.
pub(super) fn noted<T: Default + DeserializeOwned>(
    path: &Path,
    found: Result<Option<fjall::Slice>, fjall::Error>,
) -> Result<T, StoreError> {
    match found.map_err(failed("read the state"))? {
        Some(encoded) => decode(path, &encoded),
        None => Ok(T::default()),
    }
}

pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("what the state holds has an encoding")
}

/// The same in the place of what `bytes` hold.
pub(super) fn encode_into<T: Serialize>(bytes: &mut Vec<u8>, value: &T) {
    bytes.clear();
    *bytes = postcard::to_extend(value, std::mem::take(bytes))
        .expect("what the state holds has an encoding, and a vector grows");
}

pub(super) fn decode<'a, T: Deserialize<'a>>(
    path: &Path,
    encoded: &'a [u8],
) -> Result<T, StoreError> {
    postcard::from_bytes(encoded)
        .map_err(|_| files::damaged(path, 0, "what the state holds cannot be decoded"))
}

/// Says what was tried. After a failed change fjall takes no further ones, and the process has to end.
pub(super) fn failed(action: &'static str) -> impl Fn(fjall::Error) -> StoreError {
    move |error| {
        let text = format!("cannot {action}: {error}");
        match is_broken_off(&error) {
            true => StoreError::BrokenOff(text),
            false => StoreError::Engine(text),
        }
    }
}

/// Did fjall find no room? It is poisoned where a thread of its own, which has nobody to tell, has failed.
fn is_broken_off(error: &fjall::Error) -> bool {
    let mut causes = iter::successors(error.source(), |cause| (*cause).source());
    matches!(error, fjall::Error::Poisoned)
        || causes.any(|cause| cause.downcast_ref().is_some_and(is_full))
}
