//! What can go wrong in a simulation, what rarely happens in one, and how often both did.
//!
//! A campaign adds the counts up and fails if something never happened: a fault that is not injected and a path that
//! is not taken prove nothing.

use std::collections::BTreeMap;
use std::fmt::Debug;

macro_rules! counted {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// In words.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}
pub(crate) use counted;

counted! {
    /// Something that goes wrong.
    Fault {
        /// A frame is lost.
        Loss = "frame lost",
        /// A frame arrives twice.
        Duplication = "frame duplicated",
        /// A frame arrives once more, much later.
        Echo = "frame echoed much later",
        /// A frame is overtaken by later ones.
        Reordering = "frame overtaken",
        /// Two nodes do not reach each other.
        CutBothWays = "link cut in both directions",
        /// One node does not reach another that reaches it.
        CutOneWay = "link cut in one direction",
        /// A node reaches nobody and nobody reaches it.
        Isolation = "node isolated",
        /// A replica reaches clients only.
        CutOff = "replica cut off from all but clients",
        /// Frames between two nodes take long.
        SlowLink = "link slowed down",
        /// A process does nothing for a while, and then goes on.
        Pause = "process paused",
        /// The primary loses power.
        CrashPrimary = "primary crashed",
        /// A replica that is not the primary loses power.
        CrashSecondary = "secondary crashed",
        /// The arbiter loses power.
        CrashArbiter = "arbiter crashed",
        /// One of several arbiters loses its data directory for good, and a new one starts in its place.
        WipeArbiter = "arbiter's data directory lost",
        /// An operator has another set of arbiters keep the record.
        ChangeArbiters = "arbiters changed by an operator",
        /// A client ends, and another one starts.
        CrashClient = "client crashed",
        /// Clocks drift further apart than the replicas were told.
        ClockDrift = "clocks beyond their bound",
        /// A disk completes nothing for a while.
        DiskHang = "disk hung",
        /// A disk has no room for a while.
        DiskFull = "disk full",
        /// A disk has no room for one call to its files.
        NoRoomForOnce = "disk full for one call",
        /// A device fails one call to its files.
        DiskError = "disk failed a call",
        /// A replica loses its data directory for good, and a new one starts in its place.
        Wipe = "data directory lost",
        /// A replica is told about leases and clocks what others are not told.
        Terms = "lease and drift differ",
        /// A data directory is put back to an older copy.
        PutBack = "data directory put back",
        /// A replica leaves, and starts again later.
        Leave = "replica left",
        /// A replica is drained, leaves, and starts again later.
        Drain = "replica drained",
        /// A primary is to be primary no more.
        HandOver = "primary drained of its role",
    }
}

counted! {
    /// Something that happens rarely and has to be shown to work.
    Path {
        /// A process ended in the middle of a job of its disk.
        CrashInJob = "crash in the middle of a job of a disk",
        /// A process ended right behind a job of its disk, before it heard of it.
        CrashBehindJob = "crash right behind a job of a disk",
        /// A replica did not start, as its disk had no room for that.
        StartWithoutRoom = "start put off for lack of room",
        /// A process did not start, as its disk failed.
        StartFailed = "start put off as the disk failed",
        /// A process ended because its disk failed.
        GaveUp = "process ended as its disk failed",
        /// A primary began with entries that it did not know to be committed.
        Recommit = "primary began with uncommitted entries",
        /// A replica cut off entries that the primary does not have.
        Truncation = "log truncated",
        /// A replica kept all it had in a handshake.
        WholeLogKept = "handshake kept the whole log",
        /// A replica got the full state.
        StateTransfer = "full state transferred",
        /// A transfer of the full state ended before it was complete.
        StateTransferInterrupted = "full state transfer interrupted",
        /// A replica that had data came back by the log alone.
        ReturnByLog = "return by log",
        /// The primary had the arbiter remove a replica.
        Removal = "replica removed",
        /// The primary had the arbiter add a replica.
        Addition = "replica added",
        /// Writes were acknowledged while the arbiter was down.
        AckWithoutArbiter = "write acknowledged without arbiter",
        /// Writes were acknowledged while a replica was joining.
        AckDuringJoin = "write acknowledged during a join",
        /// The primary alone was in sync, and acknowledged.
        AckAlone = "write acknowledged by the primary alone",
        /// A write was not confirmed within its second.
        OperationFailed = "write failed",
        /// A write was rejected because too much was in flight.
        Overloaded = "write rejected: overloaded",
        /// A write was rejected because the disk was full.
        RejectedDiskFull = "write rejected: disk full",
        /// A request came too early.
        RejectedNotReady = "request rejected: not ready",
        /// A write that was asked for again was answered with what had become of it.
        RetryAnswered = "repeated write answered from its session",
        /// The same, after the tenure that executed it.
        RetryAnsweredLater = "repeated write answered in a later tenure",
        /// A write was asked for that was cancelled before.
        RejectedCancelled = "write rejected: cancelled",
        /// A request was asked again that was forgotten.
        RejectedExpired = "request rejected: session expired",
        /// It was found out that a write had been executed.
        ResolvedExecuted = "resolved: executed",
        /// A write was cancelled.
        ResolvedNever = "resolved: never executed",
        /// A replica found its disk full.
        DiskFull = "full disk noticed",
        /// A replica found room again.
        DiskHasRoom = "room on disk noticed",
        /// A crash took entries that had not been synced.
        EntriesLost = "unsynced entries lost in a crash",
        /// A crash tore an append.
        TornAppend = "append torn by a crash",
        /// A crash took the state back to a checkpoint.
        StateFellBack = "state fell back to a checkpoint",
        /// The log was trimmed.
        Trimmed = "log trimmed",
        /// A replica left in good order.
        Left = "replica left in good order",
        /// A replica stopped, to come back.
        Rested = "replica in sync stopped",
        /// The last one stopped as well.
        AllStopped = "all replicas stopped",
        /// A message of another epoch or handshake was ignored.
        Stale = "stale message ignored",
        /// The arbiter refused a proposal.
        ProposalRefused = "proposal refused",
        /// A secondary took the place of the primary.
        Failover = "primary replaced",
        /// A primary gave up its role in good order.
        HandOver = "primary handed over",
        /// A tenure ended before it had committed anything.
        AppointmentInterrupted = "appointment of a primary interrupted",
        /// A replica that was removed was given time for its read lease to end.
        Drained = "read lease of a removed replica ended",
        /// Removal of a replica and replacement of the primary were proposed for the same version.
        RemovalRace = "removal raced replacement",
        /// A secondary read a key that may have changed.
        DirtyRead = "dirty key read at a secondary",
        /// A replica without a lease did not answer.
        RejectedNoLease = "read rejected: no lease",
        /// A replica did not learn in time that enough is committed.
        RejectedBehind = "read rejected: behind",
        /// A secondary answered a linearizable read.
        ReadAtSecondary = "linearizable read at a secondary",
        /// The arbiter was not heard for long.
        ArbiterSilent = "arbiter silent",
        /// Another arbiter decides from now on.
        ChairTakenOver = "chair taken over by another arbiter",
        /// What only a minority of the arbiters had accepted came to be chosen by who took over.
        MinorityChosen = "record of a minority chosen by who took over",
        /// An arbiter was told of an attempt that goes before its own.
        ArbiterRefused = "arbiter refused by another",
        /// An arbiter asked whether its record is the newest, and another one had stood for the chair meanwhile.
        QuestionOvertaken = "question among arbiters overtaken",
        /// While the set of arbiters changed, a record was chosen by a majority of each of two.
        JointSet = "record chosen by majorities of two sets of arbiters",
        /// One arbiter came into the place of another.
        ArbiterReplaced = "arbiter took the place of another",
        /// An arbiter that is none of those that keep the record answered one that decides.
        StrangerAnswered = "answer of an arbiter that does not count",
        /// A replica with a copy of a data directory was not let in.
        CopyRefused = "copy of a data directory refused",
        /// A client did not learn what became of its write.
        UnknownOutcome = "outcome unknown",
    }
}

/// How often what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Faults injected.
    pub faults: BTreeMap<Fault, u64>,
    /// Paths taken.
    pub paths: BTreeMap<Path, u64>,
}

impl Counts {
    /// `fault` happened.
    pub fn fault(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// `path` was taken.
    pub fn path(&mut self, path: Path) {
        *self.paths.entry(path).or_default() += 1;
    }

    /// Adds the counts of another simulation.
    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (path, count) in &other.paths {
            *self.paths.entry(*path).or_default() += count;
        }
    }

    /// What never happened, in words.
    pub fn missing(&self) -> Vec<&'static str> {
        let faults = Fault::ALL
            .iter()
            .filter(|fault| !self.faults.contains_key(fault))
            .map(|fault| fault.text());
        let paths = Path::ALL
            .iter()
            .filter(|path| !self.paths.contains_key(path))
            .map(|path| path.text());
        faults.chain(paths).collect()
    }
}
