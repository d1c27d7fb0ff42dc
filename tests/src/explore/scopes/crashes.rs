//! Two replicas in sync, a write, and power that is lost.

use std::time::Duration;

use super::super::landmark::Landmark;
use super::super::moves::Move;
use super::super::scope::{Budget, Scope};
use super::{read, write};

pub(super) fn scopes() -> Vec<Scope> {
    vec![
        Scope {
            clients: vec![vec![write("1", &[1])], vec![read(&[1, 2])]],
            budget: Budget::one_crash(),
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Answered,
                Landmark::SecondaryAnswered,
                Landmark::Restarted,
                Landmark::Truncated,
                Landmark::Tenure,
            ],
            ..Scope::new("write and crash", 2)
        },
        Scope {
            clients: vec![vec![write("1", &[1])], vec![read(&[1, 2])]],
            link_messages_max: 1,
            budget: Budget {
                crashes: 2,
                starts: 2,
                ..Budget::default()
            },
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Answered,
                Landmark::SecondaryAnswered,
                Landmark::Restarted,
                Landmark::Truncated,
                Landmark::Tenure,
            ],
            ..Scope::new("write and two crashes", 2)
        },
        // Beacons and retransmissions go on.
        Scope {
            clients: vec![vec![write("1", &[1])]],
            horizon: Duration::from_millis(150),
            link_messages_max: 1,
            budget: Budget::one_crash(),
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Restarted,
                Landmark::Truncated,
                Landmark::Tenure,
            ],
            ..Scope::new("write, crash and timers", 2)
        },
        Scope {
            budget: Budget {
                starts: 1,
                ..Budget::default()
            },
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Answered,
                Landmark::Restarted,
                Landmark::Tenure,
            ],
            ..restart("restart of the primary")
        },
        Scope {
            link_messages_max: 1,
            budget: Budget {
                crashes: 1,
                starts: 2,
                duplications: 1,
                ..Budget::default()
            },
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Restarted,
                Landmark::Tenure,
                Landmark::Truncated,
            ],
            ..restart("restart of the primary, interrupted")
        },
    ]
}

/// A primary that has crashed with an entry on its disk which is on its way to the secondary.
fn restart(name: &'static str) -> Scope {
    Scope {
        clients: vec![
            vec![write("1", &[1])],
            vec![write("2", &[1]), read(&[1, 2])],
        ],
        prepare: |world| {
            world.force(Move::Ask { client: 0, node: 1 });
            world.settle(|node| node == 1);
            let crash = Move::Crash {
                node: 1,
                moment: 0,
                falls_back: false,
            };
            world.force(crash);
        },
        ..Scope::new(name, 2)
    }
}
