//! The data directory: whose it is, that nobody else uses it, and that it holds what it should.
//!
//! `lock` is locked for the life of the process and names it; `format` says in plain text what the directory holds.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{self, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::durable::files::{self, failed, mismatch, refused};
use crate::engine::durable::os::{DIRECTORY_MODE, FILE_MODE, OsFiles};
use crate::engine::files::Files;
use crate::engine::{Room, StoreError, is_full};

/// Raised once between two releases, as [`wire::VERSION`](crate::wire::VERSION), with the first change after which what the
/// last one wrote can no longer be read. The last release has 5.
const VERSION: u32 = 6;

const LOCK: &str = "lock";
const FORMAT: &str = "format";

/// Found in the root of a fresh file system, which makes a good data directory.
const FOREIGN_BUT_HARMLESS: &str = "lost+found";

/// What a data directory is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Replica,
    Arbiter,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Arbiter => "arbiter",
        }
    }
}

/// What found too little room last; shared by those who look.
#[derive(Debug, Default)]
struct Shortage {
    /// Bytes that it needs; zero once something that needs as many has found them.
    needed: AtomicU64,
}

impl Shortage {
    /// Are `needed` bytes free?
    fn is_room(&self, free: u64, needed: u64) -> bool {
        let known = self.needed();
        if free < needed {
            self.needed.store(known.max(needed), Ordering::Relaxed);
        } else if known <= needed {
            self.needed.store(0, Ordering::Relaxed);
        }
        free >= needed
    }

    fn needed(&self) -> u64 {
        self.needed.load(Ordering::Relaxed)
    }
}

/// A data directory that this process alone uses, as long as this exists.
#[derive(Debug)]
pub(super) struct DataDir {
    files: Arc<dyn Files>,
    path: PathBuf,
    shortage: Shortage,
    /// Holds the lock; `None` over files that no other process can see.
    _lock: Option<File>,
}

impl DataDir {
    /// Takes possession of `path` in the file system, creating it if need be.
    ///
    /// Whatever is asked for, nothing is written to a directory that holds something else.
    pub(super) fn lock(path: &Path, kind: Kind) -> Result<Self, StoreError> {
        let path = path::absolute(path).map_err(failed("find the directory", path))?;
        Self::open_with(Arc::new(OsFiles), path, kind, |path| lock(path).map(Some))
    }

    /// The same over files that this process has for itself.
    pub(super) fn open(files: Arc<dyn Files>, path: &Path, kind: Kind) -> Result<Self, StoreError> {
        Self::open_with(files, path.to_owned(), kind, |_| Ok(None))
    }

    fn open_with(
        files: Arc<dyn Files>,
        path: PathBuf,
        kind: Kind,
        lock: impl FnOnce(&Path) -> Result<Option<File>, StoreError>,
    ) -> Result<Self, StoreError> {
        let format = files::read_if_present(&*files, &path.join(FORMAT))?;
        if format.is_none() {
            files::create_directory(&*files, &path)?;
            check_empty(&*files, &path)?;
        }
        let lock = lock(&path)?;
        match format {
            Some(text) => check_format(&path, &text, kind)?,
            None => files::replace(
                &*files,
                &path.join(FORMAT),
                format!("lockstep {}\nformat {VERSION}\n", kind.name()).as_bytes(),
            )?,
        }
        Ok(Self {
            files,
            path,
            shortage: Shortage::default(),
            _lock: lock,
        })
    }

    /// Refuses what needs more bytes than are free.
    pub(super) fn check_room(&self, needed: u64) -> Result<(), StoreError> {
        let free = files::room(self.files(), &self.path)?;
        match self.shortage.is_room(free, needed) {
            true => Ok(()),
            false => Err(StoreError::NoRoom {
                path: self.path.clone(),
            }),
        }
    }

    /// Room as of now, where `reserve` bytes are to stay free.
    pub(super) fn room(&self, reserve: u64) -> Room {
        Room {
            free: files::room(self.files(), &self.path).unwrap_or_default(),
            needed: self.shortage.needed().max(reserve),
        }
    }

    pub(super) fn files(&self) -> &dyn Files {
        &*self.files
    }

    /// The same for those that live on their own.
    pub(super) fn shared_files(&self) -> Arc<dyn Files> {
        self.files.clone()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Is there something of this name in it?
    pub(super) fn has(&self, name: &str) -> Result<bool, StoreError> {
        let names = self
            .files
            .list(&self.path)
            .map_err(failed("list", &self.path))?;
        Ok(names.iter().any(|found| found == name))
    }
}

/// Keeps every process from using the data directory of a node that does not run, without a change to it. Nobody is kept
/// from it where it has no lock, as in a copy of it that somebody has made.
pub(super) fn hold(path: &Path, kind: Kind) -> Result<Option<File>, StoreError> {
    let format = match fs::read(path.join(FORMAT)) {
        Ok(format) => format,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(mismatch(
                path,
                format!(
                    "is not the data directory of a lockstep {}: there is no file {FORMAT} in it",
                    kind.name()
                ),
            ));
        }
        Err(error) => return Err(failed("read", &path.join(FORMAT))(error)),
    };
    check_format(path, &format, kind)?;
    let file_path = path.join(LOCK);
    match File::open(&file_path) {
        Ok(mut file) => {
            take(&mut file, path)?;
            Ok(Some(file))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("open", &file_path)(error)),
    }
}

/// Refuses a directory with other people's files in it.
fn check_empty(files: &dyn Files, path: &Path) -> Result<(), StoreError> {
    for name in files.list(path).map_err(failed("list", path))? {
        // A start that was interrupted right at its beginning leaves the lock or a half-written format.
        let is_ours = [LOCK, "format.tmp", FOREIGN_BUT_HARMLESS]
            .iter()
            .any(|known| name == *known);
        if !is_ours {
            return Err(mismatch(
                path,
                format!(
                    "is not a data directory but holds {}: name an empty directory",
                    Path::new(&name).display()
                ),
            ));
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, StoreError> {
    // Whoever made the directory may have left it open to all. It is somebody else's where this fails, and his to choose.
    let _ = fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE));
    let file_path = path.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&file_path)
        .map_err(refused("open", &file_path))?;
    take(&mut file, path)?;
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .or_else(|error| match is_full(&error) {
            // The name of the holder is a courtesy: a full disk does not keep a node from starting.
            true => Ok(()),
            false => Err(failed("write", &file_path)(error)),
        })?;
    Ok(file)
}

/// Takes the lock of the directory at `path`.
fn take(file: &mut File, path: &Path) -> Result<(), StoreError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who holds the lock is told if possible; that it is held is what matters.
            let _ = file.read_to_string(&mut text);
            Err(StoreError::Locked {
                path: path.to_owned(),
                holder: text.trim().parse().ok().filter(|id| is_there(*id)),
            })
        }
        Err(TryLockError::Error(error)) => Err(failed("lock", &path.join(LOCK))(error)),
    }
}

/// Is there a process of this id, as far as one can see from here? The lock names the node that used the directory last:
/// who only `hold`s it leaves no name.
fn is_there(id: u32) -> bool {
    let processes = Path::new("/proc");
    !processes.join("self").exists() || processes.join(id.to_string()).exists()
}

fn check_format(path: &Path, contents: &[u8], kind: Kind) -> Result<(), StoreError> {
    let file = path.join(FORMAT);
    let parsed = std::str::from_utf8(contents).ok().and_then(|text| {
        let mut lines = text.lines();
        let name = lines.next()?.strip_prefix("lockstep ")?;
        let version: u32 = lines.next()?.strip_prefix("format ")?.parse().ok()?;
        Some((name, version))
    });
    let Some((name, version)) = parsed else {
        return Err(files::damaged(
            file,
            0,
            "this is not the description of a data directory",
        ));
    };
    if version != VERSION {
        return Err(StoreError::Format {
            path: file,
            found: version,
            expected: VERSION,
        });
    }
    if name != kind.name() {
        return Err(mismatch(
            path,
            format!(
                "is the data directory of a lockstep {name}, not of a lockstep {}: name another directory",
                kind.name()
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_lasts_until_as_much_is_found() {
        let shortage = Shortage::default();
        assert!(shortage.is_room(100, 100));
        assert_eq!(shortage.needed(), 0);
        assert!(!shortage.is_room(100, 130));
        assert!(!shortage.is_room(100, 120));
        assert!(shortage.is_room(100, 90));
        assert_eq!(shortage.needed(), 130);
        assert!(shortage.is_room(200, 130));
        assert_eq!(shortage.needed(), 0);
    }
}
