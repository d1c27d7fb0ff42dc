//! Real processes that clients and strangers mean harm to, while others write.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use lockstep_tests::hostile::{self, Attack, Limits, Siege, Target};

/// Attacks a real cluster under load, one attack after the other, and shows what it bears.
///
/// Ends with 0 if nodes, roles, memory and writes stayed within their limits, with 1 if not, and with 2 if nothing could be
/// attacked.
#[derive(Parser)]
struct Args {
    /// Which attacks; all if none is given
    #[arg(value_enum)]
    attacks: Vec<Attack>,
    /// How long each lasts; writes are watched without it for as long, 20 seconds at most
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    seconds: u64,
    /// The program; if not given, `lockstep` beside this one
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Clients that write
    #[arg(long, value_name = "N", default_value_t = 8)]
    writers: usize,
    /// The 99th percentile of writes may grow by this factor
    #[arg(long, value_name = "FACTOR", default_value_t = 3.0)]
    p99_factor: f64,
    /// Below this the 99th percentile is good anyway
    #[arg(long, value_name = "MS", default_value_t = 20.0)]
    p99_good: f64,
    /// No node has more in memory
    #[arg(long, value_name = "MIB", default_value_t = 768)]
    memory_max: u64,
    /// Keep data and logs of the processes
    #[arg(long)]
    keep: bool,
    /// Print a line of JSON for each attack
    #[arg(long)]
    json: bool,
    /// Makes the first attack alone, until standard input ends: for this program itself
    #[arg(long, value_name = "NAME", hide = true, requires_all = ["tls_dir", "node", "attacks"])]
    attacker: Option<String>,
    /// Where the attacker has its certificate
    #[arg(long, value_name = "DIR", hide = true)]
    tls_dir: Option<PathBuf>,
    /// What it attacks
    #[arg(long, value_name = "ADDRESS", hide = true)]
    node: Vec<SocketAddr>,
}

const BROKEN: u8 = 1;
const FAILED: u8 = 2;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => BROKEN.into(),
        Err(problem) => {
            eprintln!("error: {problem}");
            FAILED.into()
        }
    }
}

/// Makes the attacks. Did everything hold?
fn run(args: &Args) -> Result<bool, String> {
    let raider = std::env::current_exe().map_err(|error| error.to_string())?;
    if let (Some(name), Some(tls_dir), [attack, ..]) =
        (&args.attacker, &args.tls_dir, &args.attacks[..])
    {
        let target = Target {
            nodes: args.node.clone(),
            tls_dir: tls_dir.clone(),
            name: name.clone(),
        };
        let raided = hostile::raid(*attack, &target);
        return raided.map(|()| true).map_err(|failure| failure.to_string());
    }
    let program = match &args.program {
        Some(program) => program.clone(),
        None => raider.with_file_name("lockstep"),
    };
    // The processes run elsewhere.
    let program = program.canonicalize().map_err(|error| {
        format!(
            "there is no program {} ({error}): make it with `cargo build --release -p lockstep-node`, or say where it is \
             with --program",
            program.display()
        )
    })?;
    let limits = Limits {
        p99_factor: args.p99_factor,
        p99_ms_good: args.p99_good,
        memory_bytes: args.memory_max << 20,
    };
    let attacks = match &args.attacks[..] {
        [] => Attack::value_variants(),
        attacks => attacks,
    };
    let mut is_well = true;
    for attack in attacks {
        let siege = Siege::new(&program, &raider, args.writers);
        let mut siege = siege.map_err(|failure| failure.to_string())?;
        let showing = siege.bear(*attack, Duration::from_secs(args.seconds));
        let showing = showing.map_err(|failure| failure.to_string())?;
        let broken = showing.broken(limits);
        if args.json {
            println!("{}", showing.json(limits));
        } else {
            println!("{}", showing.text());
            for broken in &broken {
                println!("  broken: {broken}");
            }
            if args.keep {
                println!(
                    "  data and logs of the processes: {}",
                    siege.keep().display()
                );
            }
        }
        is_well &= broken.is_empty();
    }
    Ok(is_well)
}
