//! The lease argument: it holds, and each of its rules is needed.

use std::sync::Mutex;
use std::thread;

use lockstep_tests::leases::{Omission, Outcome, Scope, search};

/// More states than any scope has.
const BOUND: usize = 5_000_000;

/// Two at a time: each search takes up to a few hundred megabytes.
const THREADS: usize = 2;

#[test]
fn leases_keep_reads_linearizable_in_every_scope() {
    let outcomes = search_all(Scope::ALL.iter().map(|scope| (*scope, None)).collect());
    let mut totals = Vec::new();
    for (scope, outcome) in Scope::ALL.iter().zip(outcomes) {
        assert!(outcome.found.is_none(), "{}{}", scope.name, told(&outcome));
        assert!(outcome.states < BOUND, "{}: not searched whole", scope.name);
        assert!(
            outcome.states > 200_000,
            "{}: only {} states",
            scope.name,
            outcome.states
        );
        assert!(outcome.reached.commits > 0, "{}: no commit", scope.name);
        assert!(outcome.reached.read_leases > 0, "{}: no lease", scope.name);
        totals.push(outcome.reached.counts());
    }
    for (i, (what, _)) in totals[0].iter().enumerate() {
        let count: usize = totals.iter().map(|counts| counts[i].1).sum();
        assert!(count > 100, "{what}: only {count}");
    }
}

#[test]
fn every_rule_that_is_left_out_shows() {
    let fatal = Omission::FATAL;
    let tasks = fatal
        .iter()
        .map(|(omission, scope)| (*scope, Some(*omission)));
    for ((omission, scope), outcome) in fatal.iter().zip(search_all(tasks.collect())) {
        let text = omission.text();
        assert!(outcome.found.is_some(), "{text}: fine in {}", scope.name);
        println!("{text} ({}):{}", scope.name, told(&outcome));
    }
}

#[test]
fn rules_that_others_make_up_for_do_not_show() {
    let harmless = Omission::HARMLESS;
    let tasks = harmless
        .iter()
        .map(|(omission, scope, _)| (*scope, Some(*omission)));
    for ((omission, _, reason), outcome) in harmless.iter().zip(search_all(tasks.collect())) {
        let text = omission.text();
        assert!(
            outcome.found.is_none(),
            "{text}, {reason}:{}",
            told(&outcome)
        );
        assert!(outcome.states < BOUND, "{text}: not searched whole");
    }
}

/// What each search finds, in the order of the tasks.
fn search_all(tasks: Vec<(Scope, Option<Omission>)>) -> Vec<Outcome> {
    let left = Mutex::new(tasks.iter().enumerate());
    let outcomes = Mutex::new(Vec::new());
    thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                loop {
                    let next = left.lock().unwrap().next();
                    let Some((i, (scope, omission))) = next else {
                        return;
                    };
                    let outcome = search(scope, *omission, BOUND);
                    outcomes.lock().unwrap().push((i, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|(i, _)| *i);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// What was found, line by line.
fn told(outcome: &Outcome) -> String {
    let Some((violation, trace)) = &outcome.found else {
        return String::new();
    };
    format!("\n    {}\n    {violation:?}\n", trace.join("\n    "))
}
