//! All other ends, by address. Nodes stay until room is needed; clients go with their connection.
//!
//! A node that was dialled by its `HOST:PORT` is the same one when it connects itself, under the address that it gives itself.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use lockstep_core::config::Address;
use lockstep_core::transport::SenderKind;

use crate::address::{self, Target};
use crate::allowance::Allowance;
use crate::closing::{self, Code};
use crate::identity::Name;
use crate::peer::Peer;

/// Nodes known at the same time: several for each of a cluster, so that changed addresses find room as well.
const NODES_MAX: usize = 1024;

/// Bytes waiting for all clients together.
const CLIENTS_BYTES_MAX: usize = 256 << 20;

/// The other ends of a transport.
pub(crate) struct Peers {
    table: RwLock<HashMap<Address, Arc<Peer>>>,
    /// Nodes that were dialled by another address than they give themselves, by the latter.
    found: Mutex<HashMap<Address, Arc<Peer>>>,
    clients: AtomicU64,
    /// What waits for clients.
    waiting_for_clients: Allowance,
}

impl Peers {
    pub(crate) fn new() -> Self {
        Self {
            table: RwLock::default(),
            found: Mutex::default(),
            clients: AtomicU64::default(),
            waiting_for_clients: Allowance::new(CLIENTS_BYTES_MAX),
        }
    }

    pub(crate) fn get(&self, address: &Address) -> Option<Arc<Peer>> {
        self.read().get(address).cloned()
    }

    /// The node at `address`, which is added if need be; `None` if there are too many.
    pub(crate) fn node(&self, address: &Address, target: Target) -> Option<Arc<Peer>> {
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
        let peer = Arc::new(Peer::node(address.clone(), target));
        table.insert(address.clone(), Arc::clone(&peer));
        Some(peer)
    }

    /// The node that calls itself `own` and has connected: the one that this end dialled by another address, if it is that.
    pub(crate) fn comer(&self, own: &Address, target: Target) -> Option<Arc<Peer>> {
        let found = self.found().get(own).cloned();
        found.or_else(|| self.node(own, target))
    }

    /// The node that was dialled as `peer` calls itself `own`.
    pub(crate) fn on_found(&self, peer: &Arc<Peer>, own: &Address) {
        let mut found = self.found();
        found.retain(|_, known| !Arc::ptr_eq(known, peer));
        if *own == peer.address {
            return;
        }
        if found.len() >= NODES_MAX {
            found.retain(|_, known| !known.is_idle());
        }
        found.insert(own.clone(), Arc::clone(peer));
        drop(found);
        // It may have connected before it was found.
        if let Some(came) = self.get(own).and_then(|comer| comer.accepted()) {
            closing::close(&came, Code::Replaced, "it is known by another address");
        }
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

    fn found(&self) -> MutexGuard<'_, HashMap<Address, Arc<Peer>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Address, Arc<Peer>>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Address, Arc<Peer>>> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}
