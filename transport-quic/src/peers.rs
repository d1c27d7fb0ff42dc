//! All other ends, by address. Nodes stay until room is needed; clients go with their connection.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lockstep_core::config::Address;
use lockstep_core::transport::SenderKind;

use crate::address::{self, Target};
use crate::allowance::Allowance;
use crate::config::Dial;
use crate::identity::Name;
use crate::peer::Peer;

/// Nodes known at the same time: several for each of a cluster, so that changed addresses find room as well.
const NODES_MAX: usize = 1024;

/// Bytes waiting for all clients together.
const CLIENTS_BYTES_MAX: usize = 256 << 20;

/// The other ends of a transport.
pub(crate) struct Peers {
    table: RwLock<HashMap<Address, Arc<Peer>>>,
    clients: AtomicU64,
    /// What waits for clients.
    waiting_for_clients: Allowance,
}

impl Peers {
    pub(crate) fn new() -> Self {
        Self {
            table: RwLock::default(),
            clients: AtomicU64::default(),
            waiting_for_clients: Allowance::new(CLIENTS_BYTES_MAX),
        }
    }

    pub(crate) fn get(&self, address: &Address) -> Option<Arc<Peer>> {
        self.read().get(address).cloned()
    }

    /// The node at `address`, which is added if need be; `None` if there are too many.
    pub(crate) fn node(&self, address: &Address, target: Target, dial: Dial) -> Option<Arc<Peer>> {
        let mut table = self.write();
        if let Some(peer) = table.get(address) {
            return Some(Arc::clone(peer));
        }
        let is_node = |peer: &Arc<Peer>| peer.kind == SenderKind::Node;
        if table.values().filter(|peer| is_node(peer)).count() >= NODES_MAX {
            table.retain(|_, peer| !is_node(peer) || !peer.is_idle());
            if table.values().filter(|peer| is_node(peer)).count() >= NODES_MAX {
                return None;
            }
        }
        let target = match dial {
            Dial::Peers => Some(target),
            Dial::Never => None,
        };
        let peer = Arc::new(Peer::node(address.clone(), target));
        table.insert(address.clone(), Arc::clone(&peer));
        Some(peer)
    }

    /// A client that has just connected, under an address of its own.
    pub(crate) fn client(&self, name: &Name, remote: SocketAddr) -> Arc<Peer> {
        let number = self.clients.fetch_add(1, Ordering::Relaxed);
        let address = address::of_client(name, number, remote);
        let allowance = &self.waiting_for_clients;
        let peer = Arc::new(Peer::client(address.clone(), name.clone(), allowance));
        self.write().insert(address, Arc::clone(&peer));
        peer
    }

    pub(crate) fn remove(&self, address: &Address) {
        self.write().remove(address);
    }

    pub(crate) fn all(&self) -> Vec<Arc<Peer>> {
        self.read().values().cloned().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Address, Arc<Peer>>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Address, Arc<Peer>>> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}
