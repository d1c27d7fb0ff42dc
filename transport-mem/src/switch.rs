//! Who is there, and how frames get from one end to another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_std::task;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::transport::{Lane, SenderKind, TransportError};

use crate::address;
use crate::conditions::Conditions;
use crate::inbox::Inbox;
use crate::links::Links;

/// What all ends of a network are connected to. Clones are handles to the same one.
#[derive(Clone)]
pub(crate) struct Switch {
    state: Arc<Mutex<State>>,
}

pub(crate) struct State {
    ends: BTreeMap<Address, Arc<Inbox>>,
    clients: u64,
    pub(crate) links: Links,
}

/// Where frames come from and go to.
#[derive(Clone)]
struct Parcel {
    from: Address,
    sender: SenderKind,
    to: Address,
    lane: Lane,
}

impl Switch {
    pub(crate) fn new(links: Links) -> Self {
        let state = State {
            ends: BTreeMap::new(),
            clients: 0,
            links,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// An address that no client had before.
    pub(crate) fn client_address(&self, name: &str) -> Address {
        let mut state = self.lock();
        state.clients += 1;
        address::of_client(name, state.clients)
    }

    /// Adds an end at `address`, whose inbox is returned. Who was there before is closed.
    pub(crate) fn register(&self, address: &Address) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox::new());
        let before = self.lock().ends.insert(address.clone(), Arc::clone(&inbox));
        if let Some(before) = before {
            before.close();
        }
        inbox
    }

    /// Takes the end at `address` away if it still is the one with this inbox.
    pub(crate) fn unregister(&self, address: &Address, inbox: &Arc<Inbox>) {
        let mut state = self.lock();
        let is_there = state
            .ends
            .get(address)
            .is_some_and(|end| Arc::ptr_eq(end, inbox));
        if is_there {
            state.ends.remove(address);
            if address::is_client(address) {
                state.links.forget(address);
            }
        }
        inbox.close();
    }

    /// Delivers frames, unless their link delays or loses them, which the sender does not learn.
    pub(crate) fn send(
        &self,
        from: &Address,
        sender: SenderKind,
        to: &Address,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<(), TransportError> {
        if to.as_str().is_empty() {
            return Err(TransportError::BadAddress {
                address: to.clone(),
            });
        }
        let mut state = self.lock();
        if address::is_client(to) && !state.ends.contains_key(to) {
            return Err(TransportError::NotConnected {
                address: to.clone(),
            });
        }
        let parcel = Parcel {
            from: from.clone(),
            sender,
            to: to.clone(),
            lane,
        };
        let is_cut = state.links.is_cut(from, to);
        let conditions = state.links.conditions(from, to);
        let link = state.links.link(from, to);
        if is_cut {
            link.counts.count_sent(&frames);
            link.counts.frames_dropped += frames.len() as u64;
            return Ok(());
        }
        if conditions == Conditions::default() {
            return if state.deliver(&parcel, &frames) {
                state.links.link(from, to).counts.count_sent(&frames);
                Ok(())
            } else {
                Err(TransportError::QueueFull {
                    address: to.clone(),
                })
            };
        }
        link.counts.count_sent(&frames);
        let (at_once, later) = link.meet(&conditions, frames);
        for frame in at_once {
            // On a disturbed link, no room is one more way to get lost.
            state.deliver_or_drop(&parcel, frame);
        }
        for (delay, frame) in later {
            self.deliver_later(delay, parcel.clone(), frame);
        }
        Ok(())
    }

    /// The task ends by itself after the delay; their number is bounded for each link.
    fn deliver_later(&self, delay: Duration, parcel: Parcel, frame: Bytes) {
        let switch = self.clone();
        task::spawn(async move {
            task::sleep(delay).await;
            let mut state = switch.lock();
            let (from, to) = (&parcel.from, &parcel.to);
            if state.links.known(from, to).is_none() {
                return;
            }
            // Whoever cuts a link cuts what is under way on it, too.
            let is_cut = state.links.is_cut(from, to);
            let link = state.links.link(from, to);
            link.end_delay();
            if is_cut {
                link.counts.frames_dropped += 1;
            } else {
                state.deliver_or_drop(&parcel, frame);
            }
        });
    }

    /// Forgets what the ends at `local`, whose inbox is `inbox`, and at `peer` have waiting from each other.
    pub(crate) fn forget(&self, local: &Address, inbox: &Inbox, peer: &Address) {
        inbox.forget(peer);
        if let Some(end) = self.lock().ends.get(peer) {
            end.forget(local);
        }
    }

    /// Nothing moves while the caller has the lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the switch")
    }
}

impl State {
    /// Puts frames into the receiver's queue; false if there is no room. Where nobody is, they vanish.
    fn deliver(&mut self, parcel: &Parcel, frames: &[Bytes]) -> bool {
        let link = self.links.link(&parcel.from, &parcel.to);
        let Some(inbox) = self.ends.get(&parcel.to) else {
            link.counts.frames_dropped += frames.len() as u64;
            return true;
        };
        let fits = inbox.push(&parcel.from, parcel.sender, parcel.lane, frames.to_vec());
        if fits {
            link.counts.count_delivered(frames);
        }
        fits
    }

    fn deliver_or_drop(&mut self, parcel: &Parcel, frame: Bytes) {
        if !self.deliver(parcel, &[frame]) {
            let link = self.links.link(&parcel.from, &parcel.to);
            link.counts.frames_dropped += 1;
        }
    }
}
