//! `force-primary`: the operator's last resort, worked on the record of an arbiter that does not run.

use lockstep_core::arbiter::{self, offline};
use lockstep_core::config::Config;
use lockstep_core::engine::ArbiterStore;
use lockstep_core::storage::ArbiterRecord;
use serde_json::json;

use super::act::act;
use crate::args::{ForcePrimaryArgs, Format};
use crate::assemble;
use crate::output::{self, Exit, Failure};

/// `lockstep force-primary`.
pub(crate) async fn force_primary(args: ForcePrimaryArgs, format: Format) -> Result<Exit, Failure> {
    let mut store = assemble::arbiter_store(&args.arbiter_dir).await?;
    let Some((keeper, held)) = store
        .load()
        .and_then(|keeper| Some((keeper, keeper.held()?)))
    else {
        return Err(Failure::Usage(format!(
            "{} has no record of any cluster: is it the data directory of the arbiter?",
            args.arbiter_dir.display()
        )));
    };
    let record = &held.value;
    let mut next = arbiter::force_primary(record, &args.name)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    let in_sync = names_in_sync(&record.config);
    if !args.accept_data_loss {
        return Err(Failure::Usage(format!(
            "this loses every acknowledged write that {name} does not have. In sync, and so known to have them all: {}. \
             If any of these can ever be started again, start it instead. If they are lost for good and do not run any \
             more, repeat the command with --accept-data-loss",
            in_sync.join(", "),
            name = args.name,
        )));
    }
    let superseded = superseded(record, &next);
    next.note(act(format!(
        "force-primary {}: primary of epoch {}, refused from now on are {}",
        args.name,
        next.config.epoch,
        superseded.join(", ")
    )));
    let Some(keeper) = offline::decide(keeper, next.clone()) else {
        return Err(Failure::Usage(format!(
            "{} is of one of several arbiters, which decides nothing alone: stop all of them, have a new one adopt the cluster \
             (`lockstep adopt --help`), and repeat this with the directory of that one",
            args.arbiter_dir.display()
        )));
    };
    store
        .save(&keeper)
        .map_err(|error| Failure::broken("cannot write the arbiter's record", &error))?;
    match format {
        Format::Text => output::print(&format!(
            "{} is primary of epoch {} as soon as the arbiter is started again. From now on the arbiter refuses {} with \
             the data directories they have: start them with empty ones",
            args.name,
            next.config.epoch,
            superseded.join(", "),
        ))?,
        Format::Json => output::print_json(&json!({
            "primary": args.name, "epoch": next.config.epoch.0, "superseded": superseded,
        }))?,
    }
    Ok(Exit::Done)
}

fn names_in_sync(config: &Config) -> Vec<String> {
    let members = config.members.iter();
    members
        .filter(|(node, _)| config.in_sync.contains(node))
        .map(|(_, member)| member.name.clone())
        .collect()
}

fn superseded(record: &ArbiterRecord, next: &ArbiterRecord) -> Vec<String> {
    let newly = next.nodes.iter().filter(|(node, known)| {
        let is_news = record
            .nodes
            .get(node)
            .is_some_and(|before| !before.is_superseded);
        known.is_superseded && is_news
    });
    let mut names: Vec<_> = newly.map(|(_, known)| known.name.clone()).collect();
    names.sort_unstable();
    names
}
