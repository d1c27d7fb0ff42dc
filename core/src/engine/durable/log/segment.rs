//! One file of the log: a header, then batches up to where it is written.
//!
//! A segment is allocated in full before it is used, so that writing to it changes no metadata of the file system and, on
//! most, cannot run out of room. It holds the log's entries from its first position up to the next segment's: what it may
//! hold beyond (after a truncation) is void.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::config::{NodeId, Position};
use crate::engine::StoreError;
use crate::engine::durable::files::{self, damaged, failed, refused};
use crate::engine::durable::log::batch::{self, Draft, Header};
use crate::engine::durable::log::window::Window;
use crate::engine::files::{File, Files};
use crate::epochs::EpochHistory;
use crate::operation::Entry;

const MAGIC: [u8; 8] = *b"LKSTPLOG";
const VERSION: u32 = 2;

/// Magic, version, CRC-32 of the preface, length of the preface.
const FIXED_BYTES: usize = 20;

/// The header of a segment never takes more: the longest epoch history and some room.
pub(super) const HEADER_BYTES_MAX: u64 = 32 << 10;

/// The first batch begins at a multiple of this.
const HEADER_ALIGNMENT: u64 = 512;

/// A reader looks at no more than this before it comes to the batch it wants.
const INDEX_BYTES: u64 = 32 << 10;

/// Zeros are written this far ahead of the batches, every time they are caught up with. The first write to an allocated
/// block changes metadata of the file system, which a sync then waits for; this makes it one such sync in many.
const AHEAD_BYTES: usize = 256 << 10;

/// The most that a reader takes from the disk at once, unless a batch is larger.
const PIECE_BYTES: usize = 128 << 10;

/// What the header of a segment says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Preface {
    /// Whose log this is.
    pub(super) node: NodeId,
    /// The position of the first entry.
    pub(super) first: Position,
    /// Drawn at random for this segment; see [`batch`].
    pub(super) salt: u64,
    /// Segments of this log that were begun before. Those of them that begin here or behind are void.
    pub(super) ordinal: u64,
    /// All segments that were begun before are void: the log began anew here.
    pub(super) begins_anew: bool,
    /// Known to be committed when the segment was begun.
    pub(super) committed: Position,
    /// The epochs of the entries before `first`.
    pub(super) history: EpochHistory,
}

/// An allocated file that is not a segment yet; it is removed when it does not become one.
#[derive(Debug)]
pub(super) struct Blank {
    files: Arc<dyn Files>,
    path: PathBuf,
    file: Arc<dyn File>,
    bytes: u64,
    is_segment: bool,
}

impl Blank {
    /// Allocates `bytes` in `directory`; `number` tells several blanks apart.
    pub(super) fn prepare(
        files: Arc<dyn Files>,
        directory: &Path,
        number: u64,
        bytes: u64,
    ) -> Result<Self, StoreError> {
        let path = directory.join(format!("spare-{number}.tmp"));
        let file = files.create(&path).map_err(refused("create", &path))?;
        let blank = Self {
            files,
            path,
            file,
            bytes,
            is_segment: false,
        };
        files::allocate(&*blank.file, bytes)
            .and_then(|()| blank.file.sync_all())
            .map_err(refused("allocate", &blank.path))?;
        Ok(blank)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes this the segment that `preface` describes, durably, in the place of any of the same first position.
    ///
    /// Without room nothing is changed.
    pub(super) fn begin(
        mut self,
        directory: &Path,
        preface: &Preface,
    ) -> Result<Segment, StoreError> {
        let encoded = postcard::to_stdvec(preface).expect("prefaces have an encoding");
        let crc = crc32fast::hash(&encoded);
        let length = u32::try_from(encoded.len()).expect("epoch histories are bounded");
        let mut bytes = Vec::with_capacity(FIXED_BYTES + encoded.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(crc.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(encoded);
        assert!(
            bytes.len() as u64 <= HEADER_BYTES_MAX,
            "an epoch history that does not fit a segment's header"
        );
        let path = directory.join(name(preface.first));
        self.file
            .write_all_at(&bytes, 0)
            .and_then(|()| match planted!(PrefaceUnsynced) {
                true => Ok(()),
                false => self.file.sync_data(),
            })
            .and_then(|()| self.files.rename(&self.path, &path))
            .map_err(refused("begin", &path))?;
        self.is_segment = true;
        if !planted!(SegmentNameUnsynced) {
            files::sync_directory(&*self.files, directory)?;
        }
        let data = (bytes.len() as u64).next_multiple_of(HEADER_ALIGNMENT);
        let file = self.file.clone();
        Ok(Segment::new(path, file, preface, data, crc, self.bytes))
    }
}

impl Drop for Blank {
    fn drop(&mut self) {
        if !self.is_segment {
            // If this fails, the next start removes it.
            let _ = self.files.remove(&self.path);
        }
    }
}

/// The name of the segment that begins at `first`.
fn name(first: Position) -> String {
    format!("{:020}.log", first.0)
}

/// The first position of the segment of this name; `None` if it is no segment's.
pub(super) fn parse_name(name: &str) -> Option<Position> {
    let digits = name.strip_suffix(".log").filter(|text| text.len() == 20)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok().map(Position))?
}

/// A file of the log.
///
/// - `index` has the place of the first batch, and of at least one in every `INDEX_BYTES`.
/// - `durable <= written <= bytes`, and `touched <= bytes`; what is behind `written` is zero or void, unless `is_spoiled`.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    pub(super) first: Position,
    pub(super) begins_anew: bool,
    /// Where the first batch is.
    pub(super) data: u64,
    bytes: u64,
    salt: u64,
    index: Vec<(Position, u64)>,
    written: u64,
    durable: u64,
    /// Blocks before this have been written to since the file was opened.
    touched: u64,
    /// A write has failed, so that there may be something behind `written`, which must not be taken for what is written next.
    is_spoiled: bool,
    /// The CRC of the last batch, or of the header.
    previous: u32,
}

impl Segment {
    fn new(
        path: PathBuf,
        file: Arc<dyn File>,
        preface: &Preface,
        data: u64,
        previous: u32,
        bytes: u64,
    ) -> Self {
        Self {
            path,
            file,
            first: preface.first,
            begins_anew: preface.begins_anew,
            data,
            bytes,
            salt: preface.salt,
            index: Vec::new(),
            written: data,
            durable: data,
            touched: data,
            is_spoiled: false,
            previous,
        }
    }

    /// Reads the header of a file; its batches are still to be taken up.
    pub(super) fn open(files: &dyn Files, path: PathBuf) -> Result<(Preface, Self), StoreError> {
        let file = files.open(&path).map_err(failed("open", &path))?;
        let bytes = file.length().map_err(failed("find the size of", &path))?;
        let mut start = Window::new(&*file, HEADER_BYTES_MAX as usize);
        let start = start
            .at(0, HEADER_BYTES_MAX as usize)
            .map_err(failed("read", &path))?;
        let Some((fixed, rest)) = start.split_first_chunk::<FIXED_BYTES>() else {
            return Err(damaged(path, bytes, "the file ends in its header"));
        };
        if fixed[..8] != MAGIC {
            return Err(damaged(path, 0, "the file does not begin as a log does"));
        }
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| fixed[at + byte]));
        if word(8) != VERSION {
            return Err(StoreError::Format {
                path,
                found: word(8),
                expected: VERSION,
            });
        }
        let (crc, length) = (word(12), word(16) as usize);
        let encoded = rest.get(..length).unwrap_or_default();
        let preface = postcard::take_from_bytes::<Preface>(encoded)
            .ok()
            .filter(|(preface, rest)| rest.is_empty() && preface.history.is_valid())
            .map(|(preface, _)| preface);
        let Some(preface) = preface.filter(|_| crc32fast::hash(encoded) == crc) else {
            return Err(damaged(
                path,
                FIXED_BYTES as u64,
                "the checksum of the file's header does not match",
            ));
        };
        if path.file_name() != Some(name(preface.first).as_ref()) {
            return Err(damaged(
                path,
                FIXED_BYTES as u64,
                format!("the file holds entries from {} on", preface.first),
            ));
        }
        let data = ((FIXED_BYTES + length) as u64).next_multiple_of(HEADER_ALIGNMENT);
        let segment = Self::new(path, file, &preface, data, crc, bytes);
        Ok((preface, segment))
    }

    /// Where the next batch goes.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn salt(&self) -> u64 {
        self.salt
    }

    /// So many bytes, or all of them.
    pub(super) fn piece(&self, bytes: usize) -> usize {
        usize::try_from(self.bytes).map_or(bytes, |all| all.min(bytes))
    }

    /// Room for batches, in bytes.
    pub(super) fn room(&self) -> u64 {
        if self.is_spoiled {
            return 0;
        }
        self.bytes.saturating_sub(self.written)
    }

    /// May there be something behind the last batch that is not void?
    pub(super) fn is_spoiled(&self) -> bool {
        self.is_spoiled
    }

    /// Bytes of its batches.
    pub(super) fn batch_bytes(&self) -> u64 {
        self.written - self.data
    }

    /// Was this batch, found intact at `written`, written behind the one that is there? What a failed write has left may
    /// come to stand behind another batch.
    pub(super) fn is_next(&self, header: &Header) -> bool {
        header.previous == self.previous && header.count > 0
    }

    /// Takes up a batch found at `written`.
    pub(super) fn take_up(&mut self, header: &Header) {
        self.add(header.first, header.crc, header.total_bytes());
    }

    fn add(&mut self, first: Position, crc: u32, bytes: u64) {
        let is_far = self
            .index
            .last()
            .is_none_or(|(_, offset)| self.written + bytes - offset > INDEX_BYTES);
        if is_far {
            self.index.push((first, self.written));
        }
        self.written += bytes;
        self.previous = crc;
    }

    /// Writes batches behind the last one, all at once. If that fails, the segment holds what it held, and has no more room: the
    /// next start may find a beginning of them, unless another segment begins where they would.
    pub(super) fn write(
        &mut self,
        drafts: &[Draft],
        committed: Position,
        buffer: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        buffer.clear();
        let mut crcs = Vec::with_capacity(drafts.len());
        let mut previous = self.previous;
        for draft in drafts {
            previous = draft.finish(buffer, self.salt, committed, self.durable, previous);
            crcs.push(previous);
        }
        assert!(
            buffer.len() as u64 <= self.room(),
            "batches are written to a segment that has room for them"
        );
        if self.written + buffer.len() as u64 > self.touched {
            let ahead = self.room().min((buffer.len() + AHEAD_BYTES) as u64);
            buffer.resize(ahead as usize, 0);
        }
        if let Err(error) = self.file.write_all_at(buffer, self.written) {
            self.is_spoiled = !planted!(SpoiledGoesOn);
            return Err(refused("write", &self.path)(error));
        }
        self.touched = self.touched.max(self.written + buffer.len() as u64);
        for (draft, crc) in drafts.iter().zip(crcs) {
            self.add(draft.first(), crc, draft.total_bytes());
        }
        Ok(())
    }

    /// Makes everything written durable.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        if self.durable < self.written {
            self.sync_always()?;
        }
        Ok(())
    }

    /// Makes everything written durable, whoever wrote it.
    pub(super) fn sync_always(&mut self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(failed("sync", &self.path))?;
        self.durable = self.written;
        Ok(())
    }

    /// Gives back what was allocated and not used, and makes the segment durable: no batch follows.
    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        self.file
            .set_len(self.written)
            .map_err(refused("shorten", &self.path))?;
        if !planted!(FinishedUnsynced) {
            self.file.sync_all().map_err(failed("sync", &self.path))?;
        }
        self.durable = self.written;
        self.bytes = self.written;
        Ok(())
    }

    /// Removes the file; not yet durable.
    pub(super) fn remove(&self, files: &dyn Files) -> Result<(), StoreError> {
        files
            .remove(&self.path)
            .map_err(failed("remove", &self.path))
    }

    /// Adds the entries from `from` up to `until` to `entries`, as long as `bytes_left`, which counts down, allows.
    pub(super) fn read(
        &self,
        from: Position,
        until: Position,
        bytes_left: &mut usize,
        entries: &mut Vec<Arc<Entry>>,
    ) -> Result<(), StoreError> {
        let before = self.index.partition_point(|(first, _)| *first <= from);
        let Some((mut position, mut offset)) = before.checked_sub(1).map(|at| self.index[at])
        else {
            return Ok(());
        };
        let mut window = Window::new(
            &*self.file,
            PIECE_BYTES.min(*bytes_left + INDEX_BYTES as usize),
        );
        while position < until {
            let (header, bytes) = self.batch_at(&mut window, offset)?;
            position = header.end();
            if from < position {
                if !batch::is_intact(&header, bytes) {
                    return Err(self.damaged(offset, "the checksum of a batch does not match"));
                }
                let decoded = batch::entries(&header, bytes)
                    .ok_or_else(|| self.damaged(offset, "a batch cannot be decoded"))?;
                let wanted = decoded
                    .into_iter()
                    .filter(|entry| !from.covers(entry.seq) && until.covers(entry.seq));
                for entry in wanted {
                    if entry.size() > *bytes_left && !entries.is_empty() {
                        *bytes_left = 0;
                        return Ok(());
                    }
                    *bytes_left = bytes_left.saturating_sub(entry.size());
                    entries.push(entry);
                }
            }
            offset += header.total_bytes();
        }
        Ok(())
    }

    /// Header and bytes of the batch at `offset`, which is there.
    fn batch_at<'a>(
        &self,
        window: &'a mut Window<'_>,
        offset: u64,
    ) -> Result<(Header, &'a [u8]), StoreError> {
        let read = failed("read", &self.path);
        let header = match window.at(offset, batch::HEADER_BYTES) {
            Ok(bytes) => bytes.first_chunk().map(Header::decode),
            Err(error) => return Err(read(error)),
        };
        let header = header.filter(|header| {
            header.salt == self.salt && header.total_bytes() <= self.written.saturating_sub(offset)
        });
        let Some(header) = header else {
            return Err(self.damaged(offset, "the header of a batch is not what was written"));
        };
        let length = batch::HEADER_BYTES + header.body_bytes as usize;
        let bytes = window.at(offset, length).map_err(read)?;
        Ok((header, bytes))
    }

    pub(super) fn damaged(&self, offset: u64, what: impl Into<String>) -> StoreError {
        damaged(&self.path, offset, what)
    }
}
