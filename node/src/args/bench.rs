//! Flags of `lockstep bench`.

use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{Subcommand, ValueEnum};

use super::client::Connection;
use super::values::{ByteSize, duration};

/// `lockstep bench`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    subcommand_value_name = "WORKLOAD",
    subcommand_help_heading = "Workloads",
    after_help = "\
Writes keys that begin with --prefix, and takes those that it has written away at the end, save with --keep, and after a read that \
did not give what was written. Keys of an earlier run stay. If they cannot be taken away, it says so and ends with exit code 8. One run at a time writes keys of one prefix: what another one \
writes looks like a lost write.

With N clients (closed loop) each begins its next operation when the last one is done. With --rate (open loop) operations \
are due at fixed times, and a latency counts from then, whether or not a client was free: an operation that had to wait \
counts as one that took long.

The costs per operation come from the counters of the nodes, as `lockstep status --output json` shows them. Processor time, \
memory and bytes on disk are those of a process, which in `lockstep dev` all nodes share; the arbiter is left out.

Examples:
  lockstep bench put --clients 256 --duration 30s
  lockstep bench ycsb-b --rate 20000 --output json > run.json"
)]
pub(crate) struct BenchArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) workload: WorkloadArgs,
}

/// What a bench does.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum WorkloadArgs {
    /// Writes only
    Put(LoadArgs),
    /// Reads only
    Get(ReadingLoadArgs),
    /// Reads and writes
    Mixed(MixedArgs),
    /// YCSB A, update heavy: 50 % reads, 50 % updates, zipfian
    YcsbA(ReadingLoadArgs),
    /// YCSB B, read mostly: 95 % reads, 5 % updates, zipfian
    YcsbB(ReadingLoadArgs),
    /// YCSB C, read only: zipfian
    YcsbC(ReadingLoadArgs),
    /// YCSB D, read latest: 95 % reads of what was inserted lately, 5 % inserts
    YcsbD(ReadingLoadArgs),
    /// YCSB E, short scans: 95 % scans of 1 to 100 records from a zipfian key on, 5 % inserts. Scans are of level
    /// local, and go to one replica as long as it answers
    YcsbE(ScanningLoadArgs),
    /// YCSB F, read-modify-write: 50 % reads, 50 % reads of a key with a write of it behind, zipfian
    YcsbF(ReadingLoadArgs),
    /// Reads and writes at a rate, while you kill, stop, drain or start nodes: how long nothing succeeds
    Failover(FailoverArgs),
    /// Writes at a rate, while you start a replica: how soon it is in sync, and what writes notice of it
    CatchUp(LoadArgs),
}

/// Flags of every workload.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LoadArgs {
    /// Clients at work at once; with --rate the most operations under way at once [default: 64, with --rate 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) clients: Option<u32>,

    /// Connections the clients share, each with an endpoint of its own
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) connections: u32,

    /// Operations due each second, from all clients together (open loop) [default: as many as the clients achieve;
    /// failover and catch-up 1000]
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) rate: Option<u64>,

    /// How long to measure [default: 10s; failover and catch-up 60s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,

    /// How long to run before that without measuring
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub(crate) warm_up: Duration,

    /// Keys to work with; each takes 24 bytes of memory here
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) keys: u64,

    /// Bytes of a key: the prefix and a number
    #[arg(long, value_name = "SIZE", default_value = "16")]
    pub(crate) key_size: ByteSize,

    /// Bytes of a value; some of them tell who wrote it
    #[arg(long, value_name = "SIZE", default_value = "128")]
    pub(crate) value_size: ByteSize,

    /// How keys begin
    #[arg(long, value_name = "TEXT", default_value = "bench/")]
    pub(crate) prefix: String,

    /// How keys are chosen [default: what the workload says, else uniform]
    #[arg(long, value_enum)]
    pub(crate) distribution: Option<DistributionName>,

    /// Makes the choice of keys and operations repeatable [default: drawn, and told]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,

    /// Do not read back at the end what was written
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) no_verify: bool,

    /// Leave the keys in the cluster, for a run with --no-load or to look at them
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) keep: bool,

    /// How long each operation tries before it counts as failed
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(crate) deadline: Duration,

    /// Run a cluster of this many replicas in the memory of this process, without disks and network, and measure that
    #[arg(long, value_name = "REPLICAS", conflicts_with_all = ["cluster", "tls_dir", "name"], value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) mem: Option<u32>,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Flags of workloads that read.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReadingLoadArgs {
    /// How fresh what is read must be
    #[arg(long, value_enum, default_value_t)]
    pub(crate) level: LevelName,

    /// Where to read
    #[arg(long, value_enum, default_value_t, conflicts_with = "replica")]
    pub(crate) read_from: ReadFromName,

    /// Flags that workloads that scan have as well.
    #[command(flatten)]
    pub(crate) scanning: ScanningLoadArgs,
}

/// Flags of workloads that scan.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ScanningLoadArgs {
    /// Read at this replica only: its name, node id or address, as `lockstep status` shows them
    #[arg(long, value_name = "NAME")]
    pub(crate) replica: Option<String>,

    /// Do not write the keys first: they are there from an earlier run with the same --keys, --prefix and sizes
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) no_load: bool,

    /// Flags of every workload.
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// `lockstep bench mixed`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct MixedArgs {
    /// Share of the operations that read, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = share)]
    pub(crate) reads: f64,

    /// Flags of workloads that read.
    #[command(flatten)]
    pub(crate) reading: ReadingLoadArgs,
}

/// `lockstep bench failover`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Each change of the configuration is listed with the longest times without a success that touch the two seconds before and \
after it was seen. A change is seen up to half a second after it was made.")]
pub(crate) struct FailoverArgs {
    /// Move the primary's role off this replica at the end of the warm-up
    #[arg(long, value_name = "NODE")]
    pub(crate) drain: Option<String>,

    /// Flags of workloads that read.
    #[command(flatten)]
    pub(crate) reading: ReadingLoadArgs,
}

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DistributionName {
    /// Each as often as any other.
    Uniform,
    /// A few very often (zipfian, 0.99), scattered over all keys.
    Zipfian,
    /// Those that were inserted last most often.
    Latest,
    /// One after the other, and from the beginning again.
    Sequential,
}

/// How fresh what is read must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelName {
    /// Every write acknowledged before, whoever wrote it.
    #[default]
    Linearizable,
    /// What the replica has received.
    Local,
    /// What the client has seen before, or newer.
    AtLeast,
}

/// Where reads go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReadFromName {
    /// To all replicas that are in sync, in turn.
    #[default]
    Any,
    /// To the primary.
    Primary,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        Ok(_) | Err(_) => Err("write a share from 0 to 1, as in 0.95".to_owned()),
    }
}
