//! Requests that come again and again: the same few writes, asked of any replica by a client that has lost count, and
//! questions about what became of them. Real clients go on where they are told to; these do not listen.

use lockstep_core::config::Position;
use lockstep_core::message::{Message, Request, RequestBody};
use lockstep_core::operation::{ClientId, Key, Origin, RequestId, Value};
use rand::Rng;

use crate::cluster::Cluster;

/// Ids below this are of such clients; others are drawn from a far larger range.
const CLIENTS_END: u64 = 1 << 16;

/// Requests it has on its mind at once.
const WINDOW: u64 = 6;

/// One such client after the other.
#[derive(Clone, Debug, Default)]
pub struct Repeats {
    client: u64,
    born: Position,
    /// Behind the newest request.
    end: u64,
}

/// Is this client one of them?
pub fn is_one(client: ClientId) -> bool {
    client.0 < CLIENTS_END
}

impl Repeats {
    /// Sends a request, perhaps for the first time.
    pub fn tick(&mut self, cluster: &mut Cluster) {
        let (clients, replicas) = (cluster.clients(), cluster.replicas());
        let primary = cluster.primary();
        let committed = cluster.ledger().end();
        let rng = cluster.rng();
        if self.end == 0 || rng.random_ratio(1, 40) {
            self.client += 1;
            self.born = committed;
            self.end = 1;
        }
        self.end += u64::from(rng.random_ratio(1, 4));
        let first = self.end.saturating_sub(WINDOW);
        let id = rng.random_range(first..self.end);
        let from = rng.random_range(clients);
        let anywhere = rng.random_range(replicas);
        let to = primary.filter(|_| rng.random_bool(0.7)).unwrap_or(anywhere);
        let key = Key::from(format!("again{}", id % 3));
        let body = if rng.random_ratio(1, 4) {
            RequestBody::Resolve { key }
        } else {
            let value = Value::from(format!("again {} {id}", self.client));
            RequestBody::Insert { key, value }
        };
        let request = Request {
            origin: Origin {
                client: ClientId(self.client),
                id: RequestId(id),
                born: self.born,
                settled: RequestId(first),
            },
            body,
            attempt: Default::default(),
        };
        if cluster.nodes()[from].is_up() {
            cluster.inject(from, to, &Message::Request(request));
        }
    }
}
