//! `dev`: a whole cluster in this process, for trying out and developing.

use std::collections::BTreeSet;
use std::future;
use std::path::Path;
use std::time::Duration;

use async_std::channel::{self, Receiver, Sender};
use async_std::future::timeout;
use async_std::task;
use futures_lite::FutureExt;
use lockstep_core::config::Address;
use lockstep_core::driver::handle::ClientOptions;
use lockstep_core::driver::{Control, DriverError, Exit as Ended};
use lockstep_core::message::RoleName;

use self::places::Places;
use super::serve;
use crate::args::{Bounds, DevArgs, Format, TransportName};
use crate::assemble::{self, Network, Node};
use crate::events::News;
use crate::output::{Exit, Failure};
use crate::shell;
use crate::signals::EndSignals;

mod places;
mod welcome;

/// After this the cluster is announced although some replica is not in sync: it may have a lot to catch up with.
const READY_PATIENCE: Duration = Duration::from_secs(30);
/// Several replicas share a disk here, and most clusters of this kind stay small.
const SEGMENT_BYTES_MAX: u64 = 8 << 20;
/// Of calls from the shell.
const SHELL_DEADLINE: Duration = Duration::from_secs(5);

/// `lockstep dev`.
pub(crate) async fn dev(args: DevArgs, format: Format) -> Result<Exit, Failure> {
    let mut bounds = args.bounds.bounds().map_err(Failure::Usage)?;
    bounds.segment_bytes = bounds.segment_bytes.min(SEGMENT_BYTES_MAX);
    let places = Places::new(&args)?;
    let mut signals = EndSignals::watch()?;
    let interrupted = async {
        signals.next().await;
        Ok(None)
    };
    let started = async { start(&args, &places, &bounds, format).await.map(Some) };
    let Some(mut cluster) = started.or(interrupted).await? else {
        return Ok(Exit::Done);
    };
    welcome::say(&args, &cluster.endpoints, cluster.is_in_sync, format).await;
    let result = live(&mut cluster, &mut signals).await;
    let stopped = stop(&mut cluster, &mut signals).await;
    result.and_then(|exit| stopped.map(|()| exit))
}

/// The nodes of the cluster at work.
struct Cluster {
    network: Network,
    replicas: Vec<Address>,
    endpoints: Vec<String>,
    controls: Vec<Control>,
    is_in_sync: bool,
    running: usize,
    end: Sender<End>,
    ends: Receiver<End>,
    format: Format,
}

/// A node has ended.
struct End {
    name: String,
    endpoint: String,
    how: Result<Ended, DriverError>,
}

async fn start(
    args: &DevArgs,
    places: &Places,
    bounds: &Bounds,
    format: Format,
) -> Result<Cluster, Failure> {
    let network = match args.transport {
        TransportName::Mem => Network::mem(),
        TransportName::Quic => {
            let tls_dir = places.tls_dir();
            assemble::make_dev_certificates(&tls_dir, &places.names(), &places.hosts())?;
            Network::Quic { tls_dir }
        }
    };
    let arbiters = places.arbiters();
    if places.is_first_start() && arbiters.len() == 1 {
        assemble::begin_cluster(&arbiters[0].data_dir).await?;
    }
    let founders: BTreeSet<String> = arbiters.iter().map(|place| place.name.clone()).collect();
    let mut cluster = Cluster::new(network, format);
    let mut addresses = Vec::new();
    for place in &arbiters {
        // Each finds those before it, and is told by them of those behind.
        let (network, founders) = (cluster.network.clone(), founders.clone());
        let place = place.as_place();
        let arbiter = network.arbiter(&place, founders, addresses.clone()).await?;
        addresses.push(arbiter.address.clone());
        cluster.add_arbiter(arbiter);
    }

    let mut replicas = places.replicas().into_iter();
    let mut roles = Vec::new();
    if places.is_first_start() {
        // The first to join becomes the primary. Let that be the first replica, which is there however many are wanted.
        let first = replicas.next().expect("at least one replica is wanted");
        let node = cluster
            .network
            .replica(&first.as_place(), addresses.clone(), bounds)
            .await?;
        let first_roles = cluster.add_replica(node);
        cluster.wait_for(&[first_roles]).await?;
    }
    let starts: Vec<_> = replicas
        .map(|place| {
            let (network, bounds) = (cluster.network.clone(), bounds.clone());
            let arbiters = addresses.clone();
            task::spawn(async move { network.replica(&place.as_place(), arbiters, &bounds).await })
        })
        .collect();
    for start in starts {
        let node = start.await?;
        roles.push(cluster.add_replica(node));
    }
    cluster.wait_for(&roles).await?;
    leave_word(args, &cluster, &places.tls_dir())?;
    Ok(cluster)
}

/// Tells commands in this directory how to reach the cluster, or that they cannot.
fn leave_word(args: &DevArgs, cluster: &Cluster, tls_dir: &Path) -> Result<(), Failure> {
    match args.transport {
        TransportName::Quic => {
            assemble::write_client_file(&args.data_dir, cluster.endpoints.clone(), tls_dir)
        }
        TransportName::Mem => assemble::remove_client_file(&args.data_dir),
    }
}

impl Cluster {
    fn new(network: Network, format: Format) -> Self {
        // Holds one message of each node.
        let (end, ends) = channel::unbounded();
        Self {
            network,
            replicas: Vec::new(),
            endpoints: Vec::new(),
            controls: Vec::new(),
            is_in_sync: true,
            running: 0,
            end,
            ends,
            format,
        }
    }

    fn add_arbiter(&mut self, node: Node) {
        self.add(node);
    }

    fn add_replica(&mut self, node: Node) -> Receiver<News> {
        self.replicas.push(node.address.clone());
        self.endpoints.push(node.endpoint().to_owned());
        self.add(node)
    }

    fn add(&mut self, node: Node) -> Receiver<News> {
        let endpoint = node.endpoint().to_owned();
        let Node {
            name,
            running,
            news,
            ..
        } = node;
        self.controls.push(running.control());
        self.running += 1;
        let end = self.end.clone();
        task::spawn(async move {
            let how = running.ended().await;
            // The channel has room for all nodes.
            let ended = End {
                name,
                endpoint,
                how,
            };
            let _ = end.send(ended).await;
        });
        news
    }

    /// Waits until all the replicas whose roles these are can serve, or for so long that something has to be said.
    async fn wait_for(&mut self, roles: &[Receiver<News>]) -> Result<(), Failure> {
        let all = async {
            for roles in roles {
                let serving = [RoleName::Primary, RoleName::Secondary];
                if serve::until_role(roles, &serving).await.is_none() {
                    // It has ended, and `ended` says how.
                    future::pending::<()>().await;
                }
            }
            Ok(())
        };
        match timeout(READY_PATIENCE, self.ended().or(all)).await {
            Ok(result) => result,
            Err(_) => {
                self.is_in_sync = false;
                Ok(())
            }
        }
    }

    /// Waits for the first node that ends although nobody asked for it. Who was drained is not missed.
    async fn ended<T>(&self) -> Result<T, Failure> {
        loop {
            let end = self.ends.recv().await;
            let End {
                name,
                endpoint,
                how,
            } = end.expect("the sender is beside the receiver");
            match how {
                Err(error) => {
                    let why = serve::failure(&error);
                    return Err(Failure::Broken(format!("{name}: {why}")));
                }
                Ok(Ended::Stopped) => {
                    return Err(Failure::Broken(format!("{name} ended by itself")));
                }
                Ok(Ended::Left) => serve::announce_left(&name, &endpoint, self.format).await,
            }
        }
    }
}

/// Until a signal comes, the shell is left, or a node ends. Returns what the shell is left with.
async fn live(cluster: &mut Cluster, signals: &mut EndSignals) -> Result<Exit, Failure> {
    let options = ClientOptions {
        deadline: SHELL_DEADLINE,
        in_flight_max: 64,
        ..ClientOptions::default()
    };
    let store = cluster.network.store(cluster.replicas.clone(), &options);
    let signal = async {
        signals.next().await;
        Ok(Exit::Done)
    };
    let shell = async {
        match &store {
            Some(store) => shell::run(store, SHELL_DEADLINE, cluster.format).await,
            None => future::pending().await,
        }
    };
    cluster.ended().or(signal).or(shell).await
}

/// Stops all nodes, the replicas before the arbiter.
async fn stop(cluster: &mut Cluster, signals: &mut EndSignals) -> Result<(), Failure> {
    for control in cluster.controls.iter().rev() {
        control.stop();
    }
    // Each has a task that keeps `end` until the node has ended.
    cluster.end = channel::bounded(1).0;
    let ended = async {
        let mut result = Ok(());
        while let Ok(ended) = cluster.ends.recv().await {
            let this = ended
                .how
                .map(|_| ())
                .map_err(|error| serve::failure(&error));
            result = result.and(this);
        }
        result
    };
    let again = async {
        signals.next().await;
        Ok(())
    };
    match timeout(serve::END_PATIENCE, again.or(ended)).await {
        Ok(result) => result,
        Err(_) => Err(serve::did_not_stop()),
    }
}
