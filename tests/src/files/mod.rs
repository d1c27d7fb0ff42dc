//! Files that forget, lie, fail and fill up, within what [`Files`] promises: what the durable log and the records stand on in
//! the laboratory.
//!
//! - [`SimulatedFiles`] are the files of one machine. Its owner says what goes wrong, ends processes and cuts the power; a
//!   process gets at them by a handle.
//! - What is written goes to a cache. A loss of power leaves of what was not synced any mixture of blocks, lengths and names as
//!   they were at any time since; a failed sync drops what it was to write, and the cache takes it for written.
//! - [`drill`] drives the log and the records over all that.

mod contents;
mod disk;
pub mod drill;
mod fault;
mod handle;
mod names;
mod real;
mod survival;
#[cfg(test)]
mod tests;
pub(crate) mod world;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use lockstep_core::engine::files::Files;
use rand_chacha::ChaCha8Rng;

use self::disk::Disk;
pub use self::fault::{Call, Fault, Injected, Mishap, Mishaps, Plan};
use self::handle::Handle;
use self::real::{Both, Real};
pub use self::survival::Survival;

/// The files of one machine.
///
/// - A clone has everything, and what was asked for later concerns one of the two only.
/// - Everything follows from the seed, from the random numbers that are given, and from what is asked for in which order.
#[derive(Debug)]
pub struct SimulatedFiles {
    disk: Arc<Mutex<Disk>>,
    real: Option<Arc<Real>>,
}

impl Clone for SimulatedFiles {
    fn clone(&self) -> Self {
        Self::of(self.disk().clone())
    }
}

impl SimulatedFiles {
    /// An empty file system with all the room there can be.
    pub fn new(seed: u64) -> Self {
        Self::of(Disk::new(seed))
    }

    /// The same files, once more in hand.
    pub(crate) fn same(&self) -> Self {
        Self {
            disk: self.disk.clone(),
            real: self.real.clone(),
        }
    }

    /// From now on whatever a process does is done to files of the operating system as well, in this directory, and must have
    /// the same outcome there.
    pub fn compare_with(&mut self, directory: PathBuf) {
        self.real = Some(Arc::new(Real::new(directory)));
        self.disk().strike();
    }

    /// Calls whose outcome was compared.
    pub fn compared(&self) -> u64 {
        self.real.as_ref().map_or(0, |real| real.compared())
    }

    fn of(disk: Disk) -> Self {
        Self {
            disk: Arc::new(Mutex::new(disk)),
            real: None,
        }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().expect("no holder of the lock panics")
    }

    /// How the process that runs gets at the files. It does nothing any more once the process has ended.
    pub fn handle(&self) -> Arc<dyn Files> {
        let process = self.disk().process();
        let handle = Arc::new(Handle::new(self.disk.clone(), process));
        let Some(real) = &self.real else {
            return handle;
        };
        real.begin(&mut self.disk());
        Arc::new(Both::new(handle, real.clone(), self.disk.clone()))
    }

    /// The first call that the fault can strike goes wrong, but none of the next `spared`.
    pub fn inject(&self, spared: u64, injected: Injected) {
        self.disk().plan.inject(spared, injected);
    }

    /// No call goes wrong any more, unless there is no room or nothing happens any more.
    pub fn clear_faults(&self) {
        self.disk().plan.clear();
    }

    /// Has every fault happened that was injected?
    pub fn is_past_faults(&self) -> bool {
        self.disk().plan.is_empty()
    }

    /// So many bytes are free. A write that does not fit is done as far as it fits.
    pub fn set_room(&self, bytes: u64) {
        self.disk().set_free(bytes);
    }

    /// Does what is written over need room as well, and a new name for a file?
    pub fn set_copies_on_write(&self, copies: bool) {
        self.disk().copies_on_write = copies;
    }

    /// Is there something of this name?
    pub fn has(&self, path: &Path) -> bool {
        self.disk().has(path)
    }

    /// Removes an empty directory, as of now.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk().remove_dir(path)
    }

    /// Every directory, and every file with its contents, in the order of their names.
    pub fn tree(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        self.disk().tree()
    }

    /// How often a process has asked for something.
    pub fn calls(&self) -> u64 {
        self.disk().plan.calls()
    }

    /// Does nothing happen any more, because power was cut or the process killed during a call?
    pub fn is_cut(&self) -> bool {
        self.disk().is_cut()
    }

    /// Is there nothing that a loss of power could undo?
    pub fn is_durable(&self) -> bool {
        self.disk().is_durable()
    }

    /// The process ends, and another one may start: files are as they were.
    pub fn end_process(&mut self) {
        self.disk().end_process();
    }

    /// The cache forgets some of what it takes for durable: what a failed sync has dropped may be read as it was before.
    pub fn evict(&mut self, rng: &mut ChaCha8Rng) {
        self.disk().evict(rng);
    }

    /// Power is lost, and comes back: of what was not synced anything may be there.
    pub fn crash(&mut self, rng: &mut ChaCha8Rng) {
        let survival = self.any_survival(rng);
        self.crash_leaving(survival, rng);
    }

    /// Any way in which a loss of power may go.
    pub fn any_survival(&self, rng: &mut ChaCha8Rng) -> Survival {
        Survival::random(rng, self.disk().changes())
    }

    /// Power is lost, and comes back: `survival` says what is there of what was not synced.
    pub fn crash_leaving(&mut self, survival: Survival, rng: &mut ChaCha8Rng) {
        self.disk().crash(survival, rng);
    }

    /// What a loss of power at this moment would leave, on a machine that has all the room there can be and where nothing goes
    /// wrong any more.
    pub fn after_crash(&self, survival: Survival, rng: &mut ChaCha8Rng) -> Self {
        let mut fork = self.clone();
        fork.clear_faults();
        fork.crash_leaving(survival, rng);
        fork.set_room(u64::MAX);
        fork
    }

    /// How often each thing has happened.
    pub fn mishaps(&self) -> Mishaps {
        self.disk().mishaps.clone()
    }
}
