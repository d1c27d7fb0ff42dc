//! Flags of what speaks to a cluster.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::BoolishValueParser;
use lockstep_core::config::Position;
use lockstep_core::operation::{Key, ReadLevel};
use lockstep_core::range::KeyRange;

use super::values::duration;
use crate::keys::{self, Spelling};
use crate::output::Failure;
use crate::write_name::WriteName;

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct Connection {
    /// Addresses of replicas; one that answers is enough. By default the cluster of `lockstep dev` in this directory
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub(crate) cluster: Vec<String>,

    /// Where ca.pem and the client's certificate are
    #[arg(long, value_name = "DIR")]
    pub(crate) tls_dir: Option<PathBuf>,

    /// Which of the client certificates in the TLS directory to use, where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// How long a command tries.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DeadlineArg {
    /// How long the command tries, all it asks taken together
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(crate) deadline: Duration,
}

/// At which replica.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ReplicaArg {
    /// Read at this replica only: its name, node id or address, as `lockstep status` shows them
    #[arg(long, value_name = "NAME")]
    pub(crate) replica: Option<String>,
}

/// A key.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct KeyArg {
    /// The key
    #[arg(allow_negative_numbers = true)]
    key: String,

    /// The key is given in base64, as `export` and --output json print keys that are not UTF-8
    #[arg(long, value_parser = BoolishValueParser::new())]
    key_base64: bool,
}

impl KeyArg {
    /// The key that was typed.
    ///
    /// # Errors
    /// If it is no base64 and should be.
    pub(crate) fn read(&self) -> Result<Key, Failure> {
        let spelling = match self.key_base64 {
            true => Spelling::Base64,
            false => Spelling::Text,
        };
        keys::read(&self.key, spelling)
    }
}

/// `lockstep put`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Prints its place in the order of all writes. With --output json: id, seq, outcome (ack, failed, rejected).

Binary values come from standard input: lockstep put photo - < photo.jpg")]
pub(crate) struct PutArgs {
    /// Which key.
    #[command(flatten)]
    pub(crate) key: KeyArg,

    /// The value; `-` reads it from standard input, to its end
    #[arg(allow_negative_numbers = true)]
    pub(crate) value: String,

    /// How long.
    #[command(flatten)]
    pub(crate) deadline: DeadlineArg,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `lockstep get`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Prints the bytes of the value and a newline, nothing else.")]
pub(crate) struct GetArgs {
    /// Which key.
    #[command(flatten)]
    pub(crate) key: KeyArg,

    /// How fresh the value must be
    #[arg(long, value_enum, default_value_t)]
    pub(crate) level: Level,

    /// Wait until the replica has committed the writes before this position, as an earlier answer gave it
    #[arg(long, value_name = "POSITION", conflicts_with = "level")]
    pub(crate) at_least: Option<u64>,

    /// Where.
    #[command(flatten)]
    pub(crate) replica: ReplicaArg,

    /// How long.
    #[command(flatten)]
    pub(crate) deadline: DeadlineArg,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// How fresh a value must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// Every write acknowledged before, whoever wrote it; answered by any in-sync replica.
    #[default]
    Linearizable,
    /// What the replica has received, at once, perhaps outdated or not yet acknowledged; answered by any replica.
    Local,
}

impl GetArgs {
    /// The level these flags choose.
    pub(crate) fn level(&self) -> ReadLevel {
        match (self.at_least, self.level) {
            (Some(position), _) => ReadLevel::AtLeast(Position(position)),
            (None, Level::Linearizable) => ReadLevel::Linearizable,
            (None, Level::Local) => ReadLevel::Local,
        }
    }
}

/// `lockstep resolve`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
`put` and `remove` name the request when they end with exit code 4. If it was not executed yet, it never will be \
afterwards. Exit codes: 0 executed, 1 not executed, 4 still unknown.")]
pub(crate) struct ResolveArgs {
    /// The write, as the command that sent it named it
    #[arg(value_name = "REQUEST")]
    pub(crate) write: WriteName,

    /// How long.
    #[command(flatten)]
    pub(crate) deadline: DeadlineArg,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `lockstep drain`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
A primary answers the writes it has and hands its role over first; clients notice a short pause. The replica then leaves \
the configuration and its process ends. With --role-only it stays and only ceases to be primary.

Nothing happens, and the exit code is 3, if it is the last in sync, if nobody could take a primary's role over, while the arbiter is silent, and if fewer replicas would be in sync than --min-in-sync requires.

A replica that is gone already is expected no more: `lockstep status` does not show it any longer.")]
pub(crate) struct DrainArgs {
    /// The replica: its name, node id or address, as `lockstep status` shows them
    #[arg(value_name = "NODE")]
    pub(crate) node: String,

    /// Move the primary's role to another replica and keep this one
    #[arg(long)]
    pub(crate) role_only: bool,

    /// Drain it although fewer replicas are in sync then than writes require: they are rejected until others join
    #[arg(long, conflicts_with = "role_only")]
    pub(crate) force: bool,

    /// How long.
    #[command(flatten)]
    pub(crate) deadline: DeadlineArg,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `lockstep remove`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Prints its place in the order of all writes. With --output json: id, seq, outcome (ack, failed, rejected)."
)]
pub(crate) struct RemoveArgs {
    /// Which key.
    #[command(flatten)]
    pub(crate) key: KeyArg,

    /// How long.
    #[command(flatten)]
    pub(crate) deadline: DeadlineArg,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `lockstep import`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
One record a line, as `lockstep export` prints them:
  {\"key\": \"greeting\", \"value\": \"hello\"}
  {\"key_base64\": \"AAE=\", \"value_base64\": \"/w==\"}        for what is not UTF-8

Many writes are on their way at once. Lines of the same key take effect in the order of the file. \
A write whose outcome is unknown is repeated until --deadline is over: setting the same key to the same value twice does no harm.")]
pub(crate) struct ImportArgs {
    /// The file; `-` reads standard input
    pub(crate) file: PathBuf,

    /// Writes on their way at once
    #[arg(long, visible_alias = "writers", value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=16384))]
    pub(crate) in_flight: u32,

    /// Go on after lines that are no records, and count them; otherwise the first one ends the import
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) skip_bad: bool,

    /// How long to try each record before giving up; long enough for a replica to fail and return
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) deadline: Duration,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `lockstep export`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Prints records as `lockstep import` reads them, as the replica has received them. \
Records written during the export may be missing from it.

With --data-dir there need be no cluster: for when the arbiter and the replicas are lost and a replica's directory is left. \
Nothing in it is changed. Standard error says how far it goes: the position and epoch of its last write, and how many of the last \
writes may not have been acknowledged. Of several directories choose the one of the highest epoch, and among those the one that is furthest: a replica that was not in sync lacks acknowledged writes, and no directory says whether it was.")]
pub(crate) struct ExportArgs {
    /// Where.
    #[command(flatten)]
    pub(crate) replica: ReplicaArg,

    /// Export the records whose keys begin with this only; may be repeated. A client whose certificate is for some prefixes
    /// exports those
    #[arg(long = "prefix", value_name = "PREFIX")]
    pub(crate) prefixes: Vec<String>,

    /// Export what is in this data directory, of a replica that does not run; no cluster is asked
    #[arg(long, value_name = "DIR", conflicts_with_all = ["replica", "cluster", "tls_dir", "name", "deadline"])]
    pub(crate) data_dir: Option<PathBuf>,

    /// Leave out what the data directory does not know to be committed. It notes that down with the next writes, so that
    /// the last acknowledged ones are missing
    #[arg(long, requires = "data_dir", value_parser = BoolishValueParser::new())]
    pub(crate) committed_only: bool,

    /// Where a data directory's log is copied to, and the journal of its state: room for as much as they take, some
    /// --log-bytes-max, is needed there until the export is done [default: that of the system]
    #[arg(long, value_name = "DIR")]
    pub(crate) temp_dir: Option<PathBuf>,

    /// How long to try for each page of records before giving up
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) deadline: Duration,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

impl ExportArgs {
    /// What is exported, in the order of the keys.
    pub(crate) fn ranges(&self) -> Vec<KeyRange> {
        keys::ranges(self.prefixes.iter().map(|prefix| prefix.as_str().into()))
    }
}

/// `lockstep status`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Columns:
  role        primary: takes the writes; secondary; joining: being brought up to date
  in sync     every acknowledged write is on its disk
  persisted   the highest seq on its disk; seqs number the writes from 0
  lag         writes the primary has on disk and it has not

A replica that went out of the cluster, was not drained and has not come back is shown as gone, and expected, until `lockstep drain NAME` has it expected no more.

--output json has more: leases, what is committed, versions, what each node has used.")]
pub(crate) struct StatusArgs {
    /// How long to wait for the replicas
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub(crate) deadline: Duration,

    /// End with exit code 8 unless all is well: every expected replica answers and is in sync, there is a primary, the
    /// arbiter is heard, every disk has room, no certificate of a replica expires soon
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) check: bool,

    /// Tell in words, too, why operations wait, and what can be done: what `lockstep why` prints
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) why: bool,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `lockstep why`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Asks every replica that it reaches. Tells what becomes of writes and of linearizable reads, who is waited for and since when, what can be done \
without losing anything, and, where nothing else is left, what would be lost by force.

Exit code 8 if writes or reads do not go on.")]
pub(crate) struct WhyArgs {
    /// How long to wait for the replicas
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub(crate) deadline: Duration,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// `lockstep shell`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Type help in it. Commands can also come from a pipe: echo 'put a b' | lockstep shell. All of them are carried out then, and \
the exit code is that of the first that failed.")]
pub(crate) struct ShellArgs {
    /// How long each command tries
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = duration)]
    pub(crate) deadline: Duration,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}
