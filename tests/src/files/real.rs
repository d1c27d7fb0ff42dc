//! Files of the operating system that have the same done to them as simulated ones: whatever they answer must be the same.
//!
//! This is what says that the laboratory's files are those that programs meet. What is injected, a failure or a loss of power,
//! happens to the simulated files, and the real ones are made to look as those do afterwards.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lockstep_core::engine::durable::OsFiles;
use lockstep_core::engine::files::{File, Files};

use super::disk::Disk;

/// A directory of the operating system that stands for the root of simulated files.
#[derive(Debug)]
pub(super) struct Real {
    root: PathBuf,
    compared: AtomicU64,
}

impl Real {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            compared: AtomicU64::new(0),
        }
    }

    /// Calls whose outcome was the same.
    pub(super) fn compared(&self) -> u64 {
        self.compared.load(Ordering::Relaxed)
    }

    fn path(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").expect("absolute"))
    }

    /// Whatever a process finds here is what is simulated: made so, or, if nothing has gone wrong, found to be so.
    pub(super) fn begin(&self, disk: &mut Disk) {
        let simulated = disk.tree();
        if !disk.take_changed() && self.root.exists() {
            let mut real = Vec::new();
            self.walk(Path::new("/"), &mut real);
            assert!(
                simulated == real,
                "the end of a process changed real files, or not simulated ones: {simulated:?}, {real:?}"
            );
            return;
        }
        let _ = fs::remove_dir_all(&self.root);
        fs::create_dir_all(&self.root).expect("a directory of its own");
        for (path, contents) in simulated {
            let path = self.path(&path);
            match contents {
                None => fs::create_dir_all(&path),
                Some(contents) => fs::write(&path, contents),
            }
            .expect("a directory of its own");
        }
    }

    fn walk(&self, path: &Path, found: &mut Vec<(PathBuf, Option<Vec<u8>>)>) {
        let names = OsFiles.list(&self.path(path)).expect("it is there");
        for name in names {
            let path = path.join(name);
            match fs::read(self.path(&path)) {
                Ok(contents) => found.push((path, Some(contents))),
                Err(_) => {
                    found.push((path.clone(), None));
                    self.walk(&path, found);
                }
            }
        }
    }

    fn compare<T: PartialEq + Debug>(
        &self,
        what: &str,
        simulated: &io::Result<T>,
        real: &io::Result<T>,
    ) {
        let is_same = match (simulated, real) {
            (Ok(simulated), Ok(real)) => simulated == real,
            (Err(simulated), Err(real)) => simulated.kind() == real.kind(),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => false,
        };
        assert!(
            is_same,
            "{what}: {simulated:?} of simulated files, {real:?} of real ones"
        );
        self.compared.fetch_add(1, Ordering::Relaxed);
    }
}

/// Simulated files and real ones.
#[derive(Debug)]
pub(super) struct Both {
    simulated: Arc<dyn Files>,
    real: Arc<Real>,
    disk: Arc<Mutex<Disk>>,
}

impl Both {
    pub(super) fn new(simulated: Arc<dyn Files>, real: Arc<Real>, disk: Arc<Mutex<Disk>>) -> Self {
        Self {
            simulated,
            real,
            disk,
        }
    }

    /// Has the same done to real files, unless something was injected.
    fn both<T: PartialEq + Debug>(
        &self,
        what: &str,
        simulated: io::Result<T>,
        real: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.is_struck() {
            self.real.compare(what, &simulated, &real());
        }
        simulated
    }

    fn is_struck(&self) -> bool {
        self.disk.lock().expect("nobody panics").is_struck()
    }

    fn file(
        &self,
        what: &str,
        simulated: io::Result<Arc<dyn File>>,
        real: impl FnOnce() -> io::Result<Arc<dyn File>>,
    ) -> io::Result<Arc<dyn File>> {
        if self.is_struck() {
            return simulated;
        }
        let real = real();
        let outcome = |file: &io::Result<_>| match file {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::from(error.kind())),
        };
        let (outcome, same) = (outcome(&simulated), outcome(&real));
        self.real.compare(what, &outcome, &same);
        Ok(Arc::new(BothFiles {
            simulated: simulated?,
            file: real?,
            real: self.real.clone(),
            disk: self.disk.clone(),
        }))
    }
}

impl Files for Both {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.file("open", self.simulated.open(path), || {
            OsFiles.open(&self.real.path(path))
        })
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.file("create", self.simulated.create(path), || {
            OsFiles.create(&self.real.path(path))
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.both("rename", self.simulated.rename(from, to), || {
            OsFiles.rename(&self.real.path(from), &self.real.path(to))
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.both("remove", self.simulated.remove(path), || {
            OsFiles.remove(&self.real.path(path))
        })
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<std::ffi::OsString>> {
        self.both("list", self.simulated.list(directory), || {
            OsFiles.list(&self.real.path(directory))
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.both("create_dir", self.simulated.create_dir(path), || {
            OsFiles.create_dir(&self.real.path(path))
        })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.both("sync_dir", self.simulated.sync_dir(path), || {
            OsFiles.sync_dir(&self.real.path(path))
        })
    }

    /// Real files have other room.
    fn room(&self, path: &Path) -> io::Result<u64> {
        self.simulated.room(path)
    }
}

/// An open file of both kinds.
#[derive(Debug)]
struct BothFiles {
    simulated: Arc<dyn File>,
    file: Arc<dyn File>,
    real: Arc<Real>,
    disk: Arc<Mutex<Disk>>,
}

impl BothFiles {
    fn both<T: PartialEq + Debug>(
        &self,
        what: &str,
        simulated: io::Result<T>,
        real: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        if self.disk.lock().expect("nobody panics").is_struck() {
            self.follow();
        } else {
            self.real.compare(what, &simulated, &real());
        }
        simulated
    }

    /// Makes the real file what the simulated one is after something has gone wrong with it.
    fn follow(&self) {
        self.look_into(true);
        let copied = self.simulated.length().and_then(|length| {
            let mut contents = vec![0; usize::try_from(length).expect("a small file")];
            self.simulated.read_at(&mut contents, 0)?;
            self.file.set_len(length)?;
            self.file.write_all_at(&contents, 0)
        });
        self.look_into(false);
        copied.expect("nothing goes wrong now");
    }

    fn look_into(&self, is_looked_into: bool) {
        let mut disk = self.disk.lock().expect("nobody panics");
        disk.set_looked_into(is_looked_into);
    }
}

impl File for BothFiles {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut same = bytes.to_vec();
        let simulated = self.simulated.read_at(bytes, offset);
        let read =
            |count: io::Result<usize>, bytes: &[u8]| count.map(|count| bytes[..count].to_vec());
        let count = simulated.as_ref().copied().unwrap_or_default();
        let seen = read(simulated, bytes);
        self.both("read_at", seen, || {
            let count = self.file.read_at(&mut same, offset);
            read(count, &same)
        })
        .map(|_| count)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.both(
            "write_all_at",
            self.simulated.write_all_at(bytes, offset),
            || self.file.write_all_at(bytes, offset),
        )
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.both("allocate", self.simulated.allocate(bytes), || {
            self.file.allocate(bytes)
        })
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.both("set_len", self.simulated.set_len(bytes), || {
            self.file.set_len(bytes)
        })
    }

    fn length(&self) -> io::Result<u64> {
        self.both("length", self.simulated.length(), || self.file.length())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.both("sync_data", self.simulated.sync_data(), || {
            self.file.sync_data()
        })
    }

    fn sync_all(&self) -> io::Result<()> {
        self.both("sync_all", self.simulated.sync_all(), || {
            self.file.sync_all()
        })
    }
}
