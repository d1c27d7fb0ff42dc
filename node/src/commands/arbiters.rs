//! `arbiters`: who keeps the record of the cluster, and has that changed.

use std::time::Duration;

use async_std::task;
use lockstep_core::config::{ArbiterId, ArbiterPlace, Config};
use lockstep_core::message::{ArbitersChange, NodeStatus};
use serde_json::json;

use crate::args::{ArbitersArgs, ArbitersCommand, Format};
use crate::assemble;
use crate::output::{self, Exit, Failure};
use crate::status::{self, ArbitersStatus};
use crate::store::Store;

/// How often it is proposed, and looked whether it came about.
const LOOK: Duration = Duration::from_millis(100);

/// `lockstep arbiters`.
pub(crate) async fn arbiters(args: ArbitersArgs, format: Format) -> Result<Exit, Failure> {
    let store = assemble::client_in_all(&args.connection, args.deadline.deadline).await?;
    let outcome = match &args.command {
        None => show(&store, format).await,
        Some(command) => change(&store, command, &args, format).await,
    };
    store.close().await;
    outcome
}

async fn show(store: &Store, format: Format) -> Result<Exit, Failure> {
    let answers = store.statuses().await?;
    let arbiters = ArbitersStatus::new(status::newest_config(&answers), &answers);
    match format {
        Format::Text => output::print(arbiters.table().trim_end())?,
        Format::Json => output::print_json(&json!(arbiters))?,
    }
    Ok(Exit::Done)
}

async fn change(
    store: &Store,
    command: &ArbitersCommand,
    args: &ArbitersArgs,
    format: Format,
) -> Result<Exit, Failure> {
    let mut answers = store.statuses_without(None).await?;
    let change = resolved(command, &answers)?;
    while !is_done(change, &answers) {
        if store.is_out_of_time() {
            return Err(Failure::Refused(format!(
                "the arbiters are the same after {:?}: no majority of those that there are, or that there would be, is heard, or other \
                 things were decided meanwhile; see `lockstep arbiters`, and try again",
                args.deadline.deadline
            )));
        }
        propose(store, change, &answers).await?;
        task::sleep(LOOK).await;
        if let Ok(newer) = store.statuses_without(None).await {
            answers = newer;
        }
    }
    match format {
        Format::Text => output::print(&match command {
            ArbitersCommand::Add { name } => format!("{name} is one of the arbiters"),
            ArbitersCommand::Remove { name } => {
                format!("{name} is none of the arbiters any more; its process can be stopped")
            }
            ArbitersCommand::Replace { former, next } => {
                format!("{next} is one of the arbiters in the place of {former}")
            }
        })?,
        Format::Json => {
            let arbiters = ArbitersStatus::new(status::newest_config(&answers), &answers);
            output::print_json(&json!(arbiters))?;
        }
    }
    Ok(Exit::Done)
}

/// Has it proposed by the replicas, of which one is enough that hears an arbiter.
async fn propose(
    store: &Store,
    change: ArbitersChange,
    answers: &[NodeStatus],
) -> Result<(), Failure> {
    let mut refused = None;
    for answer in answers {
        match store.change_arbiters(&answer.address, change).await {
            Ok(()) => return Ok(()),
            Err(failure) => refused = Some(failure),
        }
    }
    refused.map_or(Ok(()), Err)
}

/// The change, by identities.
fn resolved(command: &ArbitersCommand, answers: &[NodeStatus]) -> Result<ArbitersChange, Failure> {
    let config = status::newest_config(answers);
    let member = |wanted: &str| {
        let places = config.into_iter().flat_map(|config| &config.arbiters);
        find(places, wanted).ok_or_else(|| {
            let places = config
                .into_iter()
                .flat_map(|config| config.arbiters.values());
            let names: Vec<&str> = places.map(|place| place.name.as_str()).collect();
            Failure::Usage(format!(
                "there is no arbiter {wanted}; there are {}",
                names.join(", ")
            ))
        })
    };
    let newcomer = |wanted: &str| {
        let told = answers.iter().filter_map(|answer| answer.arbiters.as_ref());
        let offers = told.flat_map(|told| &told.seen.offers);
        let is_known = member(wanted).is_ok();
        find(offers, wanted).ok_or_else(|| match is_known {
            true => Failure::Usage(format!("{wanted} is one of the arbiters already")),
            false => Failure::Usage(format!(
                "no arbiter {wanted} offers itself: start it with an empty data directory and --peers, so that it finds the others"
            )),
        })
    };
    Ok(match command {
        ArbitersCommand::Add { name } => ArbitersChange::Add(newcomer(name)?),
        ArbitersCommand::Remove { name } => ArbitersChange::Remove(member(name)?),
        ArbitersCommand::Replace { former, next } => ArbitersChange::Replace {
            former: member(former)?,
            next: newcomer(next)?,
        },
    })
}

fn find<'a>(
    mut places: impl Iterator<Item = (&'a ArbiterId, &'a ArbiterPlace)>,
    wanted: &str,
) -> Option<ArbiterId> {
    let found = places.find(|(id, place)| place.name == wanted || id.to_string() == wanted);
    found.map(|(id, _)| *id)
}

fn is_done(change: ArbitersChange, answers: &[NodeStatus]) -> bool {
    let config: Option<&Config> = status::newest_config(answers);
    let has = |arbiter| config.is_some_and(|config| config.arbiters.contains_key(&arbiter));
    match change {
        ArbitersChange::Add(arbiter) => has(arbiter),
        ArbitersChange::Remove(arbiter) => !has(arbiter),
        ArbitersChange::Replace { former, next } => has(next) && !has(former),
    }
}
