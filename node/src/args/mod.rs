//! What can be typed: every command and flag of the program, with its help text. Says nothing of what they do.

mod arbiters;
mod bench;
mod client;
mod serve;
mod server;
mod values;

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use arbiters::{ArbitersArgs, ArbitersCommand};
pub(crate) use bench::{
    BenchArgs, DistributionName, FailoverArgs, LevelName, LoadArgs, MixedArgs, ReadFromName,
    ReadingLoadArgs, ScanningLoadArgs, WorkloadArgs,
};
pub(crate) use client::{
    Connection, DrainArgs, ExportArgs, GetArgs, ImportArgs, PutArgs, RemoveArgs, ResolveArgs,
    ShellArgs, StatusArgs, WhyArgs,
};
pub(crate) use serve::{Peer, ServeArgs, example};
pub(crate) use server::{
    AdoptArgs, ArbiterArgs, Bounds, CertsArgs, CertsCommand, ClientCertArgs, DevArgs,
    ForcePrimaryArgs, InitArgs, IssueArgs, LogFileArg, NodeArgs, NodeCertArgs, ReplicaArgs,
    TransportName,
};

/// The exit codes, as the help text tells them; `output::Exit` is where they come from.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the key was not found
  2  wrong usage: a flag, a value or a configuration file
  3  rejected: certainly not executed, the message says why
  4  outcome unknown: the write may or may not have taken effect; of `resolve`: it is still unknown
  5  the cluster was not reached, or waits for some of its replicas: nothing was executed
  6  this process failed: its disk, its data directory, its certificates, its network
  7  bench: what was read is not what was written
  8  bench: operations failed, or its keys could not be taken away; status --check: not all is well
  130  a signal ended it

Flags can also be set in the environment (LOCKSTEP_CLUSTER for --cluster, and so on, as the help of each command shows; \
one that is empty counts as not set) and in a TOML file given with --config: `cluster = \"…\"` at the top holds for every command that has the flag, in a table [replica] for that \
command alone. The command line goes before the environment, the environment before the file.";

const FIRST_STEPS: &str = "\
First steps:
  lockstep dev                   a cluster of three replicas in this process, kept in ./.lockstep
  lockstep put greeting hello    from a second terminal in the same directory
  lockstep get greeting
  lockstep status";

/// What nodes log unless told: warnings, and who takes part in the cluster as what.
const NODE_LOG: &str = "warn,lockstep::changes=info";

/// Lockstep: a replicated key-value store.
///
/// An acknowledged write is on the disk of every in-sync replica. An arbiter decides who that is; it may be down for
/// hours while reads and writes go on.
#[derive(Debug, Parser)]
#[command(
    name = "lockstep",
    version,
    arg_required_else_help = true,
    max_term_width = 120,
    after_help = FIRST_STEPS,
    after_long_help = format!("{FIRST_STEPS}\n\n{EXIT_CODES}"),
)]
pub(crate) struct Args {
    /// Flags of every command.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct CommonArgs {
    /// Reads flags from this TOML file as well
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// How results are printed on standard output
    #[arg(
        long,
        value_name = "FORMAT",
        global = true,
        value_enum,
        default_value_t
    )]
    pub(crate) output: Format,

    /// What is logged: a level (error, warn, info, debug, trace), or directives such as
    /// `lockstep=debug,quinn=info` [default: arbiter, replica and serve warn, and changes of the
    /// cluster (lockstep::changes=info); dev warn; error for the rest]
    #[arg(long, value_name = "LEVEL", global = true)]
    pub(crate) log: Option<String>,

    /// How log lines look
    #[arg(
        long,
        value_name = "FORMAT",
        global = true,
        value_enum,
        default_value_t
    )]
    pub(crate) log_format: Format,
}

/// How something is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole cluster in this process: an arbiter and replicas, durable, for trying out and developing
    Dev(DevArgs),
    /// Begin a new cluster: make the directory that its arbiter starts on
    Init(InitArgs),
    /// Run an arbiter of a cluster, which has one, three or five
    Arbiter(ArbiterArgs),
    /// Run a replica of a cluster
    Replica(ReplicaArgs),
    /// Run a machine of a cluster: a replica and, on three of them, an arbiter, in one process
    Serve(ServeArgs),
    /// Make the certificates of a cluster
    Certs(CertsArgs),
    /// Set a key
    Put(PutArgs),
    /// Print the value of a key; exit code 1 if there is none
    Get(GetArgs),
    /// Delete a key; no matter whether it is there
    Remove(RemoveArgs),
    /// Tell what became of a write whose outcome was unknown
    Resolve(ResolveArgs),
    /// Take a replica out of the cluster in good order, or the primary's role off it
    Drain(DrainArgs),
    /// Show which arbiters there are, and have one come, go, or replace another
    Arbiters(ArbitersArgs),
    /// Have a new arbiter take up a cluster whose arbiter has lost its directory
    Adopt(AdoptArgs),
    /// The last resort when everybody in sync is lost for good: make another replica primary, and lose what it lacks
    ForcePrimary(ForcePrimaryArgs),
    /// Write the records of an NDJSON file
    Import(ImportArgs),
    /// Print all records as NDJSON, in the order of their keys
    Export(ExportArgs),
    /// Put load on the cluster, measure what it does, and check that everything written is there
    Bench(Box<BenchArgs>),
    /// Show who is who in the cluster and how far everybody is
    Status(StatusArgs),
    /// Tell in words why writes or reads wait, for whom, and what can be done
    Why(WhyArgs),
    /// Type commands one after the other, with history and completion
    Shell(ShellArgs),
}

impl Args {
    /// Where the log goes instead of standard error.
    pub(crate) fn log_file(&self) -> Option<&Path> {
        self.nodes().and_then(|(file, _)| file.log_file.as_deref())
    }

    /// What is logged. Clients say at the end what went wrong; until then a lost connection is nobody's concern.
    pub(crate) fn log(&self) -> &str {
        let level = self.nodes().map_or("error", |(_, level)| level);
        self.common.log.as_deref().unwrap_or(level)
    }

    /// Of what runs nodes: where its log may go, and what is logged unless told.
    fn nodes(&self) -> Option<(&LogFileArg, &'static str)> {
        match &self.command {
            // Whoever tries it out sees what comes of what they do.
            Command::Dev(args) => Some((&args.log_file, "warn")),
            Command::Arbiter(args) => Some((&args.node.log_file, NODE_LOG)),
            Command::Replica(args) => Some((&args.node.log_file, NODE_LOG)),
            Command::Serve(args) => Some((&args.node.log_file, NODE_LOG)),
            Command::Certs(_)
            | Command::Init(_)
            | Command::Adopt(_)
            | Command::Put(_)
            | Command::Get(_)
            | Command::Remove(_)
            | Command::Resolve(_)
            | Command::Drain(_)
            | Command::Arbiters(_)
            | Command::ForcePrimary(_)
            | Command::Import(_)
            | Command::Export(_)
            | Command::Bench(_)
            | Command::Status(_)
            | Command::Why(_)
            | Command::Shell(_) => None,
        }
    }
}
