//! The scopes that are explored whenever the tests run: all of them are exhausted, and take half a minute together. Where one
//! knob is turned up another one is turned down.

use super::landmark::Landmark;
use super::scope::Scope;

/// All scopes.
pub const SCOPES: &[Scope] = &[
    Scope {
        has_chair: false,
        stands: &[1, 2],
        changes: 1,
        landmarks: &[
            Landmark::Changed,
            Landmark::TakenOver,
            Landmark::Rescued,
            Landmark::Refused,
        ],
        ..Scope::new("duel")
    },
    Scope {
        stands: &[1, 1],
        changes: 2,
        landmarks: &[
            Landmark::Changed,
            Landmark::TakenOver,
            Landmark::Rescued,
            Landmark::Refused,
        ],
        ..Scope::new("two changes")
    },
    Scope {
        stands: &[0, 1, 1],
        changes: 1,
        landmarks: &[Landmark::Changed, Landmark::TakenOver, Landmark::Rescued],
        ..Scope::new("duel for a chair that is taken")
    },
    Scope {
        stands: &[0, 1],
        changes: 1,
        questions: 2,
        landmarks: &[Landmark::Changed, Landmark::Confirmed, Landmark::Overtaken],
        ..Scope::new("questions")
    },
    Scope {
        stands: &[1, 1],
        changes: 1,
        crashes: 1,
        crashing: &[1, 2, 3],
        landmarks: &[
            Landmark::Changed,
            Landmark::TakenOver,
            Landmark::Rescued,
            Landmark::Crashed,
            Landmark::Lost,
        ],
        ..Scope::new("crash")
    },
    Scope {
        stands: &[0, 2],
        changes: 1,
        crashes: 2,
        crashing: &[1, 2, 3],
        landmarks: &[
            Landmark::Changed,
            Landmark::TakenOver,
            Landmark::Rescued,
            Landmark::Crashed,
            Landmark::Lost,
        ],
        ..Scope::new("two crashes")
    },
    Scope {
        stands: &[0, 1],
        changes: 1,
        wiped: Some(3),
        landmarks: &[Landmark::Changed, Landmark::TakenOver, Landmark::Wiped],
        ..Scope::new("wiped")
    },
    Scope {
        stands: &[0, 1],
        changes: 1,
        sets: &[&[1, 2, 13]],
        wiped: Some(3),
        landmarks: &[
            Landmark::TakenOver,
            Landmark::Joint,
            Landmark::Settled,
            Landmark::Wiped,
        ],
        ..Scope::new("wiped and taken in")
    },
    Scope {
        strangers: 1,
        stands: &[0, 0, 1],
        changes: 1,
        sets: &[&[1, 2, 4]],
        landmarks: &[
            Landmark::Changed,
            Landmark::TakenOver,
            Landmark::Rescued,
            Landmark::Joint,
            Landmark::Settled,
        ],
        ..Scope::new("change of the set")
    },
    Scope {
        strangers: 1,
        stands: &[0, 0, 1],
        sets: &[&[1, 2, 4]],
        crashes: 1,
        crashing: &[1, 2, 3, 4],
        landmarks: &[
            Landmark::TakenOver,
            Landmark::Joint,
            Landmark::Settled,
            Landmark::Crashed,
            Landmark::Lost,
        ],
        ..Scope::new("change of the set and crash")
    },
    Scope {
        arbiters: 1,
        strangers: 2,
        stands: &[0, 1, 1],
        changes: 1,
        sets: &[&[1, 2, 3]],
        landmarks: &[
            Landmark::Changed,
            Landmark::TakenOver,
            Landmark::Joint,
            Landmark::Settled,
        ],
        ..Scope::new("from one to three")
    },
    Scope {
        strangers: 1,
        stands: &[0, 0, 1],
        sets: &[&[1, 2, 4], &[1, 4]],
        landmarks: &[Landmark::TakenOver, Landmark::Joint, Landmark::Settled],
        ..Scope::new("two changes of the set")
    },
];
