//! Files as the rest of the durable stores sees them: errors with their place, atomic replacement, allocation, room.

use std::io;
use std::path::{Path, PathBuf};

use crate::engine::files::{File, Files};
use crate::engine::{StoreError, is_full};

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
    move |source| match is_full(&source) {
        true => StoreError::NoRoom {
            path: path.to_owned(),
        },
        false => StoreError::Io {
            action,
            path: path.to_owned(),
            source,
        },
    }
}

/// Makes the appearance and disappearance of files in a directory durable.
pub(super) fn sync_directory(files: &dyn Files, path: &Path) -> Result<(), StoreError> {
    files
        .sync_dir(path)
        .map_err(failed("sync the directory", path))
}

/// Creates a directory and those it is in, as far as they do not exist; durable on return, whoever created it.
///
/// Nothing is created in a directory that is not durable. So of those that exist only the last may not be.
pub(super) fn create_directory(files: &dyn Files, path: &Path) -> Result<(), StoreError> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    match files.list(path) {
        Ok(_) => return sync_directory_of_existing(files, parent),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("list", path)(error)),
    }
    create_directory(files, parent)?;
    match files.create_dir(path) {
        Ok(()) => {}
        // Another process creates its own beside it.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(refused("create the directory", path)(error)),
    }
    sync_directory(files, parent)
}

fn sync_directory_of_existing(files: &dyn Files, parent: &Path) -> Result<(), StoreError> {
    match files.sync_dir(parent) {
        Ok(()) => Ok(()),
        // Where this process may not read, it has created nothing either: it would not have come past that.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(failed("sync the directory", parent)(error)),
    }
}

/// Replaces the contents of a file; durable on return, and after a crash either the old or the new ones are there.
pub(super) fn replace(files: &dyn Files, path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let temporary = match planted!(RecordInPlace) {
        true => path.to_owned(),
        false => path.with_extension("tmp"),
    };
    let replaced = files.create(&temporary).and_then(|file| {
        file.write_all_at(contents, 0)?;
        if !planted!(RecordUnsynced) {
            file.sync_all()?;
        }
        files.rename(&temporary, path)
    });
    if let Err(error) = replaced {
        // What is left over is overwritten by the next attempt.
        let _ = files.remove(&temporary);
        return Err(refused("replace", path)(error));
    }
    if planted!(RecordNameUnsynced) {
        return Ok(());
    }
    sync_directory(files, directory_of(path))
}

/// The directory a file is in.
pub(super) fn directory_of(path: &Path) -> &Path {
    path.parent().expect("a file is in a directory")
}

/// Removes a directory of the operating system with all that is in it, if there is one.
pub(super) fn remove_all(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The contents of a file; `None` if there is none.
pub(super) fn read_if_present(
    files: &dyn Files,
    path: &Path,
) -> Result<Option<Vec<u8>>, StoreError> {
    match read(files, path) {
        Ok(contents) => Ok(Some(contents)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

fn read(files: &dyn Files, path: &Path) -> io::Result<Vec<u8>> {
    let file = files.open(path)?;
    let length = usize::try_from(file.length()?).map_err(io::Error::other)?;
    let mut contents = vec![0; length];
    let read = file.read_at(&mut contents, 0)?;
    contents.truncate(read);
    Ok(contents)
}

/// Gives a new file its size in such a way that writing to it needs no further room.
pub(super) fn allocate(file: &dyn File, bytes: u64) -> io::Result<()> {
    loop {
        let Err(error) = file.allocate(bytes) else {
            return Ok(());
        };
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            // Not every file system can: writing does the same more slowly.
            io::ErrorKind::Unsupported => return zero(file, 0, bytes),
            _ => return Err(error),
        }
    }
}

/// Writes zeros from `start` to `end`.
pub(super) fn zero(file: &dyn File, start: u64, end: u64) -> io::Result<()> {
    let mut offset = start;
    while offset < end {
        let length = (end - offset).min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..length as usize], offset)?;
        offset += length;
    }
    Ok(())
}

/// Bytes the file system of `path` can still take.
pub(super) fn room(files: &dyn Files, path: &Path) -> Result<u64, StoreError> {
    files
        .room(path)
        .map_err(failed("find the free space of", path))
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
