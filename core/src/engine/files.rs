//! The files under the durable log and the records: what they ask of a file system, and what it owes them.
//!
//! The implementation of programs is in `durable`; `lockstep-tests` has one that forgets, lies and fails within what is
//! promised here.
//!
//! Nothing is durable, that is, certain to be there after a loss of power, but
//! - the contents, the length and the allocation of a file as they were when `sync_all` was called and it returned `Ok`;
//! - the same, what is beside contents only as far as they cannot be read without it, with `sync_data`;
//! - the names in a directory as they were when `sync_dir` was called for it and it returned `Ok`. A file whose contents are
//!   durable is lost if its name is not.
//!
//! What is not durable is lost or not, in any mixture: of the blocks of 512 bytes that were written since the last sync, and of
//! names, lengths and allocations, each may be there as it was at any time since. Only a rename is never there by half.
//!
//! The end of a process costs nothing: the next one finds everything as it was, durable or not.

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The files of a machine. Paths are absolute.
///
/// What fails has no effect, with the exceptions named below; `StorageFull` and `QuotaExceeded` say that there is no room.
pub trait Files: Debug + Send + Sync {
    /// Opens a file that exists, to read and to write it.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Makes an empty file, or empties the one that is there, and opens it.
    ///
    /// # Errors
    /// A file that was there may be empty afterwards.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name in its directory, and takes that from whichever file had it.
    ///
    /// # Errors
    /// From the operating system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the name of a file.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in their order.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>>;

    /// Makes a directory in one that exists.
    ///
    /// # Errors
    /// `AlreadyExists` if there is something of this name, `NotFound` if there is nothing to make it in.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes durable which names a directory has.
    ///
    /// # Errors
    /// Any of them may be durable. What was asked for remains asked for: a file system that cannot write its journal takes no
    /// further changes, so that a later sync does not succeed without it.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Bytes that can still be written where `path` is, about.
    ///
    /// # Errors
    /// From the operating system.
    fn room(&self, path: &Path) -> io::Result<u64>;
}

/// An open file. It can be used as long as this exists, whatever becomes of its name.
pub trait File: Debug + Send + Sync {
    /// Reads what is at `offset`, as many bytes as fit; returns how many there were. Fewer than fit: the file ends there.
    ///
    /// # Errors
    /// From the operating system.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`; the file grows if need be.
    ///
    /// # Errors
    /// Any beginning of them may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file at least `bytes` long, with zeros behind its end, in such a way that writing to it needs no further room
    /// on most file systems; on some, every write does.
    ///
    /// # Errors
    /// `Unsupported` if the file system has no such thing, `Interrupted` if a signal came in between. A part may have been
    /// allocated.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Cuts the file off, or lengthens it with zeros.
    ///
    /// # Errors
    /// From the operating system.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// The length of the file.
    ///
    /// # Errors
    /// From the operating system.
    fn length(&self) -> io::Result<u64>;

    /// Makes the contents durable (fdatasync).
    ///
    /// # Errors
    /// As with `sync_all`.
    fn sync_data(&self) -> io::Result<()>;

    /// Makes the file durable with all that belongs to it (fsync).
    ///
    /// # Errors
    /// What was written since the last sync may be durable, or lost although it can still be read: later syncs return `Ok` and
    /// do not make it durable. Only what is written again is certain to be there after one that succeeds.
    fn sync_all(&self) -> io::Result<()>;
}
