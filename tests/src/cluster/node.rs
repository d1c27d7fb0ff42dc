//! One participant of a simulated cluster: its process while it runs, its clock, its inbox and its disk.

use std::collections::VecDeque;

use bytes::Bytes;
use lockstep_core::arbiter::Arbiter;
use lockstep_core::client::Client;
use lockstep_core::config::Address;
use lockstep_core::host::intake::Sources;
use lockstep_core::host::{Arrival, Host, Passed};
use lockstep_core::limits::Timing;
use lockstep_core::process::{Call, CallId};
use lockstep_core::replica::Replica;
use lockstep_core::rights::Sender;
use lockstep_core::storage::Ticket;
use lockstep_core::storage::desk::{BulkRequest, DeskError};
use lockstep_core::storage::scheduler::Report;
use lockstep_core::time::Instant;
use lockstep_core::transport::{Received, SenderKind};

use super::around::Around;
use crate::disk::{Disk, Drive, FilesLog, FilesRecord, RecordDisk};
use crate::shadow::Shadow;

/// The host of a process of any kind.
pub enum AnyHost {
    /// The arbiter.
    Arbiter(Box<Host<Arbiter>>),
    /// A replica.
    Replica(Box<Host<Replica>>),
    /// A client.
    Client(Box<Host<Client>>),
}

impl AnyHost {
    /// The process, if it is a replica's.
    pub fn replica(&self) -> Option<&Replica> {
        match self {
            Self::Replica(host) => Some(host.process()),
            Self::Arbiter(_) | Self::Client(_) => None,
        }
    }

    /// The first round.
    pub(super) fn start(&mut self, around: &mut Around<'_>) -> Result<(), DeskError> {
        match self {
            Self::Arbiter(host) => host.start(around),
            Self::Replica(host) => host.start(around),
            Self::Client(host) => host.start(around),
        }
    }

    /// A round.
    pub(super) fn round(
        &mut self,
        arrivals: Vec<Arrival>,
        around: &mut Around<'_>,
    ) -> Result<(), DeskError> {
        match self {
            Self::Arbiter(host) => host.round(arrivals, around),
            Self::Replica(host) => {
                let rounded = host.round(arrivals, around);
                host.process().check();
                rounded
            }
            Self::Client(host) => host.round(arrivals, around),
        }
    }

    /// What rounds have led to.
    pub(super) fn passed(&mut self) -> &mut Passed {
        match self {
            Self::Arbiter(host) => &mut host.passed,
            Self::Replica(host) => &mut host.passed,
            Self::Client(host) => &mut host.passed,
        }
    }

    /// When the next round is due, if nothing arrives.
    pub fn due(&self) -> Option<Instant> {
        match self {
            Self::Arbiter(host) => host.due(),
            Self::Replica(host) => host.due(),
            Self::Client(host) => host.due(),
        }
    }

    /// Is there something to do without anything arriving?
    pub(super) fn is_hurried(&self) -> bool {
        match self {
            Self::Arbiter(host) => host.is_hurried(),
            Self::Replica(host) => host.is_hurried(),
            Self::Client(host) => host.is_hurried(),
        }
    }
}

/// What waits for a process.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) commands: VecDeque<Arrival>,
    pub(super) reports: VecDeque<Report>,
    pub(super) frames: VecDeque<(Address, SenderKind, Bytes)>,
    pub(super) calls: VecDeque<(CallId, Call)>,
}

impl Inbox {
    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
            && self.reports.is_empty()
            && self.frames.is_empty()
            && self.calls.is_empty()
    }
}

impl Sources for Inbox {
    fn command(&mut self) -> Option<Arrival> {
        self.commands.pop_front()
    }

    fn report(&mut self) -> Option<Arrival> {
        self.reports.pop_front().map(Arrival::Report)
    }

    /// What has come from one sender in a row comes together, as it does from a stream.
    fn frames(&mut self) -> Option<Arrival> {
        let (from, sender, first) = self.frames.pop_front()?;
        let mut frames = vec![first];
        while self.frames.front().is_some_and(|(next, ..)| *next == from) {
            let next = self.frames.pop_front();
            frames.extend(next.map(|(.., frame)| frame));
        }
        Some(Arrival::Frames(Received {
            from,
            sender: Sender::trusted(sender),
            frames,
        }))
    }

    fn call(&mut self) -> Option<Arrival> {
        let (id, call) = self.calls.pop_front()?;
        Some(Arrival::Call(id, call))
    }
}

/// A monotonic clock: starts anywhere and runs a little fast or slow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// What it showed when the simulation began, in nanoseconds.
    pub offset: u64,
    /// How much faster than true it runs, in millionths.
    pub drift: i64,
}

impl Clock {
    /// What it shows at `time`.
    pub fn local(self, time: u64) -> Instant {
        let gained = i128::from(time) * i128::from(self.drift) / 1_000_000;
        let gained = i64::try_from(gained).expect("a drift of some percent of a short time");
        Instant((self.offset + time).saturating_add_signed(gained))
    }

    /// The first moment at which it shows `instant` or more.
    pub fn global(self, instant: Instant) -> u64 {
        let ahead = instant.0.saturating_sub(self.offset);
        let rate = u128::try_from(1_000_000 + self.drift).expect("a drift of some percent");
        let estimate = u128::from(ahead) * 1_000_000 / rate;
        let mut time = u64::try_from(estimate)
            .unwrap_or(u64::MAX)
            .saturating_sub(2);
        while self.local(time) < instant && time < u64::MAX / 2 {
            time += 1;
        }
        time
    }
}

/// What a node has besides its process.
pub enum Role {
    /// The arbiter and its record.
    Arbiter(Box<RecordDisk<FilesRecord>>),
    /// A replica, its disk, and what its log must be.
    Replica(Box<Disk<FilesLog>>, Box<Shadow>),
    /// A client keeps nothing.
    Client,
}

impl Role {
    /// Its disk, whatever it keeps.
    pub(super) fn disk_mut(&mut self) -> Option<&mut dyn Drive> {
        match self {
            Self::Arbiter(disk) => Some(&mut **disk),
            Self::Replica(disk, _) => Some(&mut **disk),
            Self::Client => None,
        }
    }
}

/// A participant.
pub struct Node {
    /// Its name, which is its address as well.
    pub name: String,
    /// Where it is reached.
    pub address: Address,
    /// What it has besides its process.
    pub role: Role,
    /// The host of its process, while that runs.
    pub host: Option<AnyHost>,
    /// Its clock, another one for each start.
    pub clock: Clock,
    /// Its clock from its next start on, if that is not drawn.
    pub(super) clock_set: Option<Clock>,
    /// How often it has started.
    pub starts: u64,
    /// When its process had a turn last, by global time.
    pub turned: u64,
    /// How often its disk has synced, in all its starts.
    pub syncs: u64,
    pub(super) inbox: Inbox,
    /// Its process has had its first round.
    pub(super) has_begun: bool,
    /// The newest save its process has asked for.
    pub(super) asked: Option<Ticket>,
    /// The process does nothing before then.
    pub(super) busy_until: u64,
    pub(super) turn_at: Option<u64>,
    /// The disk completes nothing before then.
    pub(super) hung_until: u64,
    /// When its disk looks up although nobody has told it anything.
    pub(super) disk_due_at: Option<u64>,
    /// What waits for whoever reads in bulk; the first is being answered.
    pub(super) bulk: VecDeque<BulkRequest>,
    pub(super) is_leaving: bool,
    /// A copy of its data directory, or of the arbiter's record, as it was at some time.
    pub(super) saved: Option<Saved>,
    /// What it has on its disk is a copy, or a copy of it runs elsewhere: it may be told that it has no place.
    pub(super) is_copied: bool,
    /// What it is told about leases and clocks from its next start on, if not what all are told.
    pub(super) timing_set: Option<Timing>,
}

/// A copy of what a node keeps.
pub(super) enum Saved {
    Replica(Box<Disk<FilesLog>>),
    Arbiter(Box<RecordDisk<FilesRecord>>),
}

impl Node {
    /// A participant that has never run.
    pub fn new(name: String, role: Role) -> Self {
        Self {
            address: Address::new(&name),
            name,
            role,
            host: None,
            clock: Clock::default(),
            clock_set: None,
            starts: 0,
            turned: 0,
            syncs: 0,
            inbox: Inbox::default(),
            has_begun: false,
            asked: None,
            busy_until: 0,
            turn_at: None,
            hung_until: 0,
            disk_due_at: None,
            bulk: VecDeque::new(),
            is_leaving: false,
            saved: None,
            is_copied: false,
            timing_set: None,
        }
    }

    /// Does its process run?
    pub fn is_up(&self) -> bool {
        self.host.is_some()
    }

    /// Is what it has on its disk a copy, or does a copy of it run elsewhere?
    pub fn is_copied(&self) -> bool {
        self.is_copied
    }

    /// Its disk, if it is a replica.
    pub fn disk(&self) -> Option<&Disk<FilesLog>> {
        match &self.role {
            Role::Replica(disk, _) => Some(disk),
            Role::Arbiter(_) | Role::Client => None,
        }
    }

    /// What its log must be, if it is a replica.
    pub fn shadow(&self) -> Option<&Shadow> {
        match &self.role {
            Role::Replica(_, shadow) => Some(shadow),
            Role::Arbiter(_) | Role::Client => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_reaches_an_instant_at_the_first_moment_that_shows_it() {
        for drift in [-4_000, 0, 1, 3_999] {
            let clock = Clock {
                offset: 123_456_789,
                drift,
            };
            for time in [0, 1, 999_999, 1_000_000_000, 7_777_777_777] {
                let first = clock.global(clock.local(time));
                assert_eq!(clock.local(first), clock.local(time), "drift {drift}");
                assert!(first <= time);
                assert!(first == 0 || clock.local(first - 1) < clock.local(time));
            }
        }
    }
}
