//! How long promises and grants last, and what a primary does that is without its lease.

use super::*;

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
    table.hear("arbiter", Message::from(FromArbiter::Replicas(config)));
    table.let_save();
    assert_eq!(due(&table, Timer::Promise), Some(5_200));
}

#[test]
fn a_new_primary_waits_for_the_longest_lease_that_its_predecessor_may_have_granted() {
    let mut table = Table::joined(OTHER);
    let mut config = config(ME, 2, 1);
    config.members.get_mut(&OTHER).unwrap().terms = patient();
    config.epoch = Epoch(2);
    table.hear("arbiter", Message::from(FromArbiter::Replicas(config)));
    table.let_save();
    assert_eq!(due(&table, Timer::Sole), Some(5_200));
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
    let pause = timing.terms().lease_elsewhere() + limits::RETRY_INTERVAL;
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
            has_room: true,
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

#[test]
fn a_replica_that_enters_behind_the_first_beacon_is_asked_for_its_promise_at_once() {
    let mut table = Table::joined(ME);
    // What it says first was said before any Beacon reached it.
    table.said();
    table.hear_other(PeerMessage::SnapshotAck(SnapshotAck {
        sync: 0,
        persisted: Position::ZERO,
    }));
    let beacons = |said: Vec<Message>| {
        let is_beacon = |message: &&Message| {
            let Message::Peer(peer) = message else {
                return false;
            };
            matches!(peer.body, PeerMessage::Beacon(_))
        };
        said.iter().filter(is_beacon).count()
    };
    assert_eq!(beacons(table.said()), 1);
    table.hear_other(PeerMessage::SnapshotAck(SnapshotAck {
        sync: 0,
        persisted: Position::ZERO,
    }));
    assert_eq!(beacons(table.said()), 0, "only once an epoch");
}
