//! A primary that an operator wants to be primary no more.

use super::super::landmark::Landmark;
use super::super::scope::{Budget, Scope};
use super::{drain, read, write};

pub(super) fn scopes() -> Vec<Scope> {
    vec![
        Scope {
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Answered,
                Landmark::SecondaryAnswered,
                Landmark::Resigned,
                Landmark::Replaced,
            ],
            ..hand_over("hand-over")
        },
        Scope {
            clients: vec![vec![write("1", &[1])], vec![drain(1)], vec![read(&[1, 2])]],
            link_messages_max: 1,
            budget: Budget::one_crash(),
            landmarks: &[
                Landmark::Acknowledged,
                Landmark::Answered,
                Landmark::Resigned,
                Landmark::Replaced,
                Landmark::Restarted,
                Landmark::Truncated,
            ],
            ..hand_over("hand-over and crash")
        },
    ]
}

/// Writes before and after, and reads meanwhile.
fn hand_over(name: &'static str) -> Scope {
    Scope {
        clients: vec![
            vec![write("1", &[1]), write("2", &[1, 2])],
            vec![drain(1)],
            vec![read(&[1, 2])],
        ],
        ..Scope::new(name, 2)
    }
}
