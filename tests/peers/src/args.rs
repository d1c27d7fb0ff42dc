//! The flags.

use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

/// Drives three nodes of etcd or Redis in a closed loop, and prints one JSON object.
#[derive(Parser)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Drive a primary and two replicas of Redis
    Redis(RedisArgs),
    /// Drive three members of etcd
    Etcd(EtcdArgs),
    /// Measure the CPU time of nodes that something else drives
    Cpu(WindowArgs),
}

#[derive(clap::Args)]
pub(crate) struct RedisArgs {
    /// What a write waits for on both replicas
    #[arg(long, value_enum, default_value_t = Promise::Received)]
    pub(crate) promise: Promise,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(clap::Args)]
pub(crate) struct EtcdArgs {
    /// How fresh what is read must be
    #[arg(long, value_enum, default_value_t = Level::Linearizable)]
    pub(crate) level: Level,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// Flags of every load.
#[derive(clap::Args)]
pub(crate) struct LoadArgs {
    /// What the clients do
    #[arg(value_enum)]
    pub(crate) work: Work,
    /// Where the nodes listen, as host:port; of Redis the primary first
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', required = true)]
    pub(crate) nodes: Vec<String>,
    /// Clients at work at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub(crate) clients: usize,
    /// Connections to each node that the clients share
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one)]
    pub(crate) connections: usize,
    /// Keys to work with
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) keys: u64,
    /// Bytes of a key
    #[arg(long, value_name = "BYTES", default_value_t = 16)]
    pub(crate) key_size: usize,
    /// Bytes of a value
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    pub(crate) value_size: usize,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
}

/// When to measure, and whose CPU time.
#[derive(clap::Args)]
pub(crate) struct WindowArgs {
    /// How long to measure
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// How long to wait before that without measuring
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(crate) warm_up: Duration,
    /// Process ids of the nodes
    #[arg(long, value_name = "PIDS", value_delimiter = ',')]
    pub(crate) pids: Vec<u32>,
    /// Process id of the program that drives them [default: this one]
    #[arg(long, value_name = "PID", default_value_t = std::process::id(), hide_default_value = true)]
    pub(crate) client: u32,
}

/// What the clients do.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Write every key once, to begin with
    Fill,
    /// Write
    Put,
    /// Read
    Get,
    /// Read and write, half and half
    Mixed,
}

impl Work {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::Put => "put",
            Self::Get => "get",
            Self::Mixed => "mixed",
        }
    }
}

/// What an acknowledged write of Redis means. The primary has synced it in any case, with `appendfsync always`.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Promise {
    /// Both replicas have received it (WAIT 2)
    Received,
    /// Both replicas have synced it too (WAIT 2 and WAITAOF 1 2, from Redis 7.2 on)
    Synced,
}

/// How fresh reads of etcd are.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Every write acknowledged before
    Linearizable,
    /// What the member has
    Serializable,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse().ok();
    number
        .and_then(|number| Duration::try_from_secs_f64(number).ok())
        .ok_or_else(|| "write seconds as 10 or 2.5".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        Ok(0) | Err(_) => Err("write a number from 1 up".to_owned()),
    }
}
