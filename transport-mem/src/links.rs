//! The links between ends: how each direction treats frames, what it draws for them, and what it has carried.
//!
//! What happens to a frame depends only on the seed, its link and how many frames went over that link before, so that
//! threads which use different links do not disturb each other's fate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::transport::Traffic;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::conditions::Conditions;
use crate::counts::Counts;

/// Frames that are on their way over one direction of a link because of a delay; more are lost.
const FRAMES_DELAYED_MAX: usize = 16 << 10;

/// All links of a network.
pub(crate) struct Links {
    seed: u64,
    /// One entry for each direction that was used or disturbed.
    table: BTreeMap<(Address, Address), Link>,
    /// Cut off in both directions from everybody.
    pub(crate) isolated: BTreeSet<Address>,
    /// For links without conditions of their own.
    pub(crate) conditions: Conditions,
    /// Of links to clients that have gone.
    counts_gone: Counts,
}

/// One direction between two ends.
pub(crate) struct Link {
    rng: StdRng,
    pub(crate) is_cut: bool,
    pub(crate) conditions: Option<Conditions>,
    pub(crate) counts: Counts,
    delayed: usize,
}

impl Links {
    /// Perfect links; what is disturbed later follows from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            table: BTreeMap::new(),
            isolated: BTreeSet::new(),
            conditions: Conditions::default(),
            counts_gone: Counts::default(),
        }
    }

    /// The direction from `from` to `to`, from here on one that was used.
    pub(crate) fn link(&mut self, from: &Address, to: &Address) -> &mut Link {
        let seed = self.seed;
        self.table
            .entry((from.clone(), to.clone()))
            .or_insert_with(|| Link {
                rng: StdRng::seed_from_u64(link_seed(seed, from, to)),
                is_cut: false,
                conditions: None,
                counts: Counts::default(),
                delayed: 0,
            })
    }

    /// The direction from `from` to `to`, if it was used or disturbed, and not by a client that has gone.
    pub(crate) fn known(&self, from: &Address, to: &Address) -> Option<&Link> {
        self.table.get(&(from.clone(), to.clone()))
    }

    pub(crate) fn is_cut(&mut self, from: &Address, to: &Address) -> bool {
        self.isolated.contains(from) || self.isolated.contains(to) || self.link(from, to).is_cut
    }

    pub(crate) fn conditions(&mut self, from: &Address, to: &Address) -> Conditions {
        match &self.link(from, to).conditions {
            Some(conditions) => conditions.clone(),
            None => self.conditions.clone(),
        }
    }

    /// Undoes all cuts, isolations and conditions.
    pub(crate) fn mend(&mut self) {
        self.isolated.clear();
        self.conditions = Conditions::default();
        for link in self.table.values_mut() {
            link.is_cut = false;
            link.conditions = None;
        }
    }

    /// What went over all links together.
    pub(crate) fn counts_total(&self) -> Counts {
        let mut total = self.counts_gone;
        for link in self.table.values() {
            total.add(&link.counts);
        }
        total
    }

    /// What the end at `local` has sent and received.
    pub(crate) fn traffic(&self, local: &Address) -> Traffic {
        let mut traffic = Traffic::default();
        for ((from, to), link) in &self.table {
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

    /// Forgets the links of a client that has gone and comes back under another address; keeps what was counted on them.
    pub(crate) fn forget(&mut self, client: &Address) {
        let counts_gone = &mut self.counts_gone;
        self.table.retain(|(from, to), link| {
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
    pub(crate) fn meet(
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

    /// The delay of a frame is over.
    pub(crate) fn end_delay(&mut self) {
        self.delayed = self.delayed.saturating_sub(1);
    }
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
