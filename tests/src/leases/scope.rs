//! What a search explores: who there is, what may happen, and where it stops.

use super::state::{Nodes, State};

/// A small world that is searched whole.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// What it is about.
    pub name: &'static str,
    pub(super) in_sync: Nodes,
    pub(super) joining: Nodes,
    /// Who may propose to replace the primary.
    pub(super) candidates: Nodes,
    /// Whom a primary may remove.
    pub(super) removable: Nodes,
    /// Who may crash and start again.
    pub(super) mortal: Nodes,
    /// Whose clocks may lag, and how many of them in one run.
    pub(super) laggards: Nodes,
    pub(super) lags: u8,
    pub(super) crashes: u8,
    pub(super) versions: u8,
    pub(super) epochs: u8,
    /// Removed nodes join again, and are added.
    pub(super) additions: bool,
    /// Primaries hand over.
    pub(super) hand_overs: bool,
    /// Who may leave.
    pub(super) leavers: Nodes,
    /// Beacons and their answers arrive at once or never.
    pub(super) prompt: bool,
}

impl Scope {
    const BASE: Self = Self {
        name: "",
        in_sync: Nodes::of(&[0, 1]),
        joining: Nodes::NONE,
        candidates: Nodes::NONE,
        removable: Nodes::NONE,
        mortal: Nodes::NONE,
        laggards: Nodes::NONE,
        lags: 0,
        crashes: 0,
        versions: 4,
        epochs: 2,
        additions: false,
        hand_overs: false,
        leavers: Nodes::NONE,
        prompt: false,
    };

    /// A pair, in which the secondary may replace the primary and be removed.
    pub const PAIR_FAILOVER: Self = Self {
        name: "a pair: failover, removal",
        candidates: Nodes::of(&[1]),
        removable: Nodes::of(&[1]),
        laggards: Nodes::of(&[0, 1]),
        lags: 2,
        versions: 4,
        ..Self::BASE
    };

    /// A primary alone, and a node that joins, is added, removed, and may replace the primary.
    pub const PAIR_ADDITION: Self = Self {
        name: "a pair: an addition",
        in_sync: Nodes::of(&[0]),
        joining: Nodes::of(&[1]),
        candidates: Nodes::of(&[1]),
        removable: Nodes::of(&[1]),
        laggards: Nodes::of(&[0, 1]),
        lags: 2,
        additions: true,
        versions: 4,
        ..Self::BASE
    };

    /// A pair, in which the secondary may crash and start again, replace the primary, be removed and come back.
    pub const PAIR_SECONDARY_RESTARTS: Self = Self {
        name: "a pair: the secondary restarts",
        candidates: Nodes::of(&[1]),
        mortal: Nodes::of(&[1]),
        crashes: 1,
        removable: Nodes::of(&[1]),
        laggards: Nodes::of(&[0, 1]),
        lags: 1,
        additions: true,
        versions: 4,
        ..Self::BASE
    };

    /// A pair, in which the primary may crash and start again, be replaced, and remove the secondary.
    pub const PAIR_PRIMARY_RESTARTS: Self = Self {
        name: "a pair: the primary restarts",
        candidates: Nodes::of(&[1]),
        removable: Nodes::of(&[1]),
        mortal: Nodes::of(&[0]),
        crashes: 1,
        laggards: Nodes::of(&[0, 1]),
        lags: 1,
        versions: 3,
        epochs: 3,
        ..Self::BASE
    };

    /// A pair, in which the secondary is removed, comes back, and is removed again.
    pub const PAIR_RETURN: Self = Self {
        name: "a pair: a removed node comes back",
        removable: Nodes::of(&[1]),
        additions: true,
        laggards: Nodes::of(&[0, 1]),
        lags: 1,
        versions: 6,
        ..Self::BASE
    };

    /// A pair, in which the primary hands over and comes back.
    pub const PAIR_HAND_OVER: Self = Self {
        name: "a pair: hand-over, and back",
        candidates: Nodes::of(&[0, 1]),
        removable: Nodes::of(&[0]),
        hand_overs: true,
        additions: true,
        laggards: Nodes::of(&[0, 1]),
        lags: 1,
        versions: 5,
        epochs: 3,
        ..Self::BASE
    };

    /// A pair, in which the secondary leaves, starts again and comes back.
    pub const PAIR_LEAVE: Self = Self {
        name: "a pair: the secondary leaves",
        candidates: Nodes::of(&[1]),
        leavers: Nodes::of(&[1]),
        mortal: Nodes::of(&[1]),
        crashes: 1,
        additions: true,
        laggards: Nodes::of(&[0, 1]),
        lags: 1,
        versions: 4,
        ..Self::BASE
    };

    /// Three nodes: one is replaced or hands over, one takes over, one is removed under its read lease.
    pub const THREE_HAND_OVER: Self = Self {
        name: "three: failover, hand-over, removal",
        in_sync: Nodes::of(&[0, 1, 2]),
        candidates: Nodes::of(&[1]),
        removable: Nodes::of(&[2]),
        laggards: Nodes::of(&[2]),
        lags: 1,
        hand_overs: true,
        versions: 3,
        prompt: true,
        ..Self::BASE
    };

    /// Three nodes, of which the one that may take over may crash and start again.
    pub const THREE_RESTART: Self = Self {
        name: "three: failover, a restart, removal",
        in_sync: Nodes::of(&[0, 1, 2]),
        candidates: Nodes::of(&[1]),
        removable: Nodes::of(&[2]),
        mortal: Nodes::of(&[1]),
        crashes: 1,
        versions: 3,
        epochs: 3,
        prompt: true,
        ..Self::BASE
    };

    /// All of them.
    pub const ALL: &[Self] = &[
        Self::PAIR_FAILOVER,
        Self::PAIR_ADDITION,
        Self::PAIR_SECONDARY_RESTARTS,
        Self::PAIR_PRIMARY_RESTARTS,
        Self::PAIR_RETURN,
        Self::PAIR_HAND_OVER,
        Self::PAIR_LEAVE,
        Self::THREE_HAND_OVER,
        Self::THREE_RESTART,
    ];

    pub(super) fn start(&self) -> State {
        State::start(self.in_sync, self.joining, self.crashes, self.lags)
    }

    pub(super) fn members(&self) -> Nodes {
        self.in_sync.and(self.joining)
    }
}
