//! Every interleaving of tiny clusters, scope by scope: the table is `explore::scopes`.
//!
//! A scope proves something only if it was exhausted and if what it is about happened in it, so both are asserted. A
//! violation is told by the shortest way that leads to it.

use std::collections::BTreeSet;
use std::time::Instant;

use lockstep_core::message::RequestBody;
use lockstep_tests::explore::search::Ending;
use lockstep_tests::explore::{self, Ask, Scope};

/// A test for every scope, named by what is in it.
macro_rules! explored {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                holds($name);
            }
        )*

        #[test]
        fn every_scope_is_explored() {
            let scopes = explore::scopes();
            let names: Vec<&str> = scopes.iter().map(|scope| scope.name).collect();
            let explored = [$($name),*];
            assert_eq!(names, explored);
            let different: BTreeSet<&str> = names.iter().copied().collect();
            assert_eq!(different.len(), names.len(), "names are for telling scopes apart");
        }
    };
}

explored! {
    two_replicas_take_a_write_and_either_crashes: "write and crash",
    two_replicas_take_a_write_and_crash_twice: "write and two crashes",
    two_replicas_take_a_write_while_beacons_and_retransmissions_go_on: "write, crash and timers",
    the_primary_restarts_with_an_entry_that_is_not_committed: "restart of the primary",
    a_restart_of_the_primary_is_interrupted_by_another_crash: "restart of the primary, interrupted",
    a_replica_joins_while_a_write_is_under_way: "join and write",
    a_replica_joins_while_beacons_and_retransmissions_go_on: "join, write and timers",
    a_replica_joins_and_either_crashes: "join, write and crash",
    an_addition_that_is_open_counts_although_the_replica_falls_silent: "open addition",
    a_secondary_stands_still_while_a_write_is_under_way: "write and pause",
    a_secondary_is_removed_while_a_write_waits_for_it: "removal, write and crash",
    a_secondary_is_removed_while_messages_are_lost_and_repeated: "removal, write and bad links",
    a_secondary_is_removed_among_many_messages: "removal and write, wide links",
    one_of_three_replicas_is_removed_while_a_write_waits_for_it: "three replicas, removal, write and crash",
    one_replica_is_removed_and_another_added_while_a_write_is_under_way: "two reconfigurations",
    either_crashes_while_one_replica_is_removed_and_another_added: "two reconfigurations and crash",
    a_secondary_replaces_a_primary_that_stands_still: "failover",
    a_new_primary_crashes_before_it_has_committed_what_it_took_over: "failover, interrupted",
    two_secondaries_compete_for_the_place_of_a_primary: "three replicas, two secondaries compete",
    a_new_primary_of_three_crashes_before_it_has_committed: "three replicas, failover, interrupted",
    a_new_primary_that_is_down_is_replaced_as_well: "three replicas, failover after failover",
    a_deposed_primary_goes_on_with_a_joining_replica: "deposed primary and joining replica",
    a_primary_hands_over_between_two_writes: "hand-over",
    a_primary_hands_over_and_either_crashes: "hand-over and crash",
}

fn holds(name: &str) {
    let scope = explore::scopes()
        .into_iter()
        .find(|scope| scope.name == name);
    let scope = scope.unwrap_or_else(|| panic!("there is no scope {name}"));
    let begun = Instant::now();
    let findings = explore::explore(&scope, Scope::STATES_MAX);
    println!("{:.1?} for {findings}", begun.elapsed());
    if let Err(what) = findings.check(scope.landmarks) {
        panic!("{what}");
    }
}

#[test]
fn a_scope_is_run_by_its_name_as_far_as_one_likes() {
    let findings = explore::run("write and crash", 100).expect("it is in the table");
    assert_eq!(findings.report.ending, Ending::Bounded, "{findings}");
    assert!(findings.report.states >= 100, "{findings}");
    assert!(explore::run("no such scope", 100).is_none());
}

#[test]
fn a_landmark_that_is_never_passed_is_missed() {
    let scope = Scope {
        landmarks: &[explore::Landmark::Removed],
        ..Scope::new("nothing happens", 2)
    };
    let missed = explore::explore(&scope, Scope::STATES_MAX).check(scope.landmarks);
    let missed = missed.expect_err("nobody is removed");
    assert!(missed.contains("Removed never happened"), "{missed}");
}

#[test]
fn a_disk_that_lies_is_found_out_by_a_shortest_way() {
    let write = Ask {
        body: RequestBody::Insert {
            key: "k".into(),
            value: "1".into(),
        },
        to: vec![1],
    };
    let scope = Scope {
        clients: vec![vec![write]],
        disks_lie: true,
        ..Scope::new("a disk that lies", 2)
    };
    let findings = explore::explore(&scope, Scope::STATES_MAX);
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
