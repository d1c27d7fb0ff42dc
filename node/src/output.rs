//! What people and scripts see: results on standard output, errors on standard error, the exit code.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use async_std::task;
use lockstep_core::config::Position;
use lockstep_core::operation::{DrainRefusal, Key, Rejection};
use serde_json::{Value as Json, json};
use tracing::warn;

use crate::args::Format;
use crate::keys;
use crate::write_name::WriteName;

/// How a command ended. The numbers are fixed: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked for.
    Done = 0,
    /// The key is absent.
    NotFound = 1,
    /// It was asked in a wrong way.
    Usage = 2,
    /// Certainly not executed, for a reason that a replica or the arbiter gave.
    Rejected = 3,
    /// A write may or may not have taken effect.
    Unknown = 4,
    /// Nobody was reached, and nothing was executed.
    Unreachable = 5,
    /// This process failed.
    Broken = 6,
    /// What was read is not what was written.
    Mismatch = 7,
    /// All was asked that was to be, and not all is well.
    Unwell = 8,
    /// A signal asked this process to end, and it did; as shells count it, for SIGINT.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command did not do what it was asked for. The messages are complete: they go to the user as they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The key is absent.
    #[error("there is no key {}", keys::shown(key.as_ref()))]
    NotFound {
        /// The key.
        key: Key,
    },
    /// A flag, a file or a line is wrong.
    #[error("{0}")]
    Usage(String),
    /// A replica refused the request for good, or until the deadline.
    #[error("rejected, nothing was executed: {reason}{}", advice(.reason))]
    Rejected {
        /// Why.
        reason: Rejection,
    },
    /// A replica did not answer a question, or does not do what concerns itself: for good, or until the deadline.
    #[error("rejected: {reason}{}", advice(.reason))]
    NotAnswered {
        /// Why.
        reason: Rejection,
    },
    /// A client named keys that its certificate is not for.
    #[error(
        "rejected, nothing was executed: that needs a certificate for these keys, and this client's is for keys that begin with {0}; \
         `lockstep export --prefix` exports those, `lockstep certs client NAME --prefix PREFIX` issues another one",
        keys::shown_prefixes(.own)
    )]
    OtherKeys {
        /// With which its keys begin.
        own: Vec<Key>,
    },
    /// A read was to wait for a position that is beyond the end of the log.
    #[error(
        "rejected: {committed} writes are committed, position {wanted} is beyond the end of the log"
    )]
    Beyond {
        /// The position.
        wanted: Position,
        /// The end.
        committed: Position,
    },
    /// What became of a write could not be found out.
    #[error("what became of the write is still unknown; {advice}: {why}")]
    Unresolved {
        /// What the user can do.
        advice: &'static str,
        /// Why.
        why: String,
    },
    /// The arbiter does not take this node in.
    #[error("this node has no place in the cluster: {0}")]
    Refused(String),
    /// The outcome of a write is not known.
    #[error(
        "the outcome is unknown: the write was sent, but not confirmed; it may or may not take effect. {}",
        how_to_find_out(.write.as_ref())
    )]
    Unknown {
        /// Its name, if it was given one.
        write: Option<WriteName>,
    },
    /// Nobody answered.
    #[error("{0}")]
    Unreachable(String),
    /// Disk, network or certificates of this process.
    #[error("{0}")]
    Broken(String),
    /// Something else listens where this node is to.
    #[error("{0}")]
    PortInUse(String),
    /// A disk had no room for what a node had to write.
    #[error("{0}")]
    NoRoom(String),
    /// One line of a file could not be imported.
    #[error("line {number}: {failure}")]
    InLine {
        /// Its number, from 1.
        number: u64,
        /// Why.
        failure: Box<Failure>,
    },
    /// A bench has read something else than was written.
    #[error("{count} reads did not give what was written")]
    Mismatch {
        /// How many reads.
        count: u64,
    },
    /// Operations of a bench failed.
    #[error("{count} operations failed")]
    Failed {
        /// How many.
        count: u64,
    },
    /// A bench could not take its keys away.
    #[error("not all keys were taken away")]
    KeysLeft,
    /// A signal ended it before it was done.
    #[error("interrupted")]
    Interrupted,
    /// Whoever reads standard output has gone; not worth a word.
    #[error("standard output was closed")]
    OutputClosed,
}

fn how_to_find_out(write: Option<&WriteName>) -> String {
    match write {
        Some(write) => format!("Find out with `lockstep resolve {write}`"),
        None => "Read the key to find out".to_owned(),
    }
}

fn advice(reason: &Rejection) -> &'static str {
    match reason {
        Rejection::NotPrimary { .. } | Rejection::NotReady | Rejection::NoLease => {
            "; the cluster may be starting or changing, see `lockstep status` and try again"
        }
        Rejection::Behind { .. } => "; it has not received more in time",
        Rejection::Failed { .. } => "; its log tells more; another replica may answer",
        Rejection::Overloaded => "; try again, or with less at once (--in-flight)",
        Rejection::DiskFull => "; free some space there, writes resume by themselves",
        Rejection::TooFewReplicas { .. } => "; start the missing replicas, see `lockstep status`",
        Rejection::SessionExpired => "; whether it was executed before is not known, read the key",
        Rejection::CannotDrain {
            reason: DrainRefusal::TooFewReplicas { .. },
        } => "; --force drains it all the same",
        Rejection::Unauthorized { .. } => {
            "; issue one with `lockstep certs client NAME --role ROLE`"
        }
        Rejection::TooLarge { .. }
        | Rejection::Cancelled
        | Rejection::SessionTooOld
        | Rejection::CannotDrain { .. } => "",
        _ => "",
    }
}

impl Failure {
    /// The exit code this leads to.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::NotFound { .. } => Exit::NotFound,
            Self::Usage(_) => Exit::Usage,
            Self::Rejected { .. }
            | Self::NotAnswered { .. }
            | Self::Beyond { .. }
            | Self::OtherKeys { .. }
            | Self::Refused(_) => Exit::Rejected,
            Self::Unknown { .. } | Self::Unresolved { .. } => Exit::Unknown,
            Self::Unreachable(_) => Exit::Unreachable,
            Self::Broken(_) | Self::PortInUse(_) | Self::NoRoom(_) => Exit::Broken,
            Self::Mismatch { .. } => Exit::Mismatch,
            Self::Failed { .. } | Self::KeysLeft => Exit::Unwell,
            Self::Interrupted => Exit::Interrupted,
            Self::InLine { failure, .. } => failure.exit(),
            Self::OutputClosed => Exit::Done,
        }
    }

    /// May what was asked for take effect all the same?
    pub(crate) fn is_unknown(&self) -> bool {
        match self.exit() {
            Exit::Unknown => true,
            Exit::Done
            | Exit::NotFound
            | Exit::Usage
            | Exit::Rejected
            | Exit::Unreachable
            | Exit::Broken
            | Exit::Mismatch
            | Exit::Unwell
            | Exit::Interrupted => false,
        }
    }

    /// The name of its kind, for programs.
    fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::Usage(_) => "usage",
            Self::Rejected { .. }
            | Self::NotAnswered { .. }
            | Self::OtherKeys { .. }
            | Self::Beyond { .. } => "rejected",
            Self::Refused(_) => "refused",
            Self::Unknown { .. } | Self::Unresolved { .. } => "unknown",
            Self::Unreachable(_) => "unreachable",
            Self::Broken(_) | Self::PortInUse(_) | Self::NoRoom(_) => "failed",
            Self::Mismatch { .. } => "mismatch",
            Self::Failed { .. } => "operations-failed",
            Self::KeysLeft => "keys-left",
            Self::Interrupted => "interrupted",
            Self::InLine { failure, .. } => failure.kind(),
            Self::OutputClosed => "output-closed",
        }
    }

    /// A failure of this process: what it was doing, and everything that led to it.
    pub(crate) fn broken(doing: impl fmt::Display, error: &dyn std::error::Error) -> Self {
        Self::Broken(format!("{doing}: {}", chain(error)))
    }

    /// A failure to write to standard output.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::broken("cannot write to standard output", error)
        }
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors repeat their source in their own words.
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Prints `failure` where it belongs: on standard error for people, on standard output for programs.
pub(crate) fn print_failure(failure: &Failure, format: Format) {
    match (failure, format) {
        (Failure::OutputClosed, _) => {}
        (_, Format::Text) => say(&format!("lockstep: {failure}")),
        (_, Format::Json) => {
            let error = json!({ "kind": failure.kind(), "message": failure.to_string() });
            // Nobody is left to tell if this fails too.
            let _ = print_json(&json!({ "error": error }));
        }
    }
}

/// Prints a line on standard error. Nobody may read it: that ends nothing, as `eprintln` would.
pub(crate) fn say(line: &str) {
    // Nobody is left to tell.
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Prints a line on standard output and sees to it that it gets there.
pub(crate) fn print(line: &str) -> Result<(), Failure> {
    print_bytes(line.as_bytes())
}

/// Prints a line on standard output for whoever started a node, which goes on if that cannot be written, and while
/// nobody reads it.
pub(crate) async fn announce(line: String) {
    if let Err(failure) = task::spawn_blocking(move || print(&line)).await {
        warn!(%failure, "this node cannot say how far it is");
    }
}

/// Prints bytes and a newline on standard output and sees to it that they get there, if anybody reads: the exit code
/// tells what was done, whether or not somebody wants to see it.
///
/// # Errors
/// If standard output, a file perhaps, does not take them.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out
        .write_all(bytes)
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    match written.map_err(|error| Failure::output(&error)) {
        Err(Failure::OutputClosed) => Ok(()),
        result => result,
    }
}

/// Prints one JSON object on standard output.
pub(crate) fn print_json(object: &Json) -> Result<(), Failure> {
    print(&object.to_string())
}

/// A number of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [(&str, f64); 4] = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("bytes", 1.0)];
    let (unit, factor) = UNITS
        .into_iter()
        .find(|(_, factor)| count as f64 >= *factor)
        .unwrap_or(("bytes", 1.0));
    if factor == 1.0 {
        format!("{count} {unit}")
    } else {
        format!("{:.1} {unit}", count as f64 / factor)
    }
}

/// A count with separators between the thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three decimals are plenty.
pub(crate) fn round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Lines of a table whose columns are as wide as their widest cell, without spaces at the ends of lines.
pub(crate) fn columns(rows: impl Iterator<Item = Vec<String>>) -> String {
    // What others say of themselves is shown, and never obeyed by a terminal.
    let shown = |cell: String| cell.replace(char::is_control, "\u{fffd}");
    let rows: Vec<Vec<String>> = rows
        .map(|row| row.into_iter().map(shown).collect())
        .collect();
    let mut widths = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_the_exit_code_the_help_promises() {
        let check = |failure: Failure, code: u8| assert_eq!(failure.exit() as u8, code);
        check(Failure::NotFound { key: "k".into() }, 1);
        check(Failure::Usage("x".into()), 2);
        let reason = Rejection::NotReady;
        check(
            Failure::Rejected {
                reason: reason.clone(),
            },
            3,
        );
        check(Failure::NotAnswered { reason }, 3);
        check(Failure::Refused("x".into()), 3);
        check(Failure::Unknown { write: None }, 4);
        let (advice, why) = ("ask again", "x".into());
        let unresolved = Failure::Unresolved { advice, why };
        check(unresolved, 4);
        check(Failure::Unreachable("x".into()), 5);
        check(Failure::Broken("x".into()), 6);
        check(Failure::Mismatch { count: 1 }, 7);
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let gone = Failure::output(&io::ErrorKind::BrokenPipe.into());
        assert_eq!(gone, Failure::OutputClosed);
        assert_eq!(gone.exit(), Exit::Done);
        let full = Failure::output(&io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit(), Exit::Broken);
    }

    #[test]
    fn an_error_is_told_with_its_causes_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{what}")]
        struct Outer {
            what: &'static str,
            source: io::Error,
        }
        let source = || io::Error::other("no such file");
        let what = "cannot open x";
        assert_eq!(
            chain(&Outer {
                what,
                source: source()
            }),
            "cannot open x: no such file"
        );
        let what = "cannot open x: no such file";
        assert_eq!(
            chain(&Outer {
                what,
                source: source()
            }),
            "cannot open x: no such file"
        );
    }

    #[test]
    fn a_table_shows_what_a_terminal_would_obey() {
        let cells = ["r\u{1b}[2J1", "a\nb"].map(str::to_owned).to_vec();
        let text = columns(std::iter::once(cells));
        assert_eq!(text, "r\u{fffd}[2J1  a\u{fffd}b\n");
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_500, "1.5 kB"),
            (2_000_000, "2.0 MB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }
}
