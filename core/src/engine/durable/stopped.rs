//! The data directory of a replica that does not run, read without a change to it.
//!
//! To open it as a replica does is to write: the log makes its tail durable and removes leftovers, fjall numbers on and
//! compacts. So both are opened in a copy. It takes little room: fjall never changes the file of a table, so that a link to it
//! does, and the log and fjall's journal are bounded.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{self, Path};
use std::sync::Arc;

use crate::config::{Epoch, Position};
use crate::engine::durable::directory::{self, Kind};
use crate::engine::durable::files::{failed, refused};
use crate::engine::durable::options::StoreOptions;
use crate::engine::durable::os::{DIRECTORY_MODE, FILE_MODE};
use crate::engine::durable::state::FjallEngine;
use crate::engine::durable::{ReplicaStore, open_replica};
use crate::engine::recovery::bring_together;
use crate::engine::{Engine, LogStore, StoreError};
use crate::limits::SessionLimits;
use crate::storage::Meta;

/// What of the directory is copied; the lock is not.
const PARTS: [&str; 4] = ["format", "meta", "log", "engine"];

/// The name of the directories in which fjall has its tables.
const TABLES: &str = "tables";

/// How much of its log belongs to the state of a stopped replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What the directory knows to be committed. The log notes that down with the next entries, so that acknowledged writes
    /// at its end are missing.
    Committed,
    /// All of it: every acknowledged write that the replica has, and perhaps some that nobody has acknowledged.
    Log,
}

/// What the data directory of a stopped replica holds. Nobody else uses the directory as long as this exists.
#[derive(Debug)]
pub struct StoppedReplica {
    /// What the replica knows about itself.
    pub meta: Meta,
    /// The epoch of the last entry that is in the log.
    pub epoch: Epoch,
    /// All entries before it are known to be committed.
    pub committed: Position,
    /// Behind the last entry that is in the log.
    pub log_end: Position,
    /// The state.
    pub engine: Arc<FjallEngine>,
    _lock: Option<File>,
}

impl StoppedReplica {
    /// Reads the data directory at `path`, and changes nothing in it. A copy of its log and of fjall's journal is made in
    /// `scratch`, an empty directory, which the caller removes when this is dropped; links in it lead to the rest.
    ///
    /// # Errors
    /// `Locked` if another process uses the directory, `Mismatch` if it is no replica's, `NoRoom` if there is none for the
    /// copy, `Damaged` and `Format` if it cannot be read. Errors may name the copy of a file.
    pub fn open(path: &Path, scratch: &Path, extent: Extent) -> Result<Self, StoreError> {
        let path = path::absolute(path).map_err(failed("find the directory", path))?;
        let lock = directory::hold(&path, Kind::Replica)?;
        for part in PARTS {
            copy(&path.join(part), &scratch.join(part))?;
        }
        let options = StoreOptions {
            // The copy may fill its disk: nobody goes on with it.
            reserve_bytes: 0,
            ..StoreOptions::default()
        };
        let ReplicaStore { mut log, engine } = open_replica(scratch, &options)?;
        let committed = log.committed_hint().max(engine.applied());
        let until = match extent {
            Extent::Committed => committed,
            Extent::Log => log.end(),
        };
        bring_together(&mut log, &engine, &SessionLimits::default(), until)?;
        Ok(Self {
            meta: log.meta().clone(),
            epoch: log.history().last_epoch(),
            committed,
            log_end: log.end(),
            engine: Arc::new(engine),
            _lock: lock,
        })
    }
}

/// Copies a file, or a directory with all that is in it; nothing where there is nothing.
fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(from) {
        Ok(found) if found.is_dir() => copy_directory(from, to),
        Ok(_) => copy_file(from, to),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("read", from)(error)),
    }
}

fn copy_directory(from: &Path, to: &Path) -> Result<(), StoreError> {
    let created = DirBuilder::new().mode(DIRECTORY_MODE).create(to);
    created.map_err(refused("create the directory", to))?;
    let is_of_tables = from.file_name().is_some_and(|name| name == TABLES);
    for entry in fs::read_dir(from).map_err(failed("list", from))? {
        let entry = entry.map_err(failed("list", from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.extension().is_some_and(|extension| extension == "tmp") {
            // Not begun yet, or left over: as large as a segment of the log, and holds nothing.
        } else if is_of_tables {
            symlink(&from, &to).map_err(refused("make the link", &to))?;
        } else {
            copy(&from, &to)?;
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), StoreError> {
    let mut source = File::open(from).map_err(failed("read", from))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    let mut copy = options.open(to).map_err(refused("create", to))?;
    io::copy(&mut source, &mut copy).map_err(refused("write", to))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;
    use std::time::SystemTime;

    use tempfile::TempDir;

    use super::*;
    use crate::config::StartId;
    use crate::engine::durable::{ReplicaStore, open_arbiter};
    use crate::engine::recovery::recover;
    use crate::operation::{Entry, Key};
    use crate::range::KeyRange;
    use crate::sessions::SessionChanges;

    fn scratch() -> TempDir {
        tempfile::tempdir().unwrap()
    }

    /// All files, with what is in them and when they were changed.
    fn files(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let changed = fs::metadata(&path).unwrap().modified().unwrap();
            let contents = match path.is_dir() {
                true => {
                    found.extend(files(&path));
                    Vec::new()
                }
                false => fs::read(&path).unwrap(),
            };
            found.insert(path, (contents, changed));
        }
        found
    }

    /// A replica that has ended: fjall has 10 of its 40 entries, and it knows that 20 are committed.
    fn ended() -> TempDir {
        let home = scratch();
        let options = StoreOptions {
            segment_bytes: 32 << 10,
            reserve_bytes: 0,
            ..StoreOptions::default()
        };
        let ReplicaStore { mut log, engine } = open_replica(home.path(), &options).unwrap();
        recover(&mut log, &engine, &SessionLimits::default(), StartId(1)).unwrap();
        let entry = |seq: u64| Arc::new(Entry::of(1, seq, format!("{seq:02}"), Some("v".into())));
        let entries: Vec<_> = (0..40).map(entry).collect();
        log.append(&entries[..20], Position(10)).unwrap();
        engine
            .apply(&entries[..10], &SessionChanges::default())
            .unwrap();
        engine.checkpoint().unwrap();
        log.append(&entries[20..], Position(20)).unwrap();
        log.sync().unwrap();
        home
    }

    fn keys(replica: &StoppedReplica) -> Vec<Key> {
        let page = replica.engine.scan(&KeyRange::all(), None).unwrap();
        page.records.into_iter().map(|record| record.key).collect()
    }

    #[test]
    fn a_stopped_replica_is_read_without_a_change_to_its_directory() {
        let home = ended();
        let before = files(home.path());
        let check = |extent, expected: u64| {
            let scratch = scratch();
            let replica = StoppedReplica::open(home.path(), scratch.path(), extent).unwrap();
            let found = (replica.committed, replica.log_end, replica.epoch);
            assert_eq!(found, (Position(20), Position(40), Epoch(1)));
            assert_eq!(replica.engine.applied(), Position(expected));
            let expected: Vec<_> = (0..expected)
                .map(|seq| Key::from(format!("{seq:02}")))
                .collect();
            assert_eq!(keys(&replica), expected);
        };
        check(Extent::Log, 40);
        check(Extent::Committed, 20);
        assert!(files(home.path()) == before, "a file has changed");
    }

    #[test]
    fn tables_are_not_copied() {
        let (home, scratch) = (ended(), scratch());
        let _replica = StoppedReplica::open(home.path(), scratch.path(), Extent::Log).unwrap();
        let tables = files(home.path()).into_keys().filter(|path| {
            let parent = path.parent().and_then(Path::file_name);
            parent.is_some_and(|name| name == TABLES)
        });
        let tables: Vec<PathBuf> = tables.collect();
        assert!(!tables.is_empty());
        for table in tables {
            let copy = scratch
                .path()
                .join(table.strip_prefix(home.path()).unwrap());
            assert_eq!(fs::read_link(copy).unwrap(), table);
        }
    }

    #[test]
    fn a_directory_in_use_and_those_of_others_are_refused() {
        let refusal = |path: &Path| {
            let opened = StoppedReplica::open(path, scratch().path(), Extent::Log);
            opened.unwrap_err().to_string()
        };
        let home = ended();
        let store = open_replica(home.path(), &StoreOptions::default()).unwrap();
        let text = refusal(home.path());
        assert!(text.contains("in use by another process (pid"), "{text}");
        drop(store);
        let scratch = scratch();
        // The node that has ended, and left its name, is not the one that is in the way.
        fs::write(home.path().join("lock"), "4194305\n").unwrap();
        let replica = StoppedReplica::open(home.path(), scratch.path(), Extent::Log).unwrap();
        let starts = open_replica(home.path(), &StoreOptions::default());
        let text = starts.unwrap_err().to_string();
        assert!(text.ends_with("in use by another process"), "{text}");
        drop(replica);

        let format = home.path().join("format");
        fs::write(&format, "lockstep replica\nformat 1\n").unwrap();
        let text = refusal(home.path());
        assert!(text.contains("format version 1"), "{text}");
        fs::remove_file(&format).unwrap();
        let text = refusal(home.path());
        assert!(text.contains("is not the data directory of"), "{text}");
        let text = refusal(&home.path().join("none"));
        assert!(text.contains("is not the data directory of"), "{text}");
        let arbiter = home.path().join("arbiter");
        drop(open_arbiter(&arbiter).unwrap());
        let text = refusal(&arbiter);
        assert!(text.contains("of a lockstep arbiter"), "{text}");
    }
}
