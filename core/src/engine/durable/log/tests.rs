//! What the log finds on a disk that is torn, damaged and full, case by case. What every log must do is in its conformance
//! suite; what this one does over files that do their worst, in the drills of `lockstep-tests`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::config::{Epoch, NodeId, Token};
use crate::engine::durable::directory::Kind;
use crate::engine::durable::os::OsFiles;
use crate::operation::{Change, Entry, Revision};

/// A data directory and the log in it.
struct Rig {
    home: TempDir,
    log: DurableLog,
}

impl Rig {
    fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let log = open(home.path()).expect("a fresh log");
        Self { home, log }
    }

    /// A new process finds these files in the log's directory.
    fn on(image: &Image) -> Result<Self, StoreError> {
        let home = tempfile::tempdir().expect("a temporary directory");
        let directory = home.path().join("log");
        fs::create_dir(&directory).expect("a new directory");
        // Whatever opens a directory with files in it expects its description.
        fs::write(home.path().join("format"), "lockstep replica\nformat 6\n").expect("room");
        for (name, contents) in image {
            fs::write(directory.join(name), contents).expect("room");
        }
        let log = open(home.path())?;
        Ok(Self { home, log })
    }

    fn image(&self) -> Image {
        let directory = fs::read_dir(self.home.path().join("log")).expect("the log's directory");
        directory
            .map(|file| file.expect("a directory entry"))
            .map(|file| {
                (
                    file.file_name().into_string().expect("our names"),
                    file.path(),
                )
            })
            .filter(|(name, _)| name.ends_with(".log"))
            .map(|(name, path)| (name, fs::read(path).expect("a readable file")))
            .collect()
    }

    fn append(&mut self, entries: &[Arc<Entry>]) {
        self.log.append(entries, Position(0)).expect("room");
    }

    fn read_all(&mut self) -> Vec<Arc<Entry>> {
        let mut all = Vec::new();
        let mut from = self.log.start();
        while from < self.log.end() {
            let read = self.log.read(from, 10_000).expect("what is there is read");
            from = Position(from.0 + read.len() as u64);
            all.extend(read);
        }
        all
    }

    /// Where the next batch goes: the name of its file, and the offset.
    fn place(&self) -> (String, usize) {
        let last = self.log.segments.back().expect("there is always a segment");
        (name_of(&last.path), last.written() as usize)
    }
}

/// The files of a log.
type Image = BTreeMap<String, Vec<u8>>;

fn open(path: &Path) -> Result<DurableLog, StoreError> {
    let options = StoreOptions {
        segment_bytes: 64 << 10,
        reserve_bytes: 0,
        ..StoreOptions::default()
    };
    let directory = Arc::new(DataDir::lock(path, Kind::Replica)?);
    let meta = Meta {
        node: NodeId(7),
        cluster: None,
        incarnation: Incarnation::ZERO,
        token: Token(0),
        epoch: Epoch::ZERO,
        starts: Vec::new(),
        arbiters: Vec::new(),
    };
    let meta_file = RecordFile::new(&directory, "meta", *b"LKSTPMET");
    DurableLog::open(directory, meta_file, meta, &options, Draw::random())
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str());
    name.expect("our names").to_owned()
}

fn entry(epoch: u64, seq: u64, value_bytes: usize) -> Arc<Entry> {
    let value = vec![seq as u8 | 1; value_bytes].into();
    Arc::new(Entry::of(epoch, seq, format!("{seq}"), Some(value)))
}

fn entries(epoch: u64, first: u64, count: u64, value_bytes: usize) -> Vec<Arc<Entry>> {
    (first..first + count)
        .map(|seq| entry(epoch, seq, value_bytes))
        .collect()
}

// ------------------------------------------------------------------------------------------- a disk that forgets

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(20),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_in_the_place_of_a_segment_are_reported(contents in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let image = Image::from([("00000000000000000000.log".to_owned(), contents)]);
        let refused = matches!(Rig::on(&image), Err(StoreError::Damaged { .. } | StoreError::Format { .. }));
        prop_assert!(refused);
    }
}

#[test]
fn a_torn_batch_takes_the_whole_ones_behind_it_along() {
    let mut rig = Rig::new();
    rig.append(&entries(1, 0, 3, 100));
    rig.log.sync().unwrap();
    let (name, torn) = rig.place();
    rig.append(&entries(1, 3, 3, 100));
    let (_, whole) = rig.place();
    rig.append(&entries(1, 6, 3, 100));
    let mut image = rig.image();
    image.get_mut(&name).unwrap()[torn + 60] ^= 1;
    let mut rig = Rig::on(&image).unwrap();
    assert_eq!(rig.read_all(), entries(1, 0, 3, 100));
    assert!(
        rig.image()[&name][torn..whole + 400]
            .iter()
            .all(|byte| *byte == 0),
        "what was cut off is gone from the disk"
    );
    // Batches of the same length come to stand where the old ones stood, and these do not come back.
    rig.append(&entries(2, 3, 3, 100));
    rig.log.sync().unwrap();
    let mut rig = Rig::on(&rig.image()).unwrap();
    assert_eq!(rig.log.end(), Position(6));
    assert_eq!(rig.read_all()[3..], entries(2, 3, 3, 100));
}

#[test]
fn a_batch_left_by_a_failed_write_does_not_continue_another() {
    let mut rig = Rig::new();
    rig.append(&entries(1, 0, 1, 8));
    rig.log.sync().unwrap();
    let synced = rig.image();
    rig.append(&entries(1, 1, 1, 8));
    let (name, place) = rig.place();
    rig.append(&entries(1, 2, 1, 8));
    let left = rig.image()[&name][place..rig.place().1].to_vec();
    // The first of the two batches is written again with another entry, the second is still there.
    let mut rig = Rig::on(&synced).unwrap();
    rig.append(&entries(2, 1, 1, 8));
    assert_eq!(rig.place().1, place);
    let mut image = rig.image();
    image.get_mut(&name).unwrap()[place..place + left.len()].copy_from_slice(&left);
    assert_eq!(Rig::on(&image).unwrap().log.end(), Position(2));
}

#[test]
fn a_value_that_looks_like_a_batch_is_no_witness() {
    let mut rig = Rig::new();
    rig.append(&entries(1, 0, 1, 8));
    rig.log.sync().unwrap();
    let (name, first) = rig.place();
    rig.append(&entries(1, 1, 1, 8));
    rig.log.sync().unwrap();
    // What somebody who knows the format, but not the salt, can put into a value: a batch that says that all was durable.
    let mut forged = rig.image()[&name][first..rig.place().1].to_vec();
    forged[..8].fill(0xAB);
    forged[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
    let crc = crc32fast::hash(&forged[12..]);
    forged[8..12].copy_from_slice(&crc.to_le_bytes());
    let (_, torn) = rig.place();
    let mut poisoned = (*entry(1, 2, 0)).clone();
    poisoned.changes = [Change::insert(
        "key".into(),
        forged.repeat(8).into(),
        Revision(4),
    )]
    .into();
    rig.append(&[Arc::new(poisoned)]);
    let mut image = rig.image();
    image.get_mut(&name).unwrap()[torn + 20] ^= 1;
    assert_eq!(Rig::on(&image).unwrap().log.end(), Position(2));
}

// ---------------------------------------------------------------------------------------------- a disk that lies

/// A log of several segments in which every group was synced; and where each group stands.
fn synced_groups() -> (Image, Vec<(String, usize, usize)>) {
    let mut rig = Rig::new();
    let mut groups = Vec::new();
    for group in 0..24 {
        let first = group * 4;
        rig.append(&entries(1 + group / 9, first, 4, 2000));
        rig.log.sync().unwrap();
        let (name, end) = rig.place();
        let start = match groups.last() {
            Some((last, _, end)) if *last == name => *end,
            Some(_) | None => 512,
        };
        groups.push((name, start, end));
    }
    assert!(rig.image().len() > 2, "several segments");
    (rig.image(), groups)
}

#[test]
fn damage_before_a_later_group_is_reported_with_its_place() {
    let (image, groups) = synced_groups();
    let (_, reported) = groups.split_last().unwrap();
    for (index, (name, start, end)) in reported.iter().enumerate() {
        for place in [
            *start,
            start + 9,
            start + 20,
            start + 45,
            start + 56,
            end - 8,
        ] {
            let mut damaged = image.clone();
            damaged.get_mut(name).unwrap()[place] ^= 1 << (index % 8);
            match Rig::on(&damaged).map(|rig| rig.log.end()) {
                Err(StoreError::Damaged { path, offset, .. }) => {
                    assert_eq!(name_of(&path), *name);
                    assert_eq!(offset, *start as u64, "flipped a bit of byte {place}");
                }
                other => panic!("{other:?} with a bit of byte {place} of {name} flipped"),
            }
        }
    }
}

#[test]
fn a_hole_in_the_middle_is_reported() {
    let (image, groups) = synced_groups();
    for (name, start, end) in &groups[..groups.len() - 1] {
        let mut damaged = image.clone();
        damaged.get_mut(name).unwrap()[*start..*end].fill(0);
        let found = Rig::on(&damaged).map(|rig| rig.log.end());
        assert!(
            matches!(&found, Err(StoreError::Damaged { path, offset, .. })
                if name_of(path) == *name && *offset == *start as u64),
            "{found:?}"
        );
    }
}

#[test]
fn damage_in_the_last_group_costs_that_group_only() {
    let (image, groups) = synced_groups();
    let (name, start, end) = groups.last().unwrap();
    for place in (*start..*end - 8).step_by(97) {
        let mut damaged = image.clone();
        damaged.get_mut(name).unwrap()[place] ^= 0x10;
        let mut rig = Rig::on(&damaged).unwrap();
        assert_eq!(rig.log.end(), Position(92));
        assert_eq!(rig.read_all().len(), 92);
    }
}

#[test]
fn a_missing_or_foreign_segment_is_reported() {
    let (image, _) = synced_groups();
    let middle = image.keys().nth(1).unwrap().clone();
    let mut gap = image.clone();
    gap.remove(&middle);
    assert!(matches!(
        Rig::on(&gap).err(),
        Some(StoreError::Damaged { .. })
    ));
    let mut renamed = image.clone();
    let contents = renamed.remove(&middle).unwrap();
    renamed.insert("00000000000000000077.log".to_owned(), contents);
    assert!(matches!(
        Rig::on(&renamed).err(),
        Some(StoreError::Damaged { .. })
    ));
    let mut cut = image.clone();
    cut.get_mut(&middle).unwrap().truncate(700);
    assert!(matches!(
        Rig::on(&cut).err(),
        Some(StoreError::Damaged { .. })
    ));
}

#[test]
fn damage_in_a_header_is_reported() {
    let (image, _) = synced_groups();
    for name in image.keys() {
        for place in [0, 7, 8, 12, 16, 20, 22, 25] {
            let mut damaged = image.clone();
            damaged.get_mut(name).unwrap()[place] ^= 4;
            let found = Rig::on(&damaged).map(|rig| rig.log.end());
            match found {
                Err(StoreError::Damaged { path, .. } | StoreError::Format { path, .. }) => {
                    assert_eq!(name_of(&path), *name);
                }
                other => panic!("{other:?} with byte {place} of {name} changed"),
            }
        }
    }
}

#[test]
fn damage_that_happens_while_the_log_is_open_is_not_handed_out() {
    let mut rig = Rig::new();
    rig.append(&entries(1, 0, 4, 100));
    rig.log.sync().unwrap();
    let (name, _) = rig.place();
    let path = rig.home.path().join("log").join(name);
    let mut contents = fs::read(&path).unwrap();
    contents[700] ^= 1;
    fs::write(&path, contents).unwrap();
    let read = rig.log.read(Position(0), 1000);
    assert!(matches!(read, Err(StoreError::Damaged { offset: 512, .. })));
}

#[test]
fn a_log_that_has_vanished_is_reported() {
    let mut rig = Rig::new();
    rig.append(&entries(1, 0, 4, 100));
    let meta = Meta {
        incarnation: Incarnation(1),
        ..rig.log.meta().clone()
    };
    let Rig { home, log } = rig;
    let (directory, meta_file) = (log.directory, log.meta_file);
    fs::remove_dir_all(home.path().join("log")).unwrap();
    let found = DurableLog::open(
        directory,
        meta_file,
        meta,
        &StoreOptions::default(),
        Draw::random(),
    );
    assert!(matches!(found.err(), Some(StoreError::Mismatch { .. })));
}

// ------------------------------------------------------------------------------------------- a disk that is full

#[test]
fn without_room_nothing_changes_and_with_room_it_goes_on() {
    let mut rig = Rig::new();
    rig.append(&entries(1, 0, 4, 100));
    rig.log.sync().unwrap();
    rig.log.set_reserve_bytes(u64::MAX);
    for _ in 0..3 {
        let refused = rig.log.append(&entries(1, 4, 4, 100), Position(4));
        assert!(matches!(refused, Err(StoreError::NoRoom { .. })));
        assert_eq!(rig.log.end(), Position(4));
    }
    rig.log.sync().unwrap();
    assert_eq!(rig.log.committed_hint(), Position(0));
    assert_eq!(rig.read_all(), entries(1, 0, 4, 100));
    // A log is cut off, and begun anew, with what is kept in reserve: that is what a full node needs to get on.
    rig.log.truncate(Position(2)).unwrap();
    rig.log.set_reserve_bytes(0);
    rig.append(&entries(2, 2, 60, 2000));
    rig.log.sync().unwrap();
    let mut rig = Rig::on(&rig.image()).unwrap();
    assert_eq!(
        rig.read_all(),
        [entries(1, 0, 2, 100), entries(2, 2, 60, 2000)].concat()
    );
}

#[test]
fn an_append_over_several_segments_is_refused_as_a_whole() {
    let mut rig = Rig::new();
    let room = files::room(&OsFiles, rig.home.path()).unwrap();
    // There is room above the reserve for the log as it is, but not for many further segments.
    rig.log.set_reserve_bytes(room - (4 << 20));
    let large = entries(1, 0, 40, 500_000);
    let refused = rig.log.append(&large, Position(0));
    assert!(matches!(refused, Err(StoreError::NoRoom { .. })));
    assert_eq!(rig.log.end(), Position(0));
    let left: Vec<_> = fs::read_dir(rig.home.path().join("log")).unwrap().collect();
    assert_eq!(left.len(), 1, "no half-made segments are left");
    rig.log.set_reserve_bytes(0);
    rig.append(&large);
    rig.log.sync().unwrap();
    assert_eq!(Rig::on(&rig.image()).unwrap().read_all(), large);
}

// --------------------------------------------------------------------------------------- what crashes leave over

/// What there is when a log has gone on, and nothing of what is void has been removed.
fn with_leftovers(go_on: impl FnOnce(&mut Rig)) -> Rig {
    let (mut image, _) = synced_groups();
    let mut rig = Rig::on(&image).unwrap();
    go_on(&mut rig);
    rig.log.sync().unwrap();
    image.extend(rig.image());
    image.insert("spare-3.tmp".to_owned(), vec![1, 2, 3]);
    let reopened = Rig::on(&image).unwrap();
    assert_eq!(
        reopened.image(),
        rig.image(),
        "what is left over is removed"
    );
    reopened
}

#[test]
fn segments_before_one_that_begins_anew_are_void() {
    let mut rig = with_leftovers(|rig| {
        let mut history = EpochHistory::new();
        history.append(Epoch(9), Seq(0));
        rig.log.reset(Position(50), &history).unwrap();
        rig.append(&entries(9, 50, 2, 10));
    });
    assert_eq!(rig.log.start(), Position(50));
    assert_eq!(rig.read_all(), entries(9, 50, 2, 10));
}

#[test]
fn segments_behind_a_truncation_are_void() {
    let before = Rig::on(&synced_groups().0).unwrap().read_all();
    let mut rig = with_leftovers(|rig| {
        rig.log.truncate(Position(30)).unwrap();
        rig.append(&entries(9, 30, 2, 10));
    });
    assert_eq!(rig.log.start(), Position(0));
    assert_eq!(
        rig.read_all(),
        [&before[..30], &entries(9, 30, 2, 10)].concat()
    );
}

#[test]
fn a_truncation_behind_another_does_not_bring_back_what_that_cut_off() {
    let mut rig = Rig::new();
    rig.append(&entries(1, 0, 20, 10));
    rig.log.truncate(Position(10)).unwrap();
    let first = rig.image();
    rig.append(&entries(2, 10, 10, 10));
    rig.log.truncate(Position(5)).unwrap();
    // Whichever of the files of the second truncation are there.
    for name in first.keys() {
        let mut image = rig.image();
        image.insert(name.clone(), first[name].clone());
        let mut rig = Rig::on(&image).unwrap();
        assert_eq!(rig.read_all(), entries(1, 0, 5, 10));
    }
}

#[test]
fn a_spare_segment_is_ready_before_it_is_needed() {
    let mut rig = Rig::new();
    let append = |rig: &mut Rig, first| {
        rig.append(&entries(1, first, 15, 1000));
        rig.log.sync().unwrap();
    };
    append(&mut rig, 0);
    assert!(rig.log.spare.is_none());
    append(&mut rig, 15);
    append(&mut rig, 30);
    assert!(rig.log.spare.is_some());
    append(&mut rig, 45);
    append(&mut rig, 60);
    assert!(rig.log.spare.is_none(), "it has become the next segment");
    assert_eq!(rig.log.segments.len(), 2);
}
