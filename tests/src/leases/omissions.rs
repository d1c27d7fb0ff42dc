//! The rules of the lease argument, each as what goes wrong without it.

macro_rules! omissions {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = $text] $variant,)*
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

omissions! {
    /// A rule that is left out.
    Omission {
        ReplacesWithoutWaiting = "the promise is not waited for before ReplacePrimary",
        PromiseFromEcho = "the promise counts from the echoed stamp, as the read lease does",
        PrimaryLeaseFromReceipt = "the primary's lease counts from the arrival of the BeaconAck",
        PrimaryLeaseOfOne = "one other node's promise is lease enough for the primary",
        PrimaryLeaseWithoutAdditions = "the primary's lease does not need those whose addition is proposed",
        PrimaryReadsWithoutLease = "the primary answers without a lease",
        SecondaryReadsWithoutLease = "a secondary answers without a lease",
        ReadLeaseFromReceipt = "a read lease counts from the arrival of the Beacon",
        RemovedLeaseNotWaitedFor = "a removed node's read lease is not waited for",
        ShrinksBeforeConfirmation = "a node counts as removed before the arbiter has confirmed it",
        NewPrimaryDoesNotWait = "a new primary commits before its wait",
        RestartedPrimaryDoesNotWait = "a recorded primary that restarts commits before its wait",
        RestartForgetsPromise = "a restarted node proposes at once",
        AnswersAfterProposing = "a node that proposed ReplacePrimary answers Beacons",
        StampsSurviveRestart = "a stamp of a former incarnation is taken for one's own",
        StampsSurviveEpochAtSecondary = "a secondary takes read leases of a former epoch",
        StampsSurviveEpochUnheeded = "a secondary takes read leases of a former epoch, also from before it gave up",
        StampsSurviveEpochAtPrimary = "a primary takes promises of a former epoch",
        LeaseSurvivesEpoch = "a newer epoch does not end a read lease",
        ShortenedWaitIgnoresDraining = "the wait is shortened although a removed node drains",
        DrainedTooEarly = "Drained is proposed before the read lease is over",
        CountedAfterConfirmation = "an addition counts only when the arbiter has confirmed it",
        AddedWithoutPromise = "a node is added that has given no promise",
        AddedBeforeCaughtUp = "a node is added that has not caught up",
        PromiseIgnoresRho = "the promise lasts D",
        RemovedLeaseIgnoresRho = "a removed node's read lease is taken for over after D",
        WaitIgnoresRho = "a new primary waits for D",
        RestartIgnoresRho = "a restarted node proposes after D",
        TimeBeforeInput = "the time is read before the input is taken",
        GrantsWithoutLease = "the primary grants read leases without holding its own",
        GrantsToJoining = "the primary grants read leases to nodes that are not in sync",
        JoiningTakesLease = "a node that is not in sync takes read leases",
        GiveUpForgetsTime = "stamps from before a lease was given up still count",
        GiveUpUnheeded = "stamps from before a lease was given up still count, in any role",
        LeavesWithLease = "a node that leaves keeps its read lease",
        JoinKeepsVersion = "a Join of a new incarnation does not raise the version",
        DrainingJoinsUninformed = "a draining node that does not know of its removal joins at once",
        RefusalClosesAddition = "a time-out closes a proposed addition",
        AnswersUnsettled = "a new primary answers before its log is committed again",
        EpochIsNoPromise = "learning a newer epoch is no promise",
        ServesAfterTakeOver = "a primary that handed over goes on answering",
        GrantsAfterTakeOver = "a primary that handed over goes on granting",
    }
}
