//! A network as its users hold it: they add ends to it, disturb links, and count.

use lockstep_core::config::Address;
use lockstep_core::transport::SenderKind;

use crate::address;
use crate::conditions::Conditions;
use crate::counts::Counts;
use crate::links::Links;
use crate::switch::Switch;
use crate::transport::MemTransport;

/// A network in memory. Clones are handles to the same one.
#[derive(Clone)]
pub struct Network {
    switch: Switch,
}

impl Network {
    /// A perfect network without anybody; what is disturbed later follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            switch: Switch::new(Links::new(seed)),
        }
    }

    /// A node at the address `name`. Who was there before is closed: the node has restarted.
    ///
    /// # Panics
    /// If `name` is empty or begins like a client's address.
    pub fn node(&self, name: &str) -> MemTransport {
        let address = Address::new(name);
        assert!(
            !name.is_empty() && !address::is_client(&address),
            "not a name for a node: {name:?}"
        );
        MemTransport::new(self.switch.clone(), address, SenderKind::Node)
    }

    /// A client, at an address of its own that nobody had before.
    pub fn client(&self, name: &str) -> MemTransport {
        let address = self.switch.client_address(name);
        MemTransport::new(self.switch.clone(), address, SenderKind::Client)
    }

    /// Cuts the link in both directions: frames are lost until `mend`.
    pub fn cut(&self, a: &Address, b: &Address) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Cuts the direction from `from` to `to` only.
    pub fn cut_one_way(&self, from: &Address, to: &Address) {
        self.switch.lock().links.link(from, to).is_cut = true;
    }

    /// Cuts `address` off from everybody in both directions, until `mend_all`.
    pub fn isolate(&self, address: &Address) {
        self.switch.lock().links.isolated.insert(address.clone());
    }

    /// Undoes cuts between the two, in both directions; not an isolation.
    pub fn mend(&self, a: &Address, b: &Address) {
        let mut state = self.switch.lock();
        state.links.link(a, b).is_cut = false;
        state.links.link(b, a).is_cut = false;
    }

    /// Undoes all cuts, isolations and conditions: a perfect network. Frames that are delayed still take their time.
    pub fn mend_all(&self) {
        self.switch.lock().links.mend();
    }

    /// Sets how the direction from `from` to `to` treats frames.
    pub fn disturb(&self, from: &Address, to: &Address, conditions: Conditions) {
        self.switch.lock().links.link(from, to).conditions = Some(conditions);
    }

    /// Sets how all links treat frames that have no conditions of their own.
    pub fn disturb_all(&self, conditions: Conditions) {
        self.switch.lock().links.conditions = conditions;
    }

    /// What went from `from` to `to`.
    pub fn counts(&self, from: &Address, to: &Address) -> Counts {
        let state = self.switch.lock();
        let link = state.links.known(from, to);
        link.map_or_else(Counts::default, |link| link.counts)
    }

    /// What went over all links together.
    pub fn counts_total(&self) -> Counts {
        self.switch.lock().links.counts_total()
    }
}
