//! The state across starts: whatever a process was doing when it ended, the next one finds the last checkpoint.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use super::{ReplicaStore, StoreOptions, open_replica};
use crate::config::Position;
use crate::engine::Engine;
use crate::epochs::EpochHistory;
use crate::operation::{Entry, Key, Keyed, Moment, Revision, Value};
use crate::range::KeyRange;
use crate::sessions::{SessionChanges, SessionRows};

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Killed,
}

/// A data directory, and the process that uses it.
struct Home {
    directory: TempDir,
    store: ReplicaStore,
}

impl Home {
    fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap())
    }

    fn open(directory: TempDir) -> Self {
        let options = StoreOptions {
            segment_bytes: 32 << 10,
            reserve_bytes: 0,
            memtable_bytes: 0,
            ..StoreOptions::default()
        };
        let store = open_replica(directory.path(), &options).unwrap();
        Self { directory, store }
    }

    fn restart(self, end: End) -> Self {
        let Self { directory, store } = self;
        match end {
            End::Closed => {
                drop(store);
                Self::open(directory)
            }
            End::Killed => {
                let left = copy(directory.path());
                drop(store);
                Self::open(left)
            }
        }
    }

    fn engine(&self) -> &dyn Engine {
        &self.store.engine
    }

    fn records(&self) -> Vec<(Key, Value)> {
        let mut records: Vec<(Key, Value)> = Vec::new();
        let mut wanted = Some(KeyRange::all());
        while let Some(range) = wanted {
            let page = self.engine().scan(&range, None).unwrap();
            wanted = page.rest(&range);
            let found = page.records.into_iter();
            records.extend(found.map(|Keyed { key, record }| (key, record.value)));
        }
        records
    }
}

/// What is on the disk at one moment, while threads of fjall's go on.
fn copy(from: &Path) -> TempDir {
    loop {
        let to = tempfile::tempdir().unwrap();
        let before = files(from);
        let is_copied = copy_into(from, to.path()).is_ok();
        let after = files(from);
        if is_copied && before.is_ok() && before.ok() == after.ok() {
            return to;
        }
    }
}

fn files(directory: &Path) -> io::Result<BTreeMap<PathBuf, (u64, SystemTime)>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        }
        let metadata = entry.metadata()?;
        found.insert(entry.path(), (metadata.len(), metadata.modified()?));
    }
    Ok(found)
}

fn copy_into(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_into(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Transfers that came to nothing, with starts in between and hardly a write, and one that is put in place.
fn check_interrupted_transfers(end: End) {
    for interrupted in 1..4 {
        let mut home = Home::new().restart(end);
        for _ in 0..interrupted {
            home.engine().stage_begin().unwrap();
            home = home.restart(end);
        }
        home = home.restart(end);
        let records = vec![(Key::from("a"), Value::from("1"))];
        home.engine().stage_begin().unwrap();
        home.engine()
            .stage(&[Keyed::of("a", "1")], &SessionRows::default())
            .unwrap();
        home.engine()
            .install(Moment::behind(9), &EpochHistory::new())
            .unwrap();
        for start in 0..3 {
            home = home.restart(end);
            let found = (home.engine().applied(), home.records());
            let expected = (Position(9), records.clone());
            assert_eq!(found, expected, "{interrupted} interrupted, start {start}");
        }
    }
}

#[test]
fn a_state_is_there_after_interrupted_transfers_and_closed_processes() {
    check_interrupted_transfers(End::Closed);
}

#[test]
fn a_state_is_there_after_interrupted_transfers_and_killed_processes() {
    check_interrupted_transfers(End::Killed);
}

/// What a state is to be, and what of it a crash leaves.
#[derive(Clone, Default)]
struct Expected {
    applied: u64,
    records: BTreeMap<Key, Value>,
}

#[test]
fn any_end_leaves_the_last_checkpoint() {
    for seed in 0..6 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut home = Home::new();
        let (mut present, mut durable) = (Expected::default(), Expected::default());
        let mut staged: Option<BTreeMap<Key, Value>> = None;
        for _ in 0..100 {
            match rng.random_range(0..20) {
                0..8 => apply(&home, &mut present, &mut rng),
                8..11 => {
                    let position = home.engine().checkpoint().unwrap();
                    assert_eq!(position, Position(present.applied), "seed {seed}");
                    durable = present.clone();
                }
                11..13 => {
                    home.engine().stage_begin().unwrap();
                    staged = Some(BTreeMap::new());
                }
                13..15 => {
                    if let Some(staged) = &mut staged {
                        stage(&home, staged, &mut rng);
                    }
                }
                15 => {
                    if let Some(records) = staged.take() {
                        present.applied += rng.random_range(1..50);
                        present.records = records;
                        home.engine()
                            .install(Moment::behind(present.applied), &EpochHistory::new())
                            .unwrap();
                        durable = present.clone();
                    }
                }
                16 => drop(home.engine().view().unwrap()),
                end => {
                    let end = [End::Closed, End::Killed][usize::from(end > 17)];
                    home = home.restart(end);
                    present = durable.clone();
                    staged = None;
                }
            }
            let applied = home.engine().applied();
            assert_eq!(applied, Position(present.applied), "seed {seed}");
            let revision = home.engine().revision();
            assert_eq!(revision, Revision(present.applied + 1), "seed {seed}");
            let expected: Vec<_> = present.records.clone().into_iter().collect();
            assert_eq!(home.records(), expected, "seed {seed}");
        }
    }
}

fn key(rng: &mut StdRng) -> Key {
    Key::from(format!("{}", rng.random_range(0..40)))
}

fn apply(home: &Home, present: &mut Expected, rng: &mut StdRng) {
    let mut entries = Vec::new();
    for _ in 0..rng.random_range(1..30) {
        let (seq, key) = (present.applied, key(rng));
        let value = rng.random_bool(0.7).then(|| Value::from(format!("v{seq}")));
        match &value {
            Some(value) => present.records.insert(key.clone(), value.clone()),
            None => present.records.remove(&key),
        };
        entries.push(Arc::new(Entry::of(1, seq, key, value)));
        present.applied += 1;
    }
    home.engine()
        .apply(&entries, &SessionChanges::default())
        .unwrap();
}

/// Adds records, some of them so large that fjall writes out what it holds.
fn stage(home: &Home, staged: &mut BTreeMap<Key, Value>, rng: &mut StdRng) {
    let bytes = if rng.random_bool(0.2) { 100_000 } else { 20 };
    let mut records = Vec::new();
    for _ in 0..rng.random_range(1..20) {
        let (key, value) = (key(rng), Value::from(vec![rng.random::<u8>(); bytes]));
        if !staged.contains_key(&key) {
            staged.insert(key.clone(), value.clone());
            records.push(Keyed::of(key, value));
        }
    }
    home.engine()
        .stage(&records, &SessionRows::default())
        .unwrap();
}
