//! Every planted mistake is found by the simulator, soon, or by a script.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{env, fs, panic, thread};

use lockstep_core::planted::Bug;
use lockstep_tests::planted::{
    self, DRILLED, EXPLORED, FOUND, Found, MEASURED, REDUNDANT, SCRIPTED,
};

/// Two at a time; the mistake is switched on in one thread.
const THREADS: usize = 2;

#[test]
fn every_planted_mistake_is_found_soon_by_an_invariant_that_is_meant_for_it() {
    // Some mistakes make processes panic, which is a way to be found.
    panic::set_hook(Box::new(|_| {}));
    // Those that take long first, so that no thread is left with one at the end.
    let mut tasks: Vec<&Found> = FOUND.iter().collect();
    tasks.sort_by_key(|found| found.seeds_max);
    let (left, results) = (Mutex::new(tasks), Mutex::new(BTreeMap::new()));
    let last = last_seeds();
    thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                loop {
                    let next = left.lock().unwrap().pop();
                    let Some(found) = next else { return };
                    let shown = found.hunt(last.get(&format!("{:?}", found.bug)).copied());
                    results.lock().unwrap().insert(found.bug, shown);
                }
            });
        }
    });
    let mut wrong = Vec::new();
    let mut drilled = BTreeMap::new();
    for mistake in DRILLED {
        match mistake.hunt() {
            None => wrong.push(format!("{mistake:?}: not found")),
            Some((seed, what)) => {
                println!("{:?}: drill {seed}: {what}", mistake.bug);
                drilled.insert(mistake.bug, seed + 1);
            }
        }
    }
    let _ = panic::take_hook();
    let results = results.into_inner().unwrap();
    for Found { bug, seeds_max, .. } in FOUND {
        match &results[bug] {
            None => wrong.push(format!("{bug:?}: not found within {seeds_max} seeds")),
            Some((seed, violation)) => println!("{bug:?}: seed {seed}: {violation}"),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let seeds = |bug| match drilled.get(&bug) {
        Some(seeds) => *seeds,
        None => results[&bug].as_ref().map_or(0, |(seed, _)| seed + 1),
    };
    check_document(&planted::document(seeds));
}

/// The seed that showed each mistake when the table was written. To write it anew, all are looked for from the beginning.
fn last_seeds() -> BTreeMap<String, u64> {
    if env::var_os("UPDATE").is_some() {
        return BTreeMap::new();
    }
    let written = fs::read_to_string(document()).unwrap();
    let seed_of = |line: &str| {
        let (bug, rest) = line.strip_prefix("| `")?.split_once('`')?;
        let (_, count) = rest.trim_end_matches(" |").rsplit_once("| ")?;
        let seed = count.parse::<u64>().ok()?.checked_sub(1)?;
        Some((bug.to_owned(), seed))
    };
    written.lines().filter_map(seed_of).collect()
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("planted.md")
}

/// Compares the table with that in the docs, except for the numbers of seeds: any change of the protocol changes those.
fn check_document(table: &str) {
    let path = document();
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, table).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    let without_numbers = |text: &str| -> Vec<String> {
        let is_number =
            |cell: &&str| !cell.trim().is_empty() && cell.trim().parse::<u64>().is_err();
        text.lines()
            .map(|line| line.split('|').filter(is_number).collect())
            .collect()
    };
    assert_eq!(
        without_numbers(&written),
        without_numbers(table),
        "UPDATE=1 writes tests/planted.md anew"
    );
}

#[test]
fn every_script_shows_its_mistake_by_the_invariant_that_is_meant_for_it() {
    panic::set_hook(Box::new(|_| {}));
    let mut wrong = Vec::new();
    for scripted in SCRIPTED {
        match scripted.play() {
            Ok(Some(violation)) if violation.invariant == scripted.by => {}
            Ok(Some(violation)) => wrong.push(format!("{scripted:?}: {violation}")),
            Ok(None) => wrong.push(format!("{scripted:?}: all is well")),
            Err(what) => wrong.push(format!("{scripted:?}: {what}")),
        }
    }
    let _ = panic::take_hook();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_mistake_that_costs_time_is_seen() {
    let unseen: Vec<_> = MEASURED.iter().filter(|bug| !bug.is_seen()).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn every_mistake_in_what_arbiters_do_together_is_found_by_an_exploration() {
    let mut unseen = Vec::new();
    for explored in EXPLORED {
        match explored.hunt() {
            Some(what) => println!("{explored:?}: {what}"),
            None => unseen.push(explored),
        }
    }
    assert!(unseen.is_empty(), "{unseen:?}");
}

#[test]
fn every_mistake_is_accounted_for_once() {
    let found = FOUND.iter().map(|found| found.bug);
    let scripted = SCRIPTED.iter().map(|scripted| scripted.bug);
    let drilled = DRILLED.iter().map(|drilled| drilled.bug);
    let redundant = REDUNDANT.iter().map(|(bug, _)| *bug);
    let all: Vec<Bug> = found
        .chain(drilled)
        .chain(MEASURED.iter().map(|measured| measured.bug))
        .chain(scripted)
        .chain(EXPLORED.iter().map(|explored| explored.bug))
        .chain(redundant)
        .collect();
    let accounted: BTreeSet<Bug> = all.iter().copied().collect();
    assert_eq!(all.len(), accounted.len(), "some mistakes are listed twice");
    assert_eq!(accounted, Bug::ALL.iter().copied().collect());
}
