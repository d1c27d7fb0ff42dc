//! The bytes of a batch: consecutive entries of one epoch that are written, and checked, together.
//!
//! | offset | bytes | |
//! | --- | --- | --- |
//! | 0 | 8 | the salt of the segment: bytes that a value happens to contain are never taken for a batch |
//! | 8 | 4 | CRC-32 of everything behind it |
//! | 12 | 4 | length of the body |
//! | 16 | 8 | position of the first entry |
//! | 24 | 8 | epoch of all entries |
//! | 32 | 8 | position known to be committed |
//! | 40 | 8 | the segment was durable up to this offset when the batch was written |
//! | 48 | 4 | number of entries |
//! | 52 | 4 | CRC-32 of the batch before; of the segment's header in the first one |
//! | 56 | | the entries in postcard |
//!
//! All numbers are little-endian. A batch begins at a multiple of 8; zeros fill the gap.

use std::sync::Arc;

use crate::config::{Epoch, Position, Seq};
use crate::operation::Entry;

pub(super) const HEADER_BYTES: usize = 56;

/// Batches begin at multiples of this.
pub(super) const ALIGNMENT: u64 = 8;

/// The entries of one `append` are cut into batches of about this size, so that a reader need not take in more at once.
const BODY_BYTES: usize = 256 << 10;

/// What stands before the entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) salt: u64,
    pub(super) crc: u32,
    pub(super) body_bytes: u32,
    pub(super) first: Position,
    pub(super) epoch: Epoch,
    pub(super) committed: Position,
    pub(super) durable: u64,
    pub(super) count: u32,
    pub(super) previous: u32,
}

impl Header {
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Self {
        Self {
            salt: long(bytes, 0),
            crc: word(bytes, 8),
            body_bytes: word(bytes, 12),
            first: Position(long(bytes, 16)),
            epoch: Epoch(long(bytes, 24)),
            committed: Position(long(bytes, 32)),
            durable: long(bytes, 40),
            count: word(bytes, 48),
            previous: word(bytes, 52),
        }
    }

    /// Behind the last entry.
    pub(super) fn end(&self) -> Position {
        Position(self.first.0.saturating_add(u64::from(self.count)))
    }

    /// Header, body and the gap behind it.
    pub(super) fn total_bytes(&self) -> u64 {
        (HEADER_BYTES as u64 + u64::from(self.body_bytes)).next_multiple_of(ALIGNMENT)
    }
}

fn word(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[at + byte]))
}

fn long(bytes: &[u8; HEADER_BYTES], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

/// Is the CRC in the header of these bytes, header and body, the right one?
pub(super) fn is_intact(header: &Header, bytes: &[u8]) -> bool {
    let end = HEADER_BYTES + header.body_bytes as usize;
    bytes.len() >= end && crc32fast::hash(&bytes[12..end]) == header.crc
}

/// Entries made into bytes, except for what depends on the place they are written to.
#[derive(Debug)]
pub(super) struct Draft {
    body: Vec<u8>,
    first: Position,
    epoch: Epoch,
    count: u32,
}

impl Draft {
    pub(super) fn first(&self) -> Position {
        self.first
    }

    pub(super) fn end(&self) -> Position {
        Position(self.first.0 + u64::from(self.count))
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub(super) fn total_bytes(&self) -> u64 {
        ((HEADER_BYTES + self.body.len()) as u64).next_multiple_of(ALIGNMENT)
    }

    /// Appends the finished batch to `buffer`. Returns its CRC, which the next batch takes for `previous`.
    ///
    /// Nothing behind the batch is called committed in it: whatever comes there later may be something else.
    pub(super) fn finish(
        &self,
        buffer: &mut Vec<u8>,
        salt: u64,
        committed: Position,
        durable: u64,
        previous: u32,
    ) -> u32 {
        let start = buffer.len();
        let body_bytes = u32::try_from(self.body.len()).expect("values are at most 16 MiB");
        buffer.extend(salt.to_le_bytes());
        buffer.extend([0; 4]);
        buffer.extend(body_bytes.to_le_bytes());
        buffer.extend(self.first.0.to_le_bytes());
        buffer.extend(self.epoch.0.to_le_bytes());
        let committed = planted!(HintBeyondLog => committed, committed.min(self.end()));
        buffer.extend(committed.0.to_le_bytes());
        buffer.extend(durable.to_le_bytes());
        buffer.extend(self.count.to_le_bytes());
        buffer.extend(previous.to_le_bytes());
        buffer.extend(&self.body);
        let crc = crc32fast::hash(&buffer[start + 12..]);
        buffer[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
        buffer.resize(start + self.total_bytes() as usize, 0);
        crc
    }
}

/// Cuts consecutive entries into batches.
pub(super) fn drafts(entries: &[Arc<Entry>]) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for entry in entries {
        let continues = drafts
            .last()
            .is_some_and(|draft| draft.epoch == entry.epoch && draft.body.len() < BODY_BYTES);
        if !continues {
            drafts.push(Draft {
                body: Vec::new(),
                first: Position::before(entry.seq),
                epoch: entry.epoch,
                count: 0,
            });
        }
        let draft = drafts.last_mut().expect("there is one by now");
        draft.body = postcard::to_extend(&**entry, std::mem::take(&mut draft.body))
            .expect("entries have an encoding, and a vector grows");
        draft.count += 1;
    }
    drafts
}

/// The entries of a batch; `None` if the bytes, although intact, are not what the header announces.
pub(super) fn entries(header: &Header, bytes: &[u8]) -> Option<Vec<Arc<Entry>>> {
    let mut rest = bytes.get(HEADER_BYTES..HEADER_BYTES + header.body_bytes as usize)?;
    let mut entries = Vec::new();
    for seq in header.first.0..header.end().0 {
        let (entry, behind): (Entry, _) = postcard::take_from_bytes(rest).ok()?;
        if entry.seq != Seq(seq) || entry.epoch != header.epoch {
            return None;
        }
        entries.push(Arc::new(entry));
        rest = behind;
    }
    rest.is_empty().then_some(entries)
}
