//! What keeps bytes: the log, the state that committed entries make up, and the arbiter's record. Three small traits,
//! implemented in memory and durably; [`storage`](crate::storage) turns what a process asks for into calls to them, and the
//! [driver](crate::driver::disk) makes those in threads of its own.
//!
//! An implementation is synchronous and says nothing about threads. Its conformance suite is in `lockstep-tests`.

#[cfg(feature = "durable")]
pub mod durable;
pub mod files;
pub mod memory;
pub mod recovery;

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Position;
use crate::epochs::EpochHistory;
use crate::limits;
use crate::operation::{ClientId, Entry, Key, Keyed, Moment, Record, Revision};
use crate::range::KeyRange;
use crate::sessions::{SessionChanges, SessionRow, SessionRows};
use crate::storage::{ArbiterKeeper, Meta};

/// The durable log of one replica, and what the node knows about itself.
///
/// Nothing is durable before `sync` has returned; then everything asked for before is.
pub trait LogStore: Send {
    /// Appends consecutive entries, the first right behind `end()`. `committed` is a hint kept with them, as far as the log
    /// reaches.
    ///
    /// # Errors
    /// `NoRoom` leaves the log as it was; what a crash leaves may go on with a beginning of these entries, until others are
    /// appended or the log is truncated or reset. Any other error: the process must end.
    fn append(&mut self, entries: &[Arc<Entry>], committed: Position) -> Result<(), StoreError>;

    /// Cuts the log off at `end`, which is not before `start()`. A crash leaves the log as it was or as it is to be.
    ///
    /// # Errors
    /// As with `append`, and a crash does not leave anything of it.
    fn truncate(&mut self, end: Position) -> Result<(), StoreError>;

    /// Empties the log so that it begins at `start`, with the epochs of what came before. A crash leaves the log as it was or as
    /// it is to be.
    ///
    /// # Errors
    /// As with `truncate`.
    fn reset(&mut self, start: Position, history: &EpochHistory) -> Result<(), StoreError>;

    /// Drops old entries where the log is longer than `bytes_max`, but none at or behind `before`.
    /// Returns where the log begins afterwards.
    fn trim(&mut self, before: Position, bytes_max: u64) -> Result<Position, StoreError>;

    /// Replaces the meta data; durable on return.
    ///
    /// # Errors
    /// As with `truncate`.
    fn save_meta(&mut self, meta: &Meta) -> Result<(), StoreError>;

    /// Makes everything durable (fdatasync).
    ///
    /// # Errors
    /// None of them is `NoRoom`: what is durable is unknown, and the process must end.
    fn sync(&mut self) -> Result<(), StoreError>;

    /// Entries from `from` on, at most `bytes_max` by `Entry::size` but at least one if there is any.
    /// Empty when `from` is before `start()` or at `end()`. May be called for entries that are not synced.
    fn read(&mut self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Entry>>, StoreError>;

    /// Where the log begins.
    fn start(&self) -> Position;

    /// Where it ends.
    fn end(&self) -> Position;

    /// The epochs of the entries before `end()`.
    fn history(&self) -> &EpochHistory;

    /// The highest `committed` hint that is durable with the log; never behind what is durable of it.
    fn committed_hint(&self) -> Position;

    /// The meta data as saved last.
    fn meta(&self) -> &Meta;

    /// The data directory, for messages to people.
    fn path(&self) -> &Path;
}

/// Room on a disk, in bytes; zero where nobody can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Room {
    /// Those that are free.
    pub free: u64,
    /// Those that must be free for writes: the reserve, or what the last write that found too few wanted if that is more.
    pub needed: u64,
}

/// The state of one replica: the outcome of the entries `0..applied`.
///
/// - Shared between the threads that apply, one at a time, and those that read.
/// - Only entries that the log has durably are applied: a crash may leave any of them durable here at once.
/// - Applying goes on after `install` only when the log has begun anew durably.
pub trait Engine: Send + Sync {
    /// The entries whose effects it has.
    fn applied(&self) -> Position;

    /// That of the store after these; durable with them.
    fn revision(&self) -> Revision;

    /// Applies consecutive entries, the first right behind `applied()`, and what they change of the sessions; atomic,
    /// not yet durable.
    fn apply(&self, entries: &[Arc<Entry>], sessions: &SessionChanges) -> Result<(), StoreError>;

    /// Would `apply` return without waiting for the disk? Who may not wait then applies by itself.
    fn applies_at_once(&self) -> bool {
        false
    }

    /// Makes everything applied durable. Returns the position that is durable.
    fn checkpoint(&self) -> Result<Position, StoreError>;

    /// Room on the disk that it and the log are on, as of now.
    fn room(&self) -> Room {
        Room::default()
    }

    /// The record of a key, if memory has it: what `read` would find without the disk. `None` if the disk must be asked.
    fn peek(&self, key: &Key) -> Option<Option<Record>> {
        let _ = key;
        None
    }

    /// The record of a key.
    fn read(&self, key: &Key) -> Result<Option<Record>, StoreError>;

    /// Records of the present state: what a view of it would give.
    fn scan(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Result<Page, StoreError> {
        self.view()?.scan(range, limit)
    }

    /// The sessions, all of them: for a start.
    fn sessions(&self) -> Result<SessionRows, StoreError>;

    /// Holds the present state fixed.
    fn view(&self) -> Result<Box<dyn View>, StoreError>;

    /// Begins (again) to collect another state beside the present one.
    fn stage_begin(&self) -> Result<(), StoreError>;

    /// Adds records and sessions to it.
    fn stage(&self, records: &[Keyed], sessions: &SessionRows) -> Result<(), StoreError>;

    /// Puts the collected state in the place of the present one; atomic, and durable on return. The history is kept
    /// with it, so that a start after a crash right behind this can begin the log anew.
    fn install(&self, at: Moment, history: &EpochHistory) -> Result<(), StoreError>;

    /// The position, and the history, given to the last `install`, if there was one.
    fn installed(&self) -> Option<(Position, EpochHistory)>;
}

/// A state held fixed.
pub trait View: Send {
    /// The moment it is of.
    fn at(&self) -> Moment;

    /// Records in it, about.
    fn records(&self) -> u64;

    /// Records of the range, ascending and at most `limit`.
    fn scan(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Result<Page, StoreError>;

    /// Sessions behind the client `after`, ascending.
    fn sessions(&self, after: Option<ClientId>) -> Result<SessionPage, StoreError>;
}

/// Sessions in the order of their clients: at most `limits::CHUNK_BYTES_MAX`, at least one client if there is any.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: SessionRows,
    /// Clients may follow behind the last one.
    pub more: bool,
}

impl SessionPage {
    /// The first of the rows, as many as one page takes.
    ///
    /// # Errors
    /// The first one among the rows taken.
    pub fn collect(
        rows: impl Iterator<Item = Result<(ClientId, SessionRow), StoreError>>,
        forgotten: Position,
    ) -> Result<Self, StoreError> {
        let mut page = Self::default();
        page.sessions.forgotten = forgotten;
        let mut bytes = 0;
        for row in rows {
            let (client, row) = row?;
            bytes += row.size();
            let count = page.sessions.rows.len();
            let is_full = count == limits::CHUNK_RECORDS_MAX || bytes > limits::CHUNK_BYTES_MAX;
            if is_full && count > 0 {
                page.more = true;
                break;
            }
            page.sessions.rows.insert(client, row);
        }
        Ok(page)
    }
}

/// Records in the order of their keys: at most `limits::CHUNK_BYTES_MAX`, `limits::CHUNK_RECORDS_MAX` and as many as were
/// asked for, at least one if there is any.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Page {
    /// The records.
    pub records: Vec<Keyed>,
    /// Records may follow behind the last one.
    pub more: bool,
}

impl Page {
    /// The first of the records, as many as one page takes and at most `limit`.
    ///
    /// # Errors
    /// The first one among the records taken.
    pub fn collect(
        records: impl Iterator<Item = Result<Keyed, StoreError>>,
        limit: Option<NonZeroU32>,
    ) -> Result<Self, StoreError> {
        let records_max = limits::page_records_max(limit);
        let mut page = Self::default();
        let mut bytes = 0;
        for record in records {
            let record = record?;
            bytes += record.size();
            let is_full = page.records.len() == records_max || bytes > limits::CHUNK_BYTES_MAX;
            if is_full && !page.records.is_empty() {
                page.more = true;
                break;
            }
            page.records.push(record);
        }
        Ok(page)
    }

    /// What of `range`, of which this is the first page, is left; `None` if nothing is.
    pub fn rest(&self, range: &KeyRange) -> Option<KeyRange> {
        let last = &self.records.last()?.key;
        self.more.then(|| range.rest(last.clone()))
    }
}

/// Asserts that `entries` are consecutive and the first is right behind `end`.
fn assert_follows(end: Position, entries: &[Arc<Entry>]) {
    let mut expected = end;
    for entry in entries {
        assert_eq!(
            entry.seq,
            expected.next_seq(),
            "entries are appended and applied without gaps"
        );
        expected = Position::behind(entry.seq);
    }
}

/// Keeps the arbiter's record.
pub trait ArbiterStore: Send {
    /// The record as saved last; `None` if there is none yet.
    fn load(&self) -> Option<&ArbiterKeeper>;

    /// Replaces it; durable on return.
    ///
    /// # Errors
    /// `NoRoom` leaves it as it was. Any other error: the process must end.
    fn save(&mut self, record: &ArbiterKeeper) -> Result<(), StoreError>;
}

/// Why the disk did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room on the disk; nothing was changed, and the same can be tried again later.
    #[error("no room on the disk that holds {path}: free some space")]
    NoRoom {
        /// The data directory.
        path: PathBuf,
    },
    /// What is on the disk is not what was written. The node must not serve from it.
    #[error(
        "{path} is damaged at byte {offset}: {what}; remove the data directory and let the node join anew, or restore the disk"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The file is of a format this release does not read.
    #[error("{path} has format version {found}, this release reads {expected}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The one that can be read.
        expected: u32,
    },
    /// Another process uses the data directory.
    #[error("{path} is in use by another process{}", .holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default())]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The id of that process, if it says.
        holder: Option<u32>,
    },
    /// The directory does not hold what it should.
    #[error("{path} {what}")]
    Mismatch {
        /// The data directory.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The operating system failed; what is on the disk is uncertain until the next start has looked.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The engine failed; what is on the disk is uncertain until the next start has looked.
    #[error("the storage engine failed: {0}")]
    Engine(String),
    /// The engine broke off what it was writing, for want of room as far as it tells, and takes nothing more. Nothing is lost: the
    /// next start finds out how far it has come, and goes on.
    #[error("the storage engine broke off and has to be opened again: {0}")]
    BrokenOff(String),
}

impl StoreError {
    /// Is it for want of room? Then the directory can be opened again, and gone on with, as soon as there is some.
    pub fn is_for_want_of_room(&self) -> bool {
        match self {
            Self::NoRoom { .. } | Self::BrokenOff(_) => true,
            Self::Io { source, .. } => is_full(source),
            Self::Damaged { .. }
            | Self::Format { .. }
            | Self::Locked { .. }
            | Self::Mismatch { .. }
            | Self::Engine(_) => false,
        }
    }
}

/// Does the error say that there is no room?
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
