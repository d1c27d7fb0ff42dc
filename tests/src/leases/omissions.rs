//! The rules of the lease argument, each as what goes wrong without it.

use super::scope::Scope;

macro_rules! omissions {
    ($(#[$doc:meta])* $name:ident {
        fatal { $($fatal:ident in $fatal_scope:ident = $fatal_text:literal,)* }
        harmless { $($harmless:ident in $harmless_scope:ident = $harmless_text:literal, because $reason:literal,)* }
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[doc = $fatal_text] $fatal,)*
            $(#[doc = $harmless_text] $harmless,)*
        }

        impl $name {
            /// Those that break the promise, each with the scope in which that shows.
            pub const FATAL: &[(Self, Scope)] = &[$((Self::$fatal, Scope::$fatal_scope),)*];

            /// Those that break nothing, each with the scope in which it would show, and what makes up for them.
            pub const HARMLESS: &[(Self, Scope, &str)] =
                &[$((Self::$harmless, Scope::$harmless_scope, $reason),)*];

            /// In words.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$fatal => $fatal_text,)*
                    $(Self::$harmless => $harmless_text,)*
                }
            }
        }
    };
}

omissions! {
    /// A rule that is left out.
    Omission {
        fatal {
            ReplacesWithoutWaiting in PAIR_FAILOVER = "the promise is not waited for before ReplacePrimary",
            PromiseFromEcho in PAIR_FAILOVER = "the promise counts from the echoed stamp, as the read lease does",
            PrimaryLeaseFromReceipt in PAIR_FAILOVER = "the primary's lease counts from the arrival of the BeaconAck",
            PrimaryLeaseOfOne in THREE_HAND_OVER = "one other node's promise is lease enough for the primary",
            PrimaryLeaseWithoutAdditions in PAIR_ADDITION = "the primary's lease does not need those whose addition is proposed",
            PrimaryReadsWithoutLease in PAIR_FAILOVER = "the primary answers without a lease",
            SecondaryReadsWithoutLease in PAIR_FAILOVER = "a secondary answers without a lease",
            ReadLeaseFromReceipt in PAIR_FAILOVER = "a read lease counts from the arrival of the Beacon",
            RemovedLeaseNotWaitedFor in PAIR_FAILOVER = "a removed node's read lease is not waited for",
            ShrinksBeforeConfirmation in PAIR_FAILOVER = "a node counts as removed before the arbiter has confirmed it",
            NewPrimaryDoesNotWait in THREE_HAND_OVER = "a new primary commits before its wait",
            RestartedPrimaryDoesNotWait in PAIR_PRIMARY_RESTARTS = "a recorded primary that restarts commits before its wait",
            RestartForgetsPromise in PAIR_SECONDARY_RESTARTS = "a restarted node proposes at once",
            AnswersAfterProposing in PAIR_FAILOVER = "a node that proposed ReplacePrimary answers Beacons",
            StampsSurviveRestart in PAIR_SECONDARY_RESTARTS = "a stamp of a former incarnation is taken for one's own",
            StampsSurviveEpochUnheeded in PAIR_PRIMARY_RESTARTS = "a secondary takes read leases of a former epoch, also from before it gave up",
            StampsSurviveEpochAtPrimary in PAIR_PRIMARY_RESTARTS = "a primary takes promises of a former epoch",
            LeaseSurvivesEpoch in PAIR_PRIMARY_RESTARTS = "a newer epoch does not end a read lease",
            ShortenedWaitIgnoresDraining in PAIR_PRIMARY_RESTARTS = "the wait is shortened although a removed node drains",
            DrainedTooEarly in PAIR_FAILOVER = "Drained is proposed before the read lease is over",
            CountedAfterConfirmation in PAIR_ADDITION = "an addition counts only when the arbiter has confirmed it",
            AddedBeforeCaughtUp in PAIR_ADDITION = "a node is added that has not caught up",
            PromiseIgnoresRho in PAIR_FAILOVER = "the promise lasts D",
            RemovedLeaseIgnoresRho in PAIR_FAILOVER = "a removed node's read lease is taken for over after D",
            WaitIgnoresRho in PAIR_PRIMARY_RESTARTS = "a new primary waits for D",
            RestartIgnoresRho in PAIR_SECONDARY_RESTARTS = "a restarted node proposes after D",
            TimeBeforeInput in PAIR_FAILOVER = "the time is read before the input is taken",
            GrantsWithoutLease in THREE_HAND_OVER = "the primary grants read leases without holding its own",
            GrantsToJoining in PAIR_FAILOVER = "the primary grants read leases to nodes that are not in sync",
            JoiningTakesLease in PAIR_ADDITION = "a node that is not in sync takes read leases",
            GiveUpUnheeded in PAIR_ADDITION = "stamps from before a lease was given up still count, in any role",
            LeavesAtOnce in PAIR_LEAVE = "a node that leaves, and does not know that it is out, does not drain",
            JoinKeepsVersion in PAIR_SECONDARY_RESTARTS = "a Join of a new incarnation does not raise the version",
            DrainingJoinsUninformed in PAIR_RETURN = "a draining node that does not know of its removal joins at once",
            RefusalClosesAddition in PAIR_ADDITION = "a time-out closes a proposed addition",
            AnswersBeforeRecommit in PAIR_FAILOVER = "a new primary answers before its log is committed again",
            EpochIsNoPromise in PAIR_HAND_OVER = "learning a newer epoch is no promise",
            PredecessorNotAwaited in PAIR_HAND_OVER = "a new primary answers before its wait, although its predecessor may not know that it handed over",
            GrantsAfterHandOver in THREE_HAND_OVER = "a primary that has proposed to hand over goes on granting",
        }
        harmless {
            StampsSurviveEpochAtSecondary in PAIR_PRIMARY_RESTARTS = "a secondary takes read leases of a former epoch",
                because "learning the newer epoch gives up the read lease, and stamps from before that count for nothing",
            AddedWithoutPromise in PAIR_ADDITION = "a node is added that has given no promise",
                because "who is counted must have promised for the primary to hold its lease: all it costs is the lease",
            GiveUpForgetsTime in PAIR_RETURN = "stamps from before a lease was given up still count",
                because "a node that is not in sync takes no read lease, and one that is added again has sent a newer stamp before",
        }
    }
}
