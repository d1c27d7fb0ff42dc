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

    /// All of them.
    pub const ALL: &[Self] = &[
        Self {
            name: "a pair: failover, removal",
            candidates: Nodes::of(&[1]),
            removable: Nodes::of(&[1]),
            laggards: Nodes::of(&[0, 1]),
            lags: 1,
            versions: 3,
            ..Self::BASE
        },
        Self {
            name: "a pair: a secondary restarts",
            candidates: Nodes::of(&[1]),
            mortal: Nodes::of(&[1]),
            crashes: 1,
            removable: Nodes::of(&[1]),
            laggards: Nodes::of(&[0]),
            lags: 1,
            versions: 3,
            ..Self::BASE
        },
        Self {
            name: "a pair: the primary restarts",
            removable: Nodes::of(&[1]),
            mortal: Nodes::of(&[0]),
            crashes: 1,
            laggards: Nodes::of(&[1]),
            lags: 1,
            versions: 3,
            ..Self::BASE
        },
        Self {
            name: "a pair: an addition",
            in_sync: Nodes::of(&[0]),
            joining: Nodes::of(&[1]),
            candidates: Nodes::of(&[1]),
            removable: Nodes::of(&[1]),
            additions: true,
            versions: 3,
            ..Self::BASE
        },
        Self {
            name: "a pair: a removed node comes back",
            candidates: Nodes::of(&[1]),
            laggards: Nodes::of(&[0, 1]),
            lags: 1,
            removable: Nodes::of(&[1]),
            additions: true,
            versions: 5,
            ..Self::BASE
        },
        Self {
            name: "a pair: the primary restarts and is replaced",
            candidates: Nodes::of(&[1]),
            mortal: Nodes::of(&[0]),
            crashes: 1,
            versions: 3,
            epochs: 3,
            ..Self::BASE
        },
        Self {
            name: "a pair: hand-over",
            candidates: Nodes::of(&[1]),
            hand_overs: true,
            laggards: Nodes::of(&[0]),
            lags: 1,
            versions: 2,
            ..Self::BASE
        },
        Self {
            name: "a pair: the secondary leaves",
            leavers: Nodes::of(&[1]),
            laggards: Nodes::of(&[1]),
            lags: 1,
            versions: 3,
            ..Self::BASE
        },
        Self {
            name: "three: failover, hand-over, removal",
            in_sync: Nodes::of(&[0, 1, 2]),
            candidates: Nodes::of(&[1]),
            removable: Nodes::of(&[2]),
            hand_overs: true,
            versions: 3,
            prompt: true,
            ..Self::BASE
        },
    ];

    pub(super) fn start(&self) -> State {
        State::start(self.in_sync, self.joining, self.crashes, self.lags)
    }

    pub(super) fn members(&self) -> Nodes {
        self.in_sync.and(self.joining)
    }
}
