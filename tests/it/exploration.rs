//! Every interleaving of tiny clusters, scope by scope.
//!
//! A scope proves something only if it was exhausted and if what it is about happened in it, so both are asserted. A
//! violation is told by the shortest way that leads to it. The sizes are such that all scopes together take less than
//! a minute on two cores; `explore::Scope` says what the knobs are for whoever has a night.
//!
//! To come with what they are about: `failover` (a secondary replaces a primary that stands still, and both are read),
//! `two reconfigurations` (a removal and an addition while a write is under way), `failover interrupted` (the new
//! primary crashes before it has committed what it took over).

use std::time::{Duration, Instant};

use lockstep_core::message::{Message, RequestBody, ToArbiter};
use lockstep_core::operation::ReadLevel;
use lockstep_tests::explore::search::Ending;
use lockstep_tests::explore::{self, Ask, Budget, Landmark, Move, Scope};

/// A write to the one key that all scopes are about, to any of the replicas `to`.
fn write(value: &str, to: &[usize]) -> Ask {
    let body = RequestBody::Insert {
        key: "k".into(),
        value: value.into(),
    };
    Ask {
        body,
        to: to.to_vec(),
    }
}

/// A read of it.
fn read(to: &[usize]) -> Ask {
    let body = RequestBody::Get {
        key: "k".into(),
        level: ReadLevel::Local,
    };
    Ask {
        body,
        to: to.to_vec(),
    }
}

/// The scope is exhausted, breaks nothing, and passes the `landmarks`.
fn holds(scope: &Scope, landmarks: &[Landmark]) {
    ends(scope, landmarks, &Ending::Exhausted);
}

/// As far as the scope was looked at, which is not to its end, it breaks nothing, and it passes the `landmarks`.
fn holds_so_far(scope: &Scope, landmarks: &[Landmark]) {
    ends(scope, landmarks, &Ending::Bounded);
}

fn ends(scope: &Scope, landmarks: &[Landmark], ending: &Ending<Move>) {
    let begun = Instant::now();
    let findings = explore::explore(scope);
    println!("{:.1?} for {findings}", begun.elapsed());
    assert!(findings.report.ending == *ending, "{findings}");
    for landmark in landmarks {
        assert!(
            findings.report.landmarks.contains_key(landmark),
            "{landmark:?} never happened: {findings}"
        );
    }
}

#[test]
fn two_replicas_take_a_write_and_either_crashes() {
    let scope = Scope {
        clients: vec![vec![write("1", &[1])], vec![read(&[1, 2])]],
        budget: Budget {
            crashes: 1,
            starts: 1,
            ..Budget::default()
        },
        ..Scope::new("write and crash", 2)
    };
    let landmarks = [
        Landmark::Acknowledged,
        Landmark::Answered,
        Landmark::Restarted,
        Landmark::Truncated,
        Landmark::Tenure,
    ];
    holds(&scope, &landmarks);
}

#[test]
fn two_replicas_take_a_write_and_crash_twice() {
    let scope = Scope {
        clients: vec![vec![write("1", &[1])], vec![read(&[1, 2])]],
        link_messages_max: 1,
        budget: Budget {
            crashes: 2,
            starts: 2,
            ..Budget::default()
        },
        ..Scope::new("write and two crashes", 2)
    };
    let landmarks = [
        Landmark::Acknowledged,
        Landmark::Answered,
        Landmark::Restarted,
        Landmark::Truncated,
        Landmark::Tenure,
    ];
    holds(&scope, &landmarks);
}

#[test]
fn two_replicas_take_a_write_while_beacons_and_retransmissions_go_on() {
    let scope = Scope {
        clients: vec![vec![write("1", &[1])]],
        horizon: Duration::from_millis(150),
        link_messages_max: 1,
        budget: Budget {
            crashes: 1,
            starts: 1,
            duplications: 1,
            ..Budget::default()
        },
        ..Scope::new("write, crash and timers", 2)
    };
    let landmarks = [
        Landmark::Acknowledged,
        Landmark::Restarted,
        Landmark::Truncated,
        Landmark::Tenure,
    ];
    holds(&scope, &landmarks);
}

#[test]
fn a_process_stands_still_while_a_write_is_under_way() {
    let scope = Scope {
        clients: vec![vec![write("1", &[1])]],
        // Long enough for the primary to lose patience with a secondary that stands still.
        horizon: Duration::from_millis(350),
        link_messages_max: 1,
        budget: Budget {
            pauses: 1,
            ..Budget::default()
        },
        ..Scope::new("write and pause", 2)
    };
    let landmarks = [Landmark::Acknowledged, Landmark::Removed, Landmark::Added];
    holds(&scope, &landmarks);
}

#[test]
fn a_replica_joins_while_a_write_is_under_way() {
    let scope = Scope {
        absent: 1,
        clients: vec![vec![write("1", &[1]), write("2", &[1])], vec![read(&[2])]],
        budget: Budget {
            starts: 1,
            ..Budget::default()
        },
        ..Scope::new("join and write", 1)
    };
    let landmarks = [Landmark::Acknowledged, Landmark::Answered, Landmark::Added];
    holds(&scope, &landmarks);
}

#[test]
fn a_replica_joins_while_beacons_and_retransmissions_go_on() {
    let scope = Scope {
        absent: 1,
        clients: vec![vec![write("1", &[1])]],
        horizon: Duration::from_millis(110),
        link_messages_max: 1,
        budget: Budget {
            starts: 1,
            ..Budget::default()
        },
        ..Scope::new("join, write and timers", 1)
    };
    holds(&scope, &[Landmark::Acknowledged, Landmark::Added]);
}

#[test]
fn a_replica_joins_and_either_crashes() {
    let scope = Scope {
        absent: 1,
        clients: vec![vec![write("1", &[1])]],
        budget: Budget {
            starts: 2,
            crashes: 1,
            ..Budget::default()
        },
        ..Scope::new("join, write and crash", 1)
    };
    let landmarks = [
        Landmark::Acknowledged,
        Landmark::Added,
        Landmark::Restarted,
        Landmark::Tenure,
        Landmark::Truncated,
    ];
    holds(&scope, &landmarks);
}

#[test]
fn an_addition_that_is_open_counts_although_the_replica_falls_silent() {
    let scope = Scope {
        absent: 1,
        clients: vec![vec![write("1", &[1])], vec![write("2", &[1])]],
        // The proposal is under way until the primary has lost patience with the replica that it is about.
        prepare: |world| {
            world.force(Move::Start { node: 2 });
            let is_held =
                |message: &Message| matches!(message, Message::ToArbiter(ToArbiter::Propose(_)));
            loop {
                let next = world
                    .messages()
                    .iter()
                    .position(|one| !is_held(&one.message));
                let busy = (1..=2).find(|node| world.has_writes(*node));
                // Disks first: a replica hears the primary only once it has entered its configuration.
                let next = match (busy, next) {
                    (Some(node), _) => Move::Write { node: node as u8 },
                    (None, Some(message)) => Move::Deliver {
                        message: message as u8,
                    },
                    (None, None) => break,
                };
                world.force(next);
            }
            world.force(Move::Ask { client: 0, node: 1 });
            world.wait(300, |node| node == 1);
        },
        link_messages_max: 1,
        ..Scope::new("open addition", 1)
    };
    let landmarks = [Landmark::Acknowledged, Landmark::Added];
    holds(&scope, &landmarks);
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

#[test]
fn a_secondary_is_removed_while_a_write_waits_for_it() {
    let scope = Scope {
        link_messages_max: 1,
        budget: Budget {
            crashes: 1,
            starts: 1,
            ..Budget::default()
        },
        ..removal("removal, write and crash")
    };
    let landmarks = [
        Landmark::Acknowledged,
        Landmark::Removed,
        Landmark::Added,
        Landmark::Restarted,
        Landmark::Tenure,
    ];
    holds(&scope, &landmarks);
}

#[test]
fn a_secondary_is_removed_while_messages_are_lost_and_repeated() {
    let scope = Scope {
        link_messages_max: 1,
        budget: Budget {
            losses: 1,
            duplications: 1,
            pauses: 1,
            ..Budget::default()
        },
        ..removal("removal, write and bad links")
    };
    let landmarks = [Landmark::Acknowledged, Landmark::Removed, Landmark::Added];
    holds(&scope, &landmarks);
}

#[test]
fn a_removal_among_many_messages_breaks_nothing_in_its_first_steps() {
    let scope = Scope {
        states_max: 100_000,
        ..removal("removal and write, wide links")
    };
    holds_so_far(&scope, &[Landmark::Acknowledged, Landmark::Removed]);
}

#[test]
fn one_of_three_replicas_is_removed_while_a_write_waits_for_it() {
    let scope = Scope {
        clients: vec![vec![write("1", &[1])]],
        prepare: |world| {
            // So that nothing else is due when the primary loses patience.
            world.wait(50, |_| true);
            world.force(Move::Ask { client: 0, node: 1 });
            world.wait(299, |node| node != 3);
            world.wait(1, |node| node == 1 || node == 2);
        },
        link_messages_max: 1,
        budget: Budget {
            crashes: 1,
            starts: 1,
            ..Budget::default()
        },
        ..Scope::new("three replicas, removal, write and crash", 3)
    };
    let landmarks = [
        Landmark::Acknowledged,
        Landmark::Removed,
        Landmark::Added,
        Landmark::Restarted,
        Landmark::Tenure,
    ];
    holds(&scope, &landmarks);
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

#[test]
fn the_primary_restarts_with_an_entry_that_is_not_committed() {
    let scope = Scope {
        budget: Budget {
            starts: 1,
            ..Budget::default()
        },
        ..restart("restart of the primary")
    };
    let landmarks = [
        Landmark::Acknowledged,
        Landmark::Answered,
        Landmark::Restarted,
        Landmark::Tenure,
    ];
    holds(&scope, &landmarks);
}

#[test]
fn a_restart_of_the_primary_is_interrupted_by_another_crash() {
    let scope = Scope {
        link_messages_max: 1,
        budget: Budget {
            crashes: 1,
            starts: 2,
            duplications: 1,
            ..Budget::default()
        },
        ..restart("restart of the primary, interrupted")
    };
    let landmarks = [
        Landmark::Acknowledged,
        Landmark::Answered,
        Landmark::Restarted,
        Landmark::Tenure,
        Landmark::Truncated,
    ];
    holds(&scope, &landmarks);
}

#[test]
fn a_disk_that_lies_is_found_out_by_a_shortest_way() {
    let scope = Scope {
        clients: vec![vec![write("1", &[1])]],
        disks_lie: true,
        ..Scope::new("a disk that lies", 2)
    };
    let findings = explore::explore(&scope);
    let Ending::Violated { what, path } = &findings.report.ending else {
        panic!("{findings}");
    };
    assert!(
        what.contains("is acknowledged, but not on the disk"),
        "{findings}"
    );
    // The question, an entry that arrives, two disks, and an acknowledgement that arrives.
    assert_eq!(path.len(), 5, "{findings}");
    let told = findings.lines.join("\n");
    assert!(told.contains("c1 → r1  Insert k=1 #1"), "{findings}");
    assert!(told.contains("r1 → c1  OperationAck 0 #1"), "{findings}");
    assert!(told.contains("VIOLATED r1"), "{findings}");
}
