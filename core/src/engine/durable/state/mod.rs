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
//! - A state is a keyspace, `state-N`; the keyspace `meta` says which one is current. A state taken in from another
//!   replica is collected in a keyspace beside it, as sorted runs as well. What is not current is removed by the next start.
//! - Position and revision stand in the keyspace they are about and are written as one with the entries they count, so that
//!   they are never ahead of them or behind them; so do the sessions.

mod cache;
mod codec;
mod overlay;
mod runs;
mod table;
mod view;

use std::fmt;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use serde::{Deserialize, Serialize};

use crate::config::Position;
use crate::engine::durable::directory::DataDir;
use crate::engine::durable::files;
use crate::engine::durable::options::StoreOptions;
use crate::engine::{Engine, Page, StoreError, View, assert_follows};
use crate::epochs::EpochHistory;
use crate::limits;
use crate::operation::{Change, Entry, Key, Keyed, Moment, Record, Revision};
use crate::range::KeyRange;
use crate::sessions::{SessionChanges, SessionRows};

use self::cache::Records;
use self::codec::{REACHED, decode, encode, failed, noted, record_key};
use self::runs::Collected;
use self::table::Table;
use self::view::{FjallView, Layers};

/// A key in the keyspace `meta` that says nothing; see `raise`.
const RAISED: &[u8] = b"raised";

/// Numbers used up by `raise`: more than fjall gives for the making or removing of a keyspace.
const NUMBERS: usize = 64;

/// The key of `Current` in the keyspace `meta`.
const CURRENT: &[u8] = b"current";

const STATE_PREFIX: &str = "state-";

const NO_CURRENT: &str =
    "does not say which state it is: remove the data directory and let the node join anew";

/// Where fjall has a directory for each keyspace.
const KEYSPACES: &str = "keyspaces";

/// Changes in memory from which on whoever applies more waits for a checkpoint: several times what is collected before one
/// is made, so that it only happens where the disk cannot keep up.
const TABLES_BYTES_MAX: usize = 128 << 20;

/// Changes that a scan copies; more are set aside.
const EXCERPT_MAX: usize = 4096;

/// Tables above which scans set nothing aside: every read looks into all of them.
const ASIDE_MAX: usize = 8;

/// Threads that write out and compact. Of several, fjall keeps one for writing out, which passes each order to compact on to
/// the others through the queue that it takes its own from: while they are busy, it spins.
const WORKERS: usize = 1;

/// Sorted runs of fjall's above which a checkpoint waits for compaction.
const RUNS_MAX: usize = 24;

/// How often a checkpoint looks whether compaction has come further, and how often it does so at most.
const RUNS_INTERVAL: Duration = Duration::from_millis(10);
const RUNS_LOOKS_MAX: usize = 1000;

/// fjall takes no smaller journal.
const JOURNAL_BYTES_MIN: u64 = 64 << 20;

/// fjall takes no smaller memtable.
const MEMTABLE_BYTES_MIN: u64 = 1 << 20;

/// What whoever collects a state has done before.
const BEGUN: &str = "collecting a state begins with `stage_begin`";

/// Files that fjall holds open.
const FILES_MAX: usize = 256;

/// Which state is in force.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Current {
    /// `N` in the name of its keyspace.
    generation: u64,
    /// Given to the `install` that made it, if it was one.
    installed: Option<(Position, EpochHistory)>,
}

/// The state of a replica on its disk.
pub struct FjallEngine {
    directory: Arc<DataDir>,
    path: PathBuf,
    database: Database,
    meta: Keyspace,
    memtable_bytes: u64,
    reserve_bytes: u64,
    records_bytes: u64,
    present: RwLock<Present>,
    staging: Mutex<Staging>,
    /// Held by whoever moves changes to fjall, or puts another state in place.
    moving: Mutex<()>,
}

/// What is in force, as readers find it: `base`, over it the `aside` in their order, over them the `latest`.
struct Present {
    current: Current,
    reached: Moment,
    base: Arc<Base>,
    /// On their way to fjall, or held by views; the newest last.
    aside: Vec<Arc<Table>>,
    latest: Table,
}

/// What fjall has.
struct Base {
    state: Keyspace,
    records: Records,
}

impl Base {
    /// Checkpoints make sorted runs, and compaction makes one of many: where it cannot keep up, those who write have to
    /// wait for it, or every read would look into ever more of them.
    #[expect(clippy::disallowed_methods, reason = "a thread of the storage waits")]
    fn await_compaction(&self) {
        for _ in 0..RUNS_LOOKS_MAX {
            if self.state.l0_table_count() <= RUNS_MAX {
                return;
            }
            thread::sleep(RUNS_INTERVAL);
        }
    }
}

/// The state that is being collected.
struct Staging {
    /// No keyspace of this number or a higher one has ever been.
    next_generation: u64,
    collected: Option<Collected>,
}

impl Present {
    fn new(current: Current, base: Base, reached: Moment) -> Self {
        Self {
            current,
            reached,
            base: Arc::new(base),
            aside: Vec::new(),
            latest: Table::default(),
        }
    }

    /// What is in memory of a key.
    fn change(&self, key: &Key) -> Option<Option<Record>> {
        let aside = || self.aside.iter().rev().find_map(|table| table.change(key));
        self.latest.change(key).or_else(aside)
    }

    fn bytes(&self) -> usize {
        let aside = self.aside.iter().map(|table| table.bytes);
        self.latest.bytes + aside.sum::<usize>()
    }

    /// Sets the latest changes aside.
    fn set_aside(&mut self) {
        if !self.latest.is_empty() {
            self.aside.push(Arc::new(std::mem::take(&mut self.latest)));
        }
    }
}

impl FjallEngine {
    /// Opens the state in `path`, or begins it.
    pub(super) fn open(
        directory: Arc<DataDir>,
        path: PathBuf,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        let memtable_bytes = options.memtable_bytes.max(MEMTABLE_BYTES_MIN);
        if !path.exists() {
            begin(&directory, &path, options)?;
        }
        let database = database(&path, options)?;
        let meta = keyspace(&database, "meta", memtable_bytes)?;
        raise(&database, &meta)?;
        let current: Current = match meta.get(CURRENT).map_err(failed("read the state"))? {
            Some(encoded) => decode(&path, &encoded)?,
            None => return Err(files::mismatch(&path, NO_CURRENT)),
        };
        let name = state_name(current.generation);
        if !database.keyspace_exists(&name) {
            return Err(files::mismatch(
                &path,
                format!(
                    "lacks the keyspace {name}: remove the data directory and let the node join anew"
                ),
            ));
        }
        let state = keyspace(&database, &name, memtable_bytes)?;
        let reached = noted(&path, state.get(REACHED))?;
        let records_bytes = options.cache_bytes / 2;
        let base = Base {
            state,
            records: Records::new(records_bytes),
        };
        let engine = Self {
            directory,
            path,
            database,
            meta,
            memtable_bytes,
            reserve_bytes: options.reserve_bytes,
            records_bytes,
            staging: Mutex::new(Staging {
                next_generation: current.generation + 1,
                collected: None,
            }),
            present: RwLock::new(Present::new(current, base, reached)),
            moving: Mutex::new(()),
        };
        engine.remove_leftovers()?;
        Ok(engine)
    }

    /// Removes the states that an interrupted transfer or installation has left.
    fn remove_leftovers(&self) -> Result<(), StoreError> {
        let mut staging = self.staging();
        let current = self.present().current.generation;
        for name in self.database.list_keyspace_names() {
            let generation = name
                .strip_prefix(STATE_PREFIX)
                .and_then(|number| number.parse::<u64>().ok());
            if let Some(generation) = generation.filter(|generation| *generation != current) {
                staging.next_generation = staging.next_generation.max(generation + 1);
                self.remove(keyspace(&self.database, &name, self.memtable_bytes)?)?;
            }
        }
        Ok(())
    }

    fn remove(&self, state: Keyspace) -> Result<(), StoreError> {
        self.database
            .delete_keyspace(state)
            .map_err(failed("remove a state"))?;
        raise(&self.database, &self.meta)
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
        Layers {
            path: self.path.clone(),
            state: present.base.state.clone(),
            snapshot: self.database.snapshot(),
            tables: present.aside.clone(),
        }
    }

    /// Gives fjall what the tables have changed, as sorted runs: durable, and all at once.
    fn write_out(base: &Base, tables: &[Arc<Table>], changes: &[Change]) -> Result<(), StoreError> {
        let Some(last) = tables.last() else {
            return Ok(());
        };
        let mut sessions = SessionChanges::default();
        for table in tables {
            sessions.extend(table.sessions.clone());
        }
        let changes = changes.iter().map(|change| (&change.key, &change.record));
        runs::write(&base.state, Some(last.reached), changes, &sessions)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.database
            .persist(PersistMode::SyncData)
            .map_err(failed("sync the state"))
    }

    /// Refuses a change that leaves less than `reserve_bytes` to spare.
    fn check_room(&self, reserve_bytes: u64) -> Result<(), StoreError> {
        if files::room(self.directory.files(), &self.path)? < reserve_bytes {
            return Err(StoreError::NoRoom {
                path: self.directory.path().to_owned(),
            });
        }
        Ok(())
    }
}

impl fmt::Debug for FjallEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FjallEngine")
            .field("path", &self.path)
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
        if self.present().bytes() >= TABLES_BYTES_MAX {
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
        self.present().bytes() < TABLES_BYTES_MAX
    }

    fn checkpoint(&self) -> Result<Position, StoreError> {
        let _moving = self.moving();
        // Changes are still written out when other writes are refused already, but not to the last byte: fjall cannot undo
        // half a write, and takes no further ones after it.
        let bytes = self.present().bytes() as u64;
        self.check_room(self.reserve_bytes / 2 + bytes)?;
        let (base, tables, applied) = {
            let mut present = self.present_mut();
            present.set_aside();
            let tables = present.aside.clone();
            (present.base.clone(), tables, present.reached.position)
        };
        base.await_compaction();
        let changes = table::merged(&tables);
        Self::write_out(&base, &tables, &changes)?;
        for change in &changes {
            base.records.change(&change.key, &change.record);
        }
        // Others may have been set aside meanwhile, behind these.
        self.present_mut().aside.drain(..tables.len());
        Ok(applied)
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
        base.records.read(key, || {
            let record = base.state.get(record_key(key));
            let record = record.map_err(failed("read the state"))?;
            record.map(|record| decode(&self.path, &record)).transpose()
        })
    }

    fn scan(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Result<Page, StoreError> {
        // With the one behind the page, which tells that there is more.
        let records_max = limits::page_records_max(limit) + 1;
        let (mut layers, latest) = {
            let mut present = self.present();
            if present.latest.len() > EXCERPT_MAX && present.aside.len() < ASIDE_MAX {
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
        let layers = {
            let mut present = self.present_mut();
            present.set_aside();
            self.layers(&present)
        };
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
        let layers = {
            let mut present = self.present_mut();
            present.set_aside();
            self.layers(&present)
        };
        let directory = self.directory.clone();
        Ok(Box::new(FjallView::new(layers, directory)?))
    }

    fn stage_begin(&self) -> Result<(), StoreError> {
        self.check_room(self.reserve_bytes)?;
        let mut staging = self.staging();
        if let Some(collected) = staging.collected.take() {
            self.remove(collected.state)?;
        }
        let generation = staging.next_generation;
        staging.next_generation += 1;
        let state = keyspace(&self.database, &state_name(generation), self.memtable_bytes)?;
        raise(&self.database, &self.meta)?;
        let collected = Collected::new(generation, state, self.memtable_bytes);
        staging.collected = Some(collected);
        Ok(())
    }

    fn stage(&self, records: &[Keyed], sessions: &SessionRows) -> Result<(), StoreError> {
        self.check_room(self.reserve_bytes)?;
        let mut staging = self.staging();
        let collected = staging.collected.as_mut().expect(BEGUN);
        collected.add(records, sessions)
    }

    fn install(&self, at: Moment, history: &EpochHistory) -> Result<(), StoreError> {
        let _moving = self.moving();
        let mut staging = self.staging();
        let collected = staging.collected.as_ref().expect(BEGUN);
        self.check_room(self.reserve_bytes / 2 + collected.bytes())?;
        let mut collected = staging.collected.take().expect(BEGUN);
        drop(staging);
        // The state must be whole on the disk before anything says that it is the current one.
        collected.finish(at)?;
        let Collected {
            generation, state, ..
        } = collected;
        let current = Current {
            generation,
            installed: Some((at.position, history.clone())),
        };
        files::sync_directory(self.directory.files(), &self.path.join(KEYSPACES))?;
        self.meta
            .insert(CURRENT, encode(&current))
            .map_err(failed("install a state"))?;
        self.sync()?;
        let base = Base {
            state,
            records: Records::new(self.records_bytes),
        };
        let installed = Present::new(current, base, at);
        let replaced = std::mem::replace(&mut *self.present_mut(), installed);
        self.remove(replaced.base.state.clone())
    }

    fn installed(&self) -> Option<(Position, EpochHistory)> {
        self.present().current.installed.clone()
    }
}

/// Uses up numbers, behind every keyspace that was made or removed. When it is opened, fjall numbers on from the highest
/// number in our keyspaces, without regard to those it has given in its own catalogue of keyspaces; what it then notes
/// there would be older than what it replaces, and a later start would remove a keyspace that exists.
fn raise(database: &Database, meta: &Keyspace) -> Result<(), StoreError> {
    for _ in 0..NUMBERS {
        meta.insert(RAISED, [])
            .map_err(failed("number the states"))?;
    }
    database
        .persist(PersistMode::SyncData)
        .map_err(failed("sync the state"))
}

/// Makes the first state, which is empty, beside its place, and puts it there when it is whole and durable: fjall does not go
/// on with what an interrupted start has left, nor does it make the names of its directories durable.
fn begin(directory: &DataDir, path: &Path, options: &StoreOptions) -> Result<(), StoreError> {
    let beside = path.with_extension("tmp");
    files::remove_all(&beside)?;
    let keyspaces = beside.join(KEYSPACES);
    files::create_directory(directory.files(), &keyspaces)?;
    let database = database(&beside, options)?;
    let memtable_bytes = options.memtable_bytes.max(MEMTABLE_BYTES_MIN);
    let meta = keyspace(&database, "meta", memtable_bytes)?;
    let first = Current::default();
    keyspace(&database, &state_name(first.generation), memtable_bytes)?;
    meta.insert(CURRENT, encode(&first))
        .map_err(failed("begin the state"))?;
    database
        .persist(PersistMode::SyncAll)
        .map_err(failed("sync the state"))?;
    files::sync_directory(directory.files(), &keyspaces)?;
    drop((meta, database));
    directory
        .files()
        .rename(&beside, path)
        .map_err(files::failed("begin", path))?;
    files::sync_directory(directory.files(), directory.path())
}

fn database(path: &Path, options: &StoreOptions) -> Result<Database, StoreError> {
    Database::builder(path)
        .cache_size(options.cache_bytes / 2)
        .max_journaling_size(options.journal_bytes.max(JOURNAL_BYTES_MIN))
        .worker_threads(WORKERS)
        .max_cached_files(Some(FILES_MAX))
        .manual_journal_persist(true)
        .open()
        .map_err(failed("open the state"))
}

fn keyspace(database: &Database, name: &str, memtable_bytes: u64) -> Result<Keyspace, StoreError> {
    let options = || {
        KeyspaceCreateOptions::default()
            .manual_journal_persist(true)
            .max_memtable_size(memtable_bytes)
    };
    database
        .keyspace(name, options)
        .map_err(failed("open the state"))
}

fn state_name(generation: u64) -> String {
    format!("{STATE_PREFIX}{generation}")
}
