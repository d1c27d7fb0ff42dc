//! The keyspaces of fjall: each state is one, `state-N`, and `meta` says which of them is in force.
//!
//! A state that comes from another replica has a keyspace beside the one in force. What is not in force is removed by the
//! next start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Snapshot};
use serde::{Deserialize, Serialize};

use crate::config::Position;
use crate::engine::StoreError;
use crate::engine::durable::directory::DataDir;
use crate::engine::durable::files;
use crate::engine::durable::options::StoreOptions;
use crate::epochs::EpochHistory;

use super::codec::{decode, encode, failed};

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

/// Threads that write out and compact. Of several, fjall keeps one for writing out, which passes each order to compact on to
/// the others through the queue that it takes its own from: while they are busy, it spins.
const WORKERS: usize = 1;

/// fjall takes no smaller journal.
const JOURNAL_BYTES_MIN: u64 = 64 << 20;

/// fjall takes no smaller memtable.
const MEMTABLE_BYTES_MIN: u64 = 1 << 20;

/// Files that fjall holds open.
const FILES_MAX: usize = 256;

/// Which state is in force.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Current {
    /// `N` in the name of its keyspace.
    pub(super) generation: u64,
    /// Given to the `install` that made it, if it was one.
    pub(super) installed: Option<(Position, EpochHistory)>,
}

/// All keyspaces of one replica.
pub(super) struct Keyspaces {
    pub(super) directory: Arc<DataDir>,
    pub(super) path: PathBuf,
    database: Database,
    meta: Keyspace,
    /// What each keyspace has in memory at most before fjall writes it out.
    pub(super) memtable_bytes: u64,
}

impl Keyspaces {
    /// Opens those in `path`, or makes the first state.
    pub(super) fn open(
        directory: Arc<DataDir>,
        path: PathBuf,
        options: &StoreOptions,
    ) -> Result<Self, StoreError> {
        if !path.exists() {
            begin(&directory, &path, options)?;
        }
        let memtable_bytes = memtable_bytes(options);
        let database = database(&path, options)?;
        let meta = keyspace(&database, "meta", memtable_bytes)?;
        raise(&database, &meta)?;
        Ok(Self {
            directory,
            path,
            database,
            meta,
            memtable_bytes,
        })
    }

    /// Which state is in force.
    pub(super) fn current(&self) -> Result<Current, StoreError> {
        match self.meta.get(CURRENT).map_err(failed("read the state"))? {
            Some(encoded) => decode(&self.path, &encoded),
            None => Err(files::mismatch(&self.path, NO_CURRENT)),
        }
    }

    /// The state of that generation, which has to be there.
    pub(super) fn state(&self, generation: u64) -> Result<Keyspace, StoreError> {
        let name = state_name(generation);
        if !self.database.keyspace_exists(&name) {
            return Err(files::mismatch(
                &self.path,
                format!(
                    "lacks the keyspace {name}: remove the data directory and let the node join anew"
                ),
            ));
        }
        keyspace(&self.database, &name, self.memtable_bytes)
    }

    /// Removes the states that an interrupted transfer or installation has left beside that of generation `current`, and
    /// returns a generation from which on there has never been any.
    pub(super) fn remove_leftovers(&self, current: u64) -> Result<u64, StoreError> {
        let mut next_generation = current + 1;
        for name in self.database.list_keyspace_names() {
            let generation = name
                .strip_prefix(STATE_PREFIX)
                .and_then(|number| number.parse::<u64>().ok());
            if let Some(generation) = generation.filter(|generation| *generation != current) {
                next_generation = next_generation.max(generation + 1);
                self.remove(keyspace(&self.database, &name, self.memtable_bytes)?)?;
            }
        }
        Ok(next_generation)
    }

    /// Makes an empty state.
    pub(super) fn make(&self, generation: u64) -> Result<Keyspace, StoreError> {
        let name = state_name(generation);
        let state = keyspace(&self.database, &name, self.memtable_bytes)?;
        raise(&self.database, &self.meta)?;
        Ok(state)
    }

    pub(super) fn remove(&self, state: Keyspace) -> Result<(), StoreError> {
        self.database
            .delete_keyspace(state)
            .map_err(failed("remove a state"))?;
        raise(&self.database, &self.meta)
    }

    /// Puts a state in force, which is whole and durable.
    pub(super) fn put_in_force(&self, current: &Current) -> Result<(), StoreError> {
        files::sync_directory(self.directory.files(), &self.path.join(KEYSPACES))?;
        self.meta
            .insert(CURRENT, encode(current))
            .map_err(failed("install a state"))?;
        self.database
            .persist(PersistMode::SyncData)
            .map_err(failed("sync the state"))
    }

    /// Does fjall still take something? Its threads do not tell when they have failed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.meta
            .insert(RAISED, [])
            .map_err(failed("write out the state"))
    }

    /// Holds all of them fixed.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.database.snapshot()
    }
}

/// Makes the first state, which is empty, beside its place, and puts it there when it is whole and durable: fjall does not go
/// on with what an interrupted start has left, nor does it make the names of its directories durable.
fn begin(directory: &DataDir, path: &Path, options: &StoreOptions) -> Result<(), StoreError> {
    let beside = path.with_extension("tmp");
    files::remove_all(&beside)?;
    let keyspaces = beside.join(KEYSPACES);
    files::create_directory(directory.files(), &keyspaces)?;
    let database = database(&beside, options)?;
    let memtable_bytes = memtable_bytes(options);
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

fn memtable_bytes(options: &StoreOptions) -> u64 {
    options.memtable_bytes.max(MEMTABLE_BYTES_MIN)
}

fn state_name(generation: u64) -> String {
    format!("{STATE_PREFIX}{generation}")
}
