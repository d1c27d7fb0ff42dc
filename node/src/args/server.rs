//! Flags of what runs nodes: `dev`, `arbiter`, `replica`; and of `certs`, which makes what nodes need to be trusted.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use lockstep_core::limits::{Limits, Timing};
use lockstep_core::rights::{ClientRole, NodeRole};

use super::client::{Connection, DeadlineArg};
use super::serve::Peer;
use super::values::{ByteSize, duration};

/// How nodes reach each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportName {
    /// QUIC over UDP with mutual TLS.
    #[default]
    Quic,
    /// Memory of one process, without sockets; only for `dev`.
    Mem,
}

/// `lockstep dev`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Certificates are made at the first start. Stop it with Ctrl-C and start it again: the data is kept in the data directory; \
to begin anew, remove that. Commands typed in the same directory (put, get, status, …) find the cluster by themselves; \
from elsewhere, give them --config DATA-DIR/client.toml.

With --transport mem there are no sockets, so no other process can reach it: it offers the shell in place.")]
pub(crate) struct DevArgs {
    /// How many replicas to run; may be changed from start to start
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(crate) replicas: u16,

    /// How many arbiters to run; those beyond the number of the first start offer themselves (see `lockstep arbiters --help`)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=5))]
    pub(crate) arbiters: u16,

    /// How they reach each other
    #[arg(long, value_enum, default_value_t)]
    pub(crate) transport: TransportName,

    /// Where data and certificates are kept
    #[arg(long, value_name = "DIR", default_value = ".lockstep")]
    pub(crate) data_dir: PathBuf,

    /// Where the arbiter listens; the replicas take the ports after it, further arbiters those after these. Port 0 lets the system choose all ports
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7100")]
    pub(crate) listen: String,

    /// Where its log goes.
    #[command(flatten)]
    pub(crate) log_file: LogFileArg,

    /// Bounds of the replicas.
    #[command(flatten)]
    pub(crate) bounds: LimitArgs,
}

/// `lockstep arbiter`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Example:
  lockstep certs init --tls-dir tls
  lockstep certs node arbiter --host 10.0.0.1 --tls-dir tls
  lockstep init --arbiter-dir /var/lib/lockstep/arbiter
  lockstep arbiter --listen 10.0.0.1:7100 --data-dir /var/lib/lockstep/arbiter --tls-dir tls --name arbiter

Three that begin a cluster together need no `init`: each is given the same --peers, with all three names, and they begin when all run.
One that is not among the names offers itself to those that are (see `lockstep arbiters --help`).")]
pub(crate) struct ArbiterArgs {
    /// Where and as whom it runs.
    #[command(flatten)]
    pub(crate) node: NodeArgs,

    /// Arbiters and where each is reached: those that begin a cluster together, the same list on each of them; or some of those that one
    /// which is added turns to
    #[arg(long, value_name = "NAME=HOST:PORT", num_args = 1.., value_delimiter = ',')]
    pub(crate) peers: Vec<Peer>,
}

/// `lockstep replica`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Example:
  lockstep certs node replica-1 --host 10.0.0.2 --tls-dir tls
  lockstep replica --arbiter 10.0.0.1:7100 --listen 0.0.0.0:7101 --advertise 10.0.0.2:7101 \\
      --data-dir /var/lib/lockstep/replica-1 --tls-dir tls --name replica-1

SIGTERM and SIGINT let a secondary leave the cluster in good order before it stops; \
a second signal stops it at once. Either is safe. A replica that starts again with its data directory returns by itself.")]
pub(crate) struct ReplicaArgs {
    /// Where and as whom it runs.
    #[command(flatten)]
    pub(crate) node: NodeArgs,

    /// Addresses of arbiters: of some that run at its first start; it remembers where it has learned that they are
    #[arg(long, value_name = "HOST:PORT", num_args = 1.., value_delimiter = ',', required = true)]
    pub(crate) arbiter: Vec<String>,

    /// Its bounds.
    #[command(flatten)]
    pub(crate) bounds: LimitArgs,
}

/// Where and as whom a node runs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct NodeArgs {
    /// How nodes and clients reach it; separate processes have no choice but quic
    #[arg(long, value_enum, default_value_t)]
    pub(crate) transport: TransportName,

    /// Address and UDP port to listen at; port 0 lets the system choose
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) listen: String,

    /// Address others reach it at, if that is not the one it listens at (0.0.0.0, a port forwarding)
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,

    /// Where its data is kept; locked while the process runs
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: PathBuf,

    /// Where the CA's certificate and its own are, as `lockstep certs` makes them
    #[arg(long, value_name = "DIR")]
    pub(crate) tls_dir: PathBuf,

    /// Which of the node certificates in the TLS directory is its own; needed where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Where its log goes.
    #[command(flatten)]
    pub(crate) log_file: LogFileArg,
}

/// Where a node's log goes.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LogFileArg {
    /// The log goes to this file instead of standard error. A file of 16 MiB is renamed to FILE.1, and so on to FILE.4
    #[arg(long, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
}

/// Bounds of a replica. All replicas of a cluster should have the same.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Limits (all replicas of a cluster should have the same)")]
pub(crate) struct LimitArgs {
    /// Longest key; at most 4KiB
    #[arg(long, value_name = "SIZE", default_value_t = size(Limits::default().key_bytes_max))]
    pub(crate) key_bytes_max: ByteSize,

    /// Longest value; at most 16MiB
    #[arg(long, value_name = "SIZE", default_value_t = size(Limits::default().value_bytes_max))]
    pub(crate) value_bytes_max: ByteSize,

    /// Writes are rejected, and none is acknowledged, while fewer replicas than this are in sync
    #[arg(long, value_name = "N", default_value_t = Limits::default().min_in_sync, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) min_in_sync: u32,

    /// Log kept on disk; a replica that misses more when it returns gets the full state
    #[arg(long, value_name = "SIZE", default_value_t = ByteSize(Limits::default().log_bytes_max))]
    pub(crate) log_bytes_max: ByteSize,

    /// Log kept in memory for replicas that are a little behind
    #[arg(long, value_name = "SIZE", default_value_t = size(Limits::default().tail_bytes_max))]
    pub(crate) tail_bytes_max: ByteSize,

    /// Writes in flight at the primary; beyond that it rejects
    #[arg(long, value_name = "SIZE", default_value_t = size(Limits::default().uncommitted_bytes_max))]
    pub(crate) uncommitted_bytes_max: ByteSize,

    /// State kept in memory for reads; the data itself may be larger than memory
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub(crate) cache_bytes: ByteSize,

    /// Writes on their way to one replica
    #[arg(long, value_name = "SIZE", default_value_t = size(Limits::default().window_bytes_max))]
    pub(crate) window_bytes_max: ByteSize,

    /// How long a lease lasts: a primary that is silent for a little longer is replaced
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    pub(crate) lease: Duration,

    /// How often the primary shows that it is there; at most a third of the lease
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = duration)]
    pub(crate) beacon_interval: Duration,

    /// A replica that has not acknowledged a write for this long is taken out
    #[arg(long, value_name = "DURATION", default_value = "300ms", value_parser = duration)]
    pub(crate) overdue: Duration,

    /// By how many thousandths the rates of two nodes' clocks may differ; linearizable reads rest on it
    #[arg(long, value_name = "N", default_value_t = Timing::default().drift_permille)]
    pub(crate) clock_drift_permille: u32,
}

fn size(bytes: usize) -> ByteSize {
    ByteSize(bytes as u64)
}

/// The bounds of a replica, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Those of the protocol.
    pub(crate) limits: Limits,
    /// State kept in memory, in bytes.
    pub(crate) cache_bytes: u64,
    /// Log allocated on disk at once, in bytes.
    pub(crate) segment_bytes: u64,
}

/// The log is trimmed by whole segments, so that a fraction of it is the most that is kept too long.
const SEGMENTS: u64 = 8;

impl LimitArgs {
    /// The bounds these flags choose.
    ///
    /// # Errors
    /// Says which flag is beyond what can be configured.
    pub(crate) fn bounds(&self) -> Result<Bounds, String> {
        let bounded = |flag: &str, value: ByteSize, least: usize, most: usize| {
            if (least..=most).contains(&value.as_usize()) {
                return Ok(value.as_usize());
            }
            let (least, most) = (size(least), size(most));
            Err(format!(
                "--{flag} {value} is outside the range of {least} to {most}"
            ))
        };
        let memory = 64 << 30;
        let value_bytes_max = bounded(
            "value-bytes-max",
            self.value_bytes_max,
            1,
            Limits::VALUE_BYTES_CEILING,
        )?;
        let timing = Timing {
            lease: self.lease,
            beacon: self.beacon_interval,
            overdue: self.overdue,
            drift_permille: self.clock_drift_permille,
        };
        timing.check().map_err(|error| error.to_string())?;
        let limits = Limits {
            timing,
            key_bytes_max: bounded(
                "key-bytes-max",
                self.key_bytes_max,
                1,
                Limits::KEY_BYTES_CEILING,
            )?,
            value_bytes_max,
            // One write of the largest size must always find room.
            uncommitted_bytes_max: bounded(
                "uncommitted-bytes-max",
                self.uncommitted_bytes_max,
                value_bytes_max + Limits::KEY_BYTES_CEILING,
                memory,
            )?,
            window_bytes_max: bounded("window-bytes-max", self.window_bytes_max, 64 << 10, memory)?,
            tail_bytes_max: bounded("tail-bytes-max", self.tail_bytes_max, 64 << 10, memory)?,
            log_bytes_max: bounded("log-bytes-max", self.log_bytes_max, 1 << 20, 1 << 50)? as u64,
            min_in_sync: self.min_in_sync,
            ..Limits::default()
        };
        let cache_bytes = bounded("cache-bytes", self.cache_bytes, 1 << 20, 1 << 40)? as u64;
        Ok(Bounds {
            segment_bytes: (limits.log_bytes_max / SEGMENTS).clamp(1 << 20, 64 << 20),
            limits,
            cache_bytes,
        })
    }
}

/// `lockstep init`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Every cluster begins with this, once: `lockstep arbiter` starts on no other directory. An arbiter whose directory is lost \
does not begin anew by itself: `lockstep adopt` has a new one take up the replicas that are there.

Example:
  lockstep init --arbiter-dir /var/lib/lockstep/arbiter")]
pub(crate) struct InitArgs {
    /// Data directory of the arbiter; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) arbiter_dir: PathBuf,
}

/// `lockstep adopt`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
If the arbiter's directory is lost, reads and writes go on, but nobody joins and no failure is mended. Then:
  1. Make sure that the former arbiter never starts again: two would decide against each other.
  2. Start all replicas that can be started. Those that were in sync or joining must answer.
  3. Run this on the machine of the new arbiter, and start that under the address that the replicas have as --arbiter.
The replicas go on as they are; nothing is lost.

Example:
  lockstep adopt --arbiter-dir /var/lib/lockstep/arbiter --cluster r1:7101,r2:7101,r3:7101")]
pub(crate) struct AdoptArgs {
    /// Data directory of the new arbiter; made if it is not there
    #[arg(long, value_name = "DIR")]
    pub(crate) arbiter_dir: PathBuf,

    /// Confirms that replicas that do not answer do not run, and never will with the data they had
    #[arg(long)]
    pub(crate) missing_are_gone: bool,

    /// How long.
    #[command(flatten)]
    pub(crate) deadline: DeadlineArg,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `lockstep force-primary`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
A cluster whose in-sync replicas are all down waits for one of them: only they are known to have every acknowledged write. \
Use this if none of them will ever start again, and only then:
  1. Stop them for good. One that runs on, cut off from the others, would go on acknowledging writes.
  2. `lockstep status` shows how far the replicas that are left are: choose the one that is furthest.
  3. Stop the arbiter, run this on its machine, start the arbiter again.
  4. Start the other replicas with empty data directories. With those they have they are refused from now on.

Example:
  lockstep force-primary replica-3 --arbiter-dir /var/lib/lockstep/arbiter --accept-data-loss")]
pub(crate) struct ForcePrimaryArgs {
    /// Name of the replica that is to be primary
    pub(crate) name: String,

    /// Data directory of the arbiter, which must not be running
    #[arg(long, value_name = "DIR")]
    pub(crate) arbiter_dir: PathBuf,

    /// Confirms that acknowledged writes which the replica does not have are to be lost
    #[arg(long)]
    pub(crate) accept_data_loss: bool,
}

/// `lockstep certs`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
`init` makes the CA of a cluster; `node` and `client` make certificates signed by it. \
A machine needs ca.pem and its own certificate and key; ca.key signs new ones and should stay in a safe place.")]
pub(crate) struct CertsArgs {
    /// What to make.
    #[command(subcommand)]
    pub(crate) command: CertsCommand,
}

/// What `lockstep certs` makes.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum CertsCommand {
    /// Make the CA of a new cluster
    Init(TlsDirArg),
    /// Make the certificate of an arbiter or replica
    Node(NodeCertArgs),
    /// Make the certificate of a client: it may read, write or administer, but not act as a node
    Client(ClientCertArgs),
}

/// The TLS directory.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TlsDirArg {
    /// Where CA and certificates are kept
    #[arg(long, value_name = "DIR")]
    pub(crate) tls_dir: PathBuf,
}

/// `lockstep certs node`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct NodeCertArgs {
    /// Name of the node, unique in the cluster
    pub(crate) name: String,

    /// Host names and IP addresses it is reached at; with --renew those it has, unless given
    #[arg(
        long = "host", value_name = "HOST", required_unless_present = "renew", num_args = 1..,
        value_delimiter = ','
    )]
    pub(crate) hosts: Vec<String>,

    /// What it may be: both, unless given; with --renew what it was
    #[arg(long, value_enum)]
    pub(crate) role: Option<NodeRoleName>,

    /// Where, and for how long.
    #[command(flatten)]
    pub(crate) issue: IssueArgs,
}

/// What a node may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NodeRoleName {
    /// A replica, which holds the data.
    Replica,
    /// The arbiter, which holds none.
    Arbiter,
    /// Either.
    Both,
}

impl From<NodeRoleName> for NodeRole {
    fn from(name: NodeRoleName) -> Self {
        match name {
            NodeRoleName::Replica => Self::Replica,
            NodeRoleName::Arbiter => Self::Arbiter,
            NodeRoleName::Both => Self::Both,
        }
    }
}

/// Where a certificate is made, and for how long.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct IssueArgs {
    /// Make a new key and certificate in the place of those that are there, which say the same apart from other flags
    #[arg(long)]
    pub(crate) renew: bool,

    /// For how many days it is valid: 3650, unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=7300))]
    pub(crate) days: Option<u32>,

    /// Where.
    #[command(flatten)]
    pub(crate) tls_dir: TlsDirArg,
}

/// `lockstep certs client`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ClientCertArgs {
    /// Name of the client
    pub(crate) name: String,

    /// What it may do: write, unless given; with --renew what it was
    #[arg(long, value_enum)]
    pub(crate) role: Option<ClientRoleName>,

    /// It may only name keys that begin with this; may be repeated. With --renew those it has, unless given
    #[arg(long = "prefix", value_name = "PREFIX")]
    pub(crate) prefixes: Vec<String>,

    /// Where, and for how long.
    #[command(flatten)]
    pub(crate) issue: IssueArgs,
}

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClientRoleName {
    /// Read, and see how the replicas are.
    Read,
    /// Also write.
    Write,
    /// Also drain replicas.
    Admin,
}

impl From<ClientRoleName> for ClientRole {
    fn from(name: ClientRoleName) -> Self {
        match name {
            ClientRoleName::Read => Self::Read,
            ClientRoleName::Write => Self::Write,
            ClientRoleName::Admin => Self::Admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn bounds(flags: &[&str]) -> Result<Bounds, String> {
        let args = Args::try_parse_from([&["lockstep", "dev"], flags].concat()).unwrap();
        let Command::Dev(dev) = args.command else {
            panic!("another command")
        };
        dev.bounds.bounds()
    }

    #[test]
    fn the_flags_have_the_defaults_of_the_protocol() {
        assert_eq!(bounds(&[]).unwrap().limits, Limits::default());
    }

    #[test]
    fn what_cannot_be_configured_is_named() {
        let check = |flag: &str, value: &str| {
            let error = bounds(&[flag, value]).unwrap_err();
            assert!(error.contains(flag) && error.contains(value), "{error}");
        };
        check("--value-bytes-max", "17MiB");
        check("--value-bytes-max", "0");
        check("--key-bytes-max", "5KiB");
        check("--uncommitted-bytes-max", "1MiB");
        check("--log-bytes-max", "1KiB");
        let unfit = |flags: &[&str]| bounds(flags).unwrap_err();
        assert!(unfit(&["--lease", "10ms"]).contains("a lease of 10ms"));
        assert!(unfit(&["--lease", "200ms"]).contains("a beacon interval of 100ms"));
        assert!(unfit(&["--overdue", "1s"]).contains("overdue after 1s"));
        assert!(unfit(&["--clock-drift-permille", "101"]).contains("101 thousandths"));
        assert!(bounds(&["--value-bytes-max", "16MiB"]).is_ok());
    }
}
