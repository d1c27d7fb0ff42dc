//! One replica of a cluster of three, all others played: disk and peers answer at once, and time does not pass.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lockstep_core::config::{
    Address, ClusterId, Config, ConfigVersion, Epoch, Incarnation, Member, NodeId, Position,
    StartId, Token,
};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::limits::Limits;
use lockstep_core::message::{
    FromArbiter, Joined, Message, Peer, PeerMessage, SnapshotAck, SyncReply, Timestamp,
};
use lockstep_core::operation::Revision;
use lockstep_core::process::{Effect, Input, Now, Outbox, Process};
use lockstep_core::replica::{Replica, ReplicaOptions, Timer};
use lockstep_core::sessions::SessionRows;
use lockstep_core::storage::{Meta, Recovered};
use lockstep_core::time::Instant;

const CLUSTER: ClusterId = ClusterId(7);

/// The replica that is not played.
pub(super) const ME: NodeId = NodeId(1);

/// The others.
const OTHERS: [NodeId; 2] = [NodeId(2), NodeId(3)];

/// The primary, where that is not the replica itself.
pub(super) const OTHER: NodeId = OTHERS[0];

const EPOCH: Epoch = Epoch(1);

/// A replica, and what has not been handed to it.
pub(super) struct Played {
    replica: Replica,
    inbox: VecDeque<Input<Timer>>,
    outbox: Outbox,
    /// When its last SyncReply was sent, if it has sent one.
    pub(super) greeted: Option<Timestamp>,
    /// Replies it has given to clients.
    pub(super) replies: u64,
    /// What it has acknowledged to its primary.
    pub(super) acknowledged: Position,
}

impl Played {
    /// A replica in a configuration of three that are in sync.
    pub(super) fn new(primary: NodeId) -> Self {
        let mut played = Self {
            replica: Replica::open(options(), nothing()),
            inbox: VecDeque::new(),
            outbox: Outbox::new(),
            greeted: None,
            replies: 0,
            acknowledged: Position::ZERO,
        };
        let joined = if primary == ME {
            FromArbiter::JoinedPrimary(joined(primary))
        } else {
            FromArbiter::JoinedSecondary(joined(primary))
        };
        let joined = Input::Message {
            from: Address::new("arbiter"),
            message: Message::from(joined),
        };
        played.take(vec![Input::Start, joined]);
        played
    }

    /// Its log is committed up to here, as it knows.
    pub(super) fn committed(&self) -> Position {
        self.replica.log().committed()
    }

    /// Takes inputs that arrive together, and whatever comes of them.
    pub(super) fn take(&mut self, inputs: Vec<Input<Timer>>) {
        let now = Now::from(Instant::ZERO);
        self.inbox.extend(inputs);
        while !self.inbox.is_empty() {
            while let Some(input) = self.inbox.pop_front() {
                self.replica
                    .step(Instant::ZERO.into(), input, &mut self.outbox);
            }
            self.replica.settle(now, &mut self.outbox);
            for effect in self.outbox.drain() {
                match effect {
                    Effect::Persist(ticket, _) => self.inbox.push_back(Input::Persisted(ticket)),
                    Effect::Apply(committed) => {
                        let applied = committed.end().expect("nobody applies nothing");
                        self.inbox.push_back(Input::Applied(applied));
                    }
                    Effect::Send { message, .. } => match message {
                        Message::Peer(peer) => match peer.body {
                            PeerMessage::SyncReply(reply) => self.greeted = Some(reply.sent),
                            PeerMessage::SnapshotAck(ack) => self.acknowledged = ack.persisted,
                            body => self.inbox.extend(answer(peer.receiver, body)),
                        },
                        Message::Reply(_) => self.replies += 1,
                        Message::ToArbiter(_)
                        | Message::FromArbiter(_)
                        | Message::Request(_)
                        | Message::Register(_)
                        | Message::Offer(_) => {}
                    },
                    Effect::Query(..)
                    | Effect::MeasureUsage
                    | Effect::CloseView(_)
                    | Effect::Retain(_)
                    | Effect::Complete(..)
                    | Effect::Notify(_) => {}
                }
            }
        }
    }
}

/// What one of the others, which has all it is told on its disk at once, says to what the primary says.
fn answer(peer: NodeId, said: PeerMessage) -> Option<Input<Timer>> {
    let body = match said {
        PeerMessage::SyncStart(start) => PeerMessage::SyncReply(SyncReply {
            sync: start.sync,
            sent: Timestamp {
                incarnation: Incarnation(1),
                at: Instant::ZERO,
            },
            history: EpochHistory::new(),
            end: Position::ZERO,
            committed: Position::ZERO,
        }),
        PeerMessage::SyncEnd(end) => PeerMessage::SnapshotAck(SnapshotAck {
            sync: end.sync,
            persisted: Position::ZERO,
        }),
        PeerMessage::Snapshots(snapshots) => PeerMessage::SnapshotAck(SnapshotAck {
            sync: snapshots.sync,
            persisted: Position::behind(snapshots.entries.last()?.seq),
        }),
        PeerMessage::SyncReply(_)
        | PeerMessage::SnapshotAck(_)
        | PeerMessage::StateChunk(_)
        | PeerMessage::StateAck(_)
        | PeerMessage::Beacon(_)
        | PeerMessage::BeaconAck(_)
        | PeerMessage::CommittedQuery(_)
        | PeerMessage::CommittedAnswer(_) => return None,
    };
    Some(said_by(peer, body))
}

/// One of the others says something to the replica.
pub(super) fn said_by(peer: NodeId, body: PeerMessage) -> Input<Timer> {
    Input::Message {
        from: address(peer),
        message: Message::Peer(Peer {
            sender: peer,
            receiver: ME,
            epoch: EPOCH,
            body,
        }),
    }
}

/// The options of the replica.
pub(super) fn options() -> ReplicaOptions {
    ReplicaOptions {
        name: "r1".to_owned(),
        address: address(ME),
        arbiters: vec![Address::new("arbiter")],
        limits: Limits::default(),
        software: "measured".to_owned(),
    }
}

/// What the arbiter tells it when it has joined.
pub(super) fn joined(primary: NodeId) -> Joined {
    Joined {
        config: config(primary),
        node: ME,
        incarnation: Incarnation(1),
        token: Token(5),
        start: StartId(0),
    }
}

fn address(node: NodeId) -> Address {
    Address::new(format!("r{}", node.0))
}

fn config(primary: NodeId) -> Config {
    let nodes = BTreeSet::from([ME, OTHERS[0], OTHERS[1]]);
    let member = |node: &NodeId| Member {
        name: format!("r{}", node.0),
        address: address(*node),
        incarnation: Incarnation(1),
        terms: Default::default(),
    };
    Config {
        version: ConfigVersion(1),
        epoch: EPOCH,
        primary: Some(primary),
        members: nodes
            .iter()
            .map(|node| (*node, member(node)))
            .collect::<BTreeMap<_, _>>(),
        in_sync: nodes,
        ..Config::new(CLUSTER)
    }
}

/// What the disk of a node has that starts for the first time.
pub(super) fn nothing() -> Recovered {
    Recovered {
        meta: Meta {
            node: ME,
            cluster: None,
            incarnation: Incarnation(1),
            token: Token(0),
            epoch: Epoch::ZERO,
            starts: Vec::new(),
            arbiters: Vec::new(),
        },
        log_start: Position::ZERO,
        log_end: Position::ZERO,
        history: EpochHistory::new(),
        applied: Position::ZERO,
        revision: Revision::FIRST,
        sessions: SessionRows::default(),
        tail: Vec::new(),
    }
}
