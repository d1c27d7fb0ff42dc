//! The durable log and the records over files that do their worst.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;

use lockstep_tests::files::drill::{self, Drill, Faults, Passage, Report};
use lockstep_tests::files::{Fault, Mishap};
use lockstep_tests::trace::Detail;

/// Runs drills on all cores; fails with those that saw what must not be.
fn run_all(runs: Vec<(Drill, u64, Faults)>) -> Vec<Report> {
    let (left, done) = (Mutex::new(runs.into_iter()), Mutex::new(Vec::new()));
    thread::scope(|threads| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            threads.spawn(|| {
                loop {
                    let next = left.lock().unwrap().next();
                    let Some((drill, seed, faults)) = next else {
                        return;
                    };
                    let report = drill::run(drill, seed, faults, Detail::Off);
                    let command = drill::replay_command(drill, seed, faults);
                    done.lock().unwrap().push((command, report));
                }
            });
        }
    });
    let done = done.into_inner().unwrap();
    let failures: Vec<String> = done
        .iter()
        .filter_map(|(command, report)| {
            Some(format!("{}\n    {command}", report.violation.as_ref()?))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    done.into_iter().map(|(_, report)| report).collect()
}

#[test]
fn drills_lose_nothing_and_invent_nothing_and_come_by_everything() {
    let mut runs = Vec::new();
    for drill in Drill::ALL {
        runs.extend((0..3000).map(|seed| (*drill, seed, Faults::Drawn)));
    }
    let (mut mishaps, mut passages) = (BTreeSet::new(), BTreeSet::new());
    for report in run_all(runs) {
        let happened = report.mishaps.iter().filter(|(_, count)| **count > 0);
        mishaps.extend(happened.map(|(mishap, _)| *mishap));
        passages.extend(report.passages.into_keys());
    }
    assert_eq!(mishaps, Mishap::ALL.iter().copied().collect());
    assert_eq!(passages, Passage::ALL.iter().copied().collect());
}

#[test]
fn any_call_may_be_the_one_that_goes_wrong() {
    let mut runs = Vec::new();
    for drill in Drill::ALL {
        for seed in 0..2 {
            for call in 0..drill::calls(*drill, seed) {
                for fault in [Fault::Cut, Fault::Failed, Fault::NoRoom] {
                    runs.push((*drill, seed, Faults::One { call, fault }));
                }
            }
        }
    }
    assert!(runs.len() > 2000, "{} runs are few", runs.len());
    run_all(runs);
}

#[test]
fn a_drill_does_the_same_again() {
    for drill in Drill::ALL {
        for seed in 0..5 {
            let run = || drill::run(*drill, seed, Faults::Drawn, Detail::All).lines;
            assert!(run().len() > 20, "{drill:?} {seed} hardly does anything");
            assert_eq!(run(), run());
        }
    }
}
