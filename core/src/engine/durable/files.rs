//! Files as the rest of the durable storage sees them: errors with their place, atomic replacement, allocation, room.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::engine::StoreError;

/// Zeros written at once.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Turns what the operating system said into an error that names the file. What is on the disk is uncertain.
pub(super) fn failed<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| StoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Like `failed`, where lack of room leaves everything as it was.
pub(super) fn refused<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> StoreError + 'a {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::NoRoom {
            path: path.to_owned(),
        },
        _ => StoreError::Io {
            action,
            path: path.to_owned(),
            source,
        },
    }
}

/// Makes the appearance and disappearance of files in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("sync the directory", path))
}

/// Creates a directory durably, unless it exists.
pub(super) fn create_directory(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(refused("create the directory", path))?;
    match path.parent().filter(|parent| parent.is_dir()) {
        Some(parent) => sync_directory(parent),
        None => Ok(()),
    }
}

/// Replaces the contents of a file; durable on return, and after a crash either the old or the new ones are there.
pub(super) fn replace(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let temporary = path.with_extension("tmp");
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(contents).and_then(|()| file.sync_all()));
    if let Err(error) = written {
        // What is left over is overwritten by the next attempt.
        let _ = fs::remove_file(&temporary);
        return Err(refused("write", path)(error));
    }
    fs::rename(&temporary, path).map_err(refused("replace", path))?;
    sync_directory(path.parent().expect("a file is in a directory"))
}

/// The contents of a file; `None` if there is none.
pub(super) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Gives a new file its size in such a way that writing to it needs no further room.
pub(super) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        // Not every file system can: writing does the same more slowly.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
            zero(file, 0, bytes)
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes zeros from `start` to `end`.
pub(super) fn zero(file: &File, start: u64, end: u64) -> io::Result<()> {
    let mut offset = start;
    while offset < end {
        let length = (end - offset).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..length as usize], offset)?;
        offset += length;
    }
    Ok(())
}

/// Bytes the file system of `path` can still take.
pub(super) fn room(path: &Path) -> Result<u64, StoreError> {
    let status = rustix::fs::statvfs(path)
        .map_err(|error| failed("find the free space of", path)(error.into()))?;
    Ok(status.f_bavail.saturating_mul(status.f_frsize))
}

/// An error that says that `path` does not hold what it should.
pub(super) fn mismatch(path: &Path, what: impl Into<String>) -> StoreError {
    StoreError::Mismatch {
        path: path.to_owned(),
        what: what.into(),
    }
}

/// An error that says that `path` is damaged at `offset`.
pub(super) fn damaged(
    path: impl Into<PathBuf>,
    offset: u64,
    what: impl Into<String>,
) -> StoreError {
    StoreError::Damaged {
        path: path.into(),
        offset,
        what: what.into(),
    }
}
