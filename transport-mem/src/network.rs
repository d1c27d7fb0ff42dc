//! Who is there, in what state the links are, and how frames get from one end to another.
//!
//! What happens to a frame depends only on the seed, its link and how many frames went over that link before, so that
//! threads which use different links do not disturb each other's fate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_std::task;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::limits;
use lockstep_core::transport::{Lane, SenderKind, Traffic, TransportError};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::conditions::{Conditions, Counts};
use crate::inbox::Inbox;
use crate::transport::MemTransport;

/// How the addresses of clients begin. Nobody connects to them: a client is reached only while it is there.
const CLIENT_PREFIX: &str = "client:";

/// Frames that are on their way over one direction of a link because of a delay; more are lost.
const FRAMES_DELAYED_MAX: usize = 16 << 10;

/// A network in memory. Clones are handles to the same one.
#[derive(Clone)]
pub struct Network {
    state: Arc<Mutex<State>>,
}

struct State {
    seed: u64,
    ends: BTreeMap<Address, Arc<Inbox>>,
    clients: u64,
    /// One entry for each direction that was used or disturbed.
    links: BTreeMap<(Address, Address), Link>,
    /// Cut off in both directions from everybody.
    isolated: BTreeSet<Address>,
    /// Of links to clients that have gone.
    counts_gone: Counts,
    /// For links without conditions of their own.
    conditions: Conditions,
}

struct Link {
    rng: StdRng,
    cut: bool,
    conditions: Option<Conditions>,
    counts: Counts,
    delayed: usize,
}

impl Network {
    /// A perfect network without anybody; what is disturbed later follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            seed,
            ends: BTreeMap::new(),
            clients: 0,
            links: BTreeMap::new(),
            isolated: BTreeSet::new(),
            counts_gone: Counts::default(),
            conditions: Conditions::default(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// A node at the address `name`. Who was there before is closed: the node has restarted.
    ///
    /// # Panics
    /// If `name` is empty or begins like a client's address.
    pub fn node(&self, name: &str) -> MemTransport {
        let address = Address::new(name);
        assert!(is_node(&address), "not a name for a node: {name:?}");
        self.register(address, SenderKind::Node)
    }

    /// A client, at an address of its own that nobody had before.
    pub fn client(&self, name: &str) -> MemTransport {
        let number = {
            let mut state = self.lock();
            state.clients += 1;
            state.clients
        };
        let address = Address::new(format!("{CLIENT_PREFIX}{name}#{number}"));
        self.register(address, SenderKind::Client)
    }

    /// Cuts the link in both directions: frames are lost until `mend`.
    pub fn cut(&self, a: &Address, b: &Address) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Cuts the direction from `from` to `to` only.
    pub fn cut_one_way(&self, from: &Address, to: &Address) {
        self.lock().link(from, to).cut = true;
    }

    /// Cuts `address` off from everybody in both directions, until `mend_all`.
    pub fn isolate(&self, address: &Address) {
        self.lock().isolated.insert(address.clone());
    }

    /// Undoes cuts between the two, in both directions; not an isolation.
    pub fn mend(&self, a: &Address, b: &Address) {
        let mut state = self.lock();
        state.link(a, b).cut = false;
        state.link(b, a).cut = false;
    }

    /// Undoes all cuts, isolations and conditions: a perfect network. Frames that are delayed still take their time.
    pub fn mend_all(&self) {
        let mut state = self.lock();
        state.isolated.clear();
        state.conditions = Conditions::default();
        for link in state.links.values_mut() {
            link.cut = false;
            link.conditions = None;
        }
    }

    /// Sets how the direction from `from` to `to` treats frames.
    pub fn disturb(&self, from: &Address, to: &Address, conditions: Conditions) {
        self.lock().link(from, to).conditions = Some(conditions);
    }

    /// Sets how all links treat frames that have no conditions of their own.
    pub fn disturb_all(&self, conditions: Conditions) {
        self.lock().conditions = conditions;
    }

    /// What went from `from` to `to`.
    pub fn counts(&self, from: &Address, to: &Address) -> Counts {
        self.lock()
            .links
            .get(&(from.clone(), to.clone()))
            .map_or_else(Counts::default, |link| link.counts)
    }

    /// What went over all links together.
    pub fn counts_total(&self) -> Counts {
        let state = self.lock();
        let mut total = state.counts_gone;
        for link in state.links.values() {
            total.add(&link.counts);
        }
        total
    }

    /// What the end at `local` has sent and received.
    pub(crate) fn traffic(&self, local: &Address) -> Traffic {
        let mut traffic = Traffic::default();
        for ((from, to), link) in &self.lock().links {
            if from == local {
                traffic.packets_sent += link.counts.frames_sent;
                traffic.bytes_sent += link.counts.bytes_sent;
            }
            if to == local {
                traffic.packets_received += link.counts.frames_delivered;
                traffic.bytes_received += link.counts.bytes_delivered;
            }
        }
        traffic
    }

    fn register(&self, address: Address, kind: SenderKind) -> MemTransport {
        let inbox = Arc::new(Inbox::new());
        let before = self.lock().ends.insert(address.clone(), Arc::clone(&inbox));
        if let Some(before) = before {
            before.close();
        }
        MemTransport::new(self.clone(), address, kind, inbox)
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
            if !is_node(address) {
                state.forget_links(address);
            }
        }
        inbox.close();
    }

    pub(crate) fn send(
        &self,
        from: &Address,
        sender: SenderKind,
        to: &Address,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<(), TransportError> {
        for frame in &frames {
            if frame.len() > limits::FRAME_BYTES_MAX {
                return Err(TransportError::TooLarge {
                    size: frame.len(),
                    limit: limits::FRAME_BYTES_MAX,
                });
            }
        }
        if to.as_str().is_empty() {
            return Err(TransportError::BadAddress {
                address: to.clone(),
            });
        }
        let mut state = self.lock();
        if !is_node(to) && !state.ends.contains_key(to) {
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
        let cut = state.is_cut(from, to);
        let conditions = state.conditions(from, to);
        let link = state.link(from, to);
        if cut {
            link.counts.count_sent(&frames);
            link.counts.frames_dropped += frames.len() as u64;
            return Ok(());
        }
        if conditions == Conditions::default() {
            return if state.deliver(&parcel, &frames) {
                state.link(from, to).counts.count_sent(&frames);
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
        let network = self.clone();
        task::spawn(async move {
            task::sleep(delay).await;
            let mut state = network.lock();
            let direction = (parcel.from.clone(), parcel.to.clone());
            if !state.links.contains_key(&direction) {
                return;
            }
            // Whoever cuts a link cuts what is under way on it, too.
            let cut = state.is_cut(&parcel.from, &parcel.to);
            let link = state.link(&parcel.from, &parcel.to);
            link.delayed = link.delayed.saturating_sub(1);
            if cut {
                link.counts.frames_dropped += 1;
            } else {
                state.deliver_or_drop(&parcel, frame);
            }
        });
    }

    pub(crate) fn forget(&self, at: &Arc<Inbox>, local: &Address, peer: &Address) {
        at.forget(peer);
        if let Some(end) = self.lock().ends.get(peer) {
            end.forget(local);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the network")
    }
}

/// Where frames come from and go to.
#[derive(Clone)]
struct Parcel {
    from: Address,
    sender: SenderKind,
    to: Address,
    lane: Lane,
}

impl State {
    fn link(&mut self, from: &Address, to: &Address) -> &mut Link {
        let seed = self.seed;
        self.links
            .entry((from.clone(), to.clone()))
            .or_insert_with(|| Link {
                rng: StdRng::seed_from_u64(link_seed(seed, from, to)),
                cut: false,
                conditions: None,
                counts: Counts::default(),
                delayed: 0,
            })
    }

    fn is_cut(&mut self, from: &Address, to: &Address) -> bool {
        self.isolated.contains(from) || self.isolated.contains(to) || self.link(from, to).cut
    }

    fn conditions(&mut self, from: &Address, to: &Address) -> Conditions {
        match &self.link(from, to).conditions {
            Some(conditions) => conditions.clone(),
            None => self.conditions.clone(),
        }
    }

    /// Puts frames into the receiver's queue; false if there is no room. Where nobody is, they vanish.
    fn deliver(&mut self, parcel: &Parcel, frames: &[Bytes]) -> bool {
        let inbox = self.ends.get(&parcel.to).map(Arc::clone);
        let link = self.link(&parcel.from, &parcel.to);
        let Some(inbox) = inbox else {
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
            self.link(&parcel.from, &parcel.to).counts.frames_dropped += 1;
        }
    }

    /// Keeps what was counted on the links of a client that has gone and comes back under another address.
    fn forget_links(&mut self, client: &Address) {
        let counts_gone = &mut self.counts_gone;
        self.links.retain(|(from, to), link| {
            let stays = from != client && to != client;
            if !stays {
                counts_gone.add(&link.counts);
            }
            stays
        });
        self.isolated.remove(client);
    }
}

impl Link {
    /// Draws what becomes of frames: those that arrive at once, and those that arrive after a delay.
    fn meet(
        &mut self,
        conditions: &Conditions,
        frames: Vec<Bytes>,
    ) -> (Vec<Bytes>, Vec<(Duration, Bytes)>) {
        let mut at_once = Vec::new();
        let mut later = Vec::new();
        for frame in frames {
            let delays = conditions.draw(&mut self.rng);
            match delays.len() {
                0 => self.counts.frames_dropped += 1,
                1 => {}
                _ => self.counts.frames_duplicated += 1,
            }
            for delay in delays {
                if delay.is_zero() {
                    at_once.push(frame.clone());
                } else if self.delayed < FRAMES_DELAYED_MAX {
                    self.delayed += 1;
                    self.counts.frames_delayed += 1;
                    later.push((delay, frame.clone()));
                } else {
                    self.counts.frames_dropped += 1;
                }
            }
        }
        (at_once, later)
    }
}

fn is_node(address: &Address) -> bool {
    !address.as_str().is_empty() && !address.as_str().starts_with(CLIENT_PREFIX)
}

/// Spreads the network's seed over its links (FNV-1a over both names).
fn link_seed(seed: u64, from: &Address, to: &Address) -> u64 {
    let names = [from.as_str(), "\0", to.as_str()];
    names
        .iter()
        .flat_map(|name| name.bytes())
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}
