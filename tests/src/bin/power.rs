//! Records what the state of programs does to files, and loses power at any call of it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, io};

use clap::{Parser, Subcommand};
use lockstep_tests::power;

/// Loses power while the state of a replica is being written, at any call to its files.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Records seeds, and looks into what losses of power leave; needs Linux and strace
    Check {
        /// How many seeds
        #[arg(long, default_value_t = 20)]
        seeds: u64,
        /// The first seed
        #[arg(long, default_value_t = 0)]
        start: u64,
        /// Calls to the engine of each
        #[arg(long, default_value_t = 60)]
        steps: u32,
        /// Losses of power of each
        #[arg(long, default_value_t = 200)]
        cuts: usize,
    },
    /// Works on a state: what is recorded
    Run {
        /// Says what is done
        seed: u64,
        /// Calls to the engine
        steps: u32,
        /// The data directory
        directory: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Action::Run {
            seed,
            steps,
            directory,
        } => power::run(&directory, seed, steps).map_err(|error| error.to_string()),
        Action::Check {
            seeds,
            start,
            steps,
            cuts,
        } => check(start..start + seeds, steps, cuts),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("{what}");
            ExitCode::FAILURE
        }
    }
}

fn check(seeds: std::ops::Range<u64>, steps: u32, cuts: usize) -> Result<(), String> {
    if !power::is_possible() {
        return Err("processes cannot be recorded here: that takes Linux and strace".to_owned());
    }
    let program = env::current_exe().map_err(|error: io::Error| error.to_string())?;
    for seed in seeds {
        let summary = power::check(&program, seed, steps, cuts)?;
        println!(
            "seed {seed}: {} calls, {} losses of power, of which {} cost something that was applied",
            summary.calls, summary.cuts, summary.fell_back
        );
    }
    Ok(())
}
