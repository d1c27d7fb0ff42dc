//! What can go wrong with a call: which one, how, and what has gone wrong so far.

use std::collections::BTreeMap;
use std::io;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::faults::counted;

/// What is asked of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// `Files::open`
    Open,
    /// `Files::create`
    Create,
    /// `Files::rename`
    Rename,
    /// `Files::remove`
    Remove,
    /// `Files::list`
    List,
    /// `Files::create_dir`
    CreateDir,
    /// `Files::sync_dir`
    SyncDir,
    /// `Files::room`
    Room,
    /// `File::read_at`
    Read,
    /// `File::write_all_at`
    Write,
    /// `File::allocate`
    Allocate,
    /// `File::set_len`
    SetLength,
    /// `File::length`
    Length,
    /// `File::sync_data`
    SyncData,
    /// `File::sync_all`
    SyncAll,
}

impl Call {
    /// Can a file system be short of room for it?
    fn may_need_room(self) -> bool {
        match self {
            Self::Create
            | Self::Rename
            | Self::CreateDir
            | Self::SyncDir
            | Self::Write
            | Self::Allocate
            | Self::SetLength
            | Self::SyncData
            | Self::SyncAll => true,
            Self::Open | Self::Remove | Self::List | Self::Room | Self::Read | Self::Length => {
                false
            }
        }
    }
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no room.
    NoRoom,
    /// The device fails.
    Failed,
    /// A signal interrupts an allocation.
    Interrupted,
    /// The file system cannot allocate.
    Unsupported,
    /// The last call: what it changes is changed, but not durable, and nothing is answered any more. Power is cut, or the process
    /// is killed.
    Cut,
}

impl Fault {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::NoRoom,
        Self::Failed,
        Self::Interrupted,
        Self::Unsupported,
        Self::Cut,
    ];

    /// As it is called on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoRoom => "no-room",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Unsupported => "unsupported",
            Self::Cut => "cut",
        }
    }

    fn strikes(self, call: Call) -> bool {
        match self {
            Self::NoRoom => call.may_need_room(),
            Self::Failed | Self::Cut => true,
            Self::Interrupted | Self::Unsupported => call == Call::Allocate,
        }
    }

    /// What the caller is told.
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::NoRoom => io::ErrorKind::StorageFull.into(),
            Self::Failed => io::Error::other("the device fails"),
            Self::Interrupted => io::ErrorKind::Interrupted.into(),
            Self::Unsupported => io::ErrorKind::Unsupported.into(),
            Self::Cut => io::Error::other("nobody answers"),
        }
    }
}

/// A fault, and how far a write comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected {
    /// What goes wrong.
    pub fault: Fault,
    /// Of 256 parts of a write so many are done.
    pub part: u8,
}

impl Injected {
    /// This fault, with any part of a write done before it.
    pub fn random(fault: Fault, rng: &mut ChaCha8Rng) -> Self {
        Self {
            fault,
            part: rng.random(),
        }
    }

    /// Of a write of so many bytes this many are done; never all.
    pub(super) fn part_of(&self, bytes: usize) -> usize {
        bytes * usize::from(self.part) / 256
    }
}

/// The faults to come.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    calls: u64,
    faults: BTreeMap<u64, Injected>,
}

impl Plan {
    /// The first call that it can strike goes wrong, but none of the next `spared`.
    pub fn inject(&mut self, spared: u64, injected: Injected) {
        self.faults.insert(self.calls + spared, injected);
    }

    /// Nothing goes wrong any more.
    pub fn clear(&mut self) {
        self.faults.clear();
    }

    /// How often something was asked for.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Is every fault done that was injected?
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// Something is asked for: what goes wrong with it.
    pub(super) fn next(&mut self, call: Call) -> Option<Injected> {
        let due = self.faults.range(..=self.calls);
        let striking = due.into_iter().find(|(_, fault)| fault.fault.strikes(call));
        let number = striking.map(|(number, _)| *number);
        self.calls += 1;
        number.and_then(|number| self.faults.remove(&number))
    }
}

counted! {
    /// Something that a simulated file system did and that whoever uses it has to cope with.
    Mishap {
        /// There was no room for a call.
        NoRoom = "no room",
        /// A part of a write was done before there was no more room or the device failed.
        ShortWrite = "write done in part",
        /// The device failed.
        Failed = "call failed",
        /// What was written was lost by a sync that failed, and could still be read.
        Dropped = "sync failed, unsynced blocks dropped",
        /// What a failed sync had dropped could no longer be read, either.
        Evicted = "dropped blocks evicted",
        /// An allocation was interrupted.
        Interrupted = "allocation interrupted",
        /// An allocation was refused as unsupported.
        Unsupported = "allocation unsupported",
        /// Power was cut, or the process killed, during a call.
        Cut = "cut off during a call",
        /// Power was lost.
        Crash = "loss of power",
        /// A process ended with its files as they were.
        ProcessEnd = "end of a process",
        /// A loss of power undid blocks that were written.
        BlocksUndone = "unsynced blocks lost",
        /// A loss of power kept blocks that were not synced.
        BlocksKept = "unsynced blocks kept",
        /// A loss of power kept some blocks of a write and undid others.
        Torn = "write torn",
        /// A loss of power kept blocks of a write and undid blocks of an earlier one.
        Reordered = "writes reordered",
        /// A loss of power undid a change of a file's length.
        LengthUndone = "unsynced length lost",
        /// A loss of power kept a change of a file's length.
        LengthKept = "unsynced length kept",
        /// A loss of power undid a change of names.
        NameUndone = "unsynced name lost",
        /// A loss of power kept a change of names.
        NameKept = "unsynced name kept",
    }
}

/// How often each thing happened.
pub type Mishaps = BTreeMap<Mishap, u64>;
