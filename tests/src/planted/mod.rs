//! What the simulator is worth: mistakes of single rules, switched on one at a time, each found within some seeds.
//!
//! The mistakes stand in the protocol, where the rule is kept, as `planted!(…)`, and are in no program
//! (`lockstep_core::planted`). Two concern what runs the protocol; those stand in the simulator, which does that here.
//! A test (`tests/planted/main.rs`) sees to it that each is found within its bound and by an invariant that is meant for
//! it, and that the table below is true; `UPDATE=1` writes it anew.
//!
//! To see what one does: `cargo run -p lockstep-tests --features planted --bin simulate -- --bug <name> --seed <n> --trace`.
//!
#![doc = include_str!("../../planted.md")]

mod invariants;
mod table;

use lockstep_core::planted::{self, Bug};

pub use self::table::{BY_HAND, ELSEWHERE, FOUND, REDUNDANT};
use crate::chaos;
use crate::invariants::Violation;
use crate::leases::Omission;
use crate::trace::Detail;

/// A mistake that the simulator finds.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The mistake.
    pub bug: Bug,
    /// Seeds, from 0 on, within which it is found.
    pub seeds_max: u64,
    /// The invariants that may find it.
    pub by: &'static [&'static str],
}

/// The mistake of that name.
///
/// # Errors
/// If there is none.
pub fn named(name: &str) -> Result<Bug, String> {
    let mut bugs = Bug::ALL.iter().copied();
    bugs.find(|bug| format!("{bug:?}") == name)
        .ok_or_else(|| "no such mistake; tests/planted.md lists them".to_owned())
}

/// Runs seeds with a mistake until one shows it: that seed, and how.
pub fn hunt(bug: Bug, seeds_max: u64) -> Option<(u64, Violation)> {
    (0..seeds_max).find_map(|seed| {
        let report = planted::with(bug, || chaos::run(seed, Detail::Off));
        report.violation.map(|violation| (seed, violation))
    })
}

/// The table for people. `seeds` tells how many it took to find each.
pub fn document(seeds: impl Fn(Bug) -> u64) -> String {
    let mut lines = vec![
        "# Found by the simulator".to_owned(),
        String::new(),
        "| mistake | in words | found by | seeds |".to_owned(),
        "| --- | --- | --- | --- |".to_owned(),
    ];
    for found in FOUND {
        let (bug, by) = (found.bug, found.by.join("; or "));
        let text = bug.text();
        lines.push(format!("| `{bug:?}` | {text} | {by} | {} |", seeds(bug)));
    }
    lines.extend([
        String::new(),
        "# Found by the model of leases".to_owned(),
        String::new(),
        "The simulator would need more luck than a test has time for. The model (`leases`), which is searched whole, finds \
         what follows when the rule is left out; that is the test `every_rule_that_is_left_out_shows`."
            .to_owned(),
        String::new(),
        "| mistake | in words | what is left out of the model |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ]);
    for (bug, omission) in ELSEWHERE {
        let (text, omitted) = (bug.text(), omission.text());
        lines.push(format!("| `{bug:?}` | {text} | {omitted} |"));
    }
    lines.extend([
        String::new(),
        "# Found by hand".to_owned(),
        String::new(),
        "Too rare for the simulator in the time of a test, and not in the model: of each it is seen that this test fails \
         with it."
            .to_owned(),
        String::new(),
        "| mistake | in words | test |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ]);
    for (bug, test) in BY_HAND {
        lines.push(format!("| `{bug:?}` | {} | `{test}` |", bug.text()));
    }
    lines.extend([
        String::new(),
        "# Redundant".to_owned(),
        String::new(),
        "Nothing is known to go wrong with these: other rules make up for them. They stay, as a second line.".to_owned(),
        String::new(),
        "| mistake | in words | what makes up for it |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ]);
    for (bug, reason) in REDUNDANT {
        let text = bug.text();
        lines.push(format!("| `{bug:?}` | {text} | {reason} |"));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// Is the rule needed in the model?
pub fn is_fatal(omission: Omission) -> bool {
    Omission::FATAL.iter().any(|(fatal, _)| *fatal == omission)
}
