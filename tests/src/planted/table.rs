//! The table itself: which mistake is found how, and which is not.

use lockstep_core::planted::Bug;

use super::Found;
use super::invariants::{
    BOUNDED, CALM, DURABLE, FORWARD, LEDGER, LET_IN, LINEARIZABLE, LOCAL, ONCE, PANICS, REJECTED,
    REPLIES, TOLD, TRUE,
};
use crate::leases::Omission;

const fn found(bug: Bug, seeds_max: u64, by: &'static [&'static str]) -> Found {
    Found { bug, seeds_max, by }
}

/// The mistakes that the simulator finds.
pub const FOUND: &[Found] = &[
    found(Bug::AcksUnsynced, 50, &[DURABLE]),
    found(Bug::AcksRepeatUnsynced, 50, &[DURABLE]),
    found(Bug::CountsOwnUnsynced, 50, &[DURABLE]),
    found(Bug::RecoveredIsPersisted, 200, &[DURABLE]),
    found(Bug::DiskNotAskedAgain, 50, &[CALM]),
    found(Bug::TruncatesToOwnCommitted, 50, &[LEDGER]),
    found(Bug::PrimaryTruncates, 50, &[LEDGER]),
    found(Bug::KeepsLongerTail, 50, &[LEDGER, CALM, ONCE, DURABLE]),
    found(Bug::Restamps, 50, &[LEDGER, DURABLE]),
    found(Bug::SyncReplyCounts, 50, &[DURABLE]),
    found(Bug::CommitsBeforeHandshake, 50, &[LEDGER]),
    found(Bug::CommitsBeyondLog, 50, &[PANICS]),
    found(Bug::NothingSentAgain, 100, &[CALM]),
    found(Bug::PositionWithEntriesOnly, 50, &[CALM]),
    found(Bug::ShrinksBeforeConfirmation, 50, &[DURABLE]),
    found(Bug::CountedOnConfirmation, 50, &[DURABLE]),
    found(Bug::AddsBehind, 50, &[DURABLE]),
    found(Bug::AddsBeforeRecommit, 3000, &[DURABLE]),
    found(Bug::SuspicionEndsAddition, 300, &[DURABLE]),
    found(Bug::ForgetsProposal, 600, &[DURABLE]),
    found(Bug::NoCompareAndSwap, 700, &[DURABLE]),
    found(Bug::RemovesAtOnce, 450, &[LINEARIZABLE]),
    found(Bug::TellsBeforeDurable, 50, &[DURABLE, FORWARD]),
    found(Bug::RestartKeepsEpoch, 50, &[CALM, LEDGER, FORWARD]),
    found(Bug::ReplacementKeepsEpoch, 50, &[CALM, LEDGER]),
    found(Bug::LateJoinedObeyed, 200, &[LET_IN, FORWARD]),
    found(Bug::OlderConfigEntered, 50, &[FORWARD, DURABLE]),
    found(Bug::PrimaryReadsWithoutLease, 500, &[LINEARIZABLE]),
    found(Bug::LeaseOfOne, 650, &[LINEARIZABLE]),
    found(Bug::PromiseCutShort, 500, &[LINEARIZABLE]),
    found(Bug::SecondaryReadsWithoutLease, 250, &[LINEARIZABLE]),
    found(Bug::ReadsBeforeRecommit, 2000, &[LINEARIZABLE]),
    found(Bug::ReadsDirtyValue, 50, &[LINEARIZABLE]),
    found(Bug::ReadsOldOfDirty, 50, &[LINEARIZABLE]),
    found(Bug::AnswersAheadOfPosition, 50, &[TOLD, LINEARIZABLE]),
    found(Bug::OverlaysNothing, 50, &[LINEARIZABLE, LOCAL, TOLD]),
    found(Bug::ScansStateAlone, 50, &[LOCAL, TOLD]),
    found(Bug::ServesAfterTakeOver, 1200, &[LINEARIZABLE]),
    found(Bug::GrantsAfterTakeOver, 1200, &[LINEARIZABLE]),
    found(Bug::SessionsNotTransferred, 50, &[ONCE]),
    found(Bug::TransfersUncommitted, 50, &[LEDGER]),
    found(Bug::HistoryBeyondState, 600, &[CALM]),
    found(Bug::CopyOfOpenExecuted, 50, &[ONCE]),
    found(Bug::CopyOfDoneExecuted, 50, &[ONCE]),
    found(Bug::SessionsNotRecovered, 50, &[ONCE]),
    found(Bug::ResolvesWithoutEntry, 50, &[ONCE]),
    found(Bug::FailedAnsweredAgain, 50, &[REPLIES]),
    found(Bug::TenureEndsSilently, 50, &[REPLIES]),
    found(Bug::AcksUnconfirmed, 50, &[DURABLE, ONCE]),
    found(Bug::RetriesUnderNewId, 50, &[TOLD, PANICS, TRUE]),
    found(Bug::RejectsAppended, 50, &[REJECTED, CALM]),
    found(Bug::SettledTooMuch, 50, &[ONCE]),
    found(Bug::NoUncommittedLimit, 50, &[BOUNDED]),
    found(Bug::TimeBeforeInput, 50, &[LINEARIZABLE, REPLIES]),
];

/// The mistakes that the model of leases finds, each with the rule that is left out there.
pub const ELSEWHERE: &[(Bug, Omission)] = &[
    (Bug::JoinKeepsVersion, Omission::JoinKeepsVersion),
    (Bug::DrainingJoins, Omission::DrainingJoinsUninformed),
    (Bug::DrainedTooEarly, Omission::DrainedTooEarly),
    (Bug::InheritsNoLease, Omission::NewPrimaryDoesNotWait),
    (
        Bug::LeaseWithoutAdded,
        Omission::PrimaryLeaseWithoutAdditions,
    ),
    (Bug::LeaseFromReceipt, Omission::PrimaryLeaseFromReceipt),
    (Bug::PromiseWithoutDrift, Omission::PromiseIgnoresRho),
    (Bug::ProposesAtOnce, Omission::RestartForgetsPromise),
    (Bug::AnswersAfterProposing, Omission::AnswersAfterProposing),
    (Bug::ReadLeaseFromReceipt, Omission::ReadLeaseFromReceipt),
    (Bug::FormerGrantCounts, Omission::StampsSurviveRestart),
    (Bug::GrantOfFormerRoleCounts, Omission::GiveUpUnheeded),
    (Bug::GrantsWithoutLease, Omission::GrantsWithoutLease),
    (Bug::GrantsToJoining, Omission::GrantsToJoining),
    (Bug::TakesLeaseJoining, Omission::JoiningTakesLease),
    (
        Bug::RemovedLeaseWithoutDrift,
        Omission::RemovedLeaseIgnoresRho,
    ),
    (Bug::SettlesWithoutDrift, Omission::WaitIgnoresRho),
    (Bug::LeavesWithLease, Omission::LeavesWithLease),
    (Bug::TellsBeforeRecommit, Omission::AnswersUnsettled),
];

/// Mistakes that neither finds in the time of a test, each with the test by hand that speaks of it, if there is one.
pub const RARE: &[(Bug, Option<&str>)] = &[
    (
        Bug::FormerAcksCount,
        Some("what_a_replica_acknowledged_in_an_earlier_handshake_does_not_count"),
    ),
    (
        Bug::StaleProofCounts,
        Some("a_write_of_what_was_cut_off_says_nothing_of_what_has_taken_its_place"),
    ),
    (Bug::TruncationNotAwaited, None),
    (Bug::FormerSnapshotsCount, None),
    (Bug::NoEpochFence, None),
    (
        Bug::LateLeaveObeyed,
        Some("leaving_needs_the_recorded_start_and_the_present_version_and_is_not_for_the_primary"),
    ),
    (
        Bug::LateJoinObeyed,
        Some("a_late_join_of_a_wiped_directory_does_not_cost_the_new_node_its_identity"),
    ),
    (Bug::LeaseNotCheckedAtAnswer, None),
    (Bug::ReusesQuestion, None),
    (Bug::ForgetsWhileAsked, None),
    (Bug::ChunkOfFormerHandshake, None),
    (Bug::StateAckedEarly, None),
];

/// The mistakes that break nothing, each with what makes up for them.
pub const REDUNDANT: &[(Bug, &str)] = &[
    (
        Bug::EpochNotAwaited,
        "a node acts in nothing before the arbiter has answered its Join, and the arbiter gives every start of the primary a new epoch",
    ),
    (
        Bug::SettlesUnheard,
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
        Bug::HandsOverUnanswered,
        "the end of the tenure answers that their outcome is unknown, which is true",
    ),
];
