//! Notices when a simulation takes one of the rare paths.

use std::collections::BTreeSet;

use lockstep_core::config::{Config, ConfigVersion, NodeId, Seq};
use lockstep_core::event::Event;
use lockstep_core::message::{
    ConfigChange, FromArbiter, Message, Peer, PeerMessage, ReplyBody, RequestBody, RoleName,
    SyncFrom, ToArbiter,
};
use lockstep_core::operation::{ClientId, ReadLevel, Rejection, RequestId, Resolution};
use lockstep_core::process::Outcome;
use lockstep_core::register::{self, Ballot};

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
    /// The version for which a removal was proposed last.
    removing: Option<ConfigVersion>,
    /// A primary was appointed and nothing was committed since.
    is_appointing: bool,
    /// Writes that committed in this turn.
    committed: BTreeSet<Seq>,
    /// With which ballots arbiters have asked whether their record is the newest.
    asked: BTreeSet<Ballot>,
    /// Linearizable reads that were asked for.
    linearizable: BTreeSet<(ClientId, RequestId)>,
}

impl PathFinder {
    /// Takes up a fact.
    pub fn observe(&mut self, cluster: &Cluster, fact: &Fact<'_>, counts: &mut Counts) {
        match fact {
            Fact::Event { node, event } => self.event(cluster, *node, event, counts),
            Fact::Decided => self.decided(cluster.config(), counts),
            Fact::Sent { node, message, .. } => self.sent(cluster, *node, message, counts),
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
            | Fact::Received { .. }
            | Fact::Persist { .. }
            | Fact::Apply { .. }
            | Fact::Completed { .. }
            | Fact::Ended => {}
            Fact::Stepped { .. } => self.committed.clear(),
        }
    }

    fn event(&mut self, cluster: &Cluster, node: usize, event: &Event, counts: &mut Counts) {
        let path = match event {
            Event::Truncated { .. } => Path::Truncation,
            Event::Unconfirmed(_) => Path::OperationFailed,
            Event::DiskFull => Path::DiskFull,
            Event::DiskHasRoom => Path::DiskHasRoom,
            Event::Stale { .. } => Path::Stale,
            Event::ArbiterSilent => Path::ArbiterSilent,
            Event::Resigned(_) => Path::HandOver,
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
            Event::Acknowledged(seq) => {
                self.committed.insert(*seq);
                return count_acknowledgement(cluster, counts);
            }
            Event::Committed(_) => {
                self.is_appointing = false;
                return;
            }
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
            | Event::Administered { .. }
            | Event::Acted(_)
            | Event::RecordBehind
            | Event::FoundersAwaited(_)
            | Event::ClusterBegun(_)
            | Event::Installed(_)
            | Event::Appended { .. }
            | Event::Persisted(_)
            | Event::ReplicatorStarted(_)
            | Event::ReplicatorStopped(_)
            | Event::Synced { .. }
            | Event::Proposed { .. }
            | Event::ArbiterHeard
            | Event::ForeignArbiter(_)
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
            for _ in config.resting.difference(&former.resting) {
                counts.path(Path::Rested);
            }
            if config.in_sync.intersection(&former.resting).count() > 0 {
                counts.path(Path::AllStopped);
            }
            for node in &former.draining {
                if !config.is_member(*node) {
                    counts.path(Path::Drained);
                }
            }
            if former.primary.is_some() && config.primary != former.primary {
                counts.path(Path::Failover);
            }
            if config.epoch > former.epoch {
                if std::mem::replace(&mut self.is_appointing, true) {
                    counts.path(Path::AppointmentInterrupted);
                }
                self.removing = None;
            }
        }
        self.former = Some(config.clone());
    }

    fn sent(&mut self, cluster: &Cluster, node: usize, message: &Message, counts: &mut Counts) {
        match message {
            Message::Reply(reply) => match &reply.body {
                ReplyBody::OperationRejected { reason, .. } => count_rejection(reason, counts),
                ReplyBody::GetResult { .. } => {
                    let is_linearizable = self.linearizable.contains(&(reply.client, reply.id));
                    if is_linearizable && cluster.primary() != Some(node) {
                        counts.path(Path::ReadAtSecondary);
                    }
                }
                ReplyBody::Resolved(Resolution::Executed { .. }) => {
                    counts.path(Path::ResolvedExecuted);
                }
                ReplyBody::Resolved(Resolution::NeverExecuted) => {
                    counts.path(Path::ResolvedNever);
                }
                ReplyBody::OperationAck { seq, .. } => {
                    if !self.committed.contains(seq) {
                        counts.path(Path::RetryAnswered);
                        let entry = cluster.ledger().entry(*seq);
                        if entry.is_some_and(|entry| entry.epoch < cluster.config().epoch) {
                            counts.path(Path::RetryAnsweredLater);
                        }
                    }
                }
                ReplyBody::OperationFailed
                | ReplyBody::ScanResult { .. }
                | ReplyBody::Status(_)
                | ReplyBody::Begun => {}
            },
            Message::FromArbiter(message) => {
                if let FromArbiter::ProposalRefused(_) = **message {
                    counts.path(Path::ProposalRefused);
                }
            }
            Message::ToArbiter(ToArbiter::Propose(propose)) => match propose.change {
                ConfigChange::RemoveInSync(node) => {
                    self.unwanted.insert(node);
                    self.removing = Some(propose.version);
                }
                ConfigChange::ReplacePrimary => {
                    if self.removing == Some(propose.version) {
                        counts.path(Path::RemovalRace);
                    }
                }
                ConfigChange::AddInSync(_)
                | ConfigChange::Drained(_)
                | ConfigChange::HandOver(_)
                | ConfigChange::Forget(_)
                | ConfigChange::Arbiters(_) => {}
            },
            Message::Peer(Peer {
                body: PeerMessage::CommittedAnswer(_),
                ..
            }) => counts.path(Path::DirtyRead),
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
            Message::Request(request) => match &request.body {
                RequestBody::Get { level, .. } => {
                    if *level == ReadLevel::Linearizable {
                        self.linearizable.insert(request.origin.request());
                    }
                }
                RequestBody::Insert { .. }
                | RequestBody::Remove { .. }
                | RequestBody::Scan { .. }
                | RequestBody::Status
                | RequestBody::Resolve { .. }
                | RequestBody::Drain(_)
                | RequestBody::Arbiters(_) => {}
            },
            Message::Register(message) => match &message.body {
                register::Message::Ask { ballot, .. } => {
                    self.asked.insert(*ballot);
                }
                register::Message::Refused { ballot, .. } => {
                    counts.path(Path::ArbiterRefused);
                    if self.asked.remove(ballot) {
                        counts.path(Path::QuestionOvertaken);
                    }
                }
                register::Message::Promise { .. }
                | register::Message::Accepted { .. }
                | register::Message::Still { .. } => {
                    if !cluster.arbiters_chosen().has(message.sender) {
                        counts.path(Path::StrangerAnswered);
                    }
                }
                register::Message::Prepare { .. } | register::Message::Accept(_) => {}
            },
            Message::Peer(_) | Message::ToArbiter(_) | Message::Offer(_) => {}
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
        Rejection::SessionExpired | Rejection::SessionTooOld => Path::RejectedExpired,
        Rejection::Cancelled => Path::RejectedCancelled,
        // Clients ask for the primary first; there is only one, as long as nobody takes its place.
        Rejection::NoLease => Path::RejectedNoLease,
        Rejection::Behind { .. } => Path::RejectedBehind,
        Rejection::NotPrimary { .. }
        | Rejection::TooLarge { .. }
        | Rejection::Failed { .. }
        | Rejection::TooFewReplicas { .. }
        | Rejection::CannotDrain { .. }
        | Rejection::ArbitersSilent
        | Rejection::Unauthorized { .. } => return,
        other => panic!("a rejection of a path of its own: {other}"),
    };
    counts.path(path);
}
