//! What the simulator is worth: mistakes of single rules, switched on one at a time, each found within some seeds.
//!
//! The mistakes stand in the protocol, where the rule is kept, as `planted!(…)`, and are in no program
//! (`lockstep_core::planted`): in the protocol, in what runs it, in the storage down to the calls of the log to its files.
//! Some need a turn of events that no mix of faults has often enough; to each of those a script leads (`tests/scripts/rules`),
//! which is golden without the mistake. A test (`tests/planted/main.rs`) sees to it that each is found within its bound and by
//! an invariant that is meant for it, and that the table below is true; `UPDATE=1` writes it anew.
//!
//! To see what one does: `cargo run -p lockstep-tests --features planted --bin simulate -- --bug <name> --seed <n> --trace`,
//! or with `--script <file>` for a seed.
//!
#![doc = include_str!("../../planted.md")]

mod invariants;
mod table;

use std::fs;
use std::path::Path;

use lockstep_core::planted::{self, Bug};

pub use self::table::{DRILLED, EXPLORED, FOUND, MEASURED, REDUNDANT, SCRIPTED};
use crate::availability::Setting;
use crate::availability::faults::{Kind, TABLE, Who};
use crate::availability::links::{self, Broken};
use crate::chaos;
use crate::explore::search::Ending;
use crate::files::drill::{self, Drill, Faults};
use crate::invariants::Violation;
use crate::register::{self, Scope};
use crate::script;
use crate::trace::Detail;

/// A mistake that the simulator finds.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The mistake.
    pub bug: Bug,
    /// Of how many arbiters it is one.
    pub arbiters: usize,
    /// Seeds, from 0 on, within which it is found.
    pub seeds_max: u64,
    /// The invariants that may find it.
    pub by: &'static [&'static str],
}

impl Found {
    /// Runs seeds with the mistake until an invariant that is meant for it shows it: that seed, and how. Others may show it
    /// before. The seed that showed it last, if it is known, comes first.
    pub fn hunt(&self, last: Option<u64>) -> Option<(u64, Violation)> {
        let last = last.filter(|last| *last < self.seeds_max);
        last.into_iter().chain(0..self.seeds_max).find_map(|seed| {
            let run = || chaos::run(seed, Some(self.arbiters), Detail::Off);
            let report = planted::with(self.bug, run);
            let violation = report.violation?;
            let is_meant = self.by.contains(&violation.invariant);
            is_meant.then_some((seed, violation))
        })
    }
}

/// A mistake that drills of the durable log find.
#[derive(Clone, Copy, Debug)]
pub struct Drilled {
    /// The mistake.
    pub bug: Bug,
    /// Seeds, from 0 on, within which it is found.
    pub seeds_max: u64,
}

impl Drilled {
    /// Drills the log with the mistake until that shows: the seed, and what was seen.
    pub fn hunt(&self) -> Option<(u64, String)> {
        (0..self.seeds_max).find_map(|seed| {
            let drilled = || drill::run(Drill::Log, seed, Faults::Drawn, Detail::Off);
            let report = planted::with(self.bug, drilled);
            report.violation.map(|violation| (seed, violation))
        })
    }
}

/// A mistake that availability suffers from.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// The mistake.
    pub bug: Bug,
    /// What shows it.
    pub by: Case,
}

/// Something whose cost in time is bounded.
#[derive(Clone, Copy, Debug)]
pub enum Case {
    /// A row of the table of single faults.
    Fault(Kind, Who),
    /// These links are broken; 0 is the arbiter, 1 the primary.
    Links(&'static [(usize, usize)]),
}

impl Case {
    fn text(self) -> String {
        match self {
            Self::Fault(kind, who) => format!("{kind:?} of the {who:?}"),
            Self::Links(links) => format!("links broken: {}", Broken::of(links)),
        }
    }

    /// Is it within its bound?
    fn is_kept(self) -> bool {
        match self {
            Self::Fault(kind, who) => {
                let mut rows = TABLE.iter();
                let row = rows.find(|row| row.kind == kind && row.who == who);
                let row = row.expect("the table has it");
                row.measure().is_ok_and(|longest| row.is_kept(longest))
            }
            Self::Links(links) => {
                let run = Broken::of(links).run(Setting::of(0), Detail::Off);
                run.longest().is_ok_and(links::is_kept)
            }
        }
    }
}

impl Measured {
    /// Does it show?
    pub fn is_seen(&self) -> bool {
        !planted::with(self.bug, || self.by.is_kept())
    }
}

/// A mistake to which a script leads.
#[derive(Clone, Copy, Debug)]
pub struct Scripted {
    /// The mistake.
    pub bug: Bug,
    /// The name of the script, in `tests/scripts/rules`.
    pub script: &'static str,
    /// The invariant that finds it.
    pub by: &'static str,
}

impl Scripted {
    /// Runs the script with the mistake: what that violates.
    ///
    /// # Errors
    /// If there is no such script, or a command in it cannot be understood.
    pub fn play(&self) -> Result<Option<Violation>, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/rules");
        let path = folder.join(format!("{}.txt", self.script));
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        let played = planted::with(self.bug, || script::run(&text, Detail::Off))?;
        Ok(played.violation)
    }
}

/// A mistake that an exploration of the register finds.
#[derive(Clone, Copy, Debug)]
pub struct Explored {
    /// The mistake.
    pub bug: Bug,
    /// The name of the scope.
    pub scope: &'static str,
}

impl Explored {
    /// Explores the scope with the mistake: what that violates.
    pub fn hunt(&self) -> Option<String> {
        let scope = register::named(self.scope)?;
        let findings = planted::with(self.bug, || register::explore(scope, Scope::STATES_MAX));
        match findings.report.ending {
            Ending::Violated { what, .. } => Some(what),
            Ending::Exhausted | Ending::Bounded => None,
        }
    }
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

/// Runs seeds of one arbiter with a mistake until one shows it: that seed, and how.
pub fn hunt(bug: Bug, seeds_max: u64) -> Option<(u64, Violation)> {
    (0..seeds_max).find_map(|seed| {
        let report = planted::with(bug, || chaos::run(seed, Some(1), Detail::Off));
        report.violation.map(|violation| (seed, violation))
    })
}

/// The table for people. `seeds` tells how many it took to find each.
pub fn document(seeds: impl Fn(Bug) -> u64) -> String {
    let mut lines = vec![
        "# Found by the simulator".to_owned(),
        String::new(),
        "| mistake | in words | found by | arbiters | seeds |".to_owned(),
        "| --- | --- | --- | --- | --- |".to_owned(),
    ];
    for found in FOUND {
        let (bug, by) = (found.bug, found.by.join("; or "));
        let text = bug.text();
        let (arbiters, seeds) = (found.arbiters, seeds(bug));
        lines.push(format!(
            "| `{bug:?}` | {text} | {by} | {arbiters} | {seeds} |"
        ));
    }
    lines.extend([
        String::new(),
        "# Found by drills of the log".to_owned(),
        String::new(),
        "Each takes more of one log than replicas have it do.".to_owned(),
        String::new(),
        "| mistake | in words | seeds |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ]);
    for Drilled { bug, .. } in DRILLED {
        let text = bug.text();
        lines.push(format!("| `{bug:?}` | {text} | {} |", seeds(*bug)));
    }
    lines.extend([
        String::new(),
        "# Found by what they cost in time".to_owned(),
        String::new(),
        "Each has one fault stop writes for longer than the table of single faults or the bound for broken links allows."
            .to_owned(),
        String::new(),
        "| mistake | in words | the fault |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ]);
    for Measured { bug, by } in MEASURED {
        let (text, by) = (bug.text(), by.text());
        lines.push(format!("| `{bug:?}` | {text} | {by} |"));
    }
    lines.extend([
        String::new(),
        "# Found by a script".to_owned(),
        String::new(),
        "Each takes a turn of events that no mix of faults has often enough. A script (`tests/scripts/rules`) leads a simulated \
         cluster there; it tells what the rule is for."
            .to_owned(),
        String::new(),
        "| mistake | in words | found by | script |".to_owned(),
        "| --- | --- | --- | --- |".to_owned(),
    ]);
    for Scripted { bug, script, by } in SCRIPTED {
        let text = bug.text();
        lines.push(format!("| `{bug:?}` | {text} | {by} | `{script}` |"));
    }
    lines.extend([
        String::new(),
        "# Found by exploration of the register".to_owned(),
        String::new(),
        "Each breaks what arbiters that keep one record together rely on; the shortest way there is found in that scope \
         (`tests/src/register`)."
            .to_owned(),
        String::new(),
        "| mistake | in words | scope |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ]);
    for Explored { bug, scope } in EXPLORED {
        let text = bug.text();
        lines.push(format!("| `{bug:?}` | {text} | {scope} |"));
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
