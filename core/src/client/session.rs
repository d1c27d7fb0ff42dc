//! The sessions of a client: under which name its writes are sent, and which of them it still wants to hear of.
//!
//! A session ends with the first write of it whose outcome stays unknown, so that what the cluster remembers of that
//! write is not forgotten as settled, and `Resolve` can tell.

use std::collections::BTreeMap;

use crate::config::Position;
use crate::limits;
use crate::operation::{ClientId, Origin, RequestId};

/// The session that writes enter, and the name of the next one.
#[derive(Clone, Debug)]
pub(super) struct Sessions {
    next: ClientId,
    current: Option<Current>,
}

/// - Requests enter in the order of their ids.
/// - `unsettled` begins with one that is not complete, or is empty.
#[derive(Clone, Debug)]
struct Current {
    client: ClientId,
    born: Position,
    /// By request: is it complete?
    unsettled: BTreeMap<RequestId, bool>,
}

impl Sessions {
    /// No session; the first one is of `client`.
    pub(super) fn new(client: ClientId) -> Self {
        Self {
            next: client,
            current: None,
        }
    }

    /// May another write enter?
    pub(super) fn has_room(&self) -> bool {
        self.current
            .as_ref()
            .is_none_or(|current| current.unsettled.len() < limits::CLIENT_WRITES_IN_FLIGHT_MAX)
    }

    /// A write enters with `id`, above those before it. If that begins a session, it is born at `committed`.
    pub(super) fn enter(&mut self, id: RequestId, committed: Position) -> Origin {
        let next = &mut self.next;
        let current = self.current.get_or_insert_with(|| {
            let client = *next;
            *next = successor(client);
            Current {
                client,
                born: committed,
                unsettled: BTreeMap::new(),
            }
        });
        current.unsettled.insert(id, false);
        let settled = *current
            .unsettled
            .keys()
            .next()
            .expect("one has just entered");
        Origin {
            client: current.client,
            id,
            born: current.born,
            settled,
        }
    }

    /// The client knows what became of the write.
    pub(super) fn complete(&mut self, origin: &Origin) {
        let Some(current) = &mut self.current else {
            return;
        };
        if current.client != origin.client {
            return;
        }
        current.unsettled.insert(origin.id, true);
        while let Some(first) = current.unsettled.first_entry()
            && *first.get()
        {
            first.remove();
        }
    }

    /// No further write enters the session that this one is of.
    pub(super) fn end(&mut self, origin: &Origin) {
        if self.current.as_ref().map(|current| current.client) == Some(origin.client) {
            self.current = None;
        }
    }
}

/// A step of SplitMix64: the ids of one client are as far apart as if they had been drawn.
fn successor(client: ClientId) -> ClientId {
    let state = client.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ClientId(mixed ^ (mixed >> 31))
}
