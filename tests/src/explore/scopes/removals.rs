//! A secondary that is taken for dead, or for hanging, and is out of the in-sync set, and back.

use std::time::Duration;

use super::super::landmark::Landmark;
use super::super::moves::Move;
use super::super::scope::{Budget, Scope};
use super::super::world::World;
use super::{read, write};

pub(super) fn scopes() -> Vec<Scope> {
    vec![
        Scope {
            clients: vec![vec![write("1", &[1])]],
            prepare: |world| {
                world.force(Move::Ask { client: 0, node: 1 });
                world.force(Move::Pause { node: 2 });
            },
            // Long enough for the primary to lose patience with it.
            horizon: Duration::from_millis(301),
            link_messages_max: 1,
            landmarks: &[Landmark::Acknowledged, Landmark::Removed],
            ..Scope::new("write and pause", 2)
        },
        Scope {
            link_messages_max: 1,
            budget: Budget::one_crash(),
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Removed,
                Landmark::Added,
                Landmark::Restarted,
                Landmark::Tenure,
            ],
            ..removal("removal, write and crash")
        },
        Scope {
            link_messages_max: 1,
            budget: Budget {
                losses: 1,
                duplications: 1,
                pauses: 1,
                ..Budget::default()
            },
            landmarks: &[Landmark::Acknowledged, Landmark::Removed],
            ..removal("removal, write and bad links")
        },
        Scope {
            landmarks: &[Landmark::Acknowledged, Landmark::Removed],
            ..removal("removal and write, wide links")
        },
        Scope {
            clients: vec![vec![write("1", &[1])]],
            prepare: one_of_three,
            link_messages_max: 1,
            budget: Budget::one_crash(),
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Removed,
                Landmark::Added,
                Landmark::Restarted,
                Landmark::Tenure,
            ],
            ..Scope::new("three replicas, removal, write and crash", 3)
        },
        Scope {
            absent: 1,
            clients: vec![vec![write("1", &[1])], vec![read(&[1, 2, 3])]],
            prepare: one_silent_one_joining,
            link_messages_max: 1,
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Answered,
                Landmark::SecondaryAnswered,
                Landmark::Removed,
                Landmark::Added,
            ],
            ..Scope::new("two reconfigurations", 2)
        },
        Scope {
            absent: 1,
            clients: vec![vec![write("1", &[1])]],
            prepare: one_silent_one_joining,
            link_messages_max: 1,
            budget: Budget::one_crash(),
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Removed,
                Landmark::Added,
                Landmark::Restarted,
                Landmark::Tenure,
            ],
            ..Scope::new("two reconfigurations and crash", 2)
        },
    ]
}

/// A secondary that nothing reaches, until the primary has lost patience and proposes its removal. A write waits for it.
fn removal(name: &'static str) -> Scope {
    Scope {
        clients: vec![vec![write("1", &[1])], vec![write("2", &[1])]],
        prepare: |world| {
            world.force(Move::Ask { client: 0, node: 1 });
            world.wait(300, |node| node == 1);
        },
        ..Scope::new(name, 2)
    }
}

/// The same for one of two secondaries; the acknowledgement of the other is under way.
fn one_of_three(world: &mut World) {
    world.force(Move::Ask { client: 0, node: 1 });
    world.wait(299, |node| node != 3);
    world.wait(1, |node| node == 1 || node == 2);
}

/// A secondary that nothing reaches, and a replica that has joined meanwhile: its addition is under way to the arbiter, and
/// the removal is next. A write waits for both.
fn one_silent_one_joining(world: &mut World) {
    world.force(Move::Start { node: 3 });
    world.settle(|_| true);
    world.force(Move::Ask { client: 0, node: 1 });
    world.wait(300, |node| node == 1 || node == 3);
}
