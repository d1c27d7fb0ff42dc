//! Disks of a cluster in one process: what is in memory outlives the process that worked with it, as files would.

use std::path::Path;
use std::sync::{Arc, Mutex};

use lockstep_core::config::{NodeId, Position};
use lockstep_core::driver;
use lockstep_core::engine::memory::{MemoryArbiter, MemoryEngine, MemoryLog};
use lockstep_core::engine::{ArbiterStore, LogStore, StoreError};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::operation::Entry;
use lockstep_core::storage::{ArbiterKeeper, Meta};

/// Where something lies while no process works with it.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    content: Arc<Mutex<Option<T>>>,
}

/// Something taken from its shelf; goes back when dropped.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    content: Option<T>,
    shelf: Arc<Mutex<Option<T>>>,
}

impl<T> Shelf<T> {
    fn new(content: T) -> Self {
        Self {
            content: Arc::new(Mutex::new(Some(content))),
        }
    }

    /// Takes it. `None` while it is taken: the process that has it has not ended.
    pub(crate) fn take(&self) -> Option<Taken<T>> {
        let mut content = self.content.lock().expect("nobody panics with the lock");
        content.take().map(|content| Taken {
            content: Some(content),
            shelf: Arc::clone(&self.content),
        })
    }
}

impl<T> Taken<T> {
    fn inner(&self) -> &T {
        self.content.as_ref().expect("taken back only when dropped")
    }

    fn inner_mut(&mut self) -> &mut T {
        self.content.as_mut().expect("taken back only when dropped")
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        if let Ok(mut shelf) = self.shelf.lock() {
            *shelf = self.content.take();
        }
    }
}

/// The disk of a replica.
#[derive(Debug)]
pub(crate) struct ReplicaDisk {
    pub(crate) log: Shelf<MemoryLog>,
    pub(crate) engine: Arc<MemoryEngine>,
}

impl ReplicaDisk {
    /// An empty disk.
    pub(crate) fn new(node: NodeId) -> Self {
        Self {
            log: Shelf::new(MemoryLog::new(node)),
            engine: Arc::new(MemoryEngine::new()),
        }
    }
}

/// The disk of the arbiter of a new cluster.
pub(crate) fn arbiter_disk() -> Shelf<MemoryArbiter> {
    let mut disk = MemoryArbiter::new();
    driver::begin_cluster(&mut disk).expect("memory has room for a record");
    Shelf::new(disk)
}

impl LogStore for Taken<MemoryLog> {
    fn append(&mut self, entries: &[Arc<Entry>], committed: Position) -> Result<(), StoreError> {
        self.inner_mut().append(entries, committed)
    }

    fn truncate(&mut self, end: Position) -> Result<(), StoreError> {
        self.inner_mut().truncate(end)
    }

    fn reset(&mut self, start: Position, history: &EpochHistory) -> Result<(), StoreError> {
        self.inner_mut().reset(start, history)
    }

    fn trim(&mut self, before: Position, bytes_max: u64) -> Result<Position, StoreError> {
        self.inner_mut().trim(before, bytes_max)
    }

    fn save_meta(&mut self, meta: &Meta) -> Result<(), StoreError> {
        self.inner_mut().save_meta(meta)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.inner_mut().sync()
    }

    fn read(&mut self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Entry>>, StoreError> {
        self.inner_mut().read(from, bytes_max)
    }

    fn start(&self) -> Position {
        self.inner().start()
    }

    fn end(&self) -> Position {
        self.inner().end()
    }

    fn history(&self) -> &EpochHistory {
        self.inner().history()
    }

    fn committed_hint(&self) -> Position {
        self.inner().committed_hint()
    }

    fn meta(&self) -> &Meta {
        self.inner().meta()
    }

    fn path(&self) -> &Path {
        self.inner().path()
    }
}

impl ArbiterStore for Taken<MemoryArbiter> {
    fn load(&self) -> Option<&ArbiterKeeper> {
        self.inner().load()
    }

    fn save(&mut self, record: &ArbiterKeeper) -> Result<(), StoreError> {
        self.inner_mut().save(record)
    }
}
