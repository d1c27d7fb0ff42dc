//! The shell: a line is read, a command carried out, and so on until the end of the input. Reading blocks, so it has a
//! thread to itself.

mod editor;
pub(crate) mod line;

use std::num::NonZeroU32;

use async_std::task;
use lockstep_core::operation::{Keyed, ReadLevel};
use lockstep_core::range::KeyRange;

use crate::args::{Format, ShellArgs};
use crate::assemble;
use crate::commands::{keys, status};
use crate::output::{self, Exit, Failure};
use crate::records;
use crate::store::Store;

use self::editor::{Input, Lines};
use self::line::Command;

/// `lockstep shell`.
pub(crate) async fn shell(args: ShellArgs, format: Format) -> Result<Exit, Failure> {
    let store = assemble::client(&args.connection, args.deadline.deadline, 1).await?;
    let exit = run(&store, format).await;
    store.close().await;
    exit
}

/// Reads commands and carries them out until there are no more. What goes wrong is printed and does not end it.
pub(crate) async fn run(store: &Store, format: Format) -> Result<Exit, Failure> {
    let mut lines = Lines::open()?;
    if lines.is_interactive() {
        output::print("Type help for the commands, exit or Ctrl-D to leave.")?;
    }
    loop {
        let (read, again) = task::spawn_blocking(move || {
            let read = lines.next();
            (read, lines)
        })
        .await;
        lines = again;
        let command = match read {
            Input::Line(line) => line::parse(&line),
            Input::Cancelled => continue,
            Input::End => return Ok(Exit::Done),
            Input::Failed(failure) => return Err(failure),
        };
        let result = match command {
            Ok(None) => continue,
            Ok(Some(Command::Exit)) => return Ok(Exit::Done),
            Ok(Some(command)) => carry_out(store, command, format).await,
            Err(error) => Err(Failure::Usage(error)),
        };
        match result {
            Ok(_) => {}
            Err(failure) => output::print_failure(&failure, format),
        }
    }
}

async fn carry_out(store: &Store, command: Command, format: Format) -> Result<Exit, Failure> {
    match command {
        Command::Put { key, value } => {
            keys::put_with(store, key.into(), value.into(), format).await
        }
        Command::Get { key } => {
            keys::get_with(store, &key, ReadLevel::Linearizable, None, format).await
        }
        Command::Remove { key } => keys::remove_with(store, key.into(), format).await,
        Command::Scan { from, limit } => scan(store, &from, limit).await,
        Command::Status => status::status_with(store, format).await,
        Command::Help => output::print(&line::help()).map(|()| Exit::Done),
        Command::Exit => Ok(Exit::Done),
    }
}

/// Prints records as `export` does, from the key `from` on.
async fn scan(store: &Store, from: &str, limit: usize) -> Result<Exit, Failure> {
    let mut range = KeyRange::from(from..);
    let mut left = limit;
    let mut replica = None;
    let mut lines = Vec::new();
    while left > 0 {
        let wanted = u32::try_from(left).unwrap_or(u32::MAX);
        let limit = NonZeroU32::new(wanted);
        let page = store.scan(range.clone(), limit, replica.as_ref()).await?;
        for Keyed { key, record } in &page.records {
            records::write(&mut lines, key, &record.value);
        }
        left = left.saturating_sub(page.records.len());
        replica = Some(page.replica);
        match page.resume {
            Some(last) => range = range.rest(last),
            None => break,
        }
    }
    output::print_bytes(lines.trim_ascii_end())?;
    Ok(Exit::Done)
}
