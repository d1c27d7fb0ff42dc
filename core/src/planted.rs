//! Mistakes that tests switch on, to see that they are found. Without the feature `planted` there are none: the macro
//! that stands where each of them would be is `false`, or what is right.

/// Is one of these mistakes switched on? Or, with two expressions: what is wrong if that one is, else what is right.
#[doc(hidden)]
#[macro_export]
#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($bug:ident $(| $other:ident)*) => {
        $crate::planted::NONE
    };
    ($bug:ident => $wrong:expr, $right:expr) => {
        $right
    };
}

/// Is one of these mistakes switched on? Or, with two expressions: what is wrong if that one is, else what is right.
#[macro_export]
#[cfg(feature = "planted")]
macro_rules! planted {
    ($bug:ident $(| $other:ident)*) => {
        $crate::planted::is_on($crate::planted::Bug::$bug)
            $(|| $crate::planted::is_on($crate::planted::Bug::$other))*
    };
    ($bug:ident => $wrong:expr, $right:expr) => {
        if $crate::planted!($bug) {
            $wrong
        } else {
            $right
        }
    };
}

/// No mistake is ever switched on.
#[doc(hidden)]
#[cfg(not(feature = "planted"))]
pub const NONE: bool = false;

#[cfg(feature = "planted")]
pub(crate) use self::switch::restamped;
#[cfg(feature = "planted")]
pub use self::switch::{Bug, is_on, with};

#[cfg(feature = "planted")]
mod switch {
    use std::cell::Cell;
    use std::sync::Arc;

    use crate::config::Epoch;
    use crate::operation::Entry;

    thread_local! {
        static SWITCHED_ON: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Is it switched on in this thread?
    pub fn is_on(bug: Bug) -> bool {
        SWITCHED_ON.get() == Some(bug)
    }

    /// Runs `run` with a mistake in it, as far as it stays in this thread. What panics in it must be caught in it.
    pub fn with<T>(bug: Bug, run: impl FnOnce() -> T) -> T {
        SWITCHED_ON.set(Some(bug));
        let result = run();
        SWITCHED_ON.set(None);
        result
    }

    /// The entries as if they had been made in `epoch`.
    pub(crate) fn restamped(entries: Vec<Arc<Entry>>, epoch: Epoch) -> Vec<Arc<Entry>> {
        let of_epoch = |entry: Arc<Entry>| Entry {
            epoch,
            ..(*entry).clone()
        };
        entries.into_iter().map(of_epoch).map(Arc::new).collect()
    }

    macro_rules! bugs {
        ($($bug:ident = $text:literal,)*) => {
            /// A mistake.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub enum Bug {
                $(#[doc = $text] $bug,)*
            }

            impl Bug {
                /// All of them.
                pub const ALL: &[Self] = &[$(Self::$bug,)*];

                /// In words.
                pub fn text(self) -> &'static str {
                    match self {
                        $(Self::$bug => $text,)*
                    }
                }
            }
        };
    }

    bugs! {
        // The disk.
        AcksUnsynced = "a secondary acknowledges what its disk has not synced",
        AcksRepeatUnsynced = "a secondary takes what comes a second time for persisted, while its disk is busy with it",
        CountsOwnUnsynced = "the primary counts itself before its own disk has synced",
        StaleProofCounts = "a save proves what was asked for, although that was cut off before it was done",
        TruncationNotAwaited = "a replica takes entries before it has durably cut off its longer log, and what was written of that proves them",
        EpochNotAwaited = "a replica acts in an epoch before its disk knows it",

        // The handshake, and what counts in it.
        NoEpochFence = "messages of other epochs are obeyed",
        TruncatesToOwnCommitted = "a replica cuts off all that it does not know to be committed",
        PrimaryTruncates = "a new primary cuts off all that it does not know to be committed",
        KeepsLongerTail = "a replica keeps what the primary does not have",
        LackUnnoticed = "a primary does not look whether it has what a replica knows to be committed",
        Restamps = "a primary gives entries that it inherited its own epoch when it sends them",
        SyncReplyCounts = "a SyncReply counts as an acknowledgement of all that agrees",
        FormerEndCounts = "the end of a handshake counts that rests on another reply to one of the same number",
        FormerAcksCount = "acknowledgements of a former handshake count",
        FormerSnapshotsCount = "entries are taken without, or of a former, handshake",
        CommitsBeforeHandshake = "a committed position is taken before the handshake is done",
        CommitsBeyondLog = "a committed position beyond the own log is taken as it is",
        NothingSentAgain = "entries that were lost on their way are not sent again",
        PositionWithEntriesOnly = "the committed position travels with entries only",

        // Who counts.
        ShrinksBeforeConfirmation = "a replica counts as removed before the arbiter has confirmed it",
        CountedOnConfirmation = "a replica that is added counts only when the arbiter has confirmed it",
        CountsInWhoLags = "a joining replica is counted in that does not store what it is sent",
        AddsBehind = "a replica is added that has not caught up",
        AddsBeforeRecommit = "a new primary adds a replica before what it inherited is committed",
        AddsWithoutPromise = "a replica is added that has given no promise",
        SuspicionEndsAddition = "a replica whose addition is open counts no more as soon as it is suspect",
        ForgetsProposal = "a proposal is forgotten as soon as it is sent",
        DrainedTooEarly = "a removed replica counts no more although its read lease may last",
        SoleUnheard = "a new primary commits before anything is known of the read leases of its predecessor",
        InheritsNoLease = "a new primary takes no account of read leases that its predecessor granted",

        // The arbiter.
        NoCompareAndSwap = "the arbiter takes proposals for any version",
        RemovesAtOnce = "the arbiter does not let a removed replica drain",
        TellsBeforeChosen = "an arbiter tells a configuration that a majority has not accepted yet",
        TellsUnconfirmed = "an arbiter answers from its record without asking whether it is the newest",
        DoubtSuffices = "an arbiter that knows less than a replica does not ask whether another one has decided that",
        TellsBeforeDurable = "the arbiter tells a configuration that is not on its disk",
        JoinKeepsVersion = "a restart of a replica in sync does not raise the version",
        RestartKeepsEpoch = "a restarted primary goes on in its old epoch",
        ReplacementKeepsEpoch = "who replaces the primary does not get a new epoch",
        LateLeaveObeyed = "a late Leave of a former start is obeyed",
        LateJoinObeyed = "a late Join of a wiped node takes the living one out",
        LateJoinedObeyed = "a late answer to the Join of a former start is obeyed",
        DrainingJoins = "a draining replica that does not know of its removal joins at once",
        RestingNotCounted = "a primary commits without a replica that rests",
        RestsWithLease = "a replica rests while it may answer linearizable reads",
        LastServesOn = "a primary that has those that rest put in sync serves on until it knows that they are",
        ArbiterBehindAdmits = "an arbiter that knows less than a replica goes on deciding, and is obeyed",
        StartsLookTheSame = "a copy of a data directory that was started as often is taken for the same start",
        FormerTokenSuffices = "the token before the last one is good for any data directory",
        DisplacedGoesOn = "a replica goes on although another process has joined under its identity",
        OlderConfigEntered = "an older configuration is entered",

        // The register of several arbiters.
        ChosenWithoutMajority = "what one arbiter has accepted is taken for chosen",
        ToldBeforeChosen = "a change is told before it is chosen",
        FoundIsTold = "what an arbiter finds when it takes the chair is told as it is",
        PromiseNotSaved = "a keeper answers with a promise that is not on its disk",
        AcceptanceNotSaved = "a keeper says that it has accepted what is not on its disk",
        RoundReused = "an arbiter stands under a ballot that is not on its disk, so that a restart uses it again",
        AnyAnswerTaken = "who stands for the chair takes the value of any answer instead of the newest",
        EarlierStepAccepted = "a keeper accepts an earlier step of the same ballot over a later one",
        AcceptedForgotten = "a keeper that promises forgets what it has accepted",
        AnsweredWithoutRound = "the chair answers questions without asking whether it is still the chair",
        FormerRoundAnswers = "a question is answered by a round that began before it came",
        StrangersCount = "a keeper that is none of the arbiters, as its directory was emptied, counts",
        SetChangedInOneStep = "the set of arbiters is changed in one step",
        MajorityOfEitherSet = "a majority of either set is enough while the set of arbiters changes",
        SecondSetChangeAtOnce = "a change of the set of arbiters begins before the one before is chosen",
        OlderRuleKept = "who stands for the chair goes by the arbiters that it knew before",

        // Leases of the primary.
        PrimaryReadsWithoutLease = "the primary reads without its lease",
        OwnTermsCount = "each replica goes by its own lease and drift",
        LeaseOfOne = "the promise of one replica is lease enough for the primary",
        LeaseWithoutAdded = "the primary's lease does not need those whose addition is open",
        LeaseFromReceipt = "the primary's lease counts from the arrival of the BeaconAck",
        FormerEchoCounts = "the echo of a Beacon that a former start sent counts",
        PromiseWithoutDrift = "a promise lasts a lease by the clock of who gave it",
        ProposesAtOnce = "a replica that has forgotten its promises proposes at once",
        PromiseCutShort = "a replica keeps half its promise",
        AnswersAfterProposing = "a replica that has proposed to replace the primary answers Beacons",

        // Leases of secondaries.
        SecondaryReadsWithoutLease = "a secondary reads without a read lease",
        ReadLeaseFromReceipt = "a read lease counts from the arrival of the Beacon",
        FormerGrantCounts = "a grant for the timestamp of a former start counts",
        GrantOfFormerRoleCounts = "a grant for a timestamp of a former role counts",
        GrantsWithoutLease = "the primary grants read leases without holding its own",
        GrantsToJoining = "the primary grants read leases to replicas that are not in sync",
        TakesLeaseJoining = "a replica that is not in sync reads by a lease",
        RemovedLeaseWithoutDrift = "the read lease of a removed replica is over after a lease by the clock of the primary",
        SoleWithoutDrift = "a new primary waits for a lease by its own clock",
        LeavesAtOnce = "the arbiter does not let a leaving replica drain",
        GivesUpUnconfirmed = "a leaving replica ends its role before the arbiter has confirmed that it is out",
        LeaseNotCheckedAtAnswer = "the lease is checked when a read comes, not when it is answered",

        // Reads.
        ReadsBeforeRecommit = "a new primary reads before what it inherited is committed",
        TellsBeforeRecommit = "a new primary tells its committed position before what it inherited is committed",
        TellsWithoutLease = "a primary tells its committed position without its lease",
        ReadsDirtyValue = "a linearizable read gives a value that is not committed",
        ReadsOldOfDirty = "a secondary reads the old value of a dirty key without asking",
        FormerAnswerCounts = "the answer to a question of a former start is taken for that to one of the same number",
        ReusesQuestion = "the answer to a question that was asked before a read came is taken for it",
        AnswersAheadOfPosition = "a read that is to wait for a position is answered before it",
        ForgetsWhileAsked = "entries are left to the state although it was asked before it had them",
        OverlaysNothing = "the answer of the state hides entries that came meanwhile",
        ScansStateAlone = "a scan leaves out what the state has not",

        // Hand-over.
        GrantsAfterHandOver = "a primary that has proposed to hand over goes on granting read leases",
        PredecessorNotAwaited = "a new primary reads although its predecessor may not know that it has handed over",
        HandsOverToJoining = "a primary hands over to a replica that is joining",
        HandOverOfAnyVersion = "the arbiter takes a hand-over for any version",
        BeaconsWithoutLease = "a primary goes on with its Beacons however long it has been without its lease",
        RemovesUnheard = "a primary that does not hear the arbiter has others removed",
        StaysPrimaryWhenFull = "a primary whose state has no room keeps its role while others have some",
        HangingPrimaryJudges = "a primary whose disk is stuck has others removed for what they owe",
        HandsOverUnanswered = "a primary hands over with writes that are not answered",

        // Full state.
        RevisionNotTransferred = "the full state comes without the revision",
        SessionsNotTransferred = "the full state comes without the sessions",
        TransfersUncommitted = "the full state is said to be as new as the log",
        HistoryBeyondState = "the full state comes with the history of entries that are not in it",
        ChunkOfFormerHandshake = "a piece of the state of a former handshake is taken",
        AnswersWhileInstalling = "a replica answers from its state while another one is put in place",
        StateAckedEarly = "the full state is acknowledged before it is in its place",

        // Requests.
        CopyOfOpenExecuted = "a request is executed again while the first copy is not committed",
        CopyOfDoneExecuted = "a request is executed again after the first copy is committed",
        SettledTooMuch = "the oldest request without an outcome is forgotten as settled",
        SessionsNotRecovered = "a restart forgets all requests",
        OwnersNotRecovered = "a restart forgets whose the clients are that it remembers",
        RevisionNotRecovered = "a restart forgets the revision",
        CancelTakesRevision = "an entry that changes nothing gets a revision of its own",
        ResolvesWithoutEntry = "a request is said to be never executed, and can be executed later",
        FailedAnsweredAgain = "a write that has failed is acknowledged later",
        TenureEndsSilently = "the end of a tenure is not told to those who wait",
        AcksUnconfirmed = "a write that is not confirmed in time is acknowledged",
        RetriesUnderNewId = "a client tries again under a new number",
        RejectedCopyExecuted = "a copy of a write that was rejected is executed when it is delivered again",
        OtherTenuresCopyExecuted = "a copy of a write is executed in another tenure than it was sent to",
        RejectionOfEarlierCopyCounts = "the rejection of an earlier copy is taken for that of the last one",
        AcksOfTooFew = "a write is acknowledged although fewer replicas are in sync than it requires",
        RejectsAppended = "a write is rejected that is in the log",
        NoUncommittedLimit = "a primary takes writes without a limit",

        // The scheduler: what the disk does next.
        ReportedUnsynced = "a save is reported before the sync that makes it durable",
        ReportedWithFormerGroup = "a save that came during a sync is reported with it",
        RefusedIsOvertaken = "a save that found no room is overtaken by those behind it, and done after them",
        RefusedIsForgotten = "a save that found no room is never done",
        RefusedIsReported = "a save that found no room is reported as durable",
        RefusedNotRetried = "what found no room is not tried again",
        RoomUntold = "that there is room again is not told",
        OldestRecordSaved = "of several records of the arbiter the oldest is saved, and all are reported",
        InstallsWhileApplying = "a state is put in place while entries are applied to the former one",
        InstalledUnreset = "an installed state is reported before the log begins anew",
        LogAnewBeforeState = "the log begins anew before the state is in place",
        TrimsUncheckpointed = "the log is trimmed although the state is not durable",

        // The desk: what a process's side of the disk does at once.
        RepeatHandedOn = "what is asked for again is done again",
        AppliesAheadOfLog = "entries are applied that the log does not have durably",
        AppliesTruncated = "entries are taken for durable in the log that were cut off before",
        AppliesPastWaiting = "entries are applied at once although earlier ones wait",
        DoneAtOnceUntold = "what was applied at once is not told to the process",

        // The durable log and the records.
        PrefaceUnsynced = "a segment gets its name before its header is durable",
        SegmentNameUnsynced = "a segment is written to before its name is durable",
        FinishedUnsynced = "a segment is followed by the next one before it is durable",
        TruncatesUnsynced = "a log is cut off before what is left of it is durable",
        SpoiledGoesOn = "a segment is written on after a write to it has failed",
        SaltRepeated = "all segments have the same salt",
        TrimUnsynced = "segments are removed without a sync between them",
        HalfDoneIsRefused = "an append of which a part is done is reported as refused",
        HintBeyondLog = "a committed position beyond the end of the log is noted in it",
        FoundUnsynced = "a start does not write again what it finds unsynced",
        TornTailStays = "a start leaves what it does not take up behind the end of the log",
        RecordUnsynced = "a record gets its name before it is durable",
        RecordInPlace = "a record is written over the former one",
        RecordNameUnsynced = "a record is reported before its name is durable",

        // A start.
        InstallNotFinished = "a start does not begin the log anew where a crash has come between state and log",
        ReplaysUncommitted = "a start applies entries that nobody knows to be committed",

        // The host.
        TimersWaitForQuiet = "timers are stepped only when nothing has arrived",
        IntakeDropsBeyondBound = "of what arrives beyond the bound of a round one is dropped",

        // Time.
        TimeBeforeInput = "the time of a step is read before its input is taken",
    }
}
