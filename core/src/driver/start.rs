//! Starting each kind of process on what its disk holds.

use std::sync::Arc;

use crate::arbiter::{self, Arbiter, ArbiterOptions, Drawn, offline};
use crate::client::Client;
use crate::config::{Address, ArbiterId, ClusterId, StartId};
use crate::driver::dice::draw;
use crate::driver::disk::Disk;
use crate::driver::error::DriverError;
use crate::driver::handle::{ClientOptions, Handle};
use crate::driver::running::Running;
use crate::driver::spawn::{Parts, spawn};
use crate::driver::watch::Watch;
use crate::engine::recovery::recover;
use crate::engine::{ArbiterStore, Engine, LogStore};
use crate::operation::ClientId;
use crate::register::Keeper;
use crate::replica::{Replica, ReplicaOptions};
use crate::transport::Transport;

/// Starts a replica on what its disk holds. Takes as long as the disk needs for applying the end of its log, so it is
/// not for a task's thread that others share.
///
/// # Errors
/// If log and state do not fit together, or the disk fails.
pub fn start_replica(
    options: ReplicaOptions,
    mut log: Box<dyn LogStore>,
    engine: Arc<dyn Engine>,
    transport: Arc<dyn Transport>,
    watch: Arc<dyn Watch>,
) -> Result<Running, DriverError> {
    let recovered = recover(
        log.as_mut(),
        engine.as_ref(),
        &options.limits.sessions,
        StartId(draw()),
    )?;
    let disk = Disk::replica(log, engine, options.limits.log_bytes_max);
    let parts = Parts {
        transport,
        disk,
        watch,
    };
    Ok(spawn(Replica::open(options, recovered), parts))
}

/// Begins a new cluster: gives the disk of its arbiter the first record.
///
/// # Errors
/// `ClusterBegun` if it has one, or if the disk fails.
pub fn begin_cluster(store: &mut dyn ArbiterStore) -> Result<ClusterId, DriverError> {
    if let Some(held) = store.load().and_then(Keeper::held) {
        return Err(DriverError::ClusterBegun(held.value.config.cluster));
    }
    let cluster = ClusterId(draw());
    let record = arbiter::first_record(cluster, draw());
    store.save(&offline::found(draw_arbiter(), record))?;
    Ok(cluster)
}

/// A secret for a record that is not the first of its cluster ([`arbiter::adopt`]), drawn at random.
pub fn draw_secret() -> u64 {
    draw()
}

/// The identity of a new arbiter, drawn at random.
pub fn draw_arbiter() -> ArbiterId {
    ArbiterId(draw())
}

/// Starts an arbiter on what its disk holds. If that is nothing it begins a cluster with others, or waits to be taken in by
/// those that keep a record, as `options` say.
///
/// # Errors
/// `NoCluster` if it holds nothing, and has nobody to turn to: [`begin_cluster`] comes first then. An arbiter that has lost its
/// disk would found a second cluster otherwise, beside its own. Or if the disk fails.
pub fn start_arbiter(
    options: ArbiterOptions,
    mut store: Box<dyn ArbiterStore>,
    transport: Arc<dyn Transport>,
    watch: Arc<dyn Watch>,
) -> Result<Running, DriverError> {
    let drawn = Drawn {
        arbiter: draw_arbiter(),
        cluster: ClusterId(draw()),
        secret: draw(),
    };
    let keeper = match store.load().cloned() {
        Some(keeper) if keeper.held().is_some() || !options.is_alone() => keeper,
        None if !options.is_alone() => {
            let keeper = Keeper::new(drawn.arbiter);
            store.save(&keeper)?;
            keeper
        }
        Some(_) | None => return Err(DriverError::NoCluster),
    };
    let parts = Parts {
        transport,
        disk: Disk::arbiter(store),
        watch,
    };
    Ok(spawn(Arbiter::open(options, drawn, keeper), parts))
}

/// A client of the cluster that has replicas at these addresses, of which one must be reachable. Returns at once: calls
/// wait until the cluster is found, up to their deadline.
pub fn connect(
    transport: Arc<dyn Transport>,
    replicas: Vec<Address>,
    options: &ClientOptions,
) -> Handle {
    let client = Client::new(ClientId(draw()), replicas).reading_from(options.read_from);
    Handle::over(client, transport, options)
}
