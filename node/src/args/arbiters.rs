//! Flags of `arbiters`.

use clap::Subcommand;

use super::client::{Connection, DeadlineArg};

/// `lockstep arbiters`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Arbiters decide who is primary and who is in sync. One can do it; of three any one may be lost, of five any two. The record is \
changed while they run, one arbiter at a time, and nothing stops meanwhile.

An arbiter that comes has to run: with an empty data directory and --peers it offers itself, and `lockstep status` shows it. \
One that lost its directory is taken back by itself, under its name. Nothing happens, and the exit code is 3, if no majority \
of the arbiters that there would be is heard.

Example: three in the place of one
  lockstep arbiter --name a2 --peers a1=10.0.0.1:7100 --listen 10.0.0.2:7100 --data-dir … --tls-dir …
  lockstep arbiters add a2
  lockstep arbiters add a3")]
pub(crate) struct ArbitersArgs {
    /// What to do; nothing: show them.
    #[command(subcommand)]
    pub(crate) command: Option<ArbitersCommand>,

    /// How long.
    #[command(flatten)]
    pub(crate) deadline: DeadlineArg,

    /// Which cluster.
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// What is to become of the arbiters.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ArbitersCommand {
    /// One that offers itself is to keep the record with the others
    Add {
        /// Its name or id
        name: String,
    },
    /// One is not to keep it any more
    Remove {
        /// Its name or id
        name: String,
    },
    /// One that offers itself is to keep it in the place of another
    Replace {
        /// Name or id of the one that goes
        former: String,
        /// Name or id of the one that comes
        next: String,
    },
}
