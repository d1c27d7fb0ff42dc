//! The steps of a replica that a batch of writes takes, with what little the host does in between.

use lockstep_core::config::{Address, Position};
use lockstep_core::message::{Message, PeerMessage, Snapshots, SyncEnd, SyncFrom, SyncStart};
use lockstep_core::process::Input;
use lockstep_core::replica::Timer;

use super::inputs::{self, Entries};
use super::played::{ME, OTHER, Played, said_by};
use super::{BATCH, Meter};

/// The number of the handshake with the primary.
const SYNC: u64 = 1;

pub(super) fn measure(meter: &mut impl Meter) {
    primary(meter, "replica/primary-1", 1);
    primary(meter, "replica/primary-64", BATCH);
    secondary(meter, "replica/secondary-64", BATCH);
}

/// From the requests over the acknowledgements of two secondaries to the replies.
fn primary(meter: &mut impl Meter, name: &str, count: usize) {
    let mut replica = Played::new(ME);
    let mut number = 0;
    let mut answered = 0;
    meter.measure(
        name,
        || {
            let first = number;
            number += count as u64;
            (first..number).map(request).collect::<Vec<_>>()
        },
        |requests| {
            answered += requests.len() as u64;
            replica.take(requests);
            assert_eq!(
                replica.committed(),
                Position(answered),
                "a write waits for somebody"
            );
            assert_eq!(replica.replies, answered, "a write was not answered");
        },
    );
}

fn request(number: u64) -> Input<Timer> {
    Input::Message {
        from: Address::new("client"),
        message: Message::Request(inputs::request(number)),
    }
}

/// From the entries to their acknowledgement; those before them are known to be committed by then.
fn secondary(meter: &mut impl Meter, name: &str, count: usize) {
    let mut replica = Played::new(OTHER);
    replica.take(vec![said_by(
        OTHER,
        PeerMessage::SyncStart(SyncStart { sync: SYNC }),
    )]);
    let end = SyncEnd {
        sync: SYNC,
        echo: replica.greeted.expect("a secondary answers a greeting"),
        start: SyncFrom::Log {
            keep: Position::ZERO,
        },
    };
    replica.take(vec![said_by(OTHER, PeerMessage::SyncEnd(end))]);
    let mut entries = Entries::new();
    let mut taken = 0;
    meter.measure(
        name,
        || {
            let entries = entries.next(count);
            let committed = Position::before(entries[0].seq);
            said_by(
                OTHER,
                PeerMessage::Snapshots(Snapshots {
                    sync: SYNC,
                    entries,
                    committed,
                }),
            )
        },
        |snapshots| {
            replica.take(vec![snapshots]);
            assert_eq!(replica.committed(), Position(taken), "the rest is");
            taken += count as u64;
            assert_eq!(
                replica.acknowledged,
                Position(taken),
                "entries were not acknowledged"
            );
        },
    );
}
