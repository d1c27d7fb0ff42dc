//! What arrives together is said once, when the round is settled.

use super::*;
use crate::message;
use crate::storage::{Query, Save};

impl Table {
    /// What it wants after inputs that arrive together.
    fn round(&mut self, inputs: Vec<Input<Timer>>) -> Vec<Effect> {
        self.round_at(Instant::ZERO, inputs)
    }

    fn round_at(&mut self, now: Instant, inputs: Vec<Input<Timer>>) -> Vec<Effect> {
        let mut out = Outbox::new();
        for input in inputs {
            self.replica.step(now.into(), input, &mut out);
        }
        self.replica.settle(now.into(), &mut out);
        self.replica.check();
        out.drain().collect()
    }

    /// A primary that r2 takes entries from.
    fn streaming() -> Self {
        let mut table = Self::joined(ME);
        table.stream_from(EpochHistory::new(), Position::ZERO);
        table
    }

    /// r2 has the log up to `end`, and takes entries behind it. Returns the number of the handshake.
    fn stream_from(&mut self, history: EpochHistory, end: Position) -> u64 {
        let sync = self.greeting();
        self.hear_other(PeerMessage::SyncReply(SyncReply {
            sync,
            sent: self.timestamp(),
            history,
            end,
            committed: Position::ZERO,
        }));
        self.hear_other(PeerMessage::SnapshotAck(SnapshotAck {
            sync,
            persisted: end,
        }));
        sync
    }

    /// A primary that alone is in sync, and has the entries 0 up to `last`, of which only that one is in memory.
    fn sole(last: u64) -> Self {
        let tail = vec![removal(last)];
        let mut table = Self::started(SessionRows::default(), tail);
        let mut config = config(ME, 1, 1);
        config.in_sync.remove(&OTHER);
        config.joining.insert(OTHER);
        table.enter(config);
        table
    }

    /// Its Join is answered, and it enters the configuration.
    fn enter(&mut self, config: Config) {
        self.hear(
            "arbiter",
            Message::from(FromArbiter::JoinedSecondary(Joined {
                config,
                node: ME,
                incarnation: Incarnation(1),
                token: Token(5),
                start: StartId(0),
            })),
        );
        let meta = self.persisting()[0];
        self.step(Input::Persisted(meta));
    }
}

/// What the log was asked for last.
fn question(effects: &[Effect]) -> Ticket {
    let mut asked = effects.iter().rev().filter_map(|effect| match effect {
        Effect::Query(ticket, Query::Log { .. }) => Some(*ticket),
        _ => None,
    });
    asked.next().expect("it asks the log")
}

fn ask(id: u64, body: RequestBody) -> Input<Timer> {
    Input::Message {
        from: Address::new("c"),
        message: Message::Request(Request {
            origin: Origin::plain(CLIENT, RequestId(id)),
            body,
            attempt: Default::default(),
        }),
    }
}

fn insert(id: u64, bytes: usize) -> Input<Timer> {
    let (key, value) = ("k".into(), vec![0; bytes].into());
    ask(id, RequestBody::Insert { key, value })
}

fn of_other(body: PeerMessage) -> Input<Timer> {
    Input::Message {
        from: Address::new("r2"),
        message: Message::Peer(Peer {
            sender: OTHER,
            receiver: ME,
            epoch: EPOCH,
            body,
        }),
    }
}

/// How many entries it wants saved, and sent to r2, each time that it does.
fn passed_on(effects: &[Effect]) -> (Vec<usize>, Vec<usize>) {
    let (mut saved, mut sent) = (Vec::new(), Vec::new());
    for effect in effects {
        match effect {
            Effect::Persist(_, Save::Append { entries, .. }) => saved.push(entries.len()),
            Effect::Send {
                message:
                    Message::Peer(Peer {
                        body: PeerMessage::Snapshots(snapshots),
                        ..
                    }),
                ..
            } => sent.push(snapshots.entries.len()),
            _ => {}
        }
    }
    (saved, sent)
}

fn tickets_of(effects: &[Effect]) -> Vec<Ticket> {
    let tickets = effects.iter().filter_map(|effect| match effect {
        Effect::Persist(ticket, _) => Some(*ticket),
        _ => None,
    });
    tickets.collect()
}

/// What it acknowledges, each time that it does.
fn acknowledged(effects: &[Effect]) -> Vec<u64> {
    let acks = effects.iter().filter_map(|effect| match effect {
        Effect::Send {
            message:
                Message::Peer(Peer {
                    body: PeerMessage::SnapshotAck(ack),
                    ..
                }),
            ..
        } => Some(ack.persisted.0),
        _ => None,
    });
    acks.collect()
}

#[test]
fn writes_that_arrive_together_are_saved_once_and_sent_in_as_few_messages_as_hold_them() {
    let check = |writes: u64, bytes: usize, sent: &[usize]| {
        let mut table = Table::streaming();
        let writes = (1..=writes).map(|id| insert(id, bytes));
        let writes: Vec<_> = writes.collect();
        let saved = vec![writes.len()];
        let effects = table.round(writes);
        assert_eq!(passed_on(&effects), (saved, sent.to_vec()));
        assert_eq!(passed_on(&table.round(Vec::new())), (vec![], vec![]));
    };
    check(1, 9, &[1]);
    check(3, 9, &[3]);
    check(2, limits::SNAPSHOTS_BYTES_MAX / 2, &[1, 1]);
    let most = limits::SNAPSHOTS_ENTRIES_MAX;
    check(most as u64 + 3, 1, &[most, 3]);
}

/// Nobody is shown what the disk was not asked for. That does not keep it from the others.
#[test]
fn what_a_local_read_shows_is_saved_first_and_sent_with_the_rest() {
    let mut table = Table::streaming();
    let read = RequestBody::Get {
        key: "k".into(),
        level: ReadLevel::Local,
    };
    let effects = table.round(vec![insert(1, 9), ask(2, read), insert(3, 9)]);
    assert_eq!(passed_on(&effects), (vec![1, 1], vec![2]));
    let is_shown = |effect: &Effect| {
        matches!(
            effect,
            Effect::Send { message: Message::Reply(reply), .. } if reply.id == RequestId(2)
        )
    };
    let is_saved = |effect: &Effect| matches!(effect, Effect::Persist(..));
    let (saved, shown) = (
        effects.iter().position(is_saved),
        effects.iter().position(is_shown),
    );
    assert!(saved < shown, "{effects:?}");
}

#[test]
fn a_secondary_acknowledges_once_all_that_its_disk_has() {
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 1, 0);
    table.persisting();
    let entries = |seqs| of_other(snapshots(1, seqs));
    let effects = table.round(vec![entries(0..1), entries(1..3)]);
    assert_eq!(passed_on(&effects).0, [3]);
    assert_eq!(acknowledged(&effects), []);
    let mut tickets = tickets_of(&effects);
    tickets.extend(tickets_of(&table.round(vec![entries(3..4)])));
    let persisted: Vec<_> = tickets.into_iter().map(Input::Persisted).collect();
    assert_eq!(acknowledged(&table.round(persisted)), [4]);
    // Some of it again: the acknowledgement may be lost.
    let again = vec![entries(0..2), entries(2..4)];
    assert_eq!(acknowledged(&table.round(again)), [4]);
}

#[test]
fn reads_that_arrive_together_share_a_question() {
    let mut table = Table::joined(OTHER);
    shake_hands(&mut table, 1, 0);
    grant(&mut table);
    table.hear_other(snapshots(1, 0..1));
    let read = |id| {
        let key = "k".into();
        let level = ReadLevel::Linearizable;
        ask(id, RequestBody::Get { key, level })
    };
    let effects = table.round(vec![read(1), read(2), read(3)]);
    let questions = effects.iter().filter(|effect| {
        matches!(
            effect,
            Effect::Send {
                message: Message::Peer(Peer {
                    body: PeerMessage::CommittedQuery(_),
                    ..
                }),
                ..
            }
        )
    });
    assert_eq!(questions.count(), 1, "{effects:?}");
    assert_eq!(table.replica.reads.len(), 3, "{effects:?}");
}

/// What is written behind an answer of the log that nobody needs any more is sent all the same.
#[test]
fn what_the_log_is_asked_for_and_was_acknowledged_meanwhile_keeps_nothing_back() {
    let mut table = Table::sole(1);
    let sync = table.stream_from(EpochHistory::new(), Position::ZERO);
    let first = || Answer::Entries(vec![removal(0)]);
    let asked = question(&table.effects);
    let effects = table.round(vec![Input::Answered(asked, first())]);
    assert_eq!(passed_on(&effects).1, [1, 1], "{effects:?}");
    let effects = table.round(vec![Input::Timer(Timer::Resend(OTHER))]);
    let asked = question(&effects);
    let persisted = Position(2);
    let ack = SnapshotAck { sync, persisted };
    table.round(vec![of_other(PeerMessage::SnapshotAck(ack))]);
    table.round(vec![Input::Answered(asked, first())]);
    let effects = table.round(vec![insert(9, 9)]);
    assert_eq!(passed_on(&effects).1, [1], "{effects:?}");
}

/// It may have lost what it has not acknowledged.
#[test]
fn a_replica_that_has_everything_and_saved_nothing_is_sent_it_again() {
    let mut table = Table::sole(0);
    let mut history = EpochHistory::new();
    history.append(EPOCH, Seq(0));
    let sync = table.greeting();
    table.hear_other(PeerMessage::SyncReply(SyncReply {
        sync,
        sent: table.timestamp(),
        history,
        end: Position(1),
        committed: Position::ZERO,
    }));
    let persisted = Position::ZERO;
    table.hear_other(PeerMessage::SnapshotAck(SnapshotAck { sync, persisted }));
    let timers = &table.replica.core.timers;
    assert!(timers.is_armed(Timer::Resend(OTHER)), "{timers:?}");
}

/// Load does not keep a replica that hangs in the configuration, and the arbiter is asked about it once.
#[test]
fn a_replica_that_hangs_is_proposed_for_removal_however_much_is_written_meanwhile() {
    let mut table = Table::streaming();
    for ticket in tickets_of(&table.round(vec![insert(1, 9)])) {
        table.step(Input::Persisted(ticket));
    }
    let overdue = table.replica.core.options.limits.timing.overdue;
    let begin = Instant::ZERO + overdue;
    let mut effects = table.round_at(begin, vec![Input::Timer(Timer::Overdue(OTHER))]);
    for millis in 1..4 {
        let config = table.replica.core.config.clone().expect("it has joined");
        let heard = Input::Message {
            from: Address::new("arbiter"),
            message: Message::from(FromArbiter::Replicas(config)),
        };
        let mut inputs = vec![insert(1 + millis, 9)];
        let now = begin + Duration::from_millis(millis);
        let is_overdue = |(timer, at)| timer == Timer::Overdue(OTHER) && at <= now;
        if table.replica.core.timers.iter().any(is_overdue) {
            inputs.push(Input::Timer(Timer::Overdue(OTHER)));
        }
        if millis > 1 {
            inputs.insert(0, heard);
        }
        effects.extend(table.round_at(now, inputs));
    }
    let change = message::ConfigChange::RemoveInSync(OTHER);
    let proposed = |effect: &Effect| matches!(effect, Effect::Notify(Event::Proposed { change: it, .. }) if *it == change);
    assert!(effects.iter().any(proposed), "{effects:?}");
    let asks = effects.iter().filter(|effect| {
        matches!(
            effect,
            Effect::Send {
                message: Message::ToArbiter(ToArbiter::ConfigQuery(_)),
                ..
            }
        )
    });
    assert_eq!(asks.count(), 1, "{effects:?}");
}

/// r3 is about to be added, so that nothing is said to the arbiter of r2, which has caught up as well and hangs then.
#[test]
fn a_write_no_longer_waits_for_a_replica_that_was_counted_in_and_hangs() {
    const THIRD: NodeId = NodeId(3);
    let mut config = config(ME, 1, 1);
    let third = Member {
        name: "r3".to_owned(),
        address: Address::new("r3"),
        ..config.members[&OTHER].clone()
    };
    config.members.insert(THIRD, third);
    config.in_sync.remove(&OTHER);
    config.joining.extend([OTHER, THIRD]);
    let mut table = Table::started(SessionRows::default(), Vec::new());
    table.enter(config);
    let greetings: Vec<(NodeId, u64)> = table
        .said()
        .into_iter()
        .filter_map(|message| match message {
            Message::Peer(Peer {
                receiver,
                body: PeerMessage::SyncStart(start),
                ..
            }) => Some((receiver, start.sync)),
            _ => None,
        })
        .collect();
    let sent = table.timestamp();
    for (node, sync) in greetings.iter().rev().copied() {
        let echo = sent;
        table.hear_replica(
            node,
            PeerMessage::BeaconAck(BeaconAck {
                echo,
                sync,
                sent,
                has_room: true,
            }),
        );
        let reply = SyncReply {
            sync,
            sent,
            history: EpochHistory::new(),
            end: Position::ZERO,
            committed: Position::ZERO,
        };
        table.hear_replica(node, PeerMessage::SyncReply(reply));
        let persisted = Position::ZERO;
        table.hear_replica(
            node,
            PeerMessage::SnapshotAck(SnapshotAck { sync, persisted }),
        );
    }
    table.step(insert(1, 9));
    assert!(table.let_save().is_empty(), "both are counted in");
    let (_, sync) = greetings[1];
    let persisted = Position(1);
    table.hear_replica(
        THIRD,
        PeerMessage::SnapshotAck(SnapshotAck { sync, persisted }),
    );
    assert!(table.replies().is_empty(), "one is");
    let overdue = table.replica.core.options.limits.timing.overdue;
    table.step_after(overdue, Input::Timer(Timer::Overdue(OTHER)));
    let replies = table.replies();
    let is_acknowledged = matches!(replies.as_slice(), [(_, 1, ReplyBody::OperationAck { .. })]);
    assert!(is_acknowledged, "{replies:?}");
}

/// Writes would wait for it.
#[test]
fn a_joining_replica_that_stores_nothing_of_what_it_is_sent_is_not_counted_in() {
    let mut table = Table::sole(0);
    let echo = table.timestamp();
    let sync = table.stream_from(EpochHistory::new(), Position::ZERO);
    table.hear_other(PeerMessage::BeaconAck(BeaconAck {
        has_room: true,
        echo,
        sync,
        sent: echo,
    }));
    let acknowledge = |table: &mut Table, id| {
        table.step(insert(id, 9));
        table.let_save().len()
    };
    assert_eq!(acknowledge(&mut table, 1), 1, "nobody else is waited for");
    let persisted = Position(2);
    table.hear_other(PeerMessage::SnapshotAck(SnapshotAck { sync, persisted }));
    assert_eq!(acknowledge(&mut table, 2), 0, "it keeps up");
}

#[test]
fn a_replica_is_expected_to_store_what_it_had_when_the_handshake_ended() {
    let had = vec![removal(0)];
    let mut table = Table::recovered(ME, SessionRows::default(), had);
    let sync = table.greeting();
    let mut history = EpochHistory::new();
    history.append(EPOCH, Seq(0));
    table.hear_other(PeerMessage::SyncReply(SyncReply {
        sync,
        sent: table.timestamp(),
        history,
        end: Position(1),
        committed: Position::ZERO,
    }));
    let persisted = Position::ZERO;
    table.hear_other(PeerMessage::SnapshotAck(SnapshotAck { sync, persisted }));
    let timers = &table.replica.core.timers;
    assert!(timers.is_armed(Timer::Overdue(OTHER)), "{timers:?}");
}
