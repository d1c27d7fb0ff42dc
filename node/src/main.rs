//! The program `lockstep`: reads the command line, does what it says, and ends with an exit code that tells how it went.
//!
//! Reading order: `args` and [`config_file`] (what can be typed), [`output`] (what is printed, exit codes), [`commands`]
//! (one file each), [`assemble`] (the only place that names concrete transports and engines), [`store`] (a cluster as
//! commands see it).

mod args;
mod assemble;
mod bench;
mod commands;
mod config_file;
mod events;
mod import;
mod keys;
mod logging;
mod output;
mod patience;
mod records;
mod service;
mod shell;
mod signals;
mod status;
mod store;
mod threads;
mod write_name;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

use crate::args::{Args, Format};
use crate::output::{Exit, Failure};

/// Entries are allocated by one thread and freed by another, which costs the system's allocator dearly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    threads::start();
    let arguments: Vec<OsString> = env::args_os().collect();
    let (result, format) = match read(&arguments) {
        Ok(args) => {
            let format = args.common.output;
            for variable in config_file::unknown_variables(Args::command(), names_in_environment())
            {
                output::say(&format!(
                    "lockstep: {variable} in the environment sets no flag, and has no effect"
                ));
            }
            let result = logging::start(args.log(), args.common.log_format, args.log_file())
                .and_then(|_log| run(args));
            (result, format)
        }
        Err(NotRead::Failure(failure)) => (Err(failure), wanted_format(&arguments)),
        Err(NotRead::Shown) => (Ok(Exit::Done), Format::Text),
        Err(NotRead::NothingAsked) => (Ok(Exit::Usage), Format::Text),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::print_failure(&failure, format);
            failure.exit().into()
        }
    }
}

fn names_in_environment() -> impl Iterator<Item = OsString> {
    env::vars_os().map(|(name, _)| name)
}

/// Does what the command line says. A node that logs to a file says there too why it ended.
fn run(args: Args) -> Result<Exit, Failure> {
    let has_log_file = args.log_file().is_some();
    let result = commands::run(args);
    if let Err(failure) = &result
        && has_log_file
    {
        tracing::error!("{failure}");
    }
    result
}

/// Why there are no arguments.
enum NotRead {
    /// Something is wrong with them.
    Failure(Failure),
    /// Help, version or an example was asked for, and shown.
    Shown,
    /// Nothing was asked for: help was shown.
    NothingAsked,
}

fn read(arguments: &[OsString]) -> Result<Args, NotRead> {
    let mut command = config_file::with_environment(Args::command(), arguments);
    let file = config_file::path(arguments, env::var_os("LOCKSTEP_CONFIG"));
    if let Some(file) = &file {
        command = config_file::with_file(command, file)
            .map_err(|error| NotRead::Failure(Failure::Usage(error.to_string())))?;
    }
    let not_parsed = |error| not_parsed(&error, file.as_deref());
    let matches = command
        .try_get_matches_from(arguments)
        .map_err(not_parsed)?;
    if let Some(example) = args::example(&matches) {
        // Whoever closes the pipe has seen enough.
        let _ = output::print(example.trim_end());
        return Err(NotRead::Shown);
    }
    Args::from_arg_matches(&matches).map_err(not_parsed)
}

fn not_parsed(error: &clap::Error, file: Option<&Path>) -> NotRead {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return NotRead::NothingAsked;
    }
    if !error.use_stderr() {
        // Whoever closes the pipe has seen enough.
        let _ = error.print();
        return NotRead::Shown;
    }
    let text = error.render().to_string();
    let mut text = text
        .strip_prefix("error: ")
        .unwrap_or(&text)
        .trim_end()
        .to_owned();
    if let Some(file) = file {
        text.push_str(&format!("\n(flags were also read from {})", file.display()));
    }
    NotRead::Failure(Failure::Usage(text))
}

/// How errors are printed while the flags are not understood.
fn wanted_format(arguments: &[OsString]) -> Format {
    let in_words = arguments
        .windows(2)
        .any(|pair| pair[0] == "--output" && pair[1] == "json");
    let in_one = arguments.iter().any(|argument| argument == "--output=json");
    let in_environment = env::var_os("LOCKSTEP_OUTPUT").is_some_and(|format| format == "json");
    if in_words || in_one || in_environment {
        Format::Json
    } else {
        Format::Text
    }
}
