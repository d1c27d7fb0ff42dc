//! The durable log: segment files of checksummed batches, written ahead of everything else.
//!
//! - A segment is allocated before it is needed, so that an append is one write and a sync one fdatasync.
//! - Entries are written once and never changed. A log is shortened by beginning a new segment where it now ends:
//!   what an older segment holds beyond the first position of the next one is void. So no stale batch can come back.
//! - A segment that begins anew makes all segments before it void.
//! - Only the end of the last segment can be torn by a crash; see [`scan`].
//!
//! All segments are looked at when the log is opened; entries are not kept in memory but read again when asked for.

mod batch;
mod scan;
mod segment;
#[cfg(test)]
mod tests;
mod window;

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Incarnation, Position, Seq};
use crate::engine::durable::directory::DataDir;
use crate::engine::durable::draw;
use crate::engine::durable::files::{self, failed, mismatch};
use crate::engine::durable::options::StoreOptions;
use crate::engine::durable::record::RecordFile;
use crate::engine::{LogStore, StoreError, assert_follows};
use crate::epochs::EpochHistory;
use crate::operation::Entry;
use crate::storage::Meta;
use batch::Draft;
use segment::{Blank, HEADER_BYTES_MAX, Preface, Segment};

/// The smallest segment: a header and something to write.
const SEGMENT_BYTES_MIN: u64 = 2 * HEADER_BYTES_MAX;

/// The room on the disk is looked at whenever this much has been appended.
const ROOM_CHECK_BYTES: u64 = 4 << 20;

/// The buffer for a write is given back when it has grown beyond this.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// The log of a replica on its disk.
///
/// - There is always a segment, the last one is written to, and each but the last reaches the first position of the next.
/// - `history` and `end` are those of everything written, durable or not.
#[derive(Debug)]
pub struct DurableLog {
    directory: Arc<DataDir>,
    path: PathBuf,
    meta_file: RecordFile,
    meta: Meta,
    segment_bytes: u64,
    reserve_bytes: u64,
    segments: VecDeque<Segment>,
    /// The next segment's file, once the last segment is half full.
    spare: Option<Blank>,
    blanks_made: u64,
    end: Position,
    history: EpochHistory,
    committed: Position,
    committed_durable: Position,
    /// Appended since the room on the disk was looked at.
    unchecked_bytes: u64,
    buffer: Vec<u8>,
}

/// May the room kept in reserve be used?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reserve {
    Keep,
    Use,
}

/// How a segment relates to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    /// It continues them.
    Behind,
    /// It makes them void.
    Anew,
}

impl DurableLog {
    /// Opens the log in `directory`, or begins it if the node has never been started.
    pub(super) fn open(
        directory: Arc<DataDir>,
        meta_file: RecordFile,
        meta: Meta,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        let path = directory.path().join("log");
        files::create_directory(&path)?;
        let mut log = Self {
            directory,
            path,
            meta_file,
            meta,
            segment_bytes: options.segment_bytes.max(SEGMENT_BYTES_MIN),
            reserve_bytes: options.reserve_bytes,
            segments: VecDeque::new(),
            spare: None,
            blanks_made: 0,
            end: Position::ZERO,
            history: EpochHistory::new(),
            committed: Position::ZERO,
            committed_durable: Position::ZERO,
            unchecked_bytes: ROOM_CHECK_BYTES,
            buffer: Vec::new(),
        };
        let mut found = log.find_segments()?;
        let Some((last_preface, mut last)) = found.pop() else {
            log.begin_first()?;
            return Ok(log);
        };
        let mut until = last.first;
        for (preface, segment) in found.iter_mut().rev() {
            scan::closed(segment, preface, until)?;
            until = segment.first;
        }
        let scanned = scan::last(&mut last, &last_preface)?;
        files::sync_directory(&log.path)?;
        log.segments
            .extend(found.into_iter().map(|(_, segment)| segment));
        log.segments.push_back(last);
        log.end = scanned.end;
        log.history = scanned.history;
        log.committed = scanned.committed;
        log.committed_durable = scanned.committed;
        Ok(log)
    }

    /// The segments in force, ascending; what crashes have left over is removed.
    fn find_segments(&self) -> Result<Vec<(Preface, Segment)>, StoreError> {
        let mut found = Vec::new();
        for file in fs::read_dir(&self.path).map_err(failed("list", &self.path))? {
            let path = file.map_err(failed("list", &self.path))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            if name.and_then(segment::parse_name).is_some() {
                found.push(Segment::open(path)?);
            } else if path.extension().is_some_and(|extension| extension == "tmp") {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        found.sort_by_key(|(preface, _)| preface.first);
        let foreign = found
            .iter()
            .find(|(preface, _)| preface.node != self.meta.node);
        if let Some((preface, segment)) = foreign {
            return Err(mismatch(
                &segment.path,
                format!(
                    "belongs to node {}, the data directory to node {}: files were mixed up",
                    preface.node, self.meta.node
                ),
            ));
        }
        let anew = found
            .iter()
            .rposition(|(preface, _)| preface.begins_anew)
            .unwrap_or(0);
        for (_, void) in found.drain(..anew) {
            void.remove()?;
        }
        Ok(found)
    }

    fn begin_first(&mut self) -> Result<(), StoreError> {
        if self.meta.incarnation > Incarnation::ZERO {
            return Err(mismatch(
                self.directory.path(),
                "has no log, though the node has been started before: remove the data directory and let the node join anew",
            ));
        }
        let blank = self.blank(self.segment_bytes, Reserve::Use)?;
        self.roll(blank, Begins::Anew)
    }

    /// Changes how much room is left to others; see [`StoreOptions::reserve_bytes`].
    pub fn set_reserve_bytes(&mut self, bytes: u64) {
        self.reserve_bytes = bytes;
        self.unchecked_bytes = ROOM_CHECK_BYTES;
    }

    fn preface(&self, first: Position, begins_anew: bool) -> Preface {
        Preface {
            node: self.meta.node,
            first,
            salt: draw::number(),
            begins_anew,
            committed: self.committed,
            history: self.history.clone(),
        }
    }

    fn last(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("there is always a segment")
    }

    fn take_last_if(&mut self, condition: impl Fn(&Segment) -> bool) -> Option<Segment> {
        let is_wanted = self.segments.back().is_some_and(condition);
        is_wanted.then(|| self.segments.pop_back())?
    }

    /// A file for a segment of at least `bytes`.
    fn blank(&mut self, bytes: u64, reserve: Reserve) -> Result<Blank, StoreError> {
        if let Some(spare) = self.spare.take_if(|spare| spare.bytes() >= bytes) {
            return Ok(spare);
        }
        let bytes = bytes.max(self.segment_bytes);
        if reserve == Reserve::Keep
            && files::room(&self.path)? < self.reserve_bytes.saturating_add(bytes)
        {
            return Err(self.no_room());
        }
        self.blanks_made += 1;
        Blank::prepare(&self.path, self.blanks_made, bytes)
    }

    fn no_room(&self) -> StoreError {
        StoreError::NoRoom {
            path: self.directory.path().to_owned(),
        }
    }

    /// Looks from time to time, and always while there is none, whether the disk has room.
    fn check_room(&mut self) -> Result<(), StoreError> {
        if self.unchecked_bytes >= ROOM_CHECK_BYTES {
            if files::room(&self.path)? < self.reserve_bytes {
                return Err(self.no_room());
            }
            self.unchecked_bytes = 0;
        }
        Ok(())
    }

    /// Makes the next segment's file in time, so that an append need not. Without room the append is to say so.
    fn prepare_spare(&mut self) -> Result<(), StoreError> {
        if self.spare.is_some() || !self.last().is_half_full() {
            return Ok(());
        }
        match self.blank(self.segment_bytes, Reserve::Keep) {
            Ok(blank) => self.spare = Some(blank),
            Err(StoreError::NoRoom { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn write(&mut self, drafts: &[Draft], committed: Position) -> Result<(), StoreError> {
        let last = self.segments.back_mut().expect("there is always a segment");
        last.write(drafts, committed, &mut self.buffer)?;
        self.buffer.shrink_to(BUFFER_BYTES_MAX);
        for draft in drafts {
            self.unchecked_bytes += draft.total_bytes();
            self.history.append(draft.epoch(), Seq(draft.first().0));
            self.end = draft.end();
        }
        self.committed = self.committed.max(committed);
        Ok(())
    }

    /// Begins a segment where the log ends. The one before must have been synced.
    fn roll(&mut self, blank: Blank, begins: Begins) -> Result<(), StoreError> {
        // A segment that begins right here holds nothing: it is replaced, and what it stood for is passed on.
        let end = self.end;
        let replaced = self.take_last_if(|last| last.first == end);
        let begins_anew =
            begins == Begins::Anew || replaced.is_some_and(|replaced| replaced.begins_anew);
        let preface = self.preface(end, begins_anew);
        let segment = blank.begin(&self.path, &preface)?;
        self.segments.push_back(segment);
        self.committed_durable = self.committed;
        Ok(())
    }

    /// Removes the segments that begin behind `position`, the last one first: a crash leaves a shorter log, not a gap.
    fn remove_behind(&mut self, position: Position) -> Result<(), StoreError> {
        while let Some(segment) = self.take_last_if(|last| last.first > position) {
            segment.remove()?;
        }
        Ok(())
    }
}

impl LogStore for DurableLog {
    fn append(&mut self, entries: &[Arc<Entry>], committed: Position) -> Result<(), StoreError> {
        assert_follows(self.end, entries);
        if entries.is_empty() {
            return Ok(());
        }
        self.check_room()?;
        let runs = runs(
            batch::drafts(entries),
            self.last().room(),
            self.segment_bytes,
        );
        let mut blanks = Vec::new();
        for run in &runs[1..] {
            let bytes = run.iter().map(Draft::total_bytes).sum::<u64>();
            blanks.push(self.blank(HEADER_BYTES_MAX + bytes, Reserve::Keep)?);
        }
        if !runs[0].is_empty() {
            self.write(&runs[0], committed)?;
        }
        for (run, blank) in runs[1..].iter().zip(blanks) {
            self.last().finish()?;
            self.roll(blank, Begins::Behind)?;
            self.write(run, committed).map_err(uncertain)?;
        }
        Ok(())
    }

    fn truncate(&mut self, end: Position) -> Result<(), StoreError> {
        assert!(
            self.start() <= end,
            "a log is not truncated before its beginning"
        );
        if end >= self.end {
            return Ok(());
        }
        let blank = self.blank(self.segment_bytes, Reserve::Use)?;
        self.last().sync()?;
        self.remove_behind(end)?;
        self.end = end;
        self.history.truncate(end);
        self.roll(blank, Begins::Behind)
    }

    fn reset(&mut self, start: Position, history: &EpochHistory) -> Result<(), StoreError> {
        let blank = self.blank(self.segment_bytes, Reserve::Use)?;
        self.remove_behind(start)?;
        self.end = start;
        self.history = history.clone();
        self.committed = start;
        self.roll(blank, Begins::Anew)?;
        let anew = self.segments.split_off(self.segments.len() - 1);
        let void = std::mem::replace(&mut self.segments, anew);
        void.iter().try_for_each(Segment::remove)
    }

    fn trim(&mut self, before: Position, bytes_max: u64) -> Result<Position, StoreError> {
        let mut bytes: u64 = self.segments.iter().map(Segment::written).sum();
        while let [first, next, ..] = self.segments.make_contiguous()
            && next.first <= before
            && bytes > bytes_max
        {
            bytes -= first.written();
            first.remove()?;
            self.segments.pop_front();
        }
        Ok(self.start())
    }

    fn save_meta(&mut self, meta: &Meta) -> Result<(), StoreError> {
        self.meta_file.save(meta)?;
        self.meta = meta.clone();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.last().sync()?;
        self.committed_durable = self.committed;
        self.prepare_spare()
    }

    fn read(&mut self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Entry>>, StoreError> {
        let mut entries = Vec::new();
        if from < self.start() || from >= self.end {
            return Ok(entries);
        }
        let mut bytes_left = bytes_max;
        let mut position = from;
        let before = self
            .segments
            .partition_point(|segment| segment.first <= from);
        for index in before - 1..self.segments.len() {
            let until = self
                .segments
                .get(index + 1)
                .map_or(self.end, |next| next.first);
            self.segments[index].read(position, until, &mut bytes_left, &mut entries)?;
            if bytes_left == 0 {
                break;
            }
            position = until;
        }
        Ok(entries)
    }

    fn start(&self) -> Position {
        self.segments
            .front()
            .expect("there is always a segment")
            .first
    }

    fn end(&self) -> Position {
        self.end
    }

    fn history(&self) -> &EpochHistory {
        &self.history
    }

    fn committed_hint(&self) -> Position {
        self.committed_durable
    }

    fn meta(&self) -> &Meta {
        &self.meta
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Distributes batches over the last segment, which has `room`, and as many new ones of `segment_bytes` as it takes.
/// The first run, which may be empty, is for the last segment.
fn runs(drafts: Vec<Draft>, mut room: u64, segment_bytes: u64) -> Vec<Vec<Draft>> {
    let mut runs = vec![Vec::new()];
    for draft in drafts {
        let bytes = draft.total_bytes();
        if bytes > room {
            runs.push(Vec::new());
            // A batch larger than a segment gets a segment of its own size.
            room = bytes.max(segment_bytes - HEADER_BYTES_MAX);
        }
        room -= bytes;
        runs.last_mut()
            .expect("there is at least the first")
            .push(draft);
    }
    runs
}

/// Lack of room in the middle of an append cannot be taken back.
fn uncertain(error: StoreError) -> StoreError {
    match error {
        StoreError::NoRoom { path } => {
            failed("write", &path)(std::io::ErrorKind::StorageFull.into())
        }
        other => other,
    }
}
