//! A whole cluster in one process, for tests of programs that use one.
//!
//! ```
//! use lockstep_core::operation::ReadLevel;
//! use lockstep_transport_mem::Cluster;
//!
//! # async_std::task::block_on(async {
//! let mut cluster = Cluster::start(3).await?;
//! let client = cluster.client();
//! client.insert("greeting", "hello").await?;
//!
//! cluster.kill(1).await;
//! client.insert("greeting", "still here").await?;
//! let read = client.get("greeting").await?;
//! assert_eq!(read.value(), Some(&"still here".into()));
//!
//! cluster.restart(1).await?;
//! cluster.settled().await?;
//! let read = client
//!     .get_at(cluster.address(1), "greeting", ReadLevel::Linearizable)
//!     .await?;
//! assert_eq!(read.value(), Some(&"still here".into()));
//! cluster.stop().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! What a write's error means is in its type:
//!
//! ```
//! use std::time::Duration;
//!
//! use lockstep_core::driver::handle::WriteError;
//! use lockstep_transport_mem::Cluster;
//!
//! # async_std::task::block_on(async {
//! let mut cluster = Cluster::start(2).await?;
//! let client = cluster.client().with_deadline(Duration::from_millis(200));
//! cluster.kill(0).await; // The primary.
//! match client.insert("greeting", "hello").await {
//!     Ok(written) => println!("entry {} is on every disk", written.seq),
//!     Err(error) if error.is_unknown() => println!("perhaps executed: {error}"),
//!     Err(error) => println!("certainly not executed, it can be tried again: {error}"),
//! }
//! let error = client.insert("greeting", "hello").await.expect_err("there is no primary");
//! assert!(matches!(error, WriteError::Unreachable { .. }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_std::task;
use lockstep_core::Handle;
use lockstep_core::arbiter::ArbiterOptions;
use lockstep_core::config::{Address, NodeId};
use lockstep_core::driver::handle::{AdminError, ClientOptions};
use lockstep_core::driver::{self, DriverError, Running};
use lockstep_core::engine::memory::MemoryArbiter;
use lockstep_core::event::Event;
use lockstep_core::limits::Limits;
use lockstep_core::message::NodeStatus;
use lockstep_core::replica::ReplicaOptions;
use lockstep_core::transport::Transport;

use crate::disk::{ReplicaDisk, Shelf, arbiter_disk};
use crate::network::Network;

/// The arbiter's address.
const ARBITER: &str = "arbiter";

/// How often a cluster that is to settle is looked at.
const GLANCE_INTERVAL: Duration = Duration::from_millis(5);

/// A cluster that takes longer to settle has lost something for good.
const SETTLE_PATIENCE: Duration = Duration::from_secs(30);

/// An arbiter and replicas that live in this process, disks and network in its memory. It ends when dropped.
pub struct Cluster {
    network: Network,
    limits: Limits,
    arbiter: Node<Shelf<MemoryArbiter>>,
    replicas: Vec<Node<ReplicaDisk>>,
    observer: Handle,
}

/// A disk, and the process that works with it unless it was killed.
struct Node<D> {
    address: Address,
    disk: D,
    running: Option<Running>,
}

/// Why a cluster is not as it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A process could not start or did not end in good order.
    #[error("a process of the cluster failed")]
    Process(#[from] DriverError),
    /// Not all running replicas came in sync in reasonable time.
    #[error("the cluster did not settle; a replica says: {last}")]
    Unsettled {
        /// What was known of it last.
        last: String,
    },
}

impl Cluster {
    /// A new cluster of `replicas` replicas; returns once all of them are in sync.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(replicas: usize) -> Result<Self, ClusterError> {
        Self::start_on(Network::new(0), replicas, Limits::default()).await
    }

    /// A new cluster on a network that the caller may disturb.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start_on(
        network: Network,
        replicas: usize,
        limits: Limits,
    ) -> Result<Self, ClusterError> {
        let nodes: Vec<_> = (0..replicas)
            .map(|index| Node {
                address: Address::new(format!("replica-{index}")),
                disk: ReplicaDisk::new(NodeId(1 + index as u64)),
                running: None,
            })
            .collect();
        let addresses = nodes.iter().map(|node| node.address.clone()).collect();
        let observer = connect(&network, addresses);
        let mut cluster = Self {
            network,
            limits,
            arbiter: Node {
                address: Address::new(ARBITER),
                disk: arbiter_disk(),
                running: None,
            },
            replicas: nodes,
            observer,
        };
        cluster.restart_arbiter();
        for index in 0..replicas {
            cluster.restart(index).await?;
            // One after the other, so that the first is the first primary.
            cluster.settled().await?;
        }
        Ok(cluster)
    }

    /// A new client of this cluster.
    pub fn client(&self) -> Handle {
        let addresses = self.replicas.iter().map(|node| node.address.clone());
        connect(&self.network, addresses.collect())
    }

    /// Where a replica is reached.
    ///
    /// # Panics
    /// If there is no replica of that number.
    pub fn address(&self, replica: usize) -> &Address {
        &self.replicas[replica].address
    }

    /// Where the arbiter is reached.
    pub fn arbiter_address(&self) -> &Address {
        &self.arbiter.address
    }

    /// The network, to disturb it.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Ends a replica without a word to anybody, as a crash would. Its disk stays.
    ///
    /// # Panics
    /// If there is no replica of that number.
    pub async fn kill(&mut self, replica: usize) {
        kill(self.replicas[replica].running.take()).await;
    }

    /// Has a replica leave the cluster in good order, and ends it. Its disk stays.
    ///
    /// # Errors
    /// If it does not end in good order.
    ///
    /// # Panics
    /// If there is no replica of that number.
    pub async fn leave(&mut self, replica: usize) -> Result<(), ClusterError> {
        if let Some(running) = self.replicas[replica].running.take() {
            running.leave().await?;
        }
        Ok(())
    }

    /// Starts a replica again on its disk; one that is running is killed first.
    ///
    /// # Errors
    /// If it cannot start.
    ///
    /// # Panics
    /// If there is no replica of that number.
    pub async fn restart(&mut self, replica: usize) -> Result<(), ClusterError> {
        self.kill(replica).await;
        let node = &mut self.replicas[replica];
        let options = ReplicaOptions {
            name: node.address.to_string(),
            address: node.address.clone(),
            arbiters: vec![self.arbiter.address.clone()],
            limits: self.limits.clone(),
            software: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let log = node.disk.log.take().expect(RETURNED);
        let transport = Arc::new(self.network.node(node.address.as_str()));
        let running = driver::start_replica(
            options,
            Box::new(log),
            node.disk.engine.clone(),
            transport,
            Arc::new(unwatched),
        )?;
        node.running = Some(running);
        Ok(())
    }

    /// Wipes the disk of a replica, which must not be running, so that its next start is that of a new node.
    ///
    /// # Panics
    /// If there is no replica of that number, or if it is running.
    pub fn wipe(&mut self, replica: usize) {
        let count = self.replicas.len() as u64;
        let node = &mut self.replicas[replica];
        assert!(node.running.is_none(), "the disk of a running replica");
        let log = node.disk.log.take().expect(RETURNED);
        let former = lockstep_core::engine::LogStore::meta(&log).node;
        node.disk = ReplicaDisk::new(NodeId(former.0 + count));
    }

    /// Ends the arbiter as a crash would. Its disk stays.
    pub async fn kill_arbiter(&mut self) {
        kill(self.arbiter.running.take()).await;
    }

    /// Starts the arbiter again on its disk, if it is not running.
    pub fn restart_arbiter(&mut self) {
        if self.arbiter.running.is_some() {
            return;
        }
        let store = self.arbiter.disk.take().expect(RETURNED);
        let transport = Arc::new(self.network.node(ARBITER));
        let running = driver::start_arbiter(
            ArbiterOptions::alone(ARBITER, self.arbiter.address.clone()),
            Box::new(store),
            transport,
            Arc::new(unwatched),
        );
        let running = running.expect("its disk has a cluster");
        self.arbiter.running = Some(running);
    }

    /// Cuts a replica off from everybody, until `mend`.
    ///
    /// # Panics
    /// If there is no replica of that number.
    pub fn cut(&self, replica: usize) {
        self.network.isolate(self.address(replica));
    }

    /// Undoes all cuts and disturbances.
    pub fn mend(&self) {
        self.network.mend_all();
    }

    /// What a replica says of itself.
    ///
    /// # Errors
    /// If it does not answer.
    ///
    /// # Panics
    /// If there is no replica of that number.
    pub async fn status(&self, replica: usize) -> Result<NodeStatus, AdminError> {
        self.observer.status(self.address(replica)).await
    }

    /// Waits until exactly the running replicas are in sync, and all of them know it.
    ///
    /// # Errors
    /// If that takes too long.
    pub async fn settled(&self) -> Result<(), ClusterError> {
        let mut last = String::new();
        let settling = async {
            while !self.is_settled(&mut last).await {
                task::sleep(GLANCE_INTERVAL).await;
            }
        };
        let settled = async_std::future::timeout(SETTLE_PATIENCE, settling).await;
        settled.map_err(|_| ClusterError::Unsettled { last })
    }

    async fn is_settled(&self, last: &mut String) -> bool {
        let running = || self.replicas.iter().filter(|node| node.running.is_some());
        let mut expected: Vec<_> = running().map(|node| &node.address).collect();
        expected.sort();
        for node in running() {
            let status = match self.observer.status(&node.address).await {
                Ok(status) => status,
                Err(error) => {
                    *last = format!("{}: {error}", node.address);
                    return false;
                }
            };
            let in_sync = status.config.as_ref().map(|config| {
                let members = config.in_sync.iter().map(|node| &config.members[node]);
                let mut addresses: Vec<_> = members.map(|member| &member.address).collect();
                addresses.sort();
                addresses
            });
            if in_sync.as_ref() != Some(&expected) {
                *last = format!("{status:?}");
                return false;
            }
        }
        true
    }

    /// Stops everything and waits for it.
    ///
    /// # Errors
    /// If a process had failed.
    pub async fn stop(self) -> Result<(), ClusterError> {
        self.observer.close().await;
        let replicas = self.replicas.into_iter().filter_map(|node| node.running);
        for running in replicas.chain(self.arbiter.running) {
            running.stop().await?;
        }
        Ok(())
    }
}

/// Why a disk is there when its process has ended.
const RETURNED: &str = "a process gives its disk back when it ends";

/// For processes nobody watches.
fn unwatched(_: &Event) {}

fn connect(network: &Network, replicas: Vec<Address>) -> Handle {
    let transport: Arc<dyn Transport> = Arc::new(network.client("program"));
    driver::connect(transport, replicas, &ClientOptions::default())
}

async fn kill(running: Option<Running>) {
    if let Some(running) = running {
        // It is gone either way; if it had failed before, whoever restarts it will see.
        let _exit = running.kill().await;
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.replicas.iter().filter(|node| node.running.is_some());
        f.debug_struct("Cluster")
            .field("replicas", &self.replicas.len())
            .field("running", &running.count())
            .finish_non_exhaustive()
    }
}
