//! One replica, all others played by hand: what simulations reach too rarely to rely on.

mod draining;
mod handshakes;
mod identity;
mod leases;
mod leaving;
mod memory;
mod requests;
mod rounds;
mod scans;
mod shares;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::{
    ClusterId, ConfigVersion, Epoch, Incarnation, Member, Position, Seq, StartId, Terms, Token,
};
use crate::engine::Engine;
use crate::engine::memory::MemoryEngine;
use crate::epochs::EpochHistory;
use crate::limits::{self, Limits};
use crate::message::{
    Beacon, BeaconAck, FromArbiter, JoinRefusal, JoinRefused, Joined, ReplyBody, Request,
    RequestBody, SnapshotAck, Snapshots, StateChunk, SyncEnd, SyncFrom, SyncReply, SyncStart,
    Timestamp, ToArbiter,
};
use crate::operation::{ClientId, Entry, Origin, ReadLevel, Rejection, RequestId, Revision};
use crate::process::Effect;
use crate::sessions::{SessionRow, SessionRows};
use crate::time::Instant;

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const EPOCH: Epoch = Epoch(1);
const CLIENT: ClientId = ClientId(1);

/// The replica and what it has done and not been asked about.
struct Table {
    replica: Replica,
    effects: Vec<Effect>,
    /// Its state, if memory has that.
    state: Option<MemoryEngine>,
}

impl Table {
    /// A replica r1 that has joined a cluster of itself and r2, both in sync.
    fn joined(primary: NodeId) -> Self {
        Self::recovered(primary, SessionRows::default(), Vec::new())
    }

    /// The same, of which the disk has the entries of a log: `tail`, and before it those that `sessions` remembers.
    fn recovered(primary: NodeId, sessions: SessionRows, tail: Vec<Arc<Entry>>) -> Self {
        let mut table = Self::started(sessions, tail);
        let joined = Joined {
            config: config(primary, 1, 1),
            node: ME,
            incarnation: Incarnation(1),
            token: Token(5),
            start: StartId(0),
        };
        table.hear(
            "arbiter",
            Message::from(FromArbiter::JoinedSecondary(joined)),
        );
        let meta = table.persisting()[0];
        table.step(Input::Persisted(meta));
        table
    }

    /// A replica r1 that has asked to join.
    fn started(sessions: SessionRows, tail: Vec<Arc<Entry>>) -> Self {
        let applied = tail.first().map(|entry| Position::before(entry.seq));
        let applied = applied.unwrap_or_default();
        let mut history = EpochHistory::new();
        let log_end = Position(applied.0 + tail.len() as u64);
        if let Some(last) = log_end.last_seq() {
            history.append(Epoch(1), Seq(0));
            for seq in 1..=last.0 {
                history.append(Epoch(1), Seq(seq));
            }
        }
        let meta = Meta {
            node: ME,
            cluster: None,
            incarnation: Incarnation(1),
            token: Token(0),
            epoch: Epoch::ZERO,
            starts: Vec::new(),
            arbiters: Vec::new(),
        };
        let recovered = Recovered {
            meta,
            log_start: Position::ZERO,
            log_end,
            history,
            applied,
            revision: Revision(applied.0 + 1),
            sessions,
            tail,
        };
        let options = ReplicaOptions {
            name: "r1".to_owned(),
            address: Address::new("r1"),
            arbiters: vec![Address::new("arbiter")],
            limits: Limits::default(),
            software: "test".to_owned(),
        };
        let replica = Replica::open(options, recovered);
        let mut table = Self {
            replica,
            effects: Vec::new(),
            state: None,
        };
        table.step(Input::Start);
        table
    }

    fn step(&mut self, input: Input<Timer>) {
        self.step_after(Duration::ZERO, input);
    }

    fn step_after(&mut self, pause: Duration, input: Input<Timer>) {
        let state = self.state.as_ref().map(|state| state as &dyn Engine);
        let now = Now::new(Instant::ZERO + pause, state);
        let mut out = Outbox::new();
        self.replica.step(now, input, &mut out);
        self.replica.check();
        // Nothing else arrives with it.
        self.replica.settle(now, &mut out);
        self.replica.check();
        self.effects.extend(out.drain());
    }

    /// More arrives with it, up to `settle`.
    fn step_within_round(&mut self, input: Input<Timer>) {
        let state = self.state.as_ref().map(|state| state as &dyn Engine);
        let now = Now::new(Instant::ZERO, state);
        let mut out = Outbox::new();
        self.replica.step(now, input, &mut out);
        self.effects.extend(out.drain());
    }

    fn settle(&mut self) {
        let mut out = Outbox::new();
        self.replica.settle(Instant::ZERO.into(), &mut out);
        self.effects.extend(out.drain());
    }

    /// What its clock shows.
    fn timestamp(&self) -> Timestamp {
        Timestamp {
            incarnation: self.replica.core.meta.incarnation,
            at: Instant::ZERO,
        }
    }

    fn hear(&mut self, from: &str, message: Message) {
        let from = Address::new(from);
        self.step(Input::Message { from, message });
    }

    fn ask(&mut self, from: &str, id: u64, body: RequestBody) {
        let request = Request {
            origin: Origin::plain(CLIENT, RequestId(id)),
            body,
            attempt: Default::default(),
        };
        self.hear(from, Message::Request(request));
    }

    fn hear_other(&mut self, body: PeerMessage) {
        self.hear_replica(OTHER, body);
    }

    fn hear_replica(&mut self, sender: NodeId, body: PeerMessage) {
        let peer = Peer {
            sender,
            receiver: ME,
            epoch: EPOCH,
            body,
        };
        self.hear(&format!("r{}", sender.0), Message::Peer(peer));
    }

    /// The saves it has asked for since the last look, which forgets all else.
    fn persisting(&mut self) -> Vec<Ticket> {
        let effects = std::mem::take(&mut self.effects).into_iter();
        let tickets = effects.filter_map(|effect| match effect {
            Effect::Persist(ticket, _) => Some(ticket),
            _ => None,
        });
        tickets.collect()
    }

    /// Does it ask the state for a value?
    fn reads_state(&self) -> bool {
        let mut effects = self.effects.iter();
        effects.any(|effect| matches!(effect, Effect::Query(..)))
    }

    /// What it has said to r2 and to clients since the last look, which forgets all else.
    fn said(&mut self) -> Vec<Message> {
        let effects = std::mem::take(&mut self.effects).into_iter();
        let messages = effects.filter_map(|effect| match effect {
            Effect::Send {
                message: message @ (Message::Peer(_) | Message::Reply(_) | Message::ToArbiter(_)),
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

    /// Lets the disk finish what it was asked for, and returns the replies since the last look, each as who got it,
    /// to which request, and what.
    fn let_save(&mut self) -> Vec<(String, u64, ReplyBody)> {
        loop {
            let tickets = self.effects.iter().filter_map(|effect| match effect {
                Effect::Persist(ticket, _) => Some(*ticket),
                _ => None,
            });
            let tickets: Vec<Ticket> = tickets.collect();
            self.effects
                .retain(|effect| !matches!(effect, Effect::Persist(..)));
            if tickets.is_empty() {
                return self.replies();
            }
            for ticket in tickets {
                self.step(Input::Persisted(ticket));
            }
        }
    }

    /// The replies since the last look; what the disk was asked for stays.
    fn replies(&mut self) -> Vec<(String, u64, ReplyBody)> {
        let mut replies = Vec::new();
        self.effects.retain(|effect| match effect {
            Effect::Send {
                to,
                message: Message::Reply(reply),
            } => {
                replies.push((to.to_string(), reply.id.0, reply.body.clone()));
                false
            }
            _ => true,
        });
        replies
    }

    fn end(&self) -> u64 {
        self.replica.log().end().0
    }
}

fn config(primary: NodeId, version: u64, incarnation_of_other: u64) -> Config {
    let member = |name: &str, incarnation| Member {
        name: name.to_owned(),
        address: Address::new(name),
        incarnation: Incarnation(incarnation),
        terms: Default::default(),
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

/// An entry that removes "k".
fn removal(seq: u64) -> Arc<Entry> {
    Arc::new(Entry::of(EPOCH.0, seq, "k", None))
}

fn snapshots(sync: u64, seqs: std::ops::Range<u64>) -> PeerMessage {
    PeerMessage::Snapshots(Snapshots {
        sync,
        entries: seqs.map(removal).collect(),
        committed: Position::ZERO,
    })
}

fn shake_hands(table: &mut Table, sync: u64, keep: u64) {
    table.hear_other(PeerMessage::SyncStart(SyncStart { sync }));
    let start = SyncFrom::Log {
        keep: Position(keep),
    };
    let echo = table.timestamp();
    table.hear_other(PeerMessage::SyncEnd(SyncEnd { sync, echo, start }));
}

/// Gives a secondary its read lease.
fn grant(table: &mut Table) {
    let now = table.timestamp();
    let granted = Timestamp {
        at: now.at + Duration::from_nanos(1),
        ..now
    };
    table.hear_other(PeerMessage::Beacon(Beacon {
        sent: now,
        committed: Position::ZERO,
        version: ConfigVersion(1),
        grant: Some(granted),
    }));
}

#[test]
fn a_disk_without_room_is_full_until_it_tells_otherwise() {
    let mut table = Table::joined(OTHER);
    let asked = table.persisting();
    table.step(Input::DiskFull);
    assert!(table.effects.contains(&Effect::Notify(Event::DiskFull)));
    for ticket in asked {
        table.step(Input::Persisted(ticket));
    }
    assert!(table.replica.core.disk.is_full());
    table.step(Input::DiskRoom);
    assert!(table.effects.contains(&Effect::Notify(Event::DiskHasRoom)));
    assert!(!table.replica.core.disk.is_full());
}
