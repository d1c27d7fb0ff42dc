//! The state of programs under losses of power: what a process has a file system do is recorded, call by call, done again to
//! simulated files, and cut at any call. Whatever is left is opened.
//!
//! fjall knows files of the operating system alone, so the process runs under `strace`. It works in [`run`], and says before and
//! behind every call to the engine what it is about to do and what must be durable; these lines are in the recording as well.

mod recording;
mod replay;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use lockstep_core::config::{Epoch, Incarnation, Owner, Position, Seq};
use lockstep_core::engine::durable::{ReplicaStore, StoreOptions, open_replica};
use lockstep_core::engine::{Engine, LogStore};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::operation::{
    Author, Change, ClientId, Entry, Key, Keyed, Moment, Origin, Record, RequestId, Revision,
    Verdict,
};
use lockstep_core::range::KeyRange;
use lockstep_core::sessions::{SessionChanges, SessionRows};
use lockstep_core::storage::Meta;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::recording::Recording;
use self::replay::Replay;

/// Keys that there are.
const KEYS: u64 = 23;

/// What the process has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Said {
    /// A start finds no earlier position.
    durable: u64,
    /// Nor a later one.
    begun: u64,
}

/// What cuts have shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Summary {
    /// Calls that were recorded.
    pub calls: usize,
    /// Losses of power, each looked into.
    pub cuts: usize,
    /// Those behind which a start found less than what was applied.
    pub fell_back: usize,
}

/// Is there what it takes to record a process?
pub fn is_possible() -> bool {
    let mut command = Command::new("strace");
    let tried = quietly(command.args(["-o", "/dev/null", "true"])).status();
    tried.is_ok_and(|status| status.success())
}

fn quietly(command: &mut Command) -> &mut Command {
    command.stdout(Stdio::null()).stderr(Stdio::null())
}

/// Works on a state below `directory`, as the seed says: applies, makes checkpoints, takes other states in.
///
/// # Errors
/// If nobody hears what it says.
///
/// # Panics
/// If the engine fails.
pub fn run(directory: &Path, seed: u64, steps: u32) -> io::Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut said = Said::default();
    let say = |said: &Said| writeln!(io::stdout(), "{} {}", said.durable, said.begun);
    let mut store = open(directory);
    // As a replica does before it takes anything in.
    let meta = Meta {
        incarnation: Incarnation::ZERO.next(),
        ..store.log.meta().clone()
    };
    store.log.save_meta(&meta).expect("it works");
    let engine = &store.engine;
    for _ in 0..steps {
        let applied = engine.applied().0;
        match rng.random_range(0..20) {
            0..11 => {
                let count = *[1, 5, 40].choose(&mut rng).expect("not empty");
                said.begun = applied + count;
                say(&said)?;
                let entries: Vec<_> = (applied..said.begun).map(entry).collect();
                let sessions = SessionChanges::default();
                engine.apply(&entries, &sessions).expect("it works");
            }
            11..17 => {
                said.durable = engine.checkpoint().expect("it works").0;
                say(&said)?;
            }
            17 => engine.stage_begin().expect("it works"),
            _ => {
                let at = applied + rng.random_range(0..50);
                engine.stage_begin().expect("it works");
                let records = state_at(at).into_iter().map(Keyed::from);
                let records: Vec<_> = records.collect();
                for piece in records.chunks(7) {
                    let sessions = SessionRows::default();
                    engine.stage(piece, &sessions).expect("it works");
                }
                said.begun = at;
                say(&said)?;
                let history = EpochHistory::new();
                engine.install(moment(at), &history).expect("it works");
                said.durable = at;
                say(&said)?;
            }
        }
    }
    Ok(())
}

/// Records `program`, which calls [`run`] with what it is given, and looks into what losses of power leave, as many as `cuts`.
///
/// # Errors
/// What was found that must not be, or what kept it from being found.
pub fn check(program: &Path, seed: u64, steps: u32, cuts: usize) -> Result<Summary, String> {
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (root, log) = (place.path().join("root"), place.path().join("calls"));
    let data = root.join("data");
    fs::create_dir_all(&root).map_err(|error| error.to_string())?;
    let mut command = Command::new("strace");
    command
        .args([
            "-f",
            "-xx",
            "-s",
            "1000000000",
            "-e",
            recording::CALLS,
            "-o",
        ])
        .arg(&log)
        .arg(program)
        .args(["run", &seed.to_string(), &steps.to_string()])
        .arg(&data);
    let status = quietly(&mut command).status();
    if !status.is_ok_and(|status| status.success()) {
        return Err("the process did not run to its end".to_owned());
    }
    let recording = Recording::read(&log, &root)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut chosen: Vec<usize> = (0..cuts)
        .map(|_| rng.random_range(0..=recording.len()))
        .collect();
    chosen.sort_unstable();
    let mut summary = Summary {
        calls: recording.len(),
        ..Summary::default()
    };
    let mut replay = Replay::new(&recording);
    for cut in chosen {
        replay.advance_to(cut)?;
        let left = tempfile::tempdir().map_err(|error| error.to_string())?;
        let survival = replay.lose_power(&mut rng, left.path())?;
        let found = look_into(&left.path().join("data"), replay.said())
            .map_err(|what| format!("seed {seed}, cut at call {cut}, {survival}: {what}"))?;
        summary.cuts += 1;
        summary.fell_back += usize::from(found < replay.said().begun);
    }
    Ok(summary)
}

/// Opens what was left: the position found, if that may be, and all that must be there is.
fn look_into(data: &Path, said: Said) -> Result<u64, String> {
    let store = open_replica(data, &options()).map_err(|error| error.to_string())?;
    let found = store.engine.applied().0;
    if !(said.durable..=said.begun.max(said.durable)).contains(&found) {
        return Err(format!("{found} was found, {said:?} was said"));
    }
    let revision = store.engine.revision();
    if revision != moment(found).revision {
        return Err(format!("the state at {found} is of revision {revision}"));
    }
    let mut records = BTreeMap::new();
    let mut wanted = Some(KeyRange::all());
    while let Some(range) = wanted {
        let page = store.engine.scan(&range, None);
        let page = page.map_err(|error| error.to_string())?;
        wanted = page.rest(&range);
        let found = page.records.into_iter();
        records.extend(found.map(|Keyed { key, record }| (key, record)));
    }
    match records == state_at(found) {
        true => Ok(found),
        false => Err(format!("the state at {found} is {records:?}")),
    }
}

fn options() -> StoreOptions {
    StoreOptions {
        segment_bytes: 4 << 10,
        reserve_bytes: 0,
        memtable_bytes: 0,
        ..StoreOptions::default()
    }
}

fn open(directory: &Path) -> ReplicaStore {
    open_replica(directory, &options()).expect("it works")
}

/// The entry at `seq` of the one log there is.
fn entry(seq: u64) -> Arc<Entry> {
    let key = Key::from(format!("key {:02}", seq * 7 % KEYS));
    let change = match seq % 5 {
        0 => Change::remove(key),
        _ => {
            let value = format!("{seq}").repeat(1 + (seq % 300) as usize);
            Change::insert(key, value.into(), Revision(seq + 2))
        }
    };
    Arc::new(Entry {
        epoch: Epoch(1),
        seq: Seq(seq),
        revision: Revision(seq + 2),
        changes: [change].into(),
        verdict: Verdict::Executed,
        author: Author::Client(Origin::plain(ClientId(1), RequestId(seq)), Owner(1)),
    })
}

/// Behind the entries before `position`.
fn moment(position: u64) -> Moment {
    Moment {
        position: Position(position),
        revision: Revision(position + 1),
    }
}

/// The outcome of the entries before `position`.
fn state_at(position: u64) -> BTreeMap<Key, Record> {
    let mut state = BTreeMap::new();
    for seq in 0..position {
        for change in &entry(seq).changes {
            match &change.record {
                Some(record) => state.insert(change.key.clone(), record.clone()),
                None => state.remove(&change.key),
            };
        }
    }
    state
}

/// Writes files and directories below `root`; what is zero of a file has no place on the disk.
fn lay_out(root: &Path, tree: Vec<(PathBuf, Option<Vec<u8>>)>) -> io::Result<()> {
    const PIECE: usize = 4096;
    for (path, contents) in tree {
        let path = root.join(path.strip_prefix("/").unwrap_or(&path));
        let Some(contents) = contents else {
            fs::create_dir_all(path)?;
            continue;
        };
        let mut file = File::create(path)?;
        file.set_len(contents.len() as u64)?;
        for (number, piece) in contents.chunks(PIECE).enumerate() {
            if piece.iter().any(|byte| *byte != 0) {
                file.seek(SeekFrom::Start((number * PIECE) as u64))?;
                file.write_all(piece)?;
            }
        }
    }
    Ok(())
}
