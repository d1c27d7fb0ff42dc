//! What the replicas of a cluster of processes say of themselves.

use std::sync::Arc;
use std::time::Duration;

use async_std::task;
use lockstep_core::config::{Address, ArbiterId, Config, NodeId};
use lockstep_core::driver;
use lockstep_core::driver::handle::{ClientOptions, Handle};
use lockstep_core::limits::ARBITER_SILENCE;
use lockstep_core::message::{ArbitersStatus, NodeStatus, RoleName};
use lockstep_transport_quic::endpoint_of;

use super::{Failure, Subject};

/// A replica that has not answered by then is taken for dead.
const STATUS_DEADLINE: Duration = Duration::from_millis(500);

/// A client that asks the replicas about themselves.
pub struct Observer {
    handle: Handle,
    addresses: Vec<Address>,
}

/// What the replicas said, by their numbers; `None` of those that did not answer.
pub struct View {
    addresses: Vec<Address>,
    statuses: Vec<Option<NodeStatus>>,
}

impl Observer {
    /// One of `cluster`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(cluster: &dyn Subject) -> Result<Self, Failure> {
        let addresses = cluster.addresses();
        let options = ClientOptions {
            deadline: STATUS_DEADLINE,
            ..ClientOptions::default()
        };
        let transport = Arc::new(cluster.client()?);
        let handle = driver::connect(transport, addresses.clone(), &options);
        Ok(Self { handle, addresses })
    }

    /// Asks all of them at the same time.
    pub fn look(&self) -> View {
        let addresses = self.addresses.iter();
        let asked: Vec<_> = addresses
            .map(|address| {
                let (handle, address) = (self.handle.clone(), address.clone());
                task::spawn(async move { handle.status(&address).await.ok() })
            })
            .collect();
        View {
            addresses: self.addresses.clone(),
            statuses: asked.into_iter().map(task::block_on).collect(),
        }
    }
}

impl View {
    /// The replica that is primary in the newest configuration known, and knows that it is.
    pub fn primary(&self) -> Option<usize> {
        let config = self.config()?;
        let number = self.number(config, config.primary?)?;
        let status = self.statuses[number].as_ref()?;
        let epoch = status.config.as_ref()?.epoch;
        (status.role == RoleName::Primary && epoch == config.epoch).then_some(number)
    }

    /// Is the replica in sync, as far as is known?
    pub fn is_in_sync(&self, number: usize) -> bool {
        self.config().is_some_and(|config| {
            let mut in_sync = config.in_sync.iter();
            in_sync.any(|node| self.number(config, *node) == Some(number))
        })
    }

    /// The arbiter that keeps the record at the address of a replica, as far as is known.
    pub fn arbiter_at(&self, number: usize) -> Option<ArbiterId> {
        let own = self.addresses[number].as_str();
        let mut arbiters = self.config()?.arbiters.iter();
        let found = arbiters.find(|(_, place)| endpoint_of(&place.address) == own);
        found.map(|(arbiter, _)| *arbiter)
    }

    /// Handshakes that failed at replicas, and that they refused, since they started.
    pub fn handshakes(&self) -> [u64; 2] {
        let usages = self.statuses.iter().flatten().map(|status| status.usage);
        usages.fold([0, 0], |[failed, refused], usage| {
            [
                failed + usage.handshakes_failed,
                refused + usage.handshakes_refused,
            ]
        })
    }

    /// All replicas are in sync, know it, and answer linearizable reads; all of them hear an arbiter, and none of several is silent.
    pub fn is_whole(&self) -> bool {
        let Some(config) = self.config() else {
            return false;
        };
        let is_well = |status: &NodeStatus| {
            status.config.as_ref() == Some(config)
                && matches!(status.role, RoleName::Primary | RoleName::Secondary)
                && status.has_lease
                && status.arbiter_reachable
        };
        let is_well = |status: &Option<NodeStatus>| status.as_ref().is_some_and(is_well);
        config.in_sync.len() == self.statuses.len()
            && self.primary().is_some()
            && self.statuses.iter().all(is_well)
            && self.hears_all_arbiters(config)
    }

    /// Where there are several, one of them tells of the others.
    fn hears_all_arbiters(&self, config: &Config) -> bool {
        let statuses = self.statuses.iter().flatten();
        let told = statuses.filter_map(|status| status.arbiters.as_ref());
        let told = told.min_by_key(|told| told.age);
        let is_well =
            |told: &ArbitersStatus| told.age < ARBITER_SILENCE && told.seen.silent.is_empty();
        config.arbiters.len() == 1 || told.is_some_and(is_well)
    }

    fn config(&self) -> Option<&Config> {
        let statuses = self.statuses.iter().flatten();
        let configs = statuses.filter_map(|status| status.config.as_ref());
        configs.max_by_key(|config| config.version)
    }

    fn number(&self, config: &Config, node: NodeId) -> Option<usize> {
        let endpoint = endpoint_of(&config.members.get(&node)?.address);
        let mut addresses = self.addresses.iter();
        addresses.position(|address| address.as_str() == endpoint)
    }
}
