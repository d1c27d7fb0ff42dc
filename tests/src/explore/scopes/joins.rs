//! A primary that is alone, and a replica that joins it.

use std::time::Duration;

use lockstep_core::message::{Message, ToArbiter};

use super::super::landmark::Landmark;
use super::super::moves::Move;
use super::super::scope::{Budget, Scope};
use super::super::world::{Underway, World};
use super::{read, write};

pub(super) fn scopes() -> Vec<Scope> {
    vec![
        Scope {
            absent: 1,
            clients: vec![
                vec![write("1", &[1]), write("2", &[1])],
                vec![read(&[1, 2])],
            ],
            budget: Budget {
                starts: 1,
                ..Budget::default()
            },
            landmarks: &[Landmark::Acknowledged, Landmark::Answered, Landmark::Added],
            ..Scope::new("join and write", 1)
        },
        // Beacons and retransmissions go on.
        Scope {
            absent: 1,
            clients: vec![vec![write("1", &[1])]],
            horizon: Duration::from_millis(110),
            link_messages_max: 1,
            budget: Budget {
                starts: 1,
                ..Budget::default()
            },
            landmarks: &[Landmark::Acknowledged, Landmark::Added],
            ..Scope::new("join, write and timers", 1)
        },
        Scope {
            absent: 1,
            clients: vec![vec![write("1", &[1])]],
            prepare: |world| {
                world.force(Move::Start { node: 2 });
                world.settle(|node| node != 1);
            },
            budget: Budget::one_crash(),
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Added,
                Landmark::Restarted,
                Landmark::Tenure,
                Landmark::Truncated,
            ],
            ..Scope::new("join, write and crash", 1)
        },
        Scope {
            absent: 1,
            clients: vec![vec![write("1", &[1])], vec![write("2", &[1])]],
            prepare: open_addition,
            link_messages_max: 1,
            landmarks: &[Landmark::Acknowledged, Landmark::Added],
            ..Scope::new("open addition", 1)
        },
    ]
}

/// The proposal is under way until the primary has lost patience with the replica that it is about.
fn open_addition(world: &mut World) {
    let is_held =
        |underway: &Underway| matches!(underway.message, Message::ToArbiter(ToArbiter::Propose(_)));
    world.force(Move::Start { node: 2 });
    world.settle_without(is_held);
    // It gives a lease with the next Beacon, and is proposed then.
    world.wait(100, |node| node != 0);
    world.force(Move::Ask { client: 0, node: 1 });
    world.wait(300, |node| node == 1);
}
