//! What the clients of a simulation do: writes and reads of few keys, every value written once in all.

use std::num::NonZeroU32;

use lockstep_core::config::Address;
use lockstep_core::message::RequestBody;
use lockstep_core::operation::{Key, ReadLevel, Value};
use lockstep_core::range::KeyRange;
use rand::Rng;

use crate::cluster::{Cluster, MS};

/// How busy the clients are; drawn for each seed.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Calls a client has open at most.
    pub depth: u64,
    /// Mean nanoseconds between two looks at whether a client should call.
    pub interval: u64,
    /// Of all calls, how many write.
    pub writes: f64,
    /// Keys in use.
    pub keys: u64,
    values: u64,
}

impl Workload {
    /// The workload of a seed.
    pub fn draw(rng: &mut impl Rng) -> Self {
        Self {
            depth: rng.random_range(1..=6),
            interval: rng.random_range(3..30) * MS,
            writes: rng.random_range(0.3..0.9),
            keys: rng.random_range(1..12),
            values: 0,
        }
    }

    /// The time until the next look.
    pub fn pause(&self, cluster: &mut Cluster) -> u64 {
        cluster.rng().random_range(1..2 * self.interval)
    }

    /// Has one client call, if it is up and not too busy.
    pub fn tick(&mut self, cluster: &mut Cluster) {
        let clients = cluster.clients();
        let client = cluster.rng().random_range(clients);
        if !cluster.nodes()[client].is_up() || cluster.history.open(client) >= self.depth {
            return;
        }
        let (request, replica) = self.request(cluster);
        let patience = cluster.rng().random_range(300..4_000) * MS;
        cluster.call_at(client, request, replica, patience);
    }

    /// What to ask next, and where.
    fn request(&mut self, cluster: &mut Cluster) -> (RequestBody, Option<Address>) {
        let replicas = cluster.replicas();
        let names: Vec<_> = replicas
            .map(|index| cluster.nodes()[index].address.clone())
            .collect();
        let seen = cluster.ledger().end();
        let rng = cluster.rng();
        let key = Key::from(format!("k{}", rng.random_range(0..self.keys)));
        if rng.random_bool(self.writes) {
            if rng.random_bool(0.2) {
                return (RequestBody::Remove { key }, None);
            }
            self.values += 1;
            let padding = "·".repeat(rng.random_range(0..20));
            let value = Value::from(format!("v{}{padding}", self.values));
            return (RequestBody::Insert { key, value }, None);
        }
        let replica = rng
            .random_bool(0.8)
            .then(|| names[rng.random_range(0..names.len())].clone());
        let request = match rng.random_range(0..20) {
            0 => RequestBody::Scan {
                range: match (rng.random_bool(0.5), self.values % 3) {
                    (false, _) => KeyRange::all(),
                    (true, 0) => KeyRange::behind(key),
                    (true, 1) => KeyRange::from(key..),
                    (true, _) => KeyRange::from(..key),
                },
                // Drawn from what was written so far, around the size of the disk's pages; 0 is no limit.
                limit: NonZeroU32::new((self.values % 6) as u32),
            },
            1 => RequestBody::Status,
            _ => {
                let level = match rng.random_range(0..6) {
                    0 | 1 => ReadLevel::Local,
                    2 => ReadLevel::AtLeast(seen),
                    _ => ReadLevel::Linearizable,
                };
                RequestBody::Get { key, level }
            }
        };
        (request, replica)
    }
}
