//! What the doubles do: they answer what the protocol adds to the conversation of the cases, and note what belongs to the case.

use std::sync::Arc;

use lockstep_core::config::{Address, Incarnation, NodeId, Position, Seq};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::message::{
    BeaconAck, ConfigChange, Message, Peer, PeerMessage, Propose, Reply, ReplyBody, SnapshotAck,
    Snapshots, SyncEnd, SyncFrom, SyncReply, SyncStart, Timestamp, ToArbiter,
};
use lockstep_core::operation::Record;

use super::{Bench, NODE, PRIMARY, entry, last_seq, node_id, state_of};

/// The number of the handshake that the double of a primary makes.
const SYNC: u64 = 1;

/// The double of a secondary: it shakes hands and hears Beacons by itself, and acknowledges when the test says so.
#[derive(Debug, Default)]
pub(super) struct Secondary {
    sync: u64,
}

impl Bench {
    /// The secondary `name` acknowledges everything up to `seq`.
    pub fn acknowledge(&mut self, name: &str, seq: u64) {
        let sync = self.secondaries[&Address::new(name)].sync;
        let persisted = Position::behind(Seq(seq));
        let ack = PeerMessage::SnapshotAck(SnapshotAck { sync, persisted });
        self.say_as(name, node_id(name), ack);
    }

    /// The double `replicator` sends a Snapshot.
    pub fn snapshot(&mut self, key: &str, value: Option<&str>, seq: u64) {
        let snapshots = PeerMessage::Snapshots(Snapshots {
            sync: SYNC,
            entries: vec![Arc::new(entry(key, value, seq))],
            committed: Position::ZERO,
        });
        self.say_as("replicator", PRIMARY, snapshots);
    }

    /// The handshake that comes before Snapshots.
    pub(super) fn shake_hands(&mut self) {
        let start = PeerMessage::SyncStart(SyncStart { sync: SYNC });
        let echo = Timestamp {
            incarnation: Incarnation(1),
            at: self.now,
        };
        self.say_as("replicator", PRIMARY, start);
        let end = PeerMessage::SyncEnd(SyncEnd {
            sync: SYNC,
            echo,
            start: SyncFrom::Log {
                keep: Position::ZERO,
            },
        });
        self.say_as("replicator", PRIMARY, end);
        self.expect("replicator", &["0 SnapshotAck none"]);
    }

    fn say_as(&mut self, name: &str, sender: NodeId, body: PeerMessage) {
        let peer = Peer {
            sender,
            receiver: NODE,
            epoch: self.config.epoch,
            body,
        };
        self.hear(name, Message::Peer(peer));
    }

    /// The replica has sent something.
    pub(super) fn on_sent(&mut self, to: &Address, message: Message) {
        match message {
            Message::ToArbiter(message) => self.on_sent_to_arbiter(message),
            Message::Peer(peer) => self.on_sent_to_peer(to, peer),
            Message::Reply(reply) => self.on_reply(to, &reply),
            Message::FromArbiter(_)
            | Message::Request(_)
            | Message::Register(_)
            | Message::Offer(_) => {
                panic!("a replica sends no {message:?}")
            }
        }
    }

    fn on_sent_to_arbiter(&mut self, message: ToArbiter) {
        match message {
            ToArbiter::Join(_) => self.note("arbiter", "Join"),
            ToArbiter::Propose(Propose {
                version,
                change: ConfigChange::AddInSync(node),
                ..
            }) if version == self.config.version => {
                self.config.joining.remove(&node);
                self.config.in_sync.insert(node);
                self.announce();
            }
            // The arbiter of the cases removes nobody by itself.
            ToArbiter::Propose(_) | ToArbiter::ConfigQuery(_) | ToArbiter::Leave(_) => {}
        }
    }

    fn on_sent_to_peer(&mut self, to: &Address, peer: Peer) {
        let name = to.to_string();
        match peer.body {
            PeerMessage::SyncStart(start) => {
                let reply = PeerMessage::SyncReply(SyncReply {
                    sync: start.sync,
                    sent: Timestamp {
                        incarnation: Incarnation(1),
                        at: self.now,
                    },
                    history: EpochHistory::new(),
                    end: Position::ZERO,
                    committed: Position::ZERO,
                });
                self.double(to).sync = start.sync;
                self.say_as(&name, node_id(&name), reply);
            }
            PeerMessage::SyncEnd(end) => {
                let SyncFrom::Log { keep } = end.start else {
                    panic!("the log reaches back to its beginning, but {name} gets {end:?}");
                };
                let ack = PeerMessage::SnapshotAck(SnapshotAck {
                    sync: end.sync,
                    persisted: keep,
                });
                self.say_as(&name, node_id(&name), ack);
            }
            PeerMessage::Beacon(beacon) => {
                let ack = PeerMessage::BeaconAck(BeaconAck {
                    has_room: true,
                    echo: beacon.sent,
                    sync: self.double(to).sync,
                    sent: beacon.sent,
                });
                self.say_as(&name, node_id(&name), ack);
            }
            PeerMessage::Snapshots(snapshots) => {
                for entry in &snapshots.entries {
                    let line = format!("Snapshot {} {}", state_of(entry), entry.seq);
                    self.note(&name, &line);
                }
            }
            PeerMessage::SnapshotAck(ack) => {
                let line = format!("SnapshotAck {}", last_seq(ack.persisted));
                self.note(&name, &line);
            }
            PeerMessage::SyncReply(_)
            | PeerMessage::BeaconAck(_)
            | PeerMessage::CommittedQuery(_)
            | PeerMessage::CommittedAnswer(_) => {}
            PeerMessage::StateChunk(_) | PeerMessage::StateAck(_) => {
                panic!("no state is transferred in the cases");
            }
        }
    }

    fn double(&mut self, address: &Address) -> &mut Secondary {
        self.secondaries.entry(address.clone()).or_default()
    }

    fn on_reply(&mut self, to: &Address, reply: &Reply) {
        let id = reply.id;
        let line = match &reply.body {
            ReplyBody::OperationAck { .. } => format!("OperationAck {id}"),
            ReplyBody::OperationFailed => format!("OperationFailed {id}"),
            ReplyBody::OperationRejected { reason, .. } => {
                format!("OperationRejected {id}: {reason}")
            }
            ReplyBody::GetResult { key, record, .. } => match record {
                Some(Record { value, .. }) => format!("GetResult {id} {key:?}={value:?}"),
                None => format!("GetResult {id} {key:?}=absent"),
            },
            _ => panic!("nobody asks for {reply:?}"),
        };
        self.note(to.as_str(), &line);
    }
}
