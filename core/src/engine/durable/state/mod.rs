//! The state of a replica: the latest changes in memory, the rest in fjall, a log-structured merge tree.
//!
//! The log has every entry durably, so that applying one changes a `table` in memory and nothing else. A checkpoint sets
//! the table aside and gives fjall all of it as sorted runs, which need neither fjall's journal nor its memtables: of a
//! key that changes often, fjall sees the last change only. A crash loses the tables, and a start applies the log again.
//!
//! Why fjall: the state is fed in large sorted batches, which suits a tree of sorted runs; redb, a B-tree with
//! copy-on-write, takes ten times as long for the same. Reads of fjall are the slow ones (some 7 us); what was read or
//! written lately is kept in a `cache` of records before it.
//!
//! Position and revision stand in the keyspace they are about and are written as one with the entries they count, so that
//! they are never ahead of them or behind them; so do the sessions.

mod cache;
mod checkpoint;
mod codec;
mod install;
mod keyspaces;
mod overlay;
mod present;
mod runs;
mod table;
mod view;

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::config::Position;
use crate::engine::durable::directory::DataDir;
use crate::engine::durable::options::StoreOptions;
use crate::engine::{Engine, Page, Room, StoreError, View, assert_follows};
use crate::epochs::EpochHistory;
use crate::limits;
use crate::operation::{Entry, Key, Keyed, Moment, Record, Revision};
use crate::range::KeyRange;
use crate::sessions::{SessionChanges, SessionRows};

use self::checkpoint::Checkpoint;
use self::codec::{REACHED, noted};
use self::install::Staging;
use self::keyspaces::Keyspaces;
use self::present::{Base, Present};
use self::table::Table;
use self::view::{FjallView, Layers};

/// The state of a replica on its disk.
pub struct FjallEngine {
    keyspaces: Keyspaces,
    reserve_bytes: u64,
    records_bytes: u64,
    present: RwLock<Present>,
    staging: Mutex<Staging>,
    /// fjall has broken something off, and takes nothing more. What it has can be read.
    is_broken_off: AtomicBool,
    /// Held by whoever moves changes to fjall, or puts another state in force.
    moving: Mutex<()>,
}

impl FjallEngine {
    /// Opens the state in `path`, or begins it.
    pub(super) fn open(
        directory: Arc<DataDir>,
        path: PathBuf,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        let keyspaces = Keyspaces::open(directory, path, options)?;
        let current = keyspaces.current()?;
        let state = keyspaces.state(current.generation)?;
        let reached = noted(&keyspaces.path, state.get(REACHED))?;
        let next_generation = keyspaces.remove_leftovers(current.generation)?;
        let records_bytes = options.cache_bytes / 2;
        let base = Base::new(state, records_bytes);
        Ok(Self {
            keyspaces,
            reserve_bytes: options.reserve_bytes,
            records_bytes,
            present: RwLock::new(Present::new(base, reached, current.installed)),
            staging: Mutex::new(Staging::new(next_generation)),
            is_broken_off: AtomicBool::new(false),
            moving: Mutex::new(()),
        })
    }

    fn present(&self) -> RwLockReadGuard<'_, Present> {
        self.present.read().expect("no holder of the lock panics")
    }

    fn present_mut(&self) -> RwLockWriteGuard<'_, Present> {
        self.present.write().expect("no holder of the lock panics")
    }

    fn staging(&self) -> MutexGuard<'_, Staging> {
        self.staging.lock().expect("no holder of the lock panics")
    }

    fn moving(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().expect("no holder of the lock panics")
    }

    /// The present state, without the latest changes.
    fn layers(&self, present: &Present) -> Layers {
        present.layers(&self.keyspaces.path, self.keyspaces.snapshot())
    }

    /// The present state as a whole.
    fn all_layers(&self) -> Layers {
        let mut present = self.present_mut();
        present.set_aside();
        self.layers(&present)
    }

    /// Refuses a change that leaves less than `reserve_bytes` to spare.
    fn check_room(&self, reserve_bytes: u64) -> Result<(), StoreError> {
        self.keyspaces.directory.check_room(reserve_bytes)?;
        // As long as there is no room a start would not come further.
        match self.is_broken_off.load(Ordering::Relaxed) {
            true => Err(broken_off("a former write found no room")),
            false => Ok(()),
        }
    }

    /// Takes note if a change was broken off: it is refused, and so are all others until there is room, when the directory has to
    /// be opened again.
    fn note<T>(&self, changed: Result<T, StoreError>) -> Result<T, StoreError> {
        let Err(StoreError::BrokenOff(reason)) = changed else {
            return changed;
        };
        self.is_broken_off.store(true, Ordering::Relaxed);
        self.check_room(self.reserve_bytes)?;
        Err(broken_off(reason))
    }
}

fn broken_off(reason: impl Into<String>) -> StoreError {
    StoreError::BrokenOff(reason.into())
}

impl fmt::Debug for FjallEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallEngine")
            .field("path", &self.keyspaces.path)
            .field("applied", &self.applied())
            .finish_non_exhaustive()
    }
}

impl Engine for FjallEngine {
    fn applied(&self) -> Position {
        self.present().reached.position
    }

    fn revision(&self) -> Revision {
        self.present().reached.revision
    }

    fn apply(&self, entries: &[Arc<Entry>], sessions: &SessionChanges) -> Result<(), StoreError> {
        let Some(last) = entries.last() else {
            return Ok(());
        };
        if self.present().is_full() {
            self.checkpoint()?;
        }
        let mut present = self.present_mut();
        assert_follows(present.reached.position, entries);
        present.latest.apply(entries, sessions);
        present.reached = Moment {
            position: Position::behind(last.seq),
            revision: last.revision,
        };
        Ok(())
    }

    fn applies_at_once(&self) -> bool {
        !self.present().is_full()
    }

    fn checkpoint(&self) -> Result<Position, StoreError> {
        let _moving = self.moving();
        // Changes are still written out when other writes are refused already, but not to the last byte: fjall cannot undo
        // half a write, and takes no further ones after it.
        let bytes = self.present().bytes() as u64;
        self.check_room(self.reserve_bytes / 2 + bytes)?;
        let checkpoint = Checkpoint::begin(&mut self.present_mut());
        self.note(checkpoint.write(&self.keyspaces))?;
        checkpoint.end(&mut self.present_mut());
        Ok(checkpoint.position())
    }

    fn room(&self) -> Room {
        self.keyspaces.directory.room(self.reserve_bytes)
    }

    fn peek(&self, key: &Key) -> Option<Option<Record>> {
        let present = self.present();
        let cached = || present.base.records.peek(key);
        present.change(key).or_else(cached)
    }

    fn read(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        let base = {
            let present = self.present();
            if let Some(record) = present.change(key) {
                return Ok(record);
            }
            if !codec::is_record_key(key) {
                return Ok(None);
            }
            present.base.clone()
        };
        base.read(&self.keyspaces.path, key)
    }

    fn scan(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Result<Page, StoreError> {
        // With the one behind the page, which tells that there is more.
        let records_max = limits::page_records_max(limit) + 1;
        let (mut layers, latest) = {
            let mut present = self.present();
            if present.is_set_aside_by_scans() {
                drop(present);
                self.present_mut().set_aside();
                present = self.present();
            }
            let latest = present.latest.excerpt(range, records_max);
            (self.layers(&present), latest)
        };
        layers.tables.push(Arc::new(Table::of(latest)));
        layers.page(range, limit)
    }

    fn sessions(&self) -> Result<SessionRows, StoreError> {
        let layers = self.all_layers();
        let mut sessions = SessionRows {
            forgotten: layers.forgotten()?,
            ..SessionRows::default()
        };
        for row in layers.sessions(None) {
            let (client, row) = row?;
            sessions.rows.insert(client, row);
        }
        Ok(sessions)
    }

    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        let layers = self.all_layers();
        let directory = self.keyspaces.directory.clone();
        Ok(Box::new(FjallView::new(layers, directory)?))
    }

    fn stage_begin(&self) -> Result<(), StoreError> {
        self.check_room(self.reserve_bytes)?;
        self.note(self.staging().begin(&self.keyspaces))
    }

    fn stage(&self, records: &[Keyed], sessions: &SessionRows) -> Result<(), StoreError> {
        self.check_room(self.reserve_bytes)?;
        self.note(self.staging().collected().add(records, sessions))
    }

    fn install(&self, at: Moment, history: &EpochHistory) -> Result<(), StoreError> {
        let _moving = self.moving();
        let mut staging = self.staging();
        self.check_room(self.reserve_bytes / 2 + staging.collected().bytes())?;
        let collected = staging.take();
        drop(staging);
        let (state, current) = collected.install(&self.keyspaces, at, history)?;
        let base = Base::new(state, self.records_bytes);
        let installed = Present::new(base, at, current.installed);
        let replaced = std::mem::replace(&mut *self.present_mut(), installed);
        self.keyspaces.remove(replaced.base.state.clone())
    }

    fn installed(&self) -> Option<(Position, EpochHistory)> {
        self.present().installed.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::durable::open_replica;

    #[test]
    fn an_engine_that_broke_off_takes_nothing_more_and_has_to_be_opened_again_when_there_is_room() {
        let home = tempfile::tempdir().unwrap();
        let mut engine = open_replica(home.path(), &StoreOptions::default())
            .unwrap()
            .engine;
        let entry = Arc::new(Entry::of(1, 0, "k", Some("v".into())));
        engine.apply(&[entry], &SessionChanges::default()).unwrap();
        engine.reserve_bytes = u64::MAX / 2;
        let full = engine.note::<()>(Err(broken_off("full")));
        assert!(matches!(full, Err(StoreError::NoRoom { .. })));
        assert!(matches!(
            engine.stage_begin(),
            Err(StoreError::NoRoom { .. })
        ));
        assert!(engine.read(&"k".into()).unwrap().is_some(), "reads go on");
        engine.reserve_bytes = 0;
        assert!(matches!(engine.checkpoint(), Err(StoreError::BrokenOff(_))));
        assert!(matches!(
            engine.stage_begin(),
            Err(StoreError::BrokenOff(_))
        ));
    }

    #[test]
    fn what_the_disk_refused_is_broken_off_and_what_else_failed_is_not() {
        let kind = |error: fjall::Error| codec::failed("try")(error).is_for_want_of_room();
        let io = |kind: std::io::ErrorKind| fjall::Error::Io(kind.into());
        assert!(kind(io(std::io::ErrorKind::StorageFull)));
        assert!(kind(io(std::io::ErrorKind::QuotaExceeded)));
        assert!(kind(fjall::Error::Poisoned));
        assert!(!kind(io(std::io::ErrorKind::PermissionDenied)));
        assert!(!kind(fjall::Error::Unrecoverable));
    }
}
