//! `drain`: takes a replica out of the configuration, or the primary's role off it.

use std::time::Duration;

use async_std::task;
use lockstep_core::config::{Address, NodeId};
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
    let store = assemble::client_in_all(&args.connection, args.deadline.deadline).await?;
    let outcome = drain_with(&store, &args, format).await;
    store.close().await;
    outcome
}

async fn drain_with(store: &Store, args: &DrainArgs, format: Format) -> Result<Exit, Failure> {
    let answers = store.statuses_without(None).await?;
    if let Some(node) = status::former(&answers, &args.node) {
        return expect_no_more(store, answers, node, args, format).await;
    }
    let replica = store.find_replica_in(&answers, &args.node)?;
    let drain = match (args.role_only, args.force) {
        (true, _) => Drain::Primary,
        (false, true) => Drain::NodeByForce,
        (false, false) => Drain::Node,
    };
    store.drain(&replica, drain).await?;
    // Who has left does not answer any more.
    let gone = Some(&replica).filter(|_| !args.role_only);
    loop {
        // While the role moves nobody may answer for a moment.
        if let Ok(answers) = store.statuses_without(gone).await
            && is_done(&answers, &replica, drain)
        {
            break;
        }
        if store.is_out_of_time() {
            return Err(Failure::Broken(format!(
                "{} has begun to drain, but is not done after {:?}; see `lockstep status`",
                args.node, args.deadline.deadline
            )));
        }
        task::sleep(LOOK).await;
    }
    let done = match args.role_only {
        false => "has left the configuration",
        true => "is not primary",
    };
    match format {
        Format::Text => output::print(&format!("{} {done}", args.node))?,
        Format::Json => output::print_json(&json!({ "node": args.node, "drained": true }))?,
    }
    Ok(Exit::Done)
}

/// A replica that is gone is not to come back: the configuration tells of it no more.
async fn expect_no_more(
    store: &Store,
    mut answers: Vec<NodeStatus>,
    node: NodeId,
    args: &DrainArgs,
    format: Format,
) -> Result<Exit, Failure> {
    while status::former(&answers, &node.to_string()).is_some() {
        if store.is_out_of_time() {
            return Err(Failure::Broken(format!(
                "{} is still expected after {:?}: the arbiter did not hear of it, or decided other things; see `lockstep status`, \
                 and try again",
                args.node, args.deadline.deadline
            )));
        }
        // Whoever hears the arbiter has it decided; one is enough.
        let mut refused = None;
        let mut is_begun = false;
        for answer in &answers {
            match store.drain(&answer.address, Drain::Former(node)).await {
                Ok(()) => is_begun = true,
                Err(failure) => refused = Some(failure),
            }
        }
        if let Some(failure) = refused.filter(|_| !is_begun) {
            return Err(failure);
        }
        task::sleep(LOOK).await;
        if let Ok(newer) = store.statuses_without(None).await {
            answers = newer;
        }
    }
    match format {
        Format::Text => output::print(&format!("{} was gone, and is expected no more", args.node))?,
        Format::Json => output::print_json(&json!({ "node": args.node, "drained": true }))?,
    }
    Ok(Exit::Done)
}

fn is_done(answers: &[NodeStatus], replica: &Address, drain: Drain) -> bool {
    let Some(config) = status::newest_config(answers) else {
        return false;
    };
    match drain {
        Drain::Node | Drain::NodeByForce => config
            .members
            .values()
            .all(|member| member.address != *replica),
        Drain::Primary => config
            .primary_member()
            .is_some_and(|primary| primary.address != *replica),
        Drain::Former(_) => true,
    }
}
