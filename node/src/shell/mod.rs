//! The shell: a line is read, a command carried out, and so on until the end of the input. Reading blocks, so it has a
//! thread to itself.

mod editor;
pub(crate) mod line;

use std::num::NonZeroU32;
use std::time::Duration;

use async_std::task;
use futures_lite::FutureExt;
use lockstep_core::operation::{Key, Keyed, ReadLevel};

use crate::args::{Format, ShellArgs};
use crate::assemble;
use crate::commands::{keys, status};
use crate::output::{self, Exit, Failure};
use crate::patience::Patience;
use crate::records;
use crate::signals::EndSignals;
use crate::store::Store;

use self::editor::{Input, Lines};
use self::line::Command;

/// `lockstep shell`.
pub(crate) async fn shell(args: ShellArgs, format: Format) -> Result<Exit, Failure> {
    let store = assemble::client(&args.connection, args.deadline, AT_ONCE).await?;
    let commands = run(&store, args.deadline, format);
    let exit = EndSignals::watch()?.heeded(&store, commands).await;
    store.close().await;
    exit
}

/// Questions that a command asks at once at most: one to each member.
const AT_ONCE: usize = 64;

/// Reads commands and carries them out until there are no more. What goes wrong is printed and does not end it. Returns
/// how the first command ended that did not succeed; where a person types, who has seen it, that is no matter. Ends when the
/// store is interrupted.
pub(crate) async fn run(
    store: &Store,
    deadline: Duration,
    format: Format,
) -> Result<Exit, Failure> {
    let mut lines = Lines::open()?;
    let mut exit = Exit::Done;
    if lines.is_interactive() {
        output::print("Type help for the commands, exit or Ctrl-D to leave.")?;
    }
    loop {
        let line = task::spawn_blocking(move || {
            let read = lines.next();
            (read, lines)
        });
        let interrupted = async {
            store.interrupted().await;
            Err(Failure::Interrupted)
        };
        let (read, again) = async { Ok(line.await) }.or(interrupted).await?;
        lines = again;
        let command = match read {
            Input::Line(line) => line::parse(&line),
            Input::Cancelled => continue,
            Input::End => return Ok(exit),
            Input::Failed(failure) => return Err(failure),
        };
        let result = match command {
            Ok(None) => continue,
            Ok(Some(Command::Exit)) => return Ok(exit),
            Ok(Some(command)) => {
                let store = store.clone().with_patience(Patience::in_all(deadline));
                carry_out(&store, command, format).await
            }
            Err(error) => Err(Failure::Usage(error)),
        };
        let ended = result.unwrap_or_else(|failure| {
            output::print_failure(&failure, format);
            failure.exit()
        });
        if exit == Exit::Done && !lines.is_interactive() {
            exit = ended;
        }
        if store.is_interrupted() {
            return Ok(ended);
        }
    }
}

async fn carry_out(store: &Store, command: Command, format: Format) -> Result<Exit, Failure> {
    match command {
        Command::Put { key, value } => {
            keys::put_with(store, key.into(), value.into(), format).await
        }
        Command::Get { key } => {
            keys::get_with(store, key.into(), ReadLevel::Linearizable, None, format).await
        }
        Command::Remove { key } => keys::remove_with(store, key.into(), format).await,
        Command::Scan { from, limit } => scan(store, from, limit).await,
        Command::Status => status::status_with(store, format).await.map(|_| Exit::Done),
        Command::Help => output::print(&line::help()).map(|()| Exit::Done),
        Command::Exit => Ok(Exit::Done),
    }
}

/// Prints records as `export` does, from the key `from` on: those whose keys the client may name.
async fn scan(store: &Store, from: Vec<u8>, limit: usize) -> Result<Exit, Failure> {
    let from = Key::from(from);
    let ranges = store.own_ranges().into_iter();
    let ranges = ranges.map(|range| range.onwards(from.clone()));
    let mut ranges = ranges.filter(|range| !range.is_empty());
    let mut rest = ranges.next();
    let mut left = limit;
    let mut replica = None;
    let mut lines = Vec::new();
    while let Some(range) = rest.take().filter(|_| left > 0) {
        let wanted = u32::try_from(left).unwrap_or(u32::MAX);
        let limit = NonZeroU32::new(wanted);
        let page = store.scan(range.clone(), limit, replica.as_ref()).await?;
        for Keyed { key, record } in &page.records {
            records::write(&mut lines, key, &record.value);
        }
        left = left.saturating_sub(page.records.len());
        replica = Some(page.replica);
        rest = match page.resume {
            Some(last) => Some(range.rest(last)),
            None => ranges.next(),
        };
    }
    output::print_bytes(lines.trim_ascii_end())?;
    Ok(Exit::Done)
}
