//! Every interleaving of a few arbiters that keep one value together, scope by scope: the table is `register::SCOPES`.
//!
//! A scope proves something only if it was exhausted and if what it is about happened in it, so both are asserted.

use std::time::Instant;

use lockstep_tests::register::{self, SCOPES, Scope};

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
        fn every_scope_of_the_register_is_explored() {
            let names: Vec<&str> = SCOPES.iter().map(|scope| scope.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

explored! {
    two_arbiters_compete_for_the_chair: "duel",
    a_chair_makes_two_changes_while_another_arbiter_takes_over: "two changes",
    two_arbiters_compete_for_the_place_of_a_chair: "duel for a chair that is taken",
    a_chair_answers_questions_while_another_arbiter_takes_over: "questions",
    any_arbiter_crashes_during_a_change: "crash",
    any_two_arbiters_crash_during_a_change: "two crashes",
    a_directory_is_emptied_during_a_change: "wiped",
    a_directory_is_emptied_and_its_arbiter_taken_in: "wiped and taken in",
    the_set_changes_while_one_that_has_missed_it_takes_over: "change of the set",
    any_arbiter_crashes_while_the_set_changes: "change of the set and crash",
    a_lone_arbiter_becomes_the_first_of_three: "from one to three",
    the_set_changes_twice: "two changes of the set",
}

fn holds(name: &str) {
    let scope = register::named(name).unwrap_or_else(|| panic!("there is no scope {name}"));
    let begun = Instant::now();
    let findings = register::explore(scope, Scope::STATES_MAX);
    println!("{:.1?} for {findings}", begun.elapsed());
    if let Err(what) = findings.check(scope.landmarks) {
        panic!("{what}");
    }
}
