//! `bench`: load on a cluster, what it takes, and whether everything is there afterwards.

use lockstep_bench::spread;
use lockstep_core::config::Address;
use lockstep_core::driver::handle::ClientOptions;
use lockstep_transport_mem::Cluster;

use crate::args::{BenchArgs, Format};
use crate::assemble;
use crate::bench::report::Outcome;
use crate::bench::run;
use crate::bench::settings::{Settings, Subject};
use crate::output::{self, Exit, Failure};
use crate::store::Store;

/// `lockstep bench`.
pub(crate) async fn bench(args: BenchArgs, format: Format) -> Result<Exit, Failure> {
    let settings = Settings::new(args.workload);
    let cluster = match settings.load.mem {
        Some(replicas) => Some(in_memory(replicas as usize).await?),
        None => None,
    };
    let stores = connect(&settings, cluster.as_ref()).await?;
    let outcome = run::run(&settings, &stores, format).await;
    for store in &stores {
        store.close().await;
    }
    if let Some(cluster) = cluster {
        let stopped = cluster.stop().await;
        stopped.map_err(|error| Failure::broken("the cluster in memory failed", &error))?;
    }
    print(&outcome?, format)
}

async fn in_memory(replicas: usize) -> Result<Cluster, Failure> {
    let cluster = Cluster::start(replicas).await;
    cluster.map_err(|error| Failure::broken("the cluster in memory did not come up", &error))
}

/// The connections that clients share.
async fn connect(settings: &Settings, cluster: Option<&Cluster>) -> Result<Vec<Store>, Failure> {
    let load = &settings.load;
    let share = settings.clients().div_ceil(load.connections) as usize;
    let options = ClientOptions {
        deadline: load.deadline,
        // Nobody waits for a place: that would not be the cluster's doing. Some are for questions on the side.
        in_flight_max: share.max(spread::AT_ONCE) + 64,
        read_from: settings.read_from,
    };
    let mut stores = Vec::new();
    for _ in 0..load.connections {
        stores.push(match cluster {
            Some(cluster) => {
                let replicas = settings.load.mem.unwrap_or_default() as usize;
                let addresses: Vec<Address> = (0..replicas)
                    .map(|replica| cluster.address(replica).clone())
                    .collect();
                assemble::client_in_memory(cluster.network(), addresses, &options)
            }
            None => assemble::client_with(&load.connection, &options).await?,
        });
    }
    Ok(stores)
}

fn print(outcome: &Outcome, format: Format) -> Result<Exit, Failure> {
    match format {
        Format::Text => output::print(outcome.text().trim_end())?,
        Format::Json => output::print_json(&outcome.json())?,
    }
    let failed = match outcome.settings.subject {
        Subject::Load => outcome.errors.total(),
        // Whoever has nodes fail wants to know what comes of it.
        Subject::Failover { .. } | Subject::CatchUp => 0,
    };
    let failure = match (outcome.mismatches, failed) {
        (0, 0) if outcome.keys.is_failure() => Failure::KeysLeft,
        (0, 0) => return Ok(Exit::Done),
        (0, count) => Failure::Failed { count },
        (count, _) => Failure::Mismatch { count },
    };
    match format {
        Format::Json => Ok(failure.exit()),
        Format::Text => Err(failure),
    }
}
