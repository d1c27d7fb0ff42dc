//! A primary that stands still or is down, and a secondary that replaces it.

use std::time::Duration;

use super::super::landmark::Landmark;
use super::super::moves::Move;
use super::super::scope::{Budget, Scope};
use super::super::world::World;
use super::{read, write};

pub(super) fn scopes() -> Vec<Scope> {
    vec![
        // The old primary goes on at any time, and takes what comes to it.
        Scope {
            clients: vec![
                vec![write("1", &[1])],
                vec![read(&[1, 2])],
                vec![write("2", &[2])],
            ],
            prepare: stands_still,
            horizon: Duration::from_millis(2),
            link_messages_max: 1,
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Failed,
                Landmark::Answered,
                Landmark::Replaced,
                Landmark::Truncated,
                Landmark::Added,
            ],
            ..Scope::new("failover", 2)
        },
        Scope {
            clients: vec![vec![write("1", &[1])], vec![read(&[2])]],
            prepare: |world| {
                stands_still(world);
                world.wait(2, |node| node == 0);
                replaces(world);
            },
            link_messages_max: 1,
            budget: Budget::one_crash(),
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Failed,
                Landmark::Answered,
                Landmark::Tenure,
                Landmark::Restarted,
                Landmark::Truncated,
            ],
            ..Scope::new("failover, interrupted", 2)
        },
        Scope {
            clients: vec![
                vec![write("1", &[1])],
                vec![write("2", &[2, 3]), read(&[2, 3])],
            ],
            prepare: two_compete,
            budget: Budget {
                losses: 1,
                ..Budget::default()
            },
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Answered,
                Landmark::Replaced,
                Landmark::Truncated,
            ],
            ..Scope::new("three replicas, two secondaries compete", 3)
        },
        Scope {
            clients: vec![vec![write("1", &[1])], vec![write("2", &[2, 3])]],
            prepare: |world| {
                two_compete(world);
                replaces(world);
            },
            link_messages_max: 1,
            budget: Budget::one_crash(),
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Tenure,
                Landmark::Restarted,
                Landmark::Truncated,
            ],
            ..Scope::new("three replicas, failover, interrupted", 3)
        },
        // Both of those that were primary start again at any time.
        Scope {
            clients: vec![vec![write("1", &[1])], vec![read(&[2, 3])]],
            prepare: successor_is_down,
            horizon: Duration::from_millis(2),
            link_messages_max: 1,
            budget: Budget {
                starts: 2,
                ..Budget::default()
            },
            landmarks: &[
                Landmark::Answered,
                Landmark::Replaced,
                Landmark::Tenure,
                Landmark::Restarted,
            ],
            ..Scope::new("three replicas, failover after failover", 3)
        },
        Scope {
            absent: 1,
            clients: vec![vec![write("1", &[1])], vec![read(&[2])]],
            prepare: deposed_unheard,
            link_messages_max: 1,
            landmarks: &[Landmark::Answered, Landmark::Truncated],
            ..Scope::new("deposed primary and joining replica", 2)
        },
    ]
}

/// The primary stands still with an entry on its disk, which is on its way to the secondary, whose promise runs out in a
/// moment.
fn stands_still(world: &mut World) {
    world.force(Move::Ask { client: 0, node: 1 });
    world.settle(|node| node == 1);
    world.force(Move::Pause { node: 1 });
    world.wait(494, |node| node == 0);
}

/// The primary is down for good. One secondary has its last entry, to the other it is under way. Both are told by the
/// arbiter that they may propose.
fn two_compete(world: &mut World) {
    world.force(Move::Ask { client: 0, node: 1 });
    world.settle(|node| node == 1 || node == 2);
    world.force(crash(1));
    world.wait(506, |node| node == 0);
}

/// The secondary that took over is down before the other one, whose promise runs out in a moment, has heard of it.
fn successor_is_down(world: &mut World) {
    two_compete(world);
    replaces(world);
    world.settle(|node| node == 2);
    world.force(crash(2));
    world.wait(504, |node| node == 0 || node == 3);
}

/// The primary has lost an entry that both others have, and begins a tenure without it; one of the others is joining.
/// Before it has finished a handshake with either, it is replaced, and does not hear of it. Neither does the joining
/// replica, which may follow it and cut the entry off, although it is committed: nobody counts it before its next primary has
/// brought it to its own log.
fn deposed_unheard(world: &mut World) {
    world.force(Move::Start { node: 3 });
    world.settle(|_| true);
    world.force(Move::Ask { client: 0, node: 1 });
    world.settle(|node| node != 1);
    world.force(crash(1));
    world.force(Move::Start { node: 1 });
    world.settle_without(|underway| underway.from == 1 && underway.to != 0);
    world.force(Move::Pause { node: 1 });
    world.wait(506, |node| node == 0);
    replaces(world);
    world.force(Move::Resume { node: 1 });
    // Its timers are late.
    world.wait(0, |_| false);
}

/// The second replica, whose promise is over, hears the arbiter and proposes, and that is decided; it will hear of it.
fn replaces(world: &mut World) {
    let epoch = world.config().epoch;
    while world.config().epoch == epoch {
        let answer = world
            .messages()
            .iter()
            .position(|underway| underway.to == 2);
        let message = answer.expect("the arbiter answers") as u8;
        world.force(Move::Deliver { message });
        world.settle(|node| node == 0);
    }
}

/// Of what waits for the disk nothing survives.
fn crash(node: u8) -> Move {
    Move::Crash {
        node,
        moment: 0,
        falls_back: false,
    }
}
