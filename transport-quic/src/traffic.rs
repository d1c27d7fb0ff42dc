//! What all connections have carried, those included that have ended.

use std::sync::{Mutex, MutexGuard, PoisonError};

use lockstep_core::transport::Traffic;
use quinn::Connection;

use crate::peers::Peers;

/// What connections that have ended had carried.
#[derive(Default)]
pub(crate) struct Past(Mutex<Traffic>);

impl Past {
    /// The connection has ended.
    pub(crate) fn add(&self, connection: &Connection) {
        add(&mut self.lock(), connection);
    }

    /// With what the connections in use have carried so far. A connection that another has replaced counts again when it
    /// has ended.
    pub(crate) fn with_present(&self, peers: &Peers) -> Traffic {
        let mut traffic = *self.lock();
        for connection in peers.all().iter().filter_map(|peer| peer.active()) {
            if connection.close_reason().is_none() {
                add(&mut traffic, &connection);
            }
        }
        traffic
    }

    fn lock(&self) -> MutexGuard<'_, Traffic> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(traffic: &mut Traffic, connection: &Connection) {
    let stats = connection.stats();
    traffic.packets_sent += stats.udp_tx.datagrams;
    traffic.bytes_sent += stats.udp_tx.bytes;
    traffic.packets_received += stats.udp_rx.datagrams;
    traffic.bytes_received += stats.udp_rx.bytes;
}
