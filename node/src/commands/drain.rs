//! `drain`: takes a replica out of the configuration, or the primary's role off it.

use std::time::Duration;

use async_std::task;
use lockstep_core::config::Address;
use lockstep_core::message::{Drain, NodeStatus};
use serde_json::json;

use crate::args::{DrainArgs, Format};
use crate::assemble;
use crate::output::{self, Exit, Failure};
use crate::status;
use crate::store::Store;

/// How often it is looked whether it is done.
const LOOK: Duration = Duration::from_millis(100);

/// `lockstep drain`.
pub(crate) async fn drain(args: DrainArgs, format: Format) -> Result<Exit, Failure> {
    let store = assemble::client(&args.connection, args.deadline.deadline, 16).await?;
    let outcome = drain_with(&store, &args, format).await;
    store.close().await;
    outcome
}

async fn drain_with(store: &Store, args: &DrainArgs, format: Format) -> Result<Exit, Failure> {
    let replica = store.find_replica(&args.node).await?;
    let drain = match args.role_only {
        true => Drain::Primary,
        false => Drain::Node,
    };
    store.drain(&replica, drain).await?;
    let begun = std::time::Instant::now();
    // Who has left does not answer any more.
    let gone = Some(&replica).filter(|_| drain == Drain::Node);
    loop {
        // While the role moves nobody may answer for a moment.
        if let Ok(answers) = store.statuses_without(gone).await
            && is_done(&answers, &replica, drain)
        {
            break;
        }
        if begun.elapsed() > args.deadline.deadline {
            return Err(Failure::Broken(format!(
                "{} has begun to drain, but is not done after {:?}; see `lockstep status`",
                args.node, args.deadline.deadline
            )));
        }
        task::sleep(LOOK).await;
    }
    let done = match drain {
        Drain::Node => "has left the configuration",
        Drain::Primary => "is not primary",
    };
    match format {
        Format::Text => output::print(&format!("{} {done}", args.node))?,
        Format::Json => output::print_json(&json!({ "node": args.node, "drained": true }))?,
    }
    Ok(Exit::Done)
}

fn is_done(answers: &[NodeStatus], replica: &Address, drain: Drain) -> bool {
    let Some(config) = status::newest_config(answers) else {
        return false;
    };
    match drain {
        Drain::Node => config
            .members
            .values()
            .all(|member| member.address != *replica),
        Drain::Primary => config
            .primary_member()
            .is_some_and(|primary| primary.address != *replica),
    }
}
