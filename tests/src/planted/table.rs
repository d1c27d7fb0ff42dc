//! The table itself: which mistake is found how, and which is not.

use lockstep_core::planted::Bug;

use super::invariants::{
    AHEAD, BOUNDED, CALM, CHOSEN, DURABLE, FORWARD, KEPT, LEDGER, LET_IN, LINEARIZABLE, LOCAL,
    ONCE, PANICS, REJECTED, REPLIES, REVISIONS, SPINS, STARTED, TOLD, TRUE,
};
use super::{Case, Drilled, Explored, Found, Measured, Scripted};
use crate::availability::faults::{Kind, Who};

/// Seeds for a mistake that hardly any mix of faults and writes leaves unseen.
const SOON: u64 = 200;

/// Seeds for one that takes a rare turn of events, which one in a thousand or two has. Ten times that, so that it is not
/// missed by bad luck when a change elsewhere makes other simulations of the seeds.
const LATE: u64 = 10_000;

const fn found(bug: Bug, seeds_max: u64, by: &'static [&'static str]) -> Found {
    Found {
        bug,
        arbiters: 1,
        seeds_max,
        by,
    }
}

/// One that takes several arbiters.
const fn among_arbiters(bug: Bug, seeds_max: u64, by: &'static [&'static str]) -> Found {
    Found {
        arbiters: 3,
        ..found(bug, seeds_max, by)
    }
}

/// The mistakes that the simulator finds.
pub const FOUND: &[Found] = &[
    found(Bug::AcksUnsynced, SOON, &[DURABLE]),
    found(Bug::AcksRepeatUnsynced, SOON, &[DURABLE]),
    found(Bug::CountsOwnUnsynced, SOON, &[DURABLE]),
    found(Bug::TruncatesToOwnCommitted, SOON, &[LEDGER, DURABLE]),
    found(Bug::PrimaryTruncates, SOON, &[LEDGER, DURABLE]),
    found(
        Bug::KeepsLongerTail,
        SOON,
        &[LEDGER, DURABLE, ONCE, CALM, PANICS],
    ),
    found(Bug::Restamps, SOON, &[LEDGER, DURABLE]),
    found(Bug::SyncReplyCounts, LATE, &[DURABLE, LEDGER]),
    found(
        Bug::FormerSnapshotsCount,
        LATE,
        &[LEDGER, DURABLE, CALM, PANICS],
    ),
    found(
        Bug::CommitsBeforeHandshake,
        SOON,
        &[LEDGER, DURABLE, PANICS],
    ),
    found(Bug::CommitsBeyondLog, SOON, &[PANICS]),
    found(Bug::NothingSentAgain, SOON, &[CALM]),
    found(Bug::PositionWithEntriesOnly, SOON, &[CALM]),
    found(Bug::ShrinksBeforeConfirmation, SOON, &[DURABLE]),
    found(Bug::CountedOnConfirmation, SOON, &[DURABLE]),
    found(Bug::AddsBehind, SOON, &[DURABLE]),
    found(Bug::AddsBeforeRecommit, LATE, &[DURABLE]),
    found(Bug::SuspicionEndsAddition, LATE, &[DURABLE]),
    found(Bug::ForgetsProposal, LATE, &[DURABLE]),
    found(Bug::DrainedTooEarly, LATE, &[LINEARIZABLE]),
    found(Bug::NoCompareAndSwap, LATE, &[DURABLE, LINEARIZABLE]),
    found(Bug::RemovesAtOnce, LATE, &[LINEARIZABLE]),
    among_arbiters(Bug::TellsBeforeChosen, SOON, &[CHOSEN]),
    among_arbiters(Bug::TellsUnconfirmed, LATE, &[LET_IN]),
    among_arbiters(Bug::DoubtSuffices, LATE, &[LET_IN]),
    found(Bug::TellsBeforeDurable, SOON, &[CHOSEN]),
    found(Bug::RestartKeepsEpoch, SOON, &[CALM, LEDGER, FORWARD]),
    found(Bug::ReplacementKeepsEpoch, SOON, &[CALM, LEDGER]),
    found(Bug::LateJoinedObeyed, LATE, &[LET_IN, FORWARD]),
    found(Bug::OlderConfigEntered, SOON, &[FORWARD, DURABLE]),
    found(Bug::PrimaryReadsWithoutLease, LATE, &[LINEARIZABLE]),
    found(Bug::OwnTermsCount, LATE, &[LINEARIZABLE]),
    found(Bug::StartsLookTheSame, LATE, &[DURABLE, LEDGER, PANICS]),
    found(Bug::FormerTokenSuffices, LATE, &[DURABLE, LEDGER, PANICS]),
    found(Bug::LeaseOfOne, LATE, &[LINEARIZABLE, REPLIES]),
    found(Bug::PromiseCutShort, LATE, &[LINEARIZABLE]),
    found(Bug::SecondaryReadsWithoutLease, LATE, &[LINEARIZABLE]),
    found(Bug::ReadLeaseFromReceipt, LATE, &[LINEARIZABLE]),
    found(Bug::LeaseNotCheckedAtAnswer, LATE, &[LINEARIZABLE]),
    found(Bug::ReadsBeforeRecommit, LATE, &[LINEARIZABLE]),
    found(Bug::ReadsDirtyValue, SOON, &[LINEARIZABLE]),
    found(Bug::ReadsOldOfDirty, SOON, &[LINEARIZABLE]),
    found(Bug::ReusesQuestion, LATE, &[LINEARIZABLE]),
    found(Bug::AnswersAheadOfPosition, SOON, &[TOLD, LINEARIZABLE]),
    found(Bug::OverlaysNothing, SOON, &[LINEARIZABLE, LOCAL, TOLD]),
    found(Bug::ForgetsWhileAsked, LATE, &[LINEARIZABLE, LOCAL, TOLD]),
    found(Bug::ScansStateAlone, SOON, &[LOCAL, TOLD]),
    found(Bug::HandsOverToJoining, LATE, &[DURABLE, LEDGER, CALM]),
    found(Bug::SessionsNotTransferred, SOON, &[ONCE]),
    found(Bug::RevisionNotTransferred, SOON, &[REVISIONS, CALM]),
    found(Bug::TransfersUncommitted, SOON, &[LEDGER]),
    found(Bug::HistoryBeyondState, LATE, &[CALM, KEPT]),
    found(Bug::StateAckedEarly, LATE, &[DURABLE]),
    found(Bug::CopyOfOpenExecuted, SOON, &[ONCE]),
    found(Bug::CopyOfDoneExecuted, SOON, &[ONCE]),
    found(Bug::SessionsNotRecovered, SOON, &[ONCE]),
    found(Bug::OwnersNotRecovered, SOON, &[ONCE]),
    found(Bug::RevisionNotRecovered, SOON, &[REVISIONS, CALM]),
    found(Bug::CancelTakesRevision, SOON, &[REVISIONS, CALM]),
    found(Bug::ResolvesWithoutEntry, SOON, &[ONCE]),
    found(Bug::FailedAnsweredAgain, SOON, &[REPLIES]),
    found(Bug::TenureEndsSilently, SOON, &[REPLIES]),
    found(Bug::AcksUnconfirmed, SOON, &[DURABLE, ONCE]),
    found(Bug::RetriesUnderNewId, SOON, &[TOLD, PANICS, TRUE]),
    found(Bug::RejectsAppended, LATE, &[REJECTED, CALM, TOLD, TRUE]),
    found(Bug::RejectedCopyExecuted, LATE, &[TRUE, REJECTED, TOLD]),
    found(Bug::SettledTooMuch, SOON, &[ONCE]),
    found(Bug::NoUncommittedLimit, SOON, &[BOUNDED]),
    found(Bug::AnswersWhileInstalling, LATE, &[LOCAL, TOLD]),
    found(Bug::ReportedUnsynced, SOON, &[DURABLE]),
    found(Bug::ReportedWithFormerGroup, SOON, &[DURABLE]),
    found(Bug::RefusedIsOvertaken, SOON, &[PANICS, LEDGER]),
    found(Bug::RefusedIsForgotten, SOON, &[PANICS, CALM]),
    found(Bug::RefusedIsReported, SOON, &[PANICS, DURABLE, AHEAD]),
    found(Bug::RefusedNotRetried, SOON, &[SPINS]),
    found(Bug::RoomUntold, SOON, &[CALM]),
    found(
        Bug::OldestRecordSaved,
        LATE,
        &[CHOSEN, FORWARD, CALM, LET_IN],
    ),
    found(Bug::InstallsWhileApplying, LATE, &[PANICS]),
    found(Bug::InstalledUnreset, SOON, &[PANICS, AHEAD]),
    found(Bug::LogAnewBeforeState, LATE, &[STARTED]),
    found(Bug::TrimsUncheckpointed, SOON, &[STARTED, CALM]),
    found(Bug::RepeatHandedOn, SOON, &[PANICS]),
    found(Bug::AppliesAheadOfLog, SOON, &[AHEAD]),
    found(Bug::AppliesTruncated, LATE, &[AHEAD]),
    found(Bug::AppliesPastWaiting, SOON, &[PANICS]),
    found(Bug::DoneAtOnceUntold, SOON, &[CALM]),
    found(Bug::PrefaceUnsynced, SOON, &[KEPT]),
    found(Bug::SegmentNameUnsynced, SOON, &[KEPT]),
    found(Bug::FinishedUnsynced, LATE, &[KEPT]),
    found(Bug::TrimUnsynced, SOON, &[KEPT]),
    found(Bug::HalfDoneIsRefused, LATE, &[PANICS, KEPT]),
    found(Bug::FoundUnsynced, LATE, &[KEPT]),
    found(Bug::RecordUnsynced, SOON, &[KEPT]),
    found(Bug::RecordInPlace, SOON, &[KEPT]),
    found(Bug::RecordNameUnsynced, SOON, &[KEPT]),
    found(Bug::InstallNotFinished, LATE, &[STARTED]),
    found(Bug::ReplaysUncommitted, SOON, &[LEDGER]),
    found(Bug::TimersWaitForQuiet, LATE, &[REPLIES, CALM]),
    found(Bug::IntakeDropsBeyondBound, SOON, &[CALM]),
    found(Bug::TimeBeforeInput, LATE, &[LINEARIZABLE, REPLIES]),
];

const fn drilled(bug: Bug, seeds_max: u64) -> Drilled {
    Drilled { bug, seeds_max }
}

/// The mistakes that take more operations of one log than replicas have a log do, each found by drills of the log.
pub const DRILLED: &[Drilled] = &[
    drilled(Bug::TruncatesUnsynced, SOON),
    drilled(Bug::SpoiledGoesOn, LATE),
    drilled(Bug::SaltRepeated, LATE),
    drilled(Bug::HintBeyondLog, SOON),
    drilled(Bug::TornTailStays, LATE),
];

const fn faulted(bug: Bug, kind: Kind, who: Who) -> Measured {
    let by = Case::Fault(kind, who);
    Measured { bug, by }
}

const fn cut(bug: Bug, links: &'static [(usize, usize)]) -> Measured {
    let by = Case::Links(links);
    Measured { bug, by }
}

/// The mistakes that cost no data but time, each with the fault that then stops writes for longer than it may.
pub const MEASURED: &[Measured] = &[
    faulted(Bug::GivesUpUnconfirmed, Kind::DrainAlone, Who::Secondary),
    faulted(Bug::CountsInWhoLags, Kind::FullLog, Who::Secondary),
    faulted(Bug::StaysPrimaryWhenFull, Kind::FullState, Who::Primary),
    cut(Bug::BeaconsWithoutLease, &[(0, 1), (3, 1)]),
    cut(Bug::RemovesUnheard, &[(0, 1), (0, 3), (1, 2)]),
];

const fn scripted(bug: Bug, script: &'static str, by: &'static str) -> Scripted {
    Scripted { bug, script, by }
}

/// The mistakes that take a turn of events of their own, each with the script that leads to it.
pub const SCRIPTED: &[Scripted] = &[
    scripted(
        Bug::JoinKeepsVersion,
        "proposal_of_a_former_start",
        LINEARIZABLE,
    ),
    scripted(Bug::DrainingJoins, "late_join_while_draining", LINEARIZABLE),
    scripted(Bug::RestingNotCounted, "rest_while_counted", DURABLE),
    scripted(Bug::RestsWithLease, "rest_with_a_lease", LINEARIZABLE),
    scripted(Bug::LastServesOn, "last_one_stops", LINEARIZABLE),
    scripted(
        Bug::InheritsNoLease,
        "restart_while_one_drains",
        LINEARIZABLE,
    ),
    scripted(
        Bug::LeaseWithoutAdded,
        "addition_unheard_by_the_primary",
        LINEARIZABLE,
    ),
    scripted(
        Bug::LeaseFromReceipt,
        "late_answer_to_a_beacon",
        LINEARIZABLE,
    ),
    scripted(
        Bug::PromiseWithoutDrift,
        "promise_on_a_fast_clock",
        LINEARIZABLE,
    ),
    scripted(Bug::ProposesAtOnce, "restart_with_a_promise", LINEARIZABLE),
    scripted(
        Bug::AnswersAfterProposing,
        "beacon_after_a_proposal",
        LINEARIZABLE,
    ),
    scripted(
        Bug::FormerGrantCounts,
        "grant_of_a_former_start",
        LINEARIZABLE,
    ),
    scripted(
        Bug::GrantOfFormerRoleCounts,
        "grant_of_a_former_role",
        LINEARIZABLE,
    ),
    scripted(
        Bug::GrantsWithoutLease,
        "grant_without_a_lease",
        LINEARIZABLE,
    ),
    scripted(
        Bug::GrantsToJoining,
        "grant_to_one_that_was_removed",
        LINEARIZABLE,
    ),
    scripted(
        Bug::TakesLeaseJoining,
        "grant_to_one_that_is_out",
        LINEARIZABLE,
    ),
    scripted(
        Bug::RemovedLeaseWithoutDrift,
        "lease_by_a_slow_clock",
        LINEARIZABLE,
    ),
    scripted(
        Bug::SoleWithoutDrift,
        "new_tenure_and_a_slow_clock",
        LINEARIZABLE,
    ),
    scripted(Bug::LeavesAtOnce, "leaving_with_a_lease", LINEARIZABLE),
    scripted(
        Bug::TellsBeforeRecommit,
        "unknown_committed_position",
        LINEARIZABLE,
    ),
    scripted(Bug::FormerEndCounts, "late_end_of_a_handshake", LEDGER),
    scripted(
        Bug::FormerAcksCount,
        "late_acknowledgement_of_another_handshake",
        CALM,
    ),
    scripted(
        Bug::FormerAnswerCounts,
        "late_answer_to_a_question",
        LINEARIZABLE,
    ),
    scripted(
        Bug::NoEpochFence,
        "late_acknowledgement_of_another_epoch",
        DURABLE,
    ),
    scripted(Bug::AcksOfTooFew, "acknowledgement_of_too_few", DURABLE),
    scripted(Bug::HandOverOfAnyVersion, "late_hand_over", LINEARIZABLE),
    scripted(
        Bug::GrantsAfterHandOver,
        "grant_after_a_hand_over",
        LINEARIZABLE,
    ),
    scripted(Bug::LateLeaveObeyed, "late_leave", LINEARIZABLE),
    scripted(Bug::LateJoinObeyed, "late_join", LET_IN),
    scripted(
        Bug::DisplacedGoesOn,
        "copy_beside_the_original",
        LINEARIZABLE,
    ),
    scripted(Bug::ArbiterBehindAdmits, "arbiter_put_back", DURABLE),
    scripted(
        Bug::OtherTenuresCopyExecuted,
        "late_copy_in_another_tenure",
        TRUE,
    ),
    scripted(
        Bug::RejectionOfEarlierCopyCounts,
        "rejection_delivered_twice",
        TRUE,
    ),
    scripted(Bug::ChunkOfFormerHandshake, "late_piece_of_a_state", LEDGER),
];

const fn explored(bug: Bug, scope: &'static str) -> Explored {
    Explored { bug, scope }
}

/// The mistakes in what several arbiters do, each with the scope whose exploration finds it.
pub const EXPLORED: &[Explored] = &[
    explored(Bug::ChosenWithoutMajority, "duel"),
    explored(Bug::ToldBeforeChosen, "duel"),
    explored(Bug::FoundIsTold, "duel"),
    explored(Bug::PromiseNotSaved, "crash"),
    explored(Bug::AcceptanceNotSaved, "duel"),
    explored(Bug::RoundReused, "two crashes"),
    explored(Bug::AnyAnswerTaken, "two changes"),
    explored(Bug::EarlierStepAccepted, "two changes"),
    explored(Bug::AcceptedForgotten, "two changes"),
    explored(Bug::AnsweredWithoutRound, "questions"),
    explored(Bug::FormerRoundAnswers, "questions"),
    explored(Bug::StrangersCount, "wiped"),
    explored(Bug::SetChangedInOneStep, "change of the set"),
    explored(Bug::MajorityOfEitherSet, "change of the set"),
    explored(Bug::SecondSetChangeAtOnce, "two changes of the set"),
    explored(Bug::OlderRuleKept, "change of the set"),
];

/// The mistakes that break nothing, each with what makes up for them.
pub const REDUNDANT: &[(Bug, &str)] = &[
    (
        Bug::LackUnnoticed,
        "a replica ends before it cuts off what it knows to be committed: nothing is lost, but the wrong one ends",
    ),
    (
        Bug::StaleProofCounts,
        "a log is cut off in a new epoch, and before its role in that, a replica waits for a save behind all that was asked for",
    ),
    (
        Bug::TruncationNotAwaited,
        "the same; and what is appended afterwards is written afterwards",
    ),
    (
        Bug::EpochNotAwaited,
        "a node acts in nothing before the arbiter has answered its Join, and the arbiter gives every start of the primary a new epoch",
    ),
    (
        Bug::SoleUnheard,
        "who is in sync has to acknowledge in the new epoch, with which it gives up its lease; who drains counts until its lease must be over",
    ),
    (
        Bug::AddsWithoutPromise,
        "who is counted must have promised for the primary to hold its lease: all it costs is the lease",
    ),
    (
        Bug::FormerEchoCounts,
        "a primary that starts again has a new epoch, and what is said in an older one is ignored",
    ),
    (
        Bug::TellsWithoutLease,
        "who asks answers by its own lease: as long as that lasts, nobody commits what is not in its log, or in a newer epoch",
    ),
    (
        Bug::PredecessorNotAwaited,
        "as long as the predecessor may answer, its successor commits nothing: both give the same",
    ),
    (
        Bug::HandsOverUnanswered,
        "the end of the tenure answers that their outcome is unknown, which is true",
    ),
    (
        Bug::HangingPrimaryJudges,
        "a primary whose disk hangs hands its role over before it would have anybody removed",
    ),
];
