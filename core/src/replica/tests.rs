//! One replica, all others played by hand: what simulations reach too rarely to rely on.

use std::sync::Arc;

use super::*;
use crate::config::{ClusterId, ConfigVersion, Epoch, Incarnation, Member, Position, Seq, Token};
use crate::epochs::EpochHistory;
use crate::message::{
    FromArbiter, Joined, SnapshotAck, Snapshots, SyncEnd, SyncFrom, SyncReply, SyncStart,
};
use crate::operation::{ClientId, Entry, Origin, RequestId};

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const EPOCH: Epoch = Epoch(1);

/// The replica and what it has done and not been asked about.
struct Table {
    replica: Replica,
    effects: Vec<Effect>,
}

impl Table {
    /// A replica r1 that has joined a cluster of itself and r2, both in sync.
    fn joined(primary: NodeId) -> Self {
        let meta = Meta {
            node: ME,
            cluster: None,
            incarnation: Incarnation(1),
            token: Token(0),
            epoch: Epoch::ZERO,
        };
        let recovered = Recovered {
            meta,
            log_start: Position::ZERO,
            log_end: Position::ZERO,
            history: EpochHistory::new(),
            applied: Position::ZERO,
            tail: Vec::new(),
        };
        let options = ReplicaOptions {
            name: "r1".to_owned(),
            address: Address::new("r1"),
            arbiter: Address::new("arbiter"),
            limits: Limits::default(),
            software: "test".to_owned(),
        };
        let replica = Replica::open(options, recovered);
        let mut table = Self {
            replica,
            effects: Vec::new(),
        };
        table.step(Input::Start);
        let joined = Joined {
            config: config(primary, 1, 1),
            incarnation: Incarnation(1),
            token: Token(5),
        };
        table.hear(
            "arbiter",
            Message::FromArbiter(FromArbiter::JoinedSecondary(joined)),
        );
        let meta = table.persisting()[0];
        table.step(Input::Persisted(meta));
        table
    }

    fn step(&mut self, input: Input<Timer>) {
        let mut out = Outbox::new();
        self.replica.step(Instant::ZERO, input, &mut out);
        self.replica.check();
        self.effects.extend(out.drain());
    }

    fn hear(&mut self, from: &str, message: Message) {
        let from = Address::new(from);
        self.step(Input::Message { from, message });
    }

    fn hear_other(&mut self, body: PeerMessage) {
        let peer = Peer {
            sender: OTHER,
            receiver: ME,
            epoch: EPOCH,
            body,
        };
        self.hear("r2", Message::Peer(peer));
    }

    /// The writes it has asked for since the last look, which forgets all else.
    fn persisting(&mut self) -> Vec<Ticket> {
        let effects = std::mem::take(&mut self.effects).into_iter();
        let tickets = effects.filter_map(|effect| match effect {
            Effect::Persist(ticket, _) => Some(ticket),
            _ => None,
        });
        tickets.collect()
    }

    /// What it has said to r2 and to clients since the last look, which forgets all else.
    fn said(&mut self) -> Vec<Message> {
        let effects = std::mem::take(&mut self.effects).into_iter();
        let messages = effects.filter_map(|effect| match effect {
            Effect::Send {
                message: message @ (Message::Peer(_) | Message::Reply(_)),
                ..
            } => Some(message),
            _ => None,
        });
        messages.collect()
    }

    /// The number of the handshake it starts.
    fn greeting(&mut self) -> u64 {
        let said = self.said();
        let greeting = said.iter().find_map(|message| match message {
            Message::Peer(Peer {
                body: PeerMessage::SyncStart(start),
                ..
            }) => Some(start.sync),
            _ => None,
        });
        greeting.expect("a primary greets")
    }

    fn acknowledged(&mut self) -> Option<Position> {
        self.said()
            .into_iter()
            .rev()
            .find_map(|message| match message {
                Message::Peer(Peer {
                    body: PeerMessage::SnapshotAck(ack),
                    ..
                }) => Some(ack.persisted),
                _ => None,
            })
    }

    fn has_answered_a_client(&mut self) -> bool {
        self.said()
            .iter()
            .any(|message| matches!(message, Message::Reply(_)))
    }
}

fn config(primary: NodeId, version: u64, incarnation_of_other: u64) -> Config {
    let member = |name: &str, incarnation| Member {
        name: name.to_owned(),
        address: Address::new(name),
        incarnation: Incarnation(incarnation),
    };
    let mut config = Config::new(ClusterId(9));
    (config.version, config.epoch) = (ConfigVersion(version), EPOCH);
    config.primary = Some(primary);
    config.in_sync.extend([ME, OTHER]);
    config.members.insert(ME, member("r1", 1));
    config
        .members
        .insert(OTHER, member("r2", incarnation_of_other));
    config
}

fn snapshots(sync: u64, seqs: std::ops::Range<u64>) -> PeerMessage {
    let entry = |seq| Entry {
        epoch: EPOCH,
        seq: Seq(seq),
        operation: Operation::Remove { key: "k".into() },
        origin: Origin {
            client: ClientId(1),
            id: RequestId(seq),
            session: Default::default(),
        },
    };
    PeerMessage::Snapshots(Snapshots {
        sync,
        entries: seqs.map(|seq| Arc::new(entry(seq))).collect(),
        committed: Position::ZERO,
    })
}

fn shake_hands(table: &mut Table, sync: u64, keep: u64) {
    table.hear_other(PeerMessage::SyncStart(SyncStart { sync }));
    let start = SyncFrom::Log {
        keep: Position(keep),
    };
    table.hear_other(PeerMessage::SyncEnd(SyncEnd { sync, start }));
}

#[test]
fn a_write_of_what_was_cut_off_says_nothing_of_what_has_taken_its_place() {
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 1, 0);
    table.persisting();
    table.hear_other(snapshots(1, 0..3));
    let first = table.persisting()[0];
    shake_hands(&mut table, 2, 1);
    let truncation = table.persisting()[0];
    table.step(Input::Persisted(truncation));
    table.hear_other(snapshots(2, 1..3));
    let second = table.persisting()[0];
    table.step(Input::Persisted(first));
    assert_eq!(table.acknowledged(), Some(Position(1)));
    table.step(Input::Persisted(second));
    assert_eq!(table.acknowledged(), Some(Position(3)));
}

#[test]
fn what_a_replica_acknowledged_in_an_earlier_handshake_does_not_count() {
    let mut table = Table::joined(ME);
    let answer = |table: &mut Table, sync| {
        table.hear_other(PeerMessage::SyncReply(SyncReply {
            sync,
            history: EpochHistory::new(),
            end: Position::ZERO,
            committed: Position::ZERO,
        }));
    };
    let acknowledge = |table: &mut Table, sync, persisted| {
        let persisted = Position(persisted);
        table.hear_other(PeerMessage::SnapshotAck(SnapshotAck { sync, persisted }));
    };
    table.hear(
        "arbiter",
        Message::FromArbiter(FromArbiter::Replicas(config(ME, 2, 2))),
    );
    let first = table.greeting();
    answer(&mut table, first);
    acknowledge(&mut table, first, 0);
    let request = Request {
        client: ClientId(3),
        id: RequestId(0),
        session: Default::default(),
        body: RequestBody::Remove { key: "k".into() },
    };
    table.hear("c", Message::Request(request));
    let write = table.persisting()[0];
    table.step(Input::Persisted(write));
    // It restarts, and has lost what it had not synced; a late acknowledgement of its former start arrives.
    table.hear(
        "arbiter",
        Message::FromArbiter(FromArbiter::Replicas(config(ME, 3, 3))),
    );
    let second = table.greeting();
    answer(&mut table, second);
    acknowledge(&mut table, first, 1);
    assert!(!table.has_answered_a_client());
    acknowledge(&mut table, second, 0);
    acknowledge(&mut table, first, 1);
    assert!(!table.has_answered_a_client());
    acknowledge(&mut table, second, 1);
    assert!(table.has_answered_a_client());
}

#[test]
fn what_one_node_is_told_does_not_move_another_at_its_address() {
    let mut table = Table::joined(OTHER);
    table.persisting();
    let peer = Peer {
        sender: OTHER,
        receiver: NodeId(77),
        epoch: EPOCH,
        body: PeerMessage::SyncStart(SyncStart { sync: 1 }),
    };
    table.hear("r2", Message::Peer(peer));
    assert!(table.said().is_empty());
}

#[test]
fn a_disk_that_is_full_without_a_write_under_way_is_asked_when_there_is_room() {
    let mut table = Table::joined(OTHER);
    table.persisting();
    table.step(Input::DiskFull);
    assert!(table.persisting().is_empty(), "not at once");
    table.step(Input::Timer(Timer::PersistRetry));
    let question = table.persisting();
    assert_eq!(question.len(), 1);
    table.step(Input::Persisted(question[0]));
    assert!(table.effects.contains(&Effect::Notify(Event::DiskHasRoom)));
}
