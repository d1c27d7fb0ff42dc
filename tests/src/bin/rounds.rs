//! Real processes over QUIC, of which one is killed, stopped or cut off round after round, while clients work on.

use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use lockstep_tests::processes::{
    Experiment, Failure, Limits, LoadOptions, PrivateNetwork, Report, Scenario, Whereabouts,
};
use serde_json::json;

/// Kills, stops or cuts off processes of a real cluster under load, and judges all that its clients learned.
///
/// Ends with 0 if every promise was kept, with 1 if not, and with 2 if there was nothing to experiment with.
#[derive(Parser)]
struct Args {
    /// What goes wrong
    #[arg(value_parser = scenarios())]
    scenario: Choice,
    /// How often
    #[arg(long, value_name = "N", default_value_t = 100)]
    rounds: u64,
    /// The program; if not given, `lockstep` beside this one
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Clients that write
    #[arg(long, value_name = "N", default_value_t = LoadOptions::default().writers)]
    writers: usize,
    /// Clients that read wherever they are answered; one more reads at each replica
    #[arg(long, value_name = "N", default_value_t = LoadOptions::default().readers)]
    readers: usize,
    /// Keys they share
    #[arg(long, value_name = "N", default_value_t = LoadOptions::default().keys)]
    keys: u64,
    /// Chooses the moments, and what is read and written
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the primary or a machine is lost, the median of the time without a success is below this; if not given, 700
    #[arg(long, value_name = "MS")]
    p50_max: Option<u64>,
    /// Where the primary or a machine is lost, the 99th percentile of the time without a success is below this; if not given, 1000,
    /// and 1200 for a machine
    #[arg(long, value_name = "MS")]
    p99_max: Option<u64>,
    /// Keep data and logs of the processes even if every promise was kept
    #[arg(long)]
    keep: bool,
    /// How to print what it showed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// One scenario or all of them.
#[derive(Clone, Copy)]
enum Choice {
    One(Scenario),
    All,
}

impl Choice {
    fn scenarios(&self) -> &[Scenario] {
        match self {
            Self::One(scenario) => std::slice::from_ref(scenario),
            Self::All => Scenario::value_variants(),
        }
    }
}

const BROKEN: u8 = 1;
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    let mut code = ExitCode::SUCCESS;
    match run(&args) {
        Ok(true) => {}
        Ok(false) => code = BROKEN.into(),
        Err(problem) => {
            eprintln!("error: {problem}");
            code = FAILED.into();
        }
    }
    code
}

/// Runs the scenarios. Was every promise kept?
fn run(args: &Args) -> Result<bool, String> {
    let program = program(args)?;
    let network = network(&args.scenario)?;
    let mut is_well = true;
    for scenario in args.scenario.scenarios() {
        let network = match &network {
            Ok(network) => *network,
            Err(reason) if scenario.needs_network() => {
                skip(args, *scenario, reason);
                continue;
            }
            Err(_) => None,
        };
        let experiment = Experiment {
            program: program.clone(),
            scenario: *scenario,
            rounds: args.rounds,
            load: LoadOptions {
                writers: args.writers,
                readers: args.readers,
                keys: args.keys,
                ..LoadOptions::default()
            },
            seed: args.seed,
            network,
            keep: args.keep,
        };
        match observe(args, &experiment) {
            Ok(report) => is_well &= print(args, &report),
            Err(Failure::NoDisks { reason }) => skip(args, *scenario, &reason),
            Err(failure) => return Err(failure.to_string()),
        }
    }
    Ok(is_well)
}

fn observe(args: &Args, experiment: &Experiment) -> Result<Report, Failure> {
    let bar = if std::io::stderr().is_terminal() && args.output == Output::Text {
        ProgressBar::new(args.rounds)
    } else {
        ProgressBar::hidden()
    };
    let style = "{prefix} {bar:40} {pos}/{len} rounds, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is well-formed"));
    bar.set_prefix(experiment.scenario.name());
    bar.tick();
    let report = experiment.run(|rounds| bar.set_position(rounds));
    bar.finish_and_clear();
    report
}

/// Prints what was found. Was every promise kept?
fn print(args: &Args, report: &Report) -> bool {
    let usual = Limits::of(report.scenario);
    let limits = Limits {
        p50: args.p50_max.map_or(usual.p50, Duration::from_millis),
        p99: args.p99_max.map_or(usual.p99, Duration::from_millis),
    };
    let broken = [report.broken_promises(), report.broken_limits(limits)].concat();
    match args.output {
        Output::Json => println!("{}", report.json(limits)),
        Output::Text => {
            println!("{}", report.table());
            for broken in &broken {
                println!("  broken: {broken}");
            }
            if let Some(directory) = &report.kept {
                println!("  data and logs of the processes: {}", directory.display());
            }
        }
    }
    broken.is_empty()
}

fn skip(args: &Args, scenario: Scenario, reason: &str) {
    let name = scenario.name();
    match args.output {
        Output::Json => println!("{}", json!({ "scenario": name, "skipped": reason })),
        Output::Text => println!("{name}: skipped, {reason}"),
    }
}

fn program(args: &Args) -> Result<PathBuf, String> {
    let program = match &args.program {
        Some(program) => program.clone(),
        None => {
            let own = std::env::current_exe().map_err(|error| error.to_string())?;
            own.with_file_name("lockstep")
        }
    };
    // The processes run elsewhere.
    program.canonicalize().map_err(|error| {
        format!(
            "there is no program {} ({error}): make it with `cargo build --release -p lockstep-node`, or say where it is \
             with --program",
            program.display()
        )
    })
}

/// A network of its own, if links are to be cut: this program runs itself again in one. `Err` tells why there is none.
fn network(choice: &Choice) -> Result<Result<Option<PrivateNetwork>, String>, String> {
    let mut scenarios = choice.scenarios().iter();
    if !scenarios.any(|scenario| scenario.needs_network()) {
        return Ok(Ok(None));
    }
    match PrivateNetwork::find() {
        Whereabouts::Inside(network) => Ok(Ok(Some(network))),
        Whereabouts::Nowhere(reason) => Ok(Err(reason)),
        Whereabouts::Outside(mut command) => {
            let own = std::env::current_exe().map_err(|error| error.to_string())?;
            let error = command.arg(own).args(std::env::args_os().skip(1)).exec();
            Err(format!("cannot run in a network of its own: {error}"))
        }
    }
}

fn scenarios() -> impl TypedValueParser<Value = Choice> {
    let scenarios = Scenario::value_variants().iter();
    let mut values: Vec<PossibleValue> =
        scenarios.filter_map(ValueEnum::to_possible_value).collect();
    values.push(PossibleValue::new("all").help("Each of them"));
    PossibleValuesParser::new(values)
        .map(|name| Scenario::from_str(&name, false).map_or(Choice::All, Choice::One))
}
