//! What simulated files promise, and what they do not.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use lockstep_core::engine::files::{File, Files};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Fault, Injected, Mishap, SimulatedFiles, Survival};

const FILE: &str = "/file";

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(3)
}

fn whole(fault: Fault) -> Injected {
    Injected { fault, part: 0 }
}

/// Files with one file of these contents, durably.
fn with_file(contents: &[u8]) -> (SimulatedFiles, Arc<dyn File>) {
    let files = SimulatedFiles::new(1);
    let file = write(&*files.handle(), FILE, contents);
    file.sync_all().unwrap();
    files.handle().sync_dir(Path::new("/")).unwrap();
    assert!(files.is_durable());
    (files, file)
}

fn write(files: &dyn Files, path: &str, contents: &[u8]) -> Arc<dyn File> {
    let file = files.create(Path::new(path)).unwrap();
    file.write_all_at(contents, 0).unwrap();
    file
}

fn read(files: &SimulatedFiles, path: &str) -> io::Result<Vec<u8>> {
    let file = files.handle().open(Path::new(path))?;
    let mut contents = vec![1; file.length()? as usize + 10];
    let count = file.read_at(&mut contents, 0)?;
    contents.truncate(count);
    Ok(contents)
}

/// All that losses of power may leave of a file.
fn left(files: &SimulatedFiles, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    let mut rng = rng();
    let mut left = BTreeSet::new();
    for _ in 0..200 {
        let survival = files.any_survival(&mut rng);
        left.insert(read(&files.after_crash(survival, &mut rng), path).ok());
    }
    left
}

fn all<const N: usize>(contents: [&[u8]; N]) -> BTreeSet<Option<Vec<u8>>> {
    contents.map(|contents| Some(contents.to_vec())).into()
}

#[test]
fn what_is_not_synced_is_there_or_not_block_by_block() {
    let (files, file) = with_file(&[1; 1024]);
    file.write_all_at(&[2; 1024], 0).unwrap();
    assert_eq!(read(&files, FILE).unwrap(), [2; 1024]);
    let mixed = [[[1; 512], [2; 512]].concat(), [[2; 512], [1; 512]].concat()];
    assert_eq!(
        left(&files, FILE),
        all([&[1; 1024], &mixed[0], &mixed[1], &[2; 1024]])
    );
    file.sync_data().unwrap();
    assert_eq!(left(&files, FILE), all([&[2; 1024]]));
}

#[test]
fn a_block_may_be_as_it_was_at_any_time_since_it_was_synced() {
    let (files, file) = with_file(b"one");
    file.write_all_at(b"two", 0).unwrap();
    file.write_all_at(b"six", 0).unwrap();
    assert_eq!(left(&files, FILE), all([b"one", b"two", b"six"]));
}

#[test]
fn a_length_is_durable_with_the_file() {
    let (files, file) = with_file(b"word");
    file.set_len(2).unwrap();
    file.set_len(6).unwrap();
    assert_eq!(read(&files, FILE).unwrap(), b"wo\0\0\0\0");
    let left = left(&files, FILE);
    assert!(left.contains(&Some(b"word".to_vec())));
    assert!(left.contains(&Some(b"wo".to_vec())));
    assert!(left.contains(&Some(b"wo\0\0\0\0".to_vec())));
    file.sync_all().unwrap();
    assert_eq!(self::left(&files, FILE), all([b"wo\0\0\0\0"]));
}

#[test]
fn a_name_is_durable_with_its_directory_and_a_rename_is_whole() {
    let files = SimulatedFiles::new(1);
    let handle = files.handle();
    write(&*handle, "/a", b"a").sync_all().unwrap();
    assert_eq!(left(&files, "/a"), [None, Some(b"a".to_vec())].into());
    handle.sync_dir(Path::new("/")).unwrap();
    assert_eq!(left(&files, "/a"), all([b"a"]));
    write(&*handle, "/b", b"b").sync_all().unwrap();
    handle.rename(Path::new("/b"), Path::new("/a")).unwrap();
    assert!(read(&files, "/b").is_err());
    assert_eq!(read(&files, "/a").unwrap(), b"b");
    let mut rng = rng();
    let mut found = BTreeSet::new();
    for _ in 0..200 {
        let survival = files.any_survival(&mut rng);
        let left = files.after_crash(survival, &mut rng);
        found.insert((read(&left, "/a").unwrap(), read(&left, "/b").ok()));
    }
    let (a, b) = (b"a".to_vec(), b"b".to_vec());
    assert_eq!(
        found,
        [(a.clone(), None), (a, Some(b.clone())), (b, None)].into()
    );
    handle.remove(Path::new("/a")).unwrap();
    assert!(left(&files, "/a").contains(&Some(b"a".to_vec())));
    handle.sync_dir(Path::new("/")).unwrap();
    assert_eq!(left(&files, "/a"), [None].into());
}

#[test]
fn a_directory_is_lost_with_all_that_is_in_it() {
    let files = SimulatedFiles::new(1);
    let handle = files.handle();
    let missing = handle.create_dir(Path::new("/d/e")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    handle.create_dir(Path::new("/d")).unwrap();
    let again = handle.create_dir(Path::new("/d")).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    write(&*handle, "/d/f", b"f").sync_all().unwrap();
    handle.sync_dir(Path::new("/d")).unwrap();
    assert!(left(&files, "/d/f").contains(&None));
    handle.sync_dir(Path::new("/")).unwrap();
    assert_eq!(left(&files, "/d/f"), all([b"f"]));
    assert_eq!(handle.list(Path::new("/d")).unwrap(), ["f"]);
}

#[test]
fn what_a_failed_sync_drops_can_be_read_and_is_durable_only_when_written_again() {
    let (mut files, file) = with_file(b"old");
    let mut has_dropped = false;
    for _ in 0..20 {
        file.write_all_at(b"new", 0).unwrap();
        files.inject(0, whole(Fault::Failed));
        file.sync_data().unwrap_err();
        file.sync_data().unwrap();
        assert_eq!(read(&files, FILE).unwrap(), b"new");
        let left = left(&files, FILE);
        assert_eq!(left.len(), 1, "nothing is taken for unsynced");
        if left.contains(&Some(b"old".to_vec())) {
            has_dropped = true;
            break;
        }
        file.write_all_at(b"old", 0).unwrap();
        file.sync_data().unwrap();
    }
    assert!(has_dropped);
    let mut rng = rng();
    while read(&files, FILE).unwrap() == b"new" {
        files.evict(&mut rng);
    }
    file.write_all_at(b"new", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(left(&files, FILE), all([b"new"]));
}

#[test]
fn a_call_that_goes_wrong_is_the_one_that_was_said() {
    let (files, file) = with_file(&[1; 1000]);
    files.inject(
        1,
        Injected {
            fault: Fault::NoRoom,
            part: 128,
        },
    );
    file.write_all_at(&[2; 1000], 0).unwrap();
    let error = file.write_all_at(&[3; 1000], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(read(&files, FILE).unwrap(), [[3; 500], [2; 500]].concat());
    // Reads need no room: the fault waits for a call that does.
    files.inject(0, whole(Fault::NoRoom));
    files.inject(0, whole(Fault::Interrupted));
    assert_eq!(read(&files, FILE).unwrap().len(), 1000);
    let error = file.allocate(4000).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    file.allocate(4000).unwrap();
    assert!(files.is_past_faults());
    assert_eq!(files.mishaps()[&Mishap::ShortWrite], 1);
}

#[test]
fn without_room_what_is_allocated_can_be_written_to() {
    let (files, file) = with_file(&[1; 600]);
    let handle = files.handle();
    files.set_room(1500);
    assert_eq!(handle.room(Path::new(FILE)).unwrap(), 1500);
    let error = file.write_all_at(&[2; 4096], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(read(&files, FILE).unwrap(), [2; 2048]);
    assert_eq!(handle.room(Path::new(FILE)).unwrap(), 476);
    file.write_all_at(&[3; 2048], 0).unwrap();
    handle.create(Path::new("/other")).unwrap_err();
    file.set_len(600).unwrap();
    handle.create(Path::new("/other")).unwrap();
    files.set_room(0);
    files.set_copies_on_write(true);
    file.write_all_at(&[4; 600], 0).unwrap_err();
    assert_ne!(read(&files, FILE).unwrap(), [4; 600]);
    handle.remove(Path::new("/other")).unwrap();
    file.write_all_at(&[4; 600], 0).unwrap();
}

#[test]
fn after_a_cut_nothing_happens_until_another_process_starts() {
    let (mut files, file) = with_file(b"old");
    files.inject(0, whole(Fault::Cut));
    file.write_all_at(b"new", 0).unwrap_err();
    assert!(files.is_cut());
    assert_eq!(left(&files, FILE), all([b"old", b"new"]));
    file.write_all_at(b"abc", 0).unwrap_err();
    file.sync_all().unwrap_err();
    files.end_process();
    assert_eq!(read(&files, FILE).unwrap(), b"new");
    file.write_all_at(b"abc", 0).unwrap_err();
    assert_eq!(read(&files, FILE).unwrap(), b"new");
    files.crash_leaving(Survival::Nothing, &mut rng());
    assert_eq!(read(&files, FILE).unwrap(), b"old");
}

#[test]
fn an_open_file_can_be_used_without_a_name() {
    let (files, file) = with_file(b"word");
    files.handle().remove(Path::new(FILE)).unwrap();
    files.handle().sync_dir(Path::new("/")).unwrap();
    file.write_all_at(b"W", 0).unwrap();
    let mut bytes = [0; 4];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 4);
    assert_eq!(&bytes, b"Word");
}

#[test]
fn a_clone_goes_its_own_way() {
    let (files, file) = with_file(b"old");
    let clone = files.clone();
    file.write_all_at(b"new", 0).unwrap();
    assert_eq!(read(&clone, FILE).unwrap(), b"old");
    assert_eq!(read(&files, FILE).unwrap(), b"new");
}

#[test]
fn what_is_read_is_what_was_written() {
    for seed in 0..30 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut files, mut file) = with_file(b"");
        let mut expected: Vec<u8> = Vec::new();
        for _ in 0..60 {
            let at = rng.random_range(0..3000usize);
            match rng.random_range(0..10) {
                0..6 => {
                    let bytes = vec![rng.random_range(0..3); rng.random_range(0..2000)];
                    file.write_all_at(&bytes, at as u64).unwrap();
                    if !bytes.is_empty() {
                        expected.resize(expected.len().max(at + bytes.len()), 0);
                        expected[at..at + bytes.len()].copy_from_slice(&bytes);
                    }
                }
                6 => {
                    file.set_len(at as u64).unwrap();
                    expected.resize(at, 0);
                }
                7 => {
                    file.allocate(at as u64).unwrap();
                    expected.resize(expected.len().max(at), 0);
                }
                8 => file.sync_data().unwrap(),
                _ => {
                    files.crash_leaving(Survival::Everything, &mut rng);
                    file = files.handle().open(Path::new(FILE)).unwrap();
                }
            }
            assert_eq!(read(&files, FILE).unwrap(), expected, "seed {seed}");
            let mut part = vec![0; 100];
            let count = file.read_at(&mut part, at as u64).unwrap();
            let end = expected.len().min(at + 100).max(at);
            assert_eq!(
                part[..count],
                expected[at.min(expected.len())..end.min(expected.len())]
            );
        }
    }
}
