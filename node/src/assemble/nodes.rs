//! Arbiters and replicas on a transport and a disk.

use std::collections::BTreeSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_std::channel::Receiver;
use async_std::task;
use lockstep_core::arbiter::ArbiterOptions;
use lockstep_core::config::{Address, ArbiterPlace};
use lockstep_core::driver::handle::ClientOptions;
use lockstep_core::driver::{self, DriverError, Running};
use lockstep_core::engine::durable::{self, Extent, ReplicaStore, StoppedReplica, StoreOptions};
use lockstep_core::engine::{ArbiterStore, StoreError};
use lockstep_core::replica::ReplicaOptions;
use lockstep_core::rights::NodeRole;
use lockstep_core::transport::Transport;
use lockstep_transport_quic::address::Target;
use lockstep_transport_quic::identity::Name;
use lockstep_transport_quic::tls::TlsError;
use lockstep_transport_quic::{
    Admit, Credentials, QuicConfig, QuicError, QuicTransport, endpoint_of,
};

use tracing::warn;

use super::renewal;
use crate::args::{Bounds, Peer};
use crate::commands::serve;
use crate::events::{News, Watcher};
use crate::output::{self, Failure};
use crate::store::Store;

/// Over what nodes and clients reach each other.
#[derive(Clone)]
pub(crate) enum Network {
    /// QUIC, with certificates from this directory.
    Quic {
        /// The directory.
        tls_dir: PathBuf,
    },
    /// The memory of this process.
    Mem(lockstep_transport_mem::Network),
}

/// Where and as whom a node runs.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    /// Its name; over QUIC `None` where there is only one certificate.
    pub(crate) name: Option<&'a str>,
    /// `HOST:PORT` to listen at; of no meaning in memory.
    pub(crate) listen: &'a str,
    /// `HOST:PORT` others reach it at, if that is another.
    pub(crate) advertise: Option<&'a str>,
    /// Its data directory.
    pub(crate) data_dir: &'a Path,
}

/// A node at work.
pub(crate) struct Node {
    /// Its name.
    pub(crate) name: String,
    /// Where others reach it.
    pub(crate) address: Address,
    /// The process.
    pub(crate) running: Running,
    /// Told of what becomes of it.
    pub(crate) news: Receiver<News>,
}

/// The nodes of a machine at work, which have one address.
pub(crate) struct Machine {
    /// Its replica.
    pub(crate) replica: Node,
    /// Its arbiter, if it has one.
    pub(crate) arbiter: Option<Node>,
}

impl Node {
    /// Its address as people write it.
    pub(crate) fn endpoint(&self) -> &str {
        endpoint_of(&self.address)
    }
}

impl Network {
    /// A network in the memory of this process.
    pub(crate) fn mem() -> Self {
        // The seed is for disturbances, and nobody disturbs this network.
        Self::Mem(lockstep_transport_mem::Network::new(0))
    }

    /// Starts an arbiter. Those of `founders` begin a cluster together, if it is one of them; `others` are where it may find some that
    /// have one.
    pub(crate) async fn arbiter(
        &self,
        place: &Place<'_>,
        founders: BTreeSet<String>,
        others: Vec<Address>,
    ) -> Result<Node, Failure> {
        // The disk first: whether the node runs already is seen there, and said better than by a port in use.
        let store = open(place.data_dir, durable::open_arbiter).await?;
        let (name, transport) = self.end(place, NodeRole::Arbiter)?;
        let mut options = ArbiterOptions::alone(name.clone(), transport.local().clone());
        if founders.contains(&name) {
            options.founders = founders;
        }
        options.peers = others;
        start_arbiter(options, store, transport, place.data_dir)
    }

    /// Starts a replica of the cluster whose arbiters are at `arbiters`, or some of them.
    pub(crate) async fn replica(
        &self,
        place: &Place<'_>,
        arbiters: Vec<Address>,
        bounds: &Bounds,
    ) -> Result<Node, Failure> {
        let store = open_replica(place.data_dir, bounds).await?;
        let (name, transport) = self.end(place, NodeRole::Replica)?;
        start_replica(name, store, transport, arbiters, bounds, place.data_dir).await
    }

    /// Starts the nodes of a machine: its replica and, if it is one of `arbiters`, its arbiter.
    pub(crate) async fn machine(
        &self,
        place: &Place<'_>,
        arbiters: &[Peer],
        bounds: &Bounds,
    ) -> Result<Machine, Failure> {
        let own = self.name(place)?;
        let has_arbiter = arbiters.iter().any(|peer| peer.name == own);
        let [replica_dir, arbiter_dir] = ["replica", "arbiter"].map(|dir| place.data_dir.join(dir));
        let arbiter_store = match has_arbiter {
            true => Some(open(&arbiter_dir, durable::open_arbiter).await?),
            false => None,
        };
        let store = open_replica(&replica_dir, bounds).await?;
        let role = match has_arbiter {
            true => NodeRole::Both,
            false => NodeRole::Replica,
        };
        let (name, end) = self.end(place, role)?;
        let addresses = arbiters.iter().map(|peer| match peer.name == name {
            true => Ok(end.local().clone()),
            false => peer_address(peer),
        });
        let addresses = addresses.collect::<Result<Vec<Address>, Failure>>()?;
        let (arbiter, replica_end) = match arbiter_store {
            Some(store) => {
                let others = addresses.iter().filter(|address| *address != end.local());
                let options = ArbiterOptions {
                    place: ArbiterPlace {
                        name: name.clone(),
                        address: end.local().clone(),
                    },
                    founders: arbiters.iter().map(|peer| peer.name.clone()).collect(),
                    peers: others.cloned().collect(),
                };
                let (arbiter_end, replica_end) = driver::share(end);
                let node = start_arbiter(options, store, arbiter_end, &arbiter_dir)?;
                (Some(node), replica_end)
            }
            None => (None, end),
        };
        let replica =
            start_replica(name, store, replica_end, addresses, bounds, &replica_dir).await?;
        Ok(Machine { replica, arbiter })
    }

    /// The name of the node at `place`.
    pub(crate) fn name(&self, place: &Place<'_>) -> Result<String, Failure> {
        match self {
            Self::Mem(_) => Ok(place.name.unwrap_or("node").to_owned()),
            Self::Quic { tls_dir } => {
                let credentials = Credentials::load_node(tls_dir, place.name);
                let credentials = credentials.map_err(tls_failure)?;
                Ok(credentials.name().to_string())
            }
        }
    }

    /// One end of the network, for a node of this role, and the node's name.
    fn end(
        &self,
        place: &Place<'_>,
        role: NodeRole,
    ) -> Result<(String, Arc<dyn Transport>), Failure> {
        match self {
            Self::Mem(network) => {
                let name = self.name(place)?;
                let transport = Arc::new(network.node(&name));
                Ok((name, transport))
            }
            Self::Quic { tls_dir } => {
                let credentials = Credentials::load_node(tls_dir, place.name)
                    .and_then(|credentials| credentials.of_role(role))
                    .map_err(tls_failure)?;
                let name = credentials.name().to_string();
                let listen = resolve(place.listen)?;
                if let Some(advertise) = place.advertise {
                    check_advertised(listen, advertise)?;
                }
                let mut config = QuicConfig::new(listen, credentials.clone());
                config.advertise = place.advertise.map(str::to_owned);
                config.admit = match role {
                    NodeRole::Arbiter => Admit::Nodes,
                    NodeRole::Replica | NodeRole::Both => Admit::Everybody,
                };
                let transport = QuicTransport::bind(config).map_err(|error| {
                    let text = format!("{} (--listen, --advertise)", output::chain(&error));
                    match error {
                        QuicError::AddressInUse { .. } => Failure::PortInUse(text),
                        _ => Failure::Broken(text),
                    }
                })?;
                let transport = Arc::new(transport);
                renewal::spawn(&transport, credentials, role, tls_dir);
                Ok((name, transport))
            }
        }
    }

    /// A client of replicas in this process.
    pub(crate) fn store(&self, addresses: Vec<Address>, options: &ClientOptions) -> Option<Store> {
        match self {
            Self::Mem(network) => {
                let transport = Arc::new(network.client("shell"));
                Some(Store::connect(transport, addresses, options))
            }
            Self::Quic { .. } => None,
        }
    }
}

fn start_arbiter(
    options: ArbiterOptions,
    store: impl ArbiterStore + 'static,
    transport: Arc<dyn Transport>,
    data_dir: &Path,
) -> Result<Node, Failure> {
    let ArbiterPlace { name, address } = options.place.clone();
    let (watcher, news) = Watcher::new(&name, data_dir);
    let running = driver::start_arbiter(options, Box::new(store), transport, Arc::new(watcher))
        .map_err(|error| serve::failure(&error))?;
    Ok(Node {
        name,
        address,
        running,
        news,
    })
}

async fn start_replica(
    name: String,
    store: ReplicaStore,
    transport: Arc<dyn Transport>,
    arbiters: Vec<Address>,
    bounds: &Bounds,
    data_dir: &Path,
) -> Result<Node, Failure> {
    let address = transport.local().clone();
    let (watcher, news) = Watcher::new(&name, data_dir);
    let options = ReplicaOptions {
        name: name.clone(),
        address: address.clone(),
        arbiters,
        limits: bounds.limits.clone(),
        software: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let start = move || {
        let (log, engine) = (Box::new(store.log), Arc::new(store.engine));
        driver::start_replica(options, log, engine, transport, Arc::new(watcher))
    };
    // Applies the end of the log, which can take seconds.
    let running = task::spawn_blocking(start)
        .await
        .map_err(|error| serve::failure(&error))?;
    Ok(Node {
        name,
        address,
        running,
        news,
    })
}

/// Begins a cluster on the disk of an arbiter, unless it has one.
pub(crate) async fn begin_cluster(path: &Path) -> Result<(), Failure> {
    let mut store = new_arbiter_store(path).await?;
    match driver::begin_cluster(&mut store) {
        Ok(_) | Err(DriverError::ClusterBegun(_)) => Ok(()),
        Err(error) => Err(serve::failure(&error)),
    }
}

/// The disk of an arbiter that may be new.
pub(crate) async fn new_arbiter_store(path: &Path) -> Result<impl ArbiterStore, Failure> {
    open(path, durable::open_arbiter).await
}

/// The data directory of an arbiter that does not run.
pub(crate) async fn arbiter_store(path: &Path) -> Result<impl ArbiterStore, Failure> {
    if !path.is_dir() {
        return Err(Failure::Usage(format!(
            "there is no directory {}: name the data directory of the arbiter",
            path.display()
        )));
    }
    open(path, durable::open_arbiter).await
}

/// What a replica that does not run has in its data directory, which stays as it is; `scratch` is an empty directory.
pub(crate) async fn stopped_replica(
    path: &Path,
    scratch: &Path,
    extent: Extent,
) -> Result<StoppedReplica, Failure> {
    let (path, scratch) = (path.to_owned(), scratch.to_owned());
    let opened = task::spawn_blocking(move || {
        StoppedReplica::open(&path, &scratch, extent).map_err(|error| {
            let text = output::chain(&error);
            match error {
                StoreError::Locked { .. } => store_failure(&error),
                StoreError::NoRoom { .. } => Failure::Broken(format!(
                    "{text}, or choose another disk with --temp-dir"
                )),
                // What is wrong with the copy of a file is wrong with the file.
                _ => Failure::Broken(format!(
                    "cannot export: {}. Nothing was changed there; do not remove a replica's directory before another one has its data",
                    text.replace(&*scratch.to_string_lossy(), &path.to_string_lossy())
                )),
            }
        })
    });
    opened.await
}

async fn open_replica(path: &Path, bounds: &Bounds) -> Result<ReplicaStore, Failure> {
    let options = StoreOptions {
        cache_bytes: bounds.cache_bytes,
        segment_bytes: bounds.segment_bytes,
        ..StoreOptions::default()
    };
    open(path, move |path| durable::open_replica(path, &options)).await
}

/// Opens a data directory on a thread that may block: recovery can take seconds.
async fn open<S: Send + 'static>(
    path: &Path,
    open: impl FnOnce(&Path) -> Result<S, StoreError> + Send + 'static,
) -> Result<S, Failure> {
    let path = path.to_owned();
    task::spawn_blocking(move || open(&path))
        .await
        .map_err(|error| store_failure(&error))
}

fn store_failure(error: &StoreError) -> Failure {
    let text = output::chain(error);
    match error {
        error if error.is_for_want_of_room() => Failure::NoRoom(text),
        StoreError::Locked { .. } => Failure::Broken(format!(
            "{text}: stop that one first, or name another directory"
        )),
        StoreError::NoRoom { .. }
        | StoreError::Damaged { .. }
        | StoreError::Format { .. }
        | StoreError::Mismatch { .. }
        | StoreError::Io { .. }
        | StoreError::Engine(_) => Failure::Broken(text),
        _ => Failure::Broken(text),
    }
}

/// The words for certificates that cannot be used: what is missing or ambiguous is the user's to choose.
pub(super) fn tls_failure(error: TlsError) -> Failure {
    let text = output::chain(&error);
    match error {
        TlsError::NoAuthority { .. }
        | TlsError::NoCertificate { .. }
        | TlsError::Several { .. }
        | TlsError::Missing { .. }
        | TlsError::OtherRole { .. } => Failure::Usage(text),
        TlsError::Read { .. }
        | TlsError::NotPem { .. }
        | TlsError::Expired { .. }
        | TlsError::NotYetValid { .. }
        | TlsError::Denied { .. }
        | TlsError::OtherAuthority { .. }
        | TlsError::KeyMismatch { .. }
        | TlsError::OtherIdentity { .. }
        | TlsError::Unusable { .. } => Failure::Broken(text),
        _ => Failure::Broken(text),
    }
}

/// The address of a node as the user gave it.
pub(crate) fn node_address(flag: &str, text: &str) -> Result<Address, Failure> {
    Target::parse(text).map_err(|error| Failure::Usage(format!("{flag}: {error}")))?;
    Ok(Address::new(text))
}

/// The address of a machine as the user gave it.
pub(crate) fn peer_address(peer: &Peer) -> Result<Address, Failure> {
    let Peer { name, endpoint } = peer;
    let wrong = |problem: &str| {
        Failure::Usage(format!(
            "--peers {name}={endpoint}: {problem}; write NAME=HOST:PORT, as in n1=10.0.0.1:7101 or n2=[::1]:7101"
        ))
    };
    let own = Name::new(name).map_err(|error| wrong(&error.to_string()))?;
    let mut target = Target::parse(endpoint).map_err(|error| wrong(error.problem))?;
    if target.name.replace(own).is_some() {
        return Err(wrong("the name is that before ="));
    }
    if target.port == 0 {
        return Err(wrong("the port is the one that others reach, not 0"));
    }
    Ok(Address::new(target.to_string()))
}

/// Can others reach the node at `advertise`? What cannot be right is refused. What may be right elsewhere, where names are
/// resolved and packets forwarded in another way, is only told.
fn check_advertised(listen: SocketAddr, advertise: &str) -> Result<(), Failure> {
    let wrong = |problem: &str| {
        Failure::Usage(format!(
            "--advertise {advertise}: {problem}; write the HOST:PORT that others reach this node at, as in 10.0.0.2:7101"
        ))
    };
    let target = Target::parse(advertise).map_err(|error| wrong(error.problem))?;
    if target.name.is_some() {
        return Err(wrong("the name of the node is that of its certificate"));
    }
    let addresses = match (target.host.as_str(), target.port).to_socket_addrs() {
        Ok(addresses) => addresses.collect::<Vec<_>>(),
        Err(error) => {
            warn!(advertise, %error, "this machine cannot look up the address that others are to reach it at");
            return Ok(());
        }
    };
    if addresses
        .iter()
        .any(|address| address.ip().is_unspecified())
    {
        return Err(wrong("it stands for every address of a machine"));
    }
    let takes = |address: &SocketAddr| {
        address.is_ipv6() == listen.is_ipv6() || listen.is_ipv6() && listen.ip().is_unspecified()
    };
    if !addresses.iter().any(takes) {
        let [here, there] = match listen.is_ipv6() {
            true => ["IPv6", "IPv4"],
            false => ["IPv4", "IPv6"],
        };
        warn!(
            advertise, %listen,
            "others are to reach this node over {there}, but it listens for {here} only: nobody will, unless somebody translates"
        );
    }
    Ok(())
}

/// The socket address of `HOST:PORT`.
fn resolve(listen: &str) -> Result<SocketAddr, Failure> {
    let wrong = |problem: String| {
        Failure::Usage(format!(
            "--listen {listen}: {problem}; write HOST:PORT, as in 127.0.0.1:7101, 0.0.0.0:7101 or [::]:7101"
        ))
    };
    let mut addresses = listen
        .to_socket_addrs()
        .map_err(|error| wrong(error.to_string()))?;
    addresses
        .next()
        .ok_or_else(|| wrong("the host has no address".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_address_that_cannot_be_right_is_refused() {
        let check = |advertise: &str, expected: Option<&str>| {
            let listen = "127.0.0.1:7101".parse().unwrap();
            let error = check_advertised(listen, advertise).err();
            let error = error.map(|error| error.to_string());
            match (&error, expected) {
                (None, None) => {}
                (Some(error), Some(expected)) => {
                    assert!(
                        error.contains(expected) && error.contains("--advertise"),
                        "{error}"
                    );
                }
                other => panic!("{advertise}: {other:?}"),
            }
        };
        check("127.0.0.1:7101", None);
        check("[::1]:7101", None);
        check("127.0.0.1", Some("port is missing"));
        check("0.0.0.0:7101", Some("every address"));
        check("[::]:7101", Some("every address"));
        check("r1@127.0.0.1:7101", Some("certificate"));
    }
}
