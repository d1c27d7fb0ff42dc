//! The commands, one file each, or a few that belong together.

mod act;
pub(crate) mod arbiters;
pub(crate) mod bench;
pub(crate) mod certs;
pub(crate) mod dev;
pub(crate) mod drain;
pub(crate) mod export;
pub(crate) mod export_stopped;
pub(crate) mod force_primary;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod machine;
pub(crate) mod node;
mod room;
pub(crate) mod serve;
pub(crate) mod status;

use async_std::task;
use rustix::fs::Mode;
use rustix::process::umask;

use crate::args::{Args, Command};
use crate::output::{Exit, Failure};
use crate::shell;
use crate::signals;

/// Does what the command line says.
pub(crate) fn run(args: Args) -> Result<Exit, Failure> {
    let format = args.common.output;
    if matches!(
        args.command,
        Command::Dev(_) | Command::Arbiter(_) | Command::Replica(_) | Command::Serve(_)
    ) {
        // What a node writes is for its owner alone, whichever part of it writes.
        umask(Mode::RWXG | Mode::RWXO);
    }
    match args.command {
        Command::Dev(args) => task::block_on(dev::dev(args, format)),
        Command::Init(args) => task::block_on(init::init(args, format)),
        Command::Adopt(args) => task::block_on(init::adopt(args, format)),
        Command::Arbiter(args) => task::block_on(node::arbiter(args, format)),
        Command::Replica(args) => task::block_on(node::replica(args, format)),
        Command::Serve(args) => task::block_on(machine::serve(args, format)),
        Command::Certs(args) => certs::certs(&args, format),
        Command::Put(args) => task::block_on(keys::put(args, format)),
        Command::Get(args) => task::block_on(signals::obeyed(keys::get(args, format))),
        Command::Remove(args) => task::block_on(keys::remove(args, format)),
        Command::Resolve(args) => task::block_on(signals::obeyed(keys::resolve(args, format))),
        Command::Drain(args) => task::block_on(signals::obeyed(drain::drain(args, format))),
        Command::Arbiters(args) => {
            task::block_on(signals::obeyed(arbiters::arbiters(args, format)))
        }
        Command::ForcePrimary(args) => task::block_on(force_primary::force_primary(args, format)),
        Command::Bench(args) => task::block_on(bench::bench(*args, format)),
        Command::Import(args) => task::block_on(import::import(args, format)),
        Command::Export(args) => task::block_on(signals::obeyed(export::export(args))),
        Command::Status(args) => task::block_on(signals::obeyed(status::status(args, format))),
        Command::Why(args) => task::block_on(signals::obeyed(status::why(args, format))),
        Command::Shell(args) => task::block_on(shell::shell(args, format)),
    }
}
