//! `export --data-dir`: the records that a replica which does not run has on its disk.

use std::path::Path;

use async_std::task;
use futures_lite::FutureExt;
use lockstep_core::engine::Engine;
use lockstep_core::engine::durable::{Extent, StoppedReplica};
use lockstep_core::range::KeyRange;

use super::export::print;
use crate::args::ExportArgs;
use crate::assemble;
use crate::output::{self, Exit, Failure};
use crate::signals::EndSignals;

/// `lockstep export --data-dir`. A signal ends it, and what it has copied is removed all the same.
pub(super) async fn export_stopped(data_dir: &Path, args: &ExportArgs) -> Result<Exit, Failure> {
    let mut signals = EndSignals::watch()?;
    let interrupted = async {
        signals.next().await;
        Err(Failure::Interrupted)
    };
    let mut scratch = tempfile::Builder::new();
    scratch.prefix("lockstep-export-");
    let scratch = match &args.temp_dir {
        Some(temp_dir) => scratch.tempdir_in(temp_dir),
        None => scratch.tempdir(),
    };
    let scratch = scratch.map_err(|error| {
        Failure::broken("cannot make a temporary directory (--temp-dir)", &error)
    })?;
    let extent = match args.committed_only {
        true => Extent::Committed,
        false => Extent::Log,
    };
    let exported = async {
        let replica = assemble::stopped_replica(data_dir, scratch.path(), extent).await?;
        output::say(&extent_told(data_dir, &replica));
        print_all(replica, args.ranges()).await?;
        Ok(Exit::Done)
    };
    interrupted.or(exported).await
}

async fn print_all(replica: StoppedReplica, ranges: Vec<KeyRange>) -> Result<(), Failure> {
    let mut ranges = ranges.into_iter();
    let mut wanted = ranges.next();
    while let Some(range) = wanted {
        let engine = replica.engine.clone();
        // Both may block: a signal is heard all the same.
        let printed = task::spawn_blocking(move || {
            let page = engine
                .scan(&range, None)
                .map_err(|error| Failure::broken("cannot read the state", &error))?;
            print(&page.records, &mut Vec::new())?;
            Ok::<_, Failure>(page.rest(&range))
        });
        wanted = printed.await?.or_else(|| ranges.next());
    }
    Ok(())
}

/// How far what is exported goes, and what of it is certain.
fn extent_told(data_dir: &Path, replica: &StoppedReplica) -> String {
    let (committed, end) = (replica.committed, replica.log_end);
    let exported = replica.engine.applied();
    let text = format!(
        "lockstep: {} goes up to position {end}, epoch {}; exported up to position {exported}, revision {}",
        data_dir.display(),
        replica.epoch,
        replica.engine.revision(),
    );
    let open = end.0.saturating_sub(committed.0);
    let open = match open {
        1 => "last write".to_owned(),
        open => format!("last {open} writes"),
    };
    match (end > committed, exported > committed) {
        (false, _) => format!("{text}. All of it is known to be committed"),
        (true, true) => format!(
            "{text}. It is known to be committed up to position {committed}: the {open} may or may not have been \
             acknowledged (--committed-only leaves them out)"
        ),
        (true, false) => format!(
            "{text}, as far as it is known to be committed. The {open} behind that may or may not have been acknowledged"
        ),
    }
}
