//! Runs simulations: many seeds and a table of what they showed, or one seed with its conversation.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, thread};

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use lockstep_tests::campaign::{self, Campaign};
use lockstep_tests::files::drill::{self, Drill, Faults};
use lockstep_tests::trace::Detail;
use lockstep_tests::{chaos, script};

/// Simulates clusters in which everything goes wrong, and checks after every step that the store keeps its promises.
#[derive(Parser)]
struct Args {
    /// How many seeds to run
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// Run this seed alone
    #[arg(long, group = "one")]
    seed: Option<u64>,
    /// Run the script in this file, and print it with the conversation
    #[arg(long, group = "one")]
    script: Option<PathBuf>,
    /// With so many arbiters, however many a seed has
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=9))]
    arbiters: Option<u8>,
    /// Drill the durable log, or the arbiter's record, over files that do their worst, and run no clusters
    #[arg(long, conflicts_with = "script", value_parser = Drill::named)]
    drill: Option<Drill>,
    /// With --drill: what goes wrong
    #[arg(long, requires = "drill", default_value = "drawn", value_parser = Faults::named)]
    faults: Faults,
    /// With --seed: print the conversation
    #[arg(long, requires = "seed")]
    trace: bool,
    /// With this mistake, and one arbiter if nothing else is said; without --seed and --script, until a seed shows it
    #[cfg(feature = "planted")]
    #[arg(long, value_parser = lockstep_tests::planted::named)]
    bug: Option<lockstep_core::planted::Bug>,
    /// With --trace or --script: leave out Beacons, disk work and other routine
    #[arg(long, requires = "one")]
    story: bool,
    /// Threads that share the seeds; all cores if not given
    #[arg(long)]
    threads: Option<usize>,
    /// How to print the summary
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(drill) = args.drill {
        return run_drills(&args, drill);
    }
    match (&args.script, args.seed) {
        (Some(path), _) => play(&args, path),
        (None, Some(seed)) => one(&args, seed),
        #[cfg(feature = "planted")]
        (None, None) if args.bug.is_some() => hunt(&args),
        (None, None) => many(&args),
    }
}

/// How many arbiters there are, if it is not left to the seeds.
fn arbiters(args: &Args) -> Option<usize> {
    #[cfg(feature = "planted")]
    if args.bug.is_some() {
        return Some(args.arbiters.map_or(1, usize::from));
    }
    args.arbiters.map(usize::from)
}

/// Runs something, with the mistake that was asked for.
fn with_bug<T>(args: &Args, run: impl FnOnce() -> T) -> T {
    #[cfg(feature = "planted")]
    if let Some(bug) = args.bug {
        return lockstep_core::planted::with(bug, run);
    }
    #[cfg(not(feature = "planted"))]
    let _ = args;
    run()
}

fn play(args: &Args, path: &Path) -> ExitCode {
    let detail = if args.story {
        Detail::Story
    } else {
        Detail::All
    };
    let played = fs::read_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|text| with_bug(args, || script::run(&text, detail)));
    match played {
        Ok(played) => {
            print!("{}", played.text);
            match played.violation {
                None => ExitCode::SUCCESS,
                Some(violation) => {
                    println!("{violation}");
                    ExitCode::FAILURE
                }
            }
        }
        Err(what) => {
            eprintln!("{}: {what}", path.display());
            ExitCode::from(2)
        }
    }
}

fn one(args: &Args, seed: u64) -> ExitCode {
    let detail = match (args.trace, args.story) {
        (false, _) => Detail::Off,
        (true, true) => Detail::Story,
        (true, false) => Detail::All,
    };
    let report = with_bug(args, || chaos::run(seed, arbiters(args), detail));
    for line in &report.lines {
        println!("{line}");
    }
    match report.violation {
        None => {
            println!("seed {seed}: {} calls, all is well", report.calls);
            ExitCode::SUCCESS
        }
        Some(violation) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "planted")]
fn hunt(args: &Args) -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let seeds = args.start..args.start + args.seeds;
    let found = seeds.into_iter().find_map(|seed| {
        let report = with_bug(args, || chaos::run(seed, arbiters(args), Detail::Off));
        report.violation.map(|violation| (seed, violation))
    });
    match found {
        Some((seed, violation)) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
        None => {
            println!("not found within {} seeds", args.seeds);
            ExitCode::SUCCESS
        }
    }
}

fn run_drills(args: &Args, drill: Drill) -> ExitCode {
    let seeds = match args.seed {
        Some(seed) => seed..seed + 1,
        None => args.start..args.start + args.seeds,
    };
    let detail = if args.trace { Detail::All } else { Detail::Off };
    for seed in seeds.clone() {
        let report = with_bug(args, || drill::run(drill, seed, args.faults, detail));
        for line in &report.lines {
            println!("{line}");
        }
        if let Some(what) = report.violation {
            println!("seed {seed}: {what}");
            println!("    {}", drill::replay_command(drill, seed, args.faults));
            return ExitCode::FAILURE;
        }
    }
    println!("seeds {} to {}: all is well", seeds.start, seeds.end);
    ExitCode::SUCCESS
}

fn many(args: &Args) -> ExitCode {
    let threads = args
        .threads
        .or_else(|| thread::available_parallelism().ok().map(Into::into))
        .unwrap_or(1);
    let campaign = Campaign {
        start: args.start,
        seeds: args.seeds,
        arbiters: arbiters(args),
        threads,
    };
    // A panic of a process is reported with its seed; the backtraces would only hide that.
    std::panic::set_hook(Box::new(|_| {}));
    let bar = if std::io::stderr().is_terminal() && args.output == Output::Text {
        ProgressBar::new(args.seeds)
    } else {
        ProgressBar::hidden()
    };
    let style = "{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is well-formed"));
    let summary = campaign.run(|done| bar.set_position(done + 1));
    bar.finish_and_clear();
    // Not everything happens where one number of arbiters is all there is.
    let missing = match args.arbiters {
        Some(_) => Vec::new(),
        None => summary.counts.missing(),
    };
    match args.output {
        Output::Json => println!("{}", summary.json()),
        Output::Text => {
            println!("{}", summary.table());
            for missing in &missing {
                println!("never happened: {missing}");
            }
            for (seed, violation) in &summary.failures {
                println!("seed {seed}: {violation}");
                println!("    {}", campaign::replay_command(*seed, summary.arbiters));
            }
        }
    }
    if summary.failures.is_empty() && missing.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
