//! Logs: which, where, and how they look. What is worth logging is decided where it happens; the protocol's
//! events are put into words in `events`.

mod lines;
mod sink;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(crate) use self::lines::Log;
use self::sink::Sink;
use crate::args::Format;
use crate::output::Failure;

/// The crates of this project, whose level a bare `--log LEVEL` sets. Others stay at warnings: at `debug` they would
/// drown what the user wants to see.
const OURS: [&str; 4] = [
    "lockstep",
    "lockstep_core",
    "lockstep_transport_mem",
    "lockstep_transport_quic",
];
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Begins to log what `log` says, to the file if there is one, else to standard error. Dropping what is returned writes what
/// was logged.
///
/// # Errors
/// If `--log` is neither a level nor a list of directives, or the file cannot be opened.
pub(crate) fn start(log: &str, format: Format, file: Option<&Path>) -> Result<Log, Failure> {
    let filter: Targets = directives(log).parse().map_err(|error| {
        Failure::Usage(format!(
            "--log {log}: {error}; give a level ({}) or directives such as lockstep=debug,quinn=info",
            LEVELS.join(", ")
        ))
    })?;
    let (lines, log) = lines::to(sink(file)?)
        .map_err(|error| Failure::broken("cannot start to log".to_owned(), &error))?;
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(file.is_none() && io::stderr().is_terminal())
        .with_writer(Mutex::new(lines));
    let layer = match format {
        Format::Text => layer.with_target(false).boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .init();
    Ok(log)
}

fn sink(file: Option<&Path>) -> Result<Sink, Failure> {
    let Some(path) = file else {
        return Ok(Sink::errors());
    };
    Sink::file(path)
        .map_err(|error| Failure::Usage(format!("--log-file {}: {error}", path.display())))
}

fn directives(log: &str) -> String {
    let level = log.to_ascii_lowercase();
    if !LEVELS.contains(&level.as_str()) {
        return log.to_owned();
    }
    let others = match level.as_str() {
        "off" | "error" => level.as_str(),
        _ => "warn",
    };
    let ours = OURS.map(|name| format!("{name}={level}"));
    format!("{others},{}", ours.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_for_our_crates_and_directives_are_taken_as_they_are() {
        assert!(directives("Debug").starts_with("warn,lockstep=debug,lockstep_core=debug"));
        assert!(directives("off").starts_with("off,"));
        assert_eq!(directives("quinn=info"), "quinn=info");
        for log in LEVELS.iter().chain(&["quinn=info,lockstep=trace"]) {
            assert!(directives(log).parse::<Targets>().is_ok(), "{log}");
        }
    }
}
