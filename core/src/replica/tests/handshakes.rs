//! What a replica takes from handshakes, late and repeated ones included.

use super::*;

#[test]
fn a_save_of_what_was_cut_off_says_nothing_of_what_has_taken_its_place() {
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
    table.let_save();
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
        Message::from(FromArbiter::Replicas(config(ME, 2, 2))),
    );
    let first = table.greeting();
    answer(&mut table, first);
    acknowledge(&mut table, first, 0);
    let request = Request {
        origin: Origin::plain(ClientId(3), RequestId(0)),
        body: RequestBody::Remove { key: "k".into() },
        attempt: Default::default(),
    };
    table.hear("c", Message::Request(request));
    let save = table.persisting()[0];
    table.step(Input::Persisted(save));
    // It restarts, and has lost what it had not synced; a late acknowledgement of its former start arrives.
    table.hear(
        "arbiter",
        Message::from(FromArbiter::Replicas(config(ME, 3, 3))),
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
fn a_greeting_that_comes_before_the_disk_knows_the_epoch_is_answered_then() {
    let mut table = Table::joined(OTHER);
    table.persisting();
    let mut config = config(OTHER, 2, 1);
    config.epoch = Epoch(2);
    table.hear("arbiter", Message::from(FromArbiter::Replicas(config)));
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
