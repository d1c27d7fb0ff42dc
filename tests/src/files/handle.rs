//! How a process gets at simulated files.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use lockstep_core::engine::files::{File, Files};

use super::disk::{Disk, Process};
use super::fault::Call;
use super::names::Inode;

/// The files, for one process.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    disk: Arc<Mutex<Disk>>,
    process: Process,
}

impl Handle {
    pub(super) fn new(disk: Arc<Mutex<Disk>>, process: Process) -> Self {
        Self { disk, process }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no holder of the lock panics")
    }

    fn file(&self, inode: Inode) -> Arc<dyn File> {
        Arc::new(OpenFile {
            handle: self.clone(),
            inode,
        })
    }
}

impl Files for Handle {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let inode = self.disk().open(self.process, path)?;
        Ok(self.file(inode))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let inode = self.disk().create(self.process, path)?;
        Ok(self.file(inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk().rename(self.process, from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk().remove(self.process, path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.disk().list(self.process, directory)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk().create_dir(self.process, path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk().sync_dir(self.process, path)
    }

    fn room(&self, _path: &Path) -> io::Result<u64> {
        self.disk().room(self.process)
    }
}

#[derive(Debug)]
struct OpenFile {
    handle: Handle,
    inode: Inode,
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.handle.disk().close(self.handle.process, self.inode);
    }
}

impl File for OpenFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut disk = self.handle.disk();
        disk.read_at(self.handle.process, self.inode, bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.handle.disk();
        disk.write_all_at(self.handle.process, self.inode, bytes, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.handle.disk();
        disk.allocate(self.handle.process, self.inode, bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.handle.disk();
        disk.set_length(self.handle.process, self.inode, bytes)
    }

    fn length(&self) -> io::Result<u64> {
        self.handle.disk().length(self.handle.process, self.inode)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.handle.disk();
        disk.sync(self.handle.process, Call::SyncData, self.inode)
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut disk = self.handle.disk();
        disk.sync(self.handle.process, Call::SyncAll, self.inode)
    }
}
