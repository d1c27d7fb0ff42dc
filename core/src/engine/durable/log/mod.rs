//! The durable log: segment files of checksummed batches, written ahead of everything else.
//!
//! - The log allocates a segment before it needs it, so that an append is one write and a sync one fdatasync.
//! - It writes entries once and never changes them. To become shorter it begins a new segment where it is to end: what an
//!   older segment holds beyond the first position of the next one is void. So no stale batch can come back.
//! - A segment makes void what was begun before it and does not begin before it: a truncation is done when its segment has
//!   its name, and what it leaves over is removed later. A segment that begins anew makes everything void that was there.
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
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Incarnation, Position, Seq};
use crate::engine::durable::directory::DataDir;
use crate::engine::durable::draw::Draw;
use crate::engine::durable::files::{self, failed, mismatch};
use crate::engine::durable::options::StoreOptions;
use crate::engine::durable::record::RecordFile;
use crate::engine::files::Files;
use crate::engine::{LogStore, StoreError, assert_follows};
use crate::epochs::EpochHistory;
use crate::operation::Entry;
use crate::storage::Meta;
use batch::Draft;
use segment::{Blank, HEADER_BYTES_MAX, Preface, Segment};

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
    /// Segments that were ever begun.
    segments_begun: u64,
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
    draw: Draw,
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
        draw: Draw,
    ) -> Result<Self, StoreError> {
        let path = directory.path().join("log");
        files::create_directory(directory.files(), &path)?;
        let mut log = Self {
            directory,
            path,
            meta_file,
            meta,
            segment_bytes: options.segment_bytes,
            reserve_bytes: options.reserve_bytes,
            segments: VecDeque::new(),
            segments_begun: 0,
            spare: None,
            blanks_made: 0,
            end: Position::ZERO,
            history: EpochHistory::new(),
            committed: Position::ZERO,
            committed_durable: Position::ZERO,
            unchecked_bytes: ROOM_CHECK_BYTES,
            buffer: Vec::new(),
            draw,
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
    fn find_segments(&mut self) -> Result<Vec<(Preface, Segment)>, StoreError> {
        let files = self.directory.files();
        // What makes others void must be there for certain before these are removed.
        files::sync_directory(files, &self.path)?;
        let mut found = Vec::new();
        for name in files.list(&self.path).map_err(failed("list", &self.path))? {
            let path = self.path.join(&name);
            if name.to_str().and_then(segment::parse_name).is_some() {
                found.push(Segment::open(files, path)?);
            } else if path.extension().is_some_and(|extension| extension == "tmp") {
                files.remove(&path).map_err(failed("remove", &path))?;
            }
        }
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
        found.sort_by_key(|(preface, _)| preface.ordinal);
        let mut in_force: Vec<(Preface, Segment)> = Vec::new();
        let mut void = Vec::new();
        for (preface, segment) in found {
            self.segments_begun = preface.ordinal + 1;
            let kept = if preface.begins_anew {
                0
            } else {
                in_force.partition_point(|(_, before)| before.first < preface.first)
            };
            void.extend(in_force.drain(kept..).map(|(_, segment)| segment));
            in_force.push((preface, segment));
        }
        self.remove_void(&void)?;
        Ok(in_force)
    }

    fn begin_first(&mut self) -> Result<(), StoreError> {
        if self.meta.incarnation > Incarnation::ZERO {
            return Err(mismatch(
                self.directory.path(),
                "has no log, though the node has been started before: remove the data directory and let the node join anew",
            ));
        }
        let blank = self.blank(self.segment_bytes, Reserve::Use)?;
        self.begin(blank, Position::ZERO, EpochHistory::new(), Begins::Anew)
    }

    fn files(&self) -> &dyn Files {
        self.directory.files()
    }

    /// Changes how much room is left to others; see [`StoreOptions::reserve_bytes`].
    pub fn set_reserve_bytes(&mut self, bytes: u64) {
        self.reserve_bytes = bytes;
        self.unchecked_bytes = ROOM_CHECK_BYTES;
    }

    fn last(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("there is always a segment")
    }

    /// How much more goes to the last segment, in bytes of batches.
    fn room(&self) -> u64 {
        let last = self.segments.back().expect("there is always a segment");
        let left = self.segment_bytes.saturating_sub(last.batch_bytes());
        left.min(last.room())
    }

    /// A file for a segment with at least so many bytes of batches.
    fn blank(&mut self, batch_bytes: u64, reserve: Reserve) -> Result<Blank, StoreError> {
        let bytes = HEADER_BYTES_MAX + batch_bytes.max(self.segment_bytes);
        if let Some(spare) = self.spare.take_if(|spare| spare.bytes() >= bytes) {
            return Ok(spare);
        }
        if reserve == Reserve::Keep {
            let needed = self.reserve_bytes.saturating_add(bytes);
            self.directory.check_room(needed)?;
        }
        self.blanks_made += 1;
        Blank::prepare(
            self.directory.shared_files(),
            &self.path,
            self.blanks_made,
            bytes,
        )
    }

    /// Looks from time to time, and always while there is none, whether the disk has room.
    fn check_room(&mut self) -> Result<(), StoreError> {
        if self.unchecked_bytes >= ROOM_CHECK_BYTES {
            self.directory.check_room(self.reserve_bytes)?;
            self.unchecked_bytes = 0;
        }
        Ok(())
    }

    /// Makes the next segment's file in time, so that an append need not. Without room the append is to say so.
    fn prepare_spare(&mut self) -> Result<(), StoreError> {
        if self.spare.is_some() || self.room() > self.segment_bytes / 2 {
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
        let bound = planted!(HintBeyondLog => committed, committed.min(self.end));
        self.committed = self.committed.max(bound);
        Ok(())
    }

    /// Begins the next segment where the log ends.
    fn go_on(&mut self, blank: Blank) -> Result<(), StoreError> {
        self.last().finish()?;
        self.begin(blank, self.end, self.history.clone(), Begins::Behind)
    }

    /// Ends the log at `first`, where another segment begins; `history` is of the entries before. Segments that stay must have
    /// been synced. Without room nothing is changed.
    fn begin(
        &mut self,
        blank: Blank,
        first: Position,
        history: EpochHistory,
        begins: Begins,
    ) -> Result<(), StoreError> {
        let kept = match begins {
            Begins::Behind => self
                .segments
                .partition_point(|segment| segment.first < first),
            Begins::Anew => 0,
        };
        // A segment that begins right here is replaced, and what it stood for is passed on.
        let replaced = self
            .segments
            .get(kept)
            .filter(|segment| segment.first == first);
        let committed = match begins {
            Begins::Behind => self.committed.min(first),
            Begins::Anew => first,
        };
        let preface = Preface {
            node: self.meta.node,
            first,
            salt: planted!(SaltRepeated => 7, self.draw.number()),
            ordinal: self.segments_begun,
            begins_anew: begins == Begins::Anew
                || replaced.is_some_and(|replaced| replaced.begins_anew),
            committed,
            history,
        };
        let segment = blank.begin(&self.path, &preface)?;
        self.segments_begun += 1;
        self.end = first;
        self.history = preface.history;
        self.committed = committed;
        self.committed_durable = committed;
        let mut void = self.segments.split_off(kept);
        self.segments.push_back(segment);
        // The file of this name is the segment that has just begun.
        void.retain(|void| void.first != first);
        self.remove_void(void.make_contiguous())
    }

    /// Removes void segments, durably: what makes them void may be removed before the next sync of the directory.
    fn remove_void(&self, void: &[Segment]) -> Result<(), StoreError> {
        if void.is_empty() {
            return Ok(());
        }
        void.iter()
            .try_for_each(|segment| segment.remove(self.files()))?;
        files::sync_directory(self.files(), &self.path)
    }
}

impl LogStore for DurableLog {
    fn append(&mut self, entries: &[Arc<Entry>], committed: Position) -> Result<(), StoreError> {
        assert_follows(self.end, entries);
        if entries.is_empty() {
            return Ok(());
        }
        self.check_room()?;
        let runs = runs(batch::drafts(entries), self.room(), self.segment_bytes);
        let mut blanks = Vec::new();
        for run in &runs[1..] {
            let bytes = run.iter().map(Draft::total_bytes).sum::<u64>();
            blanks.push(self.blank(bytes, Reserve::Keep)?);
        }
        let end = self.end;
        if !runs[0].is_empty() {
            self.write(&runs[0], committed)?;
        }
        for (run, blank) in runs[1..].iter().zip(blanks) {
            self.go_on(blank)
                .and_then(|()| self.write(run, committed))
                .map_err(|error| {
                    if self.end == end {
                        error
                    } else {
                        uncertain(error)
                    }
                })?;
        }
        Ok(())
    }

    fn truncate(&mut self, end: Position) -> Result<(), StoreError> {
        assert!(
            self.start() <= end,
            "a log is not truncated before its beginning"
        );
        if end >= self.end && !self.last().is_spoiled() {
            return Ok(());
        }
        let end = end.min(self.end);
        let blank = self.blank(self.segment_bytes, Reserve::Use)?;
        if !planted!(TruncatesUnsynced) {
            self.last().sync()?;
        }
        let mut history = self.history.clone();
        history.truncate(end);
        self.begin(blank, end, history, Begins::Behind)
    }

    fn reset(&mut self, start: Position, history: &EpochHistory) -> Result<(), StoreError> {
        let blank = self.blank(self.segment_bytes, Reserve::Use)?;
        self.begin(blank, start, history.clone(), Begins::Anew)
    }

    fn trim(&mut self, before: Position, bytes_max: u64) -> Result<Position, StoreError> {
        let mut bytes: u64 = self.segments.iter().map(Segment::written).sum();
        let files = self.directory.files();
        while let [first, next, ..] = self.segments.make_contiguous()
            && next.first <= before
            && bytes > bytes_max
        {
            bytes -= first.written();
            first.remove(files)?;
            // One after the other: a crash leaves a log without a gap.
            if !planted!(TrimUnsynced) {
                files::sync_directory(files, &self.path)?;
            }
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
            room = bytes.max(segment_bytes);
        }
        room -= bytes;
        runs.last_mut()
            .expect("there is at least the first")
            .push(draft);
    }
    runs
}

/// Lack of room where something has been changed already is like any other failure.
fn uncertain(error: StoreError) -> StoreError {
    match error {
        StoreError::NoRoom { path } if !planted!(HalfDoneIsRefused) => {
            failed("write", &path)(std::io::ErrorKind::StorageFull.into())
        }
        other => other,
    }
}
