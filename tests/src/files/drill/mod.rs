//! The durable log and the records over files that do their worst: operations, faults, ends of processes and losses of power
//! from a seed, and what must be found after each of them.

mod log;
mod record;
mod trouble;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

use super::{Fault, Mishaps};
use crate::faults::counted;
use crate::trace::Detail;

/// What is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Drill {
    /// The log.
    Log,
    /// The arbiter's record.
    Record,
}

impl Drill {
    /// Both.
    pub const ALL: &[Self] = &[Self::Log, Self::Record];

    /// The one of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn named(name: &str) -> Result<Self, String> {
        let mut drills = Self::ALL.iter().copied();
        drills
            .find(|drill| drill.name() == name)
            .ok_or_else(|| "no such drill; there are `log` and `record`".to_owned())
    }

    /// As it is called on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Record => "record",
        }
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// What the seed says.
    Drawn,
    /// One call, the others of which this many come before it.
    One {
        /// The number of the call.
        call: u64,
        /// How it goes wrong.
        fault: Fault,
    },
    /// Nothing.
    None,
}

impl Faults {
    /// Those of that name.
    ///
    /// # Errors
    /// If it is no name.
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "drawn" => return Ok(Self::Drawn),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let (fault, call) = name.split_once('@').unwrap_or((name, "0"));
        let fault = Fault::ALL.iter().find(|known| known.name() == fault);
        match (fault, call.parse()) {
            (Some(fault), Ok(call)) => Ok(Self::One {
                call,
                fault: *fault,
            }),
            (None, _) | (_, Err(_)) => {
                let known: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
                Err(format!(
                    "not `drawn`, `none`, or one of {} and the number of a call: cut@17",
                    known.join(", ")
                ))
            }
        }
    }

    /// As they are called on a command line.
    pub fn name(self) -> String {
        match self {
            Self::Drawn => "drawn".to_owned(),
            Self::One { call, fault } => format!("{}@{call}", fault.name()),
            Self::None => "none".to_owned(),
        }
    }
}

counted! {
    /// What a drill has come by.
    Passage {
        /// Entries were appended.
        Appended = "entries appended",
        /// Entries were appended over several segments.
        AppendedOverSegments = "entries appended over several segments",
        /// An append was refused for lack of room.
        AppendRefused = "append refused",
        /// The log was cut off.
        Truncated = "log truncated",
        /// That was refused for lack of room.
        TruncationRefused = "truncation refused",
        /// The log began anew.
        Reset = "log begun anew",
        /// That was refused for lack of room.
        ResetRefused = "beginning anew refused",
        /// Old entries were dropped.
        Trimmed = "log trimmed",
        /// A record was replaced.
        Saved = "record replaced",
        /// That was refused for lack of room.
        SaveRefused = "replacing a record refused",
        /// A sync failed.
        SyncFailed = "sync failed",
        /// A process ended because a call failed.
        Failed = "process ended by a failure",
        /// A process could not start because a call failed.
        OpenFailed = "start failed",
        /// A process started on what another one had left.
        Opened = "start",
        /// A start found less than what was written.
        TailLost = "tail lost",
        /// A start found something of what was refused, or what a call that failed was to bring about.
        EffectFound = "effect of a refused or failed call found",
        /// Lost entries were appended again as they were.
        AppendedAgain = "lost entries appended again",
    }
}

/// What came of a drill.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What was done, step by step, if that was asked for.
    pub lines: Vec<String>,
    /// What must not be, if it was seen.
    pub violation: Option<String>,
    /// What the files did.
    pub mishaps: Mishaps,
    /// What was done on them.
    pub passages: BTreeMap<Passage, u64>,
    /// How often they were asked for something.
    pub calls: u64,
}

/// Runs a drill.
pub fn run(drill: Drill, seed: u64, faults: Faults, detail: Detail) -> Report {
    let run = || match drill {
        Drill::Log => log::run(seed, faults, detail),
        Drill::Record => record::run(seed, faults, detail),
    };
    panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Report {
        violation: Some(format!("panicked: {}", words(&*panic))),
        ..Report::default()
    })
}

/// How often a drill asks its files for something, if nothing goes wrong.
pub fn calls(drill: Drill, seed: u64) -> u64 {
    run(drill, seed, Faults::None, Detail::Off).calls
}

/// The command that runs a drill alone and says what it does.
pub fn replay_command(drill: Drill, seed: u64, faults: Faults) -> String {
    format!(
        "cargo run -p lockstep-tests --bin simulate -- --drill {} --faults {} --seed {seed} --trace",
        drill.name(),
        faults.name()
    )
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without words".to_owned())
}
