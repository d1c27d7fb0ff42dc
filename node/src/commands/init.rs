//! `init` and `adopt`: what the arbiter of a cluster knows when it starts for the first time.

use lockstep_core::arbiter::{self, NotAdopted, offline};
use lockstep_core::driver::{self, DriverError};
use lockstep_core::engine::ArbiterStore;
use serde_json::json;

use super::act::act;
use crate::args::{AdoptArgs, Format, InitArgs};
use crate::assemble;
use crate::output::{self, Exit, Failure};
use crate::status::host_and_port;

/// `lockstep init`.
pub(crate) async fn init(args: InitArgs, format: Format) -> Result<Exit, Failure> {
    let mut store = assemble::new_arbiter_store(&args.arbiter_dir).await?;
    let cluster = match driver::begin_cluster(&mut store) {
        Ok(cluster) => cluster,
        Err(DriverError::ClusterBegun(cluster)) => {
            return Err(Failure::Usage(format!(
                "{} is of the arbiter of cluster {cluster} already: start it with `lockstep arbiter`",
                args.arbiter_dir.display()
            )));
        }
        Err(error) => return Err(Failure::broken("cannot write the arbiter's record", &error)),
    };
    // Without the line the cluster has begun all the same.
    let begun = store.load().and_then(|keeper| {
        let mut record = keeper.held()?.value.clone();
        record.note(act(format!("init: begins cluster {cluster}")));
        offline::decide(keeper, record)
    });
    if let Some(keeper) = begun {
        store
            .save(&keeper)
            .map_err(|error| Failure::broken("cannot write the arbiter's record", &error))?;
    }
    match format {
        Format::Text => output::print(&format!(
            "cluster {cluster} begins: start its arbiter on {}",
            args.arbiter_dir.display()
        ))?,
        Format::Json => output::print_json(&json!({ "cluster": cluster.to_string() }))?,
    }
    Ok(Exit::Done)
}

/// `lockstep adopt`.
pub(crate) async fn adopt(args: AdoptArgs, format: Format) -> Result<Exit, Failure> {
    let mut store = assemble::new_arbiter_store(&args.arbiter_dir).await?;
    if store.load().is_some_and(|keeper| keeper.held().is_some()) {
        return Err(Failure::Usage(format!(
            "{} has the record of an arbiter: start that with `lockstep arbiter`, or name an empty directory",
            args.arbiter_dir.display()
        )));
    }
    let client = assemble::client(&args.connection, args.deadline.deadline, 64).await?;
    let answers = client.statuses().await;
    client.close().await;
    let answers = answers?;
    // A foreign one in its place is not noticed by all in the same moment.
    let is_foreign = answers
        .iter()
        .any(|answer| answer.foreign_arbiter.is_some());
    let heard = answers.iter().find(|answer| answer.arbiter_reachable);
    if let Some(heard) = heard.filter(|_| !is_foreign) {
        return Err(Failure::Usage(format!(
            "{} heard the arbiter of this cluster a moment ago, at {}, so it is not lost: see that it never runs again, and try \
             again",
            heard.name,
            host_and_port(heard.arbiter.as_str())
        )));
    }
    let mut record = arbiter::adopt(&answers, driver::draw_secret(), args.missing_are_gone)
        .map_err(|error| not_adopted(&error))?;
    let cluster = record.config.cluster;
    let members = record.config.members.values();
    let members: Vec<String> = members.map(|member| member.name.clone()).collect();
    record.note(act(format!(
        "adopt: takes up cluster {cluster}, with {}{}",
        members.join(", "),
        if args.missing_are_gone {
            "; those that are missing are gone"
        } else {
            ""
        }
    )));
    store
        .save(&offline::found(driver::draw_arbiter(), record))
        .map_err(|error| Failure::broken("cannot write the arbiter's record", &error))?;
    match format {
        Format::Text => output::print(&format!(
            "cluster {cluster} is adopted, with {}: start its arbiter on {}, under the address that the replicas know",
            members.join(", "),
            args.arbiter_dir.display()
        ))?,
        Format::Json => output::print_json(&json!({
            "cluster": cluster.to_string(), "members": members,
        }))?,
    }
    Ok(Exit::Done)
}

fn not_adopted(error: &NotAdopted) -> Failure {
    let how = match error {
        NotAdopted::Missing { .. } => " with --missing-are-gone",
        NotAdopted::NoCluster | NotAdopted::TwoClusters { .. } => "",
    };
    Failure::Usage(format!("{error}{how}"))
}
