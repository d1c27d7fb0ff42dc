//! Notices when a simulation takes one of the rare paths.

use std::collections::BTreeSet;

use lockstep_core::config::{Config, NodeId};
use lockstep_core::event::Event;
use lockstep_core::message::{
    Change, FromArbiter, Message, Peer, PeerMessage, ReplyBody, RoleName, SyncFrom, ToArbiter,
};
use lockstep_core::operation::{Rejection, Resolution};
use lockstep_core::process::Outcome;

use crate::cluster::Cluster;
use crate::faults::{Counts, Path};
use crate::invariants::Fact;

/// What has to be remembered to notice.
#[derive(Default)]
pub struct PathFinder {
    former: Option<Config>,
    /// Nodes to which the full state is on its way.
    transfers: BTreeSet<NodeId>,
    /// Nodes whose removal was proposed.
    unwanted: BTreeSet<NodeId>,
}

impl PathFinder {
    /// Takes up a fact.
    pub fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>, counts: &mut Counts) {
        match fact {
            Fact::Event { node, event } => self.event(cluster, *node, event, counts),
            Fact::Decided => self.decided(cluster.config(), counts),
            Fact::Sent { message, .. } => self.sent(cluster, message, counts),
            Fact::Ceased { node } => {
                if cluster.primary() == Some(*node) {
                    self.interrupt_all(counts);
                }
            }
            Fact::Completed {
                outcome: Outcome::Unknown { .. },
                ..
            } => counts.path(Path::UnknownOutcome),
            Fact::Started { .. }
            | Fact::Input { .. }
            | Fact::Persist { .. }
            | Fact::Apply { .. }
            | Fact::Completed { .. }
            | Fact::Stepped { .. }
            | Fact::Ended => {}
        }
    }

    fn event(&mut self, cluster: &Cluster, node: usize, event: &Event, counts: &mut Counts) {
        let path = match event {
            Event::Truncated { .. } => Path::Truncation,
            Event::Failed(_) => Path::OperationFailed,
            Event::DiskFull => Path::DiskFull,
            Event::DiskHasRoom => Path::DiskHasRoom,
            Event::Stale { .. } => Path::Stale,
            Event::ArbiterSilent => Path::ArbiterSilent,
            Event::Left => Path::Left,
            Event::StateTransferStarted { node, .. } => {
                if self.transfers.insert(*node) {
                    return;
                }
                Path::StateTransferInterrupted
            }
            Event::StateTransferred(node) => {
                self.transfers.remove(node);
                Path::StateTransfer
            }
            Event::Acknowledged(_) => return count_acknowledgement(cluster, counts),
            Event::Entered {
                role: RoleName::Primary,
                epoch,
                ..
            } => {
                let shadow = cluster.nodes()[node].shadow();
                let has_more = shadow.is_some_and(|log| log.end() > cluster.ledger().end());
                if epoch.0 < 2 || !has_more {
                    return;
                }
                Path::Recommit
            }
            Event::Entered { .. }
            | Event::JoinRefused(_)
            | Event::Appended { .. }
            | Event::Persisted(_)
            | Event::Committed(_)
            | Event::ReplicatorStarted(_)
            | Event::ReplicatorStopped(_)
            | Event::Synced { .. }
            | Event::Proposed { .. }
            | Event::ArbiterHeard
            | Event::Joined { .. }
            | Event::Decided(_) => return,
        };
        counts.path(path);
    }

    fn decided(&mut self, config: &Config, counts: &mut Counts) {
        if let Some(former) = &self.former {
            for node in former.in_sync.difference(&config.in_sync) {
                if self.unwanted.remove(node) {
                    counts.path(Path::Removal);
                }
            }
            for _ in config.in_sync.intersection(&former.joining) {
                counts.path(Path::Addition);
            }
        }
        self.former = Some(config.clone());
    }

    fn sent(&mut self, cluster: &Cluster, message: &Message, counts: &mut Counts) {
        match message {
            Message::Reply(reply) => match &reply.body {
                ReplyBody::OperationRejected { reason } => count_rejection(reason, counts),
                ReplyBody::Resolved(Resolution::Executed { .. }) => {
                    counts.path(Path::ResolvedExecuted);
                }
                ReplyBody::Resolved(Resolution::NeverExecuted) => {
                    counts.path(Path::ResolvedNever);
                }
                ReplyBody::OperationAck { .. }
                | ReplyBody::OperationFailed
                | ReplyBody::GetResult { .. }
                | ReplyBody::ScanResult { .. }
                | ReplyBody::Status(_)
                | ReplyBody::Draining => {}
            },
            Message::FromArbiter(FromArbiter::ProposalRefused(_)) => {
                counts.path(Path::ProposalRefused);
            }
            Message::ToArbiter(ToArbiter::Propose(propose)) => {
                if let Change::RemoveInSync(node) = propose.change {
                    self.unwanted.insert(node);
                }
            }
            Message::Peer(Peer {
                body: PeerMessage::SyncEnd(end),
                ..
            }) => {
                let SyncFrom::Log { keep } = end.start else {
                    return;
                };
                if keep.0 == 0 {
                    return;
                }
                let keeps_whole_log = cluster
                    .nodes()
                    .iter()
                    .filter_map(|node| node.shadow())
                    .any(|log| log.end() == keep);
                if keeps_whole_log {
                    counts.path(Path::WholeLogKept);
                }
                if !cluster.config().joining.is_empty() {
                    counts.path(Path::ReturnByLog);
                }
            }
            Message::Peer(_)
            | Message::Request(_)
            | Message::ToArbiter(_)
            | Message::FromArbiter(_) => {}
        }
    }

    fn interrupt_all(&mut self, counts: &mut Counts) {
        for _ in std::mem::take(&mut self.transfers) {
            counts.path(Path::StateTransferInterrupted);
        }
    }
}

fn count_acknowledgement(cluster: &Cluster, counts: &mut Counts) {
    if !cluster.nodes()[0].is_up() {
        counts.path(Path::AckWithoutArbiter);
    }
    if !cluster.config().joining.is_empty() {
        counts.path(Path::AckDuringJoin);
    }
    if cluster.config().in_sync.len() == 1 {
        counts.path(Path::AckAlone);
    }
}

fn count_rejection(reason: &Rejection, counts: &mut Counts) {
    let path = match reason {
        Rejection::NotReady => Path::RejectedNotReady,
        Rejection::Overloaded => Path::Overloaded,
        Rejection::DiskFull => Path::RejectedDiskFull,
        Rejection::SessionExpired => Path::RejectedExpired,
        Rejection::Cancelled => Path::RejectedCancelled,
        // Clients ask for the primary first; there is only one, as long as nobody takes its place.
        Rejection::NotPrimary { .. }
        | Rejection::NoLease
        | Rejection::Behind { .. }
        | Rejection::TooLarge { .. }
        | Rejection::TooFewReplicas { .. }
        | Rejection::Unauthorized
        | Rejection::Malformed => return,
    };
    counts.path(path);
}
