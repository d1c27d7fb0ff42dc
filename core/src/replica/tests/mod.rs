//! One replica, all others played by hand: what simulations reach too rarely to rely on.

mod requests;
mod scans;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::{
    ClusterId, ConfigVersion, Epoch, Incarnation, Member, Position, Seq, StartId, Terms, Token,
};
use crate::epochs::EpochHistory;
use crate::message::{
    Beacon, BeaconAck, FromArbiter, JoinRefusal, JoinRefused, Joined, SnapshotAck, Snapshots,
    StateChunk, SyncEnd, SyncFrom, SyncReply, SyncStart, Timestamp, ToArbiter,
};
use crate::operation::{ClientId, Entry, Origin, RequestId, Resolution, Session};
use crate::sessions::{Done, SessionRow, SessionRows};

const ME: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const EPOCH: Epoch = Epoch(1);
const CLIENT: ClientId = ClientId(1);

/// The replica and what it has done and not been asked about.
struct Table {
    replica: Replica,
    effects: Vec<Effect>,
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
            Message::FromArbiter(FromArbiter::JoinedSecondary(joined)),
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
        };
        let recovered = Recovered {
            meta,
            log_start: Position::ZERO,
            log_end,
            history,
            applied,
            sessions,
            tail,
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
        table
    }

    fn step(&mut self, input: Input<Timer>) {
        self.step_after(Duration::ZERO, input);
    }

    fn step_after(&mut self, pause: Duration, input: Input<Timer>) {
        let now = Instant::ZERO + pause;
        let mut out = Outbox::new();
        self.replica.step(now, input, &mut out);
        self.replica.check();
        // Nothing else arrives with it.
        if self.replica.timers().is_armed(Timer::Write) {
            let due = Input::Timer(Timer::Write);
            self.replica.step(now, due, &mut out);
            self.replica.check();
        }
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

    fn ask(&mut self, from: &str, id: u64, session: Session, body: RequestBody) {
        let request = Request {
            client: CLIENT,
            id: RequestId(id),
            session,
            body,
            attempt: Default::default(),
        };
        self.hear(from, Message::Request(request));
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
    /// Does it ask the state for a value?
    fn reads_state(&self) -> bool {
        let mut effects = self.effects.iter();
        effects.any(|effect| matches!(effect, Effect::Query(..)))
    }

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
    fn settle(&mut self) -> Vec<(String, u64, ReplyBody)> {
        loop {
            let writes = self.effects.iter().filter_map(|effect| match effect {
                Effect::Persist(ticket, _) => Some(*ticket),
                _ => None,
            });
            let writes: Vec<Ticket> = writes.collect();
            self.effects
                .retain(|effect| !matches!(effect, Effect::Persist(..)));
            if writes.is_empty() {
                return self.replies();
            }
            for ticket in writes {
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

fn entry(seq: u64, operation: Operation) -> Entry {
    Entry {
        epoch: EPOCH,
        seq: Seq(seq),
        operation,
        origin: Origin {
            client: CLIENT,
            id: RequestId(seq),
            session: Default::default(),
        },
    }
}

fn snapshots(sync: u64, seqs: std::ops::Range<u64>) -> PeerMessage {
    let entry = |seq| entry(seq, Operation::Remove { key: "k".into() });
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
    let echo = table.timestamp();
    table.hear_other(PeerMessage::SyncEnd(SyncEnd { sync, echo, start }));
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

/// A handshake of the same number, of an earlier role in the same tenure, arrives once more.
#[test]
fn the_end_of_a_handshake_that_rests_on_another_reply_cuts_nothing_off() {
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 2, 0);
    table.hear_other(snapshots(2, 0..3));
    table.settle();
    table.hear_other(PeerMessage::SyncStart(SyncStart { sync: 3 }));
    let echo = Timestamp {
        at: Instant::ZERO + Duration::from_nanos(1),
        ..table.timestamp()
    };
    let start = SyncFrom::Log {
        keep: Position::ZERO,
    };
    table.hear_other(PeerMessage::SyncEnd(SyncEnd {
        sync: 3,
        echo,
        start,
    }));
    assert_eq!(table.end(), 3);
}

#[test]
fn what_a_replica_acknowledged_in_an_earlier_handshake_does_not_count() {
    let mut table = Table::joined(ME);
    let answer = |table: &mut Table, sync| {
        table.hear_other(PeerMessage::SyncReply(SyncReply {
            sync,
            sent: table.timestamp(),
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
        attempt: Default::default(),
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
fn what_is_said_in_another_epoch_is_ignored() {
    let mut table = Table::joined(OTHER);
    table.said();
    for epoch in [Epoch(0), Epoch(2)] {
        table.hear(
            "r2",
            Message::Peer(Peer {
                sender: OTHER,
                receiver: ME,
                epoch,
                body: PeerMessage::SyncStart(SyncStart { sync: 1 }),
            }),
        );
        let said = table.said();
        let is_reply = |message: &Message| matches!(message, Message::Peer(_));
        assert!(!said.iter().any(is_reply), "{said:?}");
    }
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

/// The arbiter answers a node that had this one's address and start counter before it lost its disk.
#[test]
fn what_the_arbiter_answers_a_former_node_is_ignored() {
    let mut table = Table::started(SessionRows::default(), Vec::new());
    let (node, incarnation) = (NodeId(9), Incarnation(1));
    let refused = JoinRefused {
        reason: JoinRefusal::WrongToken,
        node,
        incarnation,
        start: StartId(0),
    };
    let joined = Joined {
        config: config(OTHER, 1, 2),
        node,
        incarnation,
        token: Token(6),
        start: StartId(0),
    };
    table.hear(
        "arbiter",
        Message::FromArbiter(FromArbiter::JoinRefused(refused)),
    );
    table.hear(
        "arbiter",
        Message::FromArbiter(FromArbiter::JoinedSecondary(joined)),
    );
    assert!(matches!(table.replica.role, Role::Starting));
    assert_eq!(table.persisting(), Vec::new());
}

#[test]
fn what_the_arbiter_answers_another_start_of_the_same_number_is_ignored() {
    let mut table = Table::started(SessionRows::default(), Vec::new());
    let joined = Joined {
        config: config(OTHER, 1, 2),
        node: ME,
        incarnation: Incarnation(1),
        token: Token(6),
        start: StartId(9),
    };
    table.hear(
        "arbiter",
        Message::FromArbiter(FromArbiter::JoinedSecondary(joined)),
    );
    assert!(matches!(table.replica.role, Role::Starting));
}

#[test]
fn who_finds_another_process_under_its_identity_serves_nothing_any_more() {
    let (mut later, mut elsewhere) = (config(ME, 2, 1), config(ME, 2, 1));
    let me = |config: &mut Config| config.members.remove(&ME).unwrap();
    let member = me(&mut later);
    let incarnation = Incarnation(2);
    later.members.insert(
        ME,
        Member {
            incarnation,
            ..member
        },
    );
    let member = me(&mut elsewhere);
    let address = Address::new("r9");
    elsewhere.members.insert(ME, Member { address, ..member });
    for config in [later, elsewhere] {
        let mut table = Table::joined(ME);
        table.said();
        table.hear(
            "arbiter",
            Message::FromArbiter(FromArbiter::Replicas(config)),
        );
        let displaced = Effect::Notify(Event::JoinRefused(JoinRefusal::Displaced));
        assert!(table.effects.contains(&displaced), "{:?}", table.effects);
        assert!(matches!(table.replica.role, Role::Refused));
        let mut timers = table.replica.timers().iter();
        assert!(
            timers.all(|(timer, _)| timer == Timer::ArbiterSilent),
            "it says nothing"
        );
    }
}

#[test]
fn a_primary_that_lacks_what_a_replica_knows_to_be_committed_serves_nothing_any_more() {
    let mut table = Table::joined(ME);
    let sync = table.greeting();
    let mut history = EpochHistory::new();
    history.append(EPOCH, Seq(0));
    table.hear_other(PeerMessage::SyncReply(SyncReply {
        sync,
        sent: table.timestamp(),
        history,
        end: Position(3),
        committed: Position(2),
    }));
    let lacks = Effect::Notify(Event::JoinRefused(JoinRefusal::LacksCommitted));
    assert!(table.effects.contains(&lacks), "{:?}", table.effects);
}

/// A replica that has ended its role and begun it again, and took a late SyncStart for a new one.
#[test]
fn who_answers_a_handshake_anew_is_greeted_anew() {
    let mut table = Table::joined(ME);
    let sync = table.greeting();
    let mut answer = |millis| {
        let at = Instant::from_millis(millis);
        table.hear_other(PeerMessage::SyncReply(SyncReply {
            sync,
            sent: Timestamp {
                incarnation: Incarnation(1),
                at,
            },
            history: EpochHistory::new(),
            end: Position::ZERO,
            committed: Position::ZERO,
        }));
        let said = table.said();
        let greetings = said.into_iter().filter_map(|message| match message {
            Message::Peer(Peer {
                body: PeerMessage::SyncStart(start),
                ..
            }) => Some(start.sync),
            _ => None,
        });
        greetings.collect::<Vec<_>>()
    };
    assert_eq!(answer(5), []);
    assert_eq!(answer(5), [], "the same once more");
    assert_eq!(answer(4), [], "a late one");
    let again = answer(6);
    assert!(again.iter().all(|again| *again > sync), "{again:?}");
    assert_eq!(again.len(), 1);
}

#[test]
fn a_replica_whose_handshake_comes_to_nothing_answers_once_more() {
    let mut table = Table::joined(OTHER);
    table.hear_other(PeerMessage::SyncStart(SyncStart { sync: 4 }));
    table.said();
    let sent = table.timestamp();
    let beacon = Beacon {
        sent,
        committed: Position::ZERO,
        version: ConfigVersion(1),
        grant: None,
    };
    table.hear_other(PeerMessage::Beacon(beacon));
    let said = table.said();
    let is_reply = |message: &&Message| {
        matches!(message, Message::Peer(Peer { body: PeerMessage::SyncReply(reply), .. })
            if (reply.sync, reply.sent) == (4, sent))
    };
    assert_eq!(said.iter().filter(is_reply).count(), 1, "{said:?}");
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

// -------------------------------------------------------------------------------------------------- failover

#[test]
fn a_greeting_that_comes_before_the_disk_knows_the_epoch_is_answered_then() {
    let mut table = Table::joined(OTHER);
    table.persisting();
    let mut config = config(OTHER, 2, 1);
    config.epoch = Epoch(2);
    table.hear(
        "arbiter",
        Message::FromArbiter(FromArbiter::Replicas(config)),
    );
    let meta = table.persisting()[0];
    let greeting = Peer {
        sender: OTHER,
        receiver: ME,
        epoch: Epoch(2),
        body: PeerMessage::SyncStart(SyncStart { sync: 1 }),
    };
    table.hear("r2", Message::Peer(greeting));
    assert!(table.said().is_empty(), "not before");
    table.step(Input::Persisted(meta));
    let replies = table.said();
    let is_reply = |message: &Message| matches!(message, Message::Peer(Peer { body: PeerMessage::SyncReply(reply), .. }) if reply.sync == 1);
    assert!(replies.iter().any(is_reply), "{replies:?}");
}

/// The terms of a node that is more patient than this one.
fn patient() -> Terms {
    Terms {
        lease: Duration::from_secs(5),
        drift_permille: 40,
    }
}

/// When a timer is due, in milliseconds; `None` if it is not armed.
fn due(table: &Table, wanted: Timer) -> Option<u64> {
    let mut timers = table.replica.timers().iter();
    let found = timers.find(|(timer, _)| *timer == wanted);
    found.map(|(_, at)| at.0 / 1_000_000)
}

#[test]
fn a_promise_lasts_a_lease_of_the_primary_and_the_greatest_drift_anybody_reckons_with() {
    let mut table = Table::joined(OTHER);
    assert_eq!(due(&table, Timer::Promise), Some(505));
    let mut config = config(OTHER, 2, 1);
    config.members.get_mut(&OTHER).unwrap().terms = patient();
    config.epoch = Epoch(2);
    table.hear(
        "arbiter",
        Message::FromArbiter(FromArbiter::Replicas(config)),
    );
    table.settle();
    assert_eq!(due(&table, Timer::Promise), Some(5_200));
}

#[test]
fn a_new_primary_waits_for_the_longest_lease_that_its_predecessor_may_have_granted() {
    let mut table = Table::joined(OTHER);
    let mut config = config(ME, 2, 1);
    config.members.get_mut(&OTHER).unwrap().terms = patient();
    config.epoch = Epoch(2);
    table.hear(
        "arbiter",
        Message::FromArbiter(FromArbiter::Replicas(config)),
    );
    table.settle();
    assert_eq!(due(&table, Timer::Settled), Some(5_200));
}

#[test]
fn a_primary_that_is_long_without_its_lease_leaves_the_others_the_time_to_replace_it() {
    let mut table = Table::joined(ME);
    let timing = Limits::default().timing;
    let next_beacon = |table: &Table| {
        let mut timers = table.replica.timers().iter();
        timers.find(|(timer, _)| *timer == Timer::Beacon).unwrap().1
    };
    let after = |pause| Instant::ZERO + pause;
    let early = timing.lease;
    table.step_after(early, Input::Timer(Timer::Beacon));
    assert_eq!(next_beacon(&table), after(early + timing.beacon));
    let late = 2 * timing.lease;
    table.step_after(late, Input::Timer(Timer::Beacon));
    let pause = timing.lease_elsewhere() + limits::RETRY_INTERVAL;
    assert!(next_beacon(&table) > after(late + pause));
    let sent = Timestamp {
        at: after(late),
        ..table.timestamp()
    };
    let ack = Peer {
        sender: OTHER,
        receiver: ME,
        epoch: EPOCH,
        body: PeerMessage::BeaconAck(BeaconAck {
            echo: sent,
            sync: 0,
            sent,
        }),
    };
    let from = Address::new("r2");
    let message = Message::Peer(ack);
    table.step_after(late, Input::Message { from, message });
    assert_eq!(next_beacon(&table), after(late + timing.beacon));
}

// --------------------------------------------------------------------------------------------------- leaving

fn is_leave(message: &Message) -> bool {
    matches!(message, Message::ToArbiter(ToArbiter::Leave(_)))
}

#[test]
fn a_replica_in_sync_leaves_only_while_it_hears_its_primary() {
    let mut unheard = Table::joined(OTHER);
    unheard.step(Input::Leave);
    assert!(!unheard.said().iter().any(is_leave));
    assert!(matches!(unheard.replica.role, Role::Secondary(_)));
    unheard.step(Input::Timer(Timer::LeavePatience));
    assert!(matches!(unheard.replica.role, Role::Left));
}

#[test]
fn a_replica_that_leaves_gives_up_nothing_before_it_is_out() {
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 1, 0);
    table.settle();
    table.step(Input::Leave);
    assert!(table.said().iter().any(is_leave));
    assert!(matches!(table.replica.role, Role::Secondary(_)));

    let mut config = config(OTHER, 2, 1);
    let tell = |table: &mut Table, config: &Config| {
        let replicas = FromArbiter::Replicas(config.clone());
        table.hear("arbiter", Message::FromArbiter(replicas));
    };
    config.in_sync.remove(&ME);
    config.draining.insert(ME);
    tell(&mut table, &config);
    assert!(table.said().iter().any(is_leave));
    assert!(matches!(table.replica.role, Role::Leaving));
    config.version = ConfigVersion(3);
    config.draining.remove(&ME);
    config.members.remove(&ME);
    tell(&mut table, &config);
    assert!(matches!(table.replica.role, Role::Left));
}

#[test]
fn a_replica_that_is_leaving_asks_again_under_another_primary() {
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 1, 0);
    table.settle();
    table.step(Input::Leave);
    table.said();
    let mut config = config(OTHER, 2, 1);
    config.epoch = Epoch(2);
    table.hear(
        "arbiter",
        Message::FromArbiter(FromArbiter::Replicas(config)),
    );
    let meta = table.persisting()[0];
    table.step(Input::Persisted(meta));
    // It has not shaken hands with that one: it may be the last that has the data.
    assert!(!table.said().iter().any(is_leave));
    assert!(matches!(table.replica.role, Role::Secondary(_)));
}
