//! What a state of the model consists of: the arbiter, the nodes and what is in flight between them.

use std::hash::{Hash, Hasher};

use super::time::{self, Age, Clock, LEASE, PROMISE, Stamp};

/// Nodes of the largest scope.
pub(super) const NODES: usize = 3;

/// A set of nodes, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Nodes(u8);

impl Nodes {
    pub(super) const NONE: Self = Self(0);

    pub(super) const fn of(nodes: &[usize]) -> Self {
        let mut set = Self::NONE;
        let mut i = 0;
        while i < nodes.len() {
            set.0 |= 1 << nodes[i];
            i += 1;
        }
        set
    }

    pub(super) fn has(self, node: usize) -> bool {
        self.0 & (1 << node) != 0
    }

    pub(super) fn with(self, node: usize) -> Self {
        Self(self.0 | (1 << node))
    }

    pub(super) fn without(self, node: usize) -> Self {
        Self(self.0 & !(1 << node))
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        (0..NODES).filter(move |node| self.has(*node))
    }
}

/// The arbiter's configuration, or what a node knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Config {
    pub(super) version: u8,
    pub(super) epoch: u8,
    pub(super) primary: u8,
    pub(super) in_sync: Nodes,
    pub(super) draining: Nodes,
    pub(super) joining: Nodes,
}

impl Config {
    /// What a process knows that has just started; the epoch is durable.
    pub(super) fn unknown(epoch: u8) -> Self {
        Self {
            version: 0,
            epoch,
            primary: NODES as u8,
            in_sync: Nodes::NONE,
            draining: Nodes::NONE,
            joining: Nodes::NONE,
        }
    }

    pub(super) fn is_primary(&self, node: usize) -> bool {
        usize::from(self.primary) == node
    }
}

/// The arbiter: a register that is compared and swapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Arbiter {
    pub(super) config: Config,
    /// The last incarnation of each node that joined.
    pub(super) incarnations: [u8; NODES],
    /// For each draining node, the version that removed it.
    pub(super) removed_at: [u8; NODES],
}

/// What a node asks the arbiter to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    AddInSync(u8),
    RemoveInSync(u8),
    Drained(u8),
    ReplacePrimary,
    HandOver(u8),
    /// Not a proposal, but like one: it holds for one version, and for one incarnation.
    Leave(u8),
}

/// A node, up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) up: bool,
    pub(super) incarnation: u8,
    /// The clock has stood still once.
    pub(super) lagged: bool,
    /// The process read its clock, found its lease valid, and was paused: it will judge its next input by that.
    pub(super) held: bool,
    /// The arbiter's answer to the Join of this incarnation has arrived.
    pub(super) joined: bool,
    /// Leaves, for the rest of its incarnation.
    pub(super) left: bool,
    pub(super) config: Config,
    /// The log: the epoch of its only entry, or 0. What is in it is on disk.
    pub(super) log: u8,
    /// The entry is known to be committed.
    pub(super) committed: bool,
    /// Since it last promised not to replace the primary.
    pub(super) promise: Age,
    /// Since the stamp that its read lease counts from.
    pub(super) lease: Age,
    /// Since it last gave up a read lease, or started.
    pub(super) given_up: Age,
    /// The version at which it proposed to replace the primary, or 0.
    pub(super) proposed: u8,
    /// What it does as primary; its epoch is 0 if it is none.
    pub(super) tenure: Tenure,
}

/// The state of a primary in its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenure {
    pub(super) epoch: u8,
    /// Since its appointment.
    pub(super) age: Age,
    /// Every read lease of the epochs before is over.
    pub(super) waited: bool,
    /// The log it started with is committed in its epoch.
    pub(super) recommitted: bool,
    /// It has proposed to hand over, and grants nothing until it knows that this has come to nothing.
    pub(super) stopped: bool,
    /// Whom it counts before the arbiter has confirmed the addition, and at which version it proposed that.
    pub(super) counted: Nodes,
    pub(super) proposed: u8,
    /// Removed, but its read lease may not be over.
    pub(super) draining: Nodes,
    /// Taken for removed too early; only an omission does that.
    pub(super) dropped: Nodes,
    /// Answered in this epoch, so has given up the read leases of former ones.
    pub(super) answered: Nodes,
    /// Has acknowledged the whole log in this epoch.
    pub(super) matched: Nodes,
    pub(super) peers: [Peer; NODES],
}

/// What a primary knows of the leases between itself and another replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// Since it sent the newest Beacon that came back.
    pub(super) lease: Age,
    /// The newest stamp of the other.
    pub(super) stamp: Stamp,
    /// Since that stamp arrived, on the primary's clock.
    pub(super) received: Age,
}

impl Peer {
    const NONE: Self = Self {
        lease: LEASE,
        stamp: Stamp::NONE,
        received: PROMISE,
    };
}

impl Tenure {
    pub(super) const NONE: Self = Self {
        epoch: 0,
        age: 0,
        waited: false,
        recommitted: false,
        stopped: false,
        counted: Nodes::NONE,
        proposed: 0,
        draining: Nodes::NONE,
        dropped: Nodes::NONE,
        answered: Nodes::NONE,
        matched: Nodes::NONE,
        peers: [Peer::NONE; NODES],
    };
}

/// The last Beacon or BeaconAck from one node to another; an earlier one is lost when the next is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Beat {
    /// The epoch, or 0 if there is none.
    pub(super) epoch: u8,
    /// The sender's clock when it sent it.
    pub(super) stamp: Stamp,
    /// The receiver's stamp, echoed.
    pub(super) echo: Stamp,
}

impl Beat {
    pub(super) const NONE: Self = Self {
        epoch: 0,
        stamp: Stamp::NONE,
        echo: Stamp::NONE,
    };

    fn pass(&mut self, sender: Clock, receiver: Clock) {
        self.stamp.pass(sender);
        self.echo.pass(receiver);
        self.drop_useless();
    }

    fn drop_useless(&mut self) {
        // As good as lost: all it could still do is to prolong a promise.
        if !self.stamp.is_useful() && !self.echo.is_useful() {
            *self = Self::NONE;
        }
    }
}

/// What is on its way. A message stays until its successor is sent: it may arrive late, several times, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// `beacons[primary][secondary]`.
    pub(super) beacons: [[Beat; NODES]; NODES],
    /// `acks[secondary][primary]`.
    pub(super) acks: [[Beat; NODES]; NODES],
    /// Each node's last SyncReply or SnapshotAck: its epoch, or 0, and the log that it acknowledges.
    pub(super) snapshot_acks: [(u8, u8); NODES],
    /// Each node's last proposal.
    pub(super) proposals: [Option<(u8, Change)>; NODES],
}

/// A state of the whole model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) arbiter: Arbiter,
    pub(super) nodes: [Node; NODES],
    pub(super) network: Network,
    /// The entry whose write was acknowledged, by its epoch; 0 if none was.
    pub(super) acknowledged: u8,
    /// Crashes that may still happen.
    pub(super) crashes: u8,
    /// Clocks that may still lag.
    pub(super) lags: u8,
}

impl State {
    /// A cluster in its first epoch: node 0 is the primary of `in_sync`, `joining` has joined, nobody has a lease.
    pub(super) fn start(in_sync: Nodes, joining: Nodes, crashes: u8, lags: u8) -> Self {
        let config = Config {
            version: 1,
            epoch: 1,
            primary: 0,
            in_sync,
            draining: Nodes::NONE,
            joining,
        };
        let mut nodes = [Node {
            up: true,
            incarnation: 1,
            lagged: false,
            held: false,
            joined: true,
            left: false,
            config,
            log: 0,
            committed: false,
            promise: 0,
            lease: LEASE,
            given_up: LEASE,
            proposed: 0,
            tenure: Tenure::NONE,
        }; NODES];
        nodes[0].tenure = Tenure {
            epoch: 1,
            waited: true,
            recommitted: true,
            answered: in_sync.without(0).and(joining),
            matched: in_sync.without(0).and(joining),
            age: PROMISE,
            ..Tenure::NONE
        };
        for (id, node) in nodes.iter_mut().enumerate() {
            if !in_sync.and(joining).has(id) {
                node.up = false;
                node.joined = false;
                node.incarnation = 0;
                node.config = Config::unknown(0);
            }
        }
        Self {
            arbiter: Arbiter {
                config,
                incarnations: [1; NODES],
                removed_at: [0; NODES],
            },
            nodes,
            network: Network {
                beacons: [[Beat::NONE; NODES]; NODES],
                acks: [[Beat::NONE; NODES]; NODES],
                snapshot_acks: [(0, 0); NODES],
                proposals: [None; NODES],
            },
            acknowledged: 0,
            crashes,
            lags,
        }
    }

    /// A tick of real time. Every clock advances by one, save those of `lagging`.
    pub(super) fn tick(&mut self, lagging: Nodes) {
        let clocks: [Clock; NODES] = std::array::from_fn(|node| Clock {
            ticks: u8::from(!lagging.has(node)),
            incarnation: self.nodes[node].incarnation,
        });
        for (id, node) in self.nodes.iter_mut().enumerate() {
            let ticks = clocks[id].ticks;
            if lagging.has(id) {
                node.lagged = true;
                self.lags -= 1;
            }
            if node.up {
                time::pass(&mut node.promise, ticks, PROMISE);
                time::pass(&mut node.lease, ticks, LEASE);
                time::pass(&mut node.given_up, ticks, LEASE);
            }
            if node.tenure.epoch != 0 {
                time::pass(&mut node.tenure.age, ticks, PROMISE);
                for (other, peer) in node.tenure.peers.iter_mut().enumerate() {
                    time::pass(&mut peer.lease, ticks, LEASE);
                    time::pass(&mut peer.received, ticks, PROMISE);
                    peer.stamp.pass(clocks[other]);
                }
            }
        }
        for from in 0..NODES {
            for to in 0..NODES {
                self.network.beacons[from][to].pass(clocks[from], clocks[to]);
                self.network.acks[from][to].pass(clocks[from], clocks[to]);
            }
        }
    }

    /// Loses what was stamped by a former start of its owner.
    pub(super) fn forget_former_stamps(&mut self) {
        let incarnations = self.nodes.map(|node| node.incarnation);
        for from in 0..NODES {
            for to in 0..NODES {
                for beats in [&mut self.network.beacons, &mut self.network.acks] {
                    let beat = &mut beats[from][to];
                    beat.stamp.forget_unless(incarnations[from]);
                    beat.echo.forget_unless(incarnations[to]);
                    beat.drop_useless();
                }
            }
        }
    }
}

// States are hashed far more often than anything else is done with them, and most of a state is empty most of the time.

impl Hash for Node {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self {
            up,
            incarnation,
            lagged,
            held,
            joined,
            left,
            config,
            log,
            committed,
            promise,
            lease,
            given_up,
            proposed,
            tenure,
        } = self;
        let flags = [*up, *lagged, *held, *joined, *left, *committed];
        hasher.write_u8(
            flags
                .iter()
                .fold(0, |bits, flag| bits << 1 | u8::from(*flag)),
        );
        hasher.write_u8(incarnation << 4 | log);
        hasher.write_u8(promise << 4 | lease);
        hasher.write_u8(given_up << 4 | proposed);
        config.hash(hasher);
        tenure.hash(hasher);
    }
}

impl Hash for Tenure {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self {
            epoch,
            age,
            waited,
            recommitted,
            stopped,
            counted,
            proposed,
            draining,
            dropped,
            answered,
            matched,
            peers,
        } = self;
        hasher.write_u8(epoch << 4 | age);
        if *epoch == 0 {
            return;
        }
        let flags = [*waited, *recommitted, *stopped];
        let flags = flags
            .iter()
            .fold(0, |bits, flag| bits << 1 | u8::from(*flag));
        hasher.write_u8(flags << 4 | proposed);
        hasher.write_u8(counted.0 << 4 | draining.0);
        hasher.write_u8(answered.0 << 4 | matched.0);
        dropped.hash(hasher);
        for peer in peers {
            hasher.write_u8(peer.lease << 4 | peer.received);
            peer.stamp.hash(hasher);
        }
    }
}

impl Hash for Network {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self {
            beacons,
            acks,
            snapshot_acks,
            proposals,
        } = self;
        for (i, beat) in beacons.iter().chain(acks).flatten().enumerate() {
            if *beat != Beat::NONE {
                hasher.write_u8(i as u8);
                beat.hash(hasher);
            }
        }
        for (i, (epoch, log)) in snapshot_acks.iter().enumerate() {
            hasher.write_u8(epoch << 4 | log);
            proposals[i].hash(hasher);
        }
    }
}
