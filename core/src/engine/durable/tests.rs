//! Data directories: whose they are, and what is found in them when files are damaged, missing or mixed up.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::arbiter::{self, offline};
use crate::config::{ArbiterId, ClusterId, StartId};
use crate::engine::recovery::recover;
use crate::engine::{Engine, LogStore};
use crate::epochs::EpochHistory;
use crate::operation::{Key, Keyed, Moment};

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn options() -> StoreOptions {
    StoreOptions {
        segment_bytes: 32 << 10,
        reserve_bytes: 0,
        ..StoreOptions::default()
    }
}

fn replica(path: &Path) -> Result<ReplicaStore, StoreError> {
    open_replica(path, &options())
}

/// The text a person gets to see.
fn refusal<T>(opened: Result<T, StoreError>) -> String {
    match opened {
        Ok(_) => panic!("opened what should be refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_directory_is_made_and_keeps_its_node() {
    let home = home();
    let path = home.path().join("new").join("data");
    let first = replica(&path).unwrap().log.meta().node;
    assert_eq!(replica(&path).unwrap().log.meta().node, first);
    let other = replica(&home.path().join("other")).unwrap();
    assert_ne!(other.log.meta().node, first);
}

#[test]
fn a_second_process_is_told_who_uses_the_directory() {
    let home = home();
    let store = replica(home.path()).unwrap();
    let text = refusal(replica(home.path()));
    assert!(text.contains("in use by another process"), "{text}");
    assert!(
        text.contains(&format!("pid {}", std::process::id())),
        "{text}"
    );
    // The lock goes with the last part, a view included.
    let ReplicaStore { log, engine } = store;
    let view = engine.view().unwrap();
    drop(log);
    drop(engine);
    refusal(replica(home.path()));
    drop(view);
    replica(home.path()).unwrap();
    let _arbiter = open_arbiter(&home.path().join("a")).unwrap();
    refusal(open_arbiter(&home.path().join("a")));
}

#[test]
fn other_peoples_files_are_left_alone() {
    let home = home();
    fs::write(home.path().join("thesis.txt"), "words").unwrap();
    let text = refusal(replica(home.path()));
    assert!(text.contains("thesis.txt"), "{text}");
    refusal(open_arbiter(home.path()));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn the_root_of_a_fresh_file_system_and_an_interrupted_first_start_are_fine() {
    let home = home();
    fs::create_dir(home.path().join("lost+found")).unwrap();
    fs::write(home.path().join("lock"), "").unwrap();
    fs::write(home.path().join("format.tmp"), "lockst").unwrap();
    replica(home.path()).unwrap();
}

#[test]
fn a_directory_is_not_opened_as_what_it_is_not() {
    let home = home();
    drop(replica(home.path()).unwrap());
    let text = refusal(open_arbiter(home.path()));
    assert!(
        text.contains("data directory of a lockstep replica"),
        "{text}"
    );
    let path = home.path().join("arbiter");
    drop(open_arbiter(&path).unwrap());
    let text = refusal(replica(&path));
    assert!(
        text.contains("data directory of a lockstep arbiter"),
        "{text}"
    );
}

#[test]
fn a_format_of_another_release_and_a_damaged_one_are_told_apart() {
    let home = home();
    drop(replica(home.path()).unwrap());
    let format = home.path().join("format");
    fs::write(&format, "lockstep replica\nformat 9\n").unwrap();
    let found = replica(home.path());
    assert!(matches!(
        found,
        Err(StoreError::Format {
            found: 9,
            expected: 6,
            ..
        })
    ));
    for rubbish in ["", "lockstep", "lockstep replica\nformat one\n"] {
        fs::write(&format, rubbish).unwrap();
        assert!(matches!(
            replica(home.path()),
            Err(StoreError::Damaged { .. })
        ));
    }
}

/// Changes, cuts and lengthens the file in every way that one byte can, and checks that it is noticed every time.
fn every_damage_is_noticed(path: &Path, open: impl Fn() -> Option<StoreError>) {
    let good = fs::read(path).unwrap();
    let check = |contents: &[u8]| {
        fs::write(path, contents).unwrap();
        match open() {
            Some(
                StoreError::Damaged { path: found, .. } | StoreError::Format { path: found, .. },
            ) => {
                assert_eq!(found.file_name(), path.file_name());
            }
            other => panic!("{other:?} for {contents:?}"),
        }
    };
    for place in 0..good.len() {
        let mut damaged = good.clone();
        damaged[place] ^= 1 << (place % 8);
        check(&damaged);
        check(&good[..place]);
    }
    check(&[&good[..], b"x"].concat());
    fs::write(path, good).unwrap();
    assert!(open().is_none());
}

#[test]
fn damaged_meta_data_is_reported() {
    let home = home();
    drop(replica(home.path()).unwrap());
    every_damage_is_noticed(&home.path().join("meta"), || replica(home.path()).err());
}

#[test]
fn a_damaged_arbiter_is_reported() {
    let home = home();
    let record = offline::found(ArbiterId(1), arbiter::first_record(ClusterId(3), 4));
    open_arbiter(home.path()).unwrap().save(&record).unwrap();
    every_damage_is_noticed(&home.path().join("arbiter"), || {
        open_arbiter(home.path()).err()
    });
}

#[test]
fn an_interrupted_replacement_leaves_the_old_record() {
    let home = home();
    let record = offline::found(ArbiterId(1), arbiter::first_record(ClusterId(3), 4));
    open_arbiter(home.path()).unwrap().save(&record).unwrap();
    fs::write(home.path().join("arbiter.tmp"), "half a rec").unwrap();
    assert_eq!(open_arbiter(home.path()).unwrap().load(), Some(&record));
}

#[test]
fn missing_parts_are_reported() {
    for part in ["meta", "log", "engine"] {
        let home = home();
        let mut store = replica(home.path()).unwrap();
        recover(
            &mut store.log,
            &store.engine,
            &Default::default(),
            StartId(1),
        )
        .unwrap();
        drop(store);
        let path = home.path().join(part);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        let text = refusal(replica(home.path()));
        assert!(text.contains("remove the data directory"), "{part}: {text}");
    }
}

#[test]
fn the_log_of_another_node_is_refused() {
    let (home, other) = (home(), home());
    drop(replica(home.path()).unwrap());
    drop(replica(other.path()).unwrap());
    let name = "log/00000000000000000000.log";
    fs::copy(other.path().join(name), home.path().join(name)).unwrap();
    let text = refusal(replica(home.path()));
    assert!(text.contains("belongs to node"), "{text}");
}

#[test]
fn a_state_transfer_finds_no_room_before_anything_is_written() {
    let home = home();
    let full = StoreOptions {
        reserve_bytes: u64::MAX,
        ..options()
    };
    let store = open_replica(home.path(), &full).unwrap();
    let refused = store.engine.stage_begin();
    assert!(matches!(refused, Err(StoreError::NoRoom { .. })));
    let room = store.engine.room();
    assert!(room.free > 0 && room.needed == u64::MAX, "{room:?}");
    drop(store);
    let engine = replica(home.path()).unwrap().engine;
    assert_eq!(engine.room().needed, 0, "it keeps nothing in reserve");
    engine.stage_begin().unwrap();
    engine
        .stage(&[Keyed::of("a", "1")], &Default::default())
        .unwrap();
    let history = EpochHistory::new();
    engine.install(Moment::behind(9), &history).unwrap();
    let found = engine.read(&Key::from("a")).unwrap();
    assert_eq!(found, Some(Keyed::of("a", "1").record));
    let mut disk = fs::read_dir(home.path().join("engine/keyspaces")).unwrap();
    assert!(disk.next().is_some());
}

/// The engine does not open a journal of which a loss of power has left the end of a batch and not its middle.
#[test]
fn a_state_that_comes_in_does_not_go_through_the_journal_of_the_engine() {
    let home = home();
    let store = replica(home.path()).unwrap();
    let journal = home.path().join("engine/0.jnl");
    store.engine.stage_begin().unwrap();
    let before = fs::read(&journal).unwrap();
    let records: Vec<Keyed> = (0..1000)
        .map(|number| Keyed::of(format!("key {number:04}"), "v".repeat(1000)))
        .collect();
    let sessions = Default::default();
    for piece in records.chunks(100) {
        store.engine.stage(piece, &sessions).unwrap();
    }
    assert!(fs::read(&journal).unwrap() == before);
    store
        .engine
        .install(Moment::behind(1000), &EpochHistory::new())
        .unwrap();
    let found = store.engine.read(&"key 0999".into()).unwrap();
    assert_eq!(found.as_ref(), Some(&records[999].record));
}

#[test]
fn only_the_owner_reads_a_data_directory() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("r1");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // One that was there before, open to all.
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    drop(replica(&path).unwrap());
    assert_eq!(mode(&path), 0o700);
    for name in ["lock", "format"] {
        assert_eq!(mode(&path.join(name)), 0o600, "{name}");
    }
    let fresh = home.path().join("r2");
    drop(replica(&fresh).unwrap());
    assert_eq!(mode(&fresh), 0o700);
}
