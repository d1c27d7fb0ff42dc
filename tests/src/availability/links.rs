//! Every set of broken directed links between three replicas and an arbiter.

use std::fmt;

use rand::Rng;

use super::{Longest, OBSERVED, Run, Setting, measure};
use crate::cluster::MS;
use crate::trace::Detail;

/// Writes and reads come back within this time wherever some replicas and the arbiter can serve.
const BOUND: u64 = 2_000 * MS;

/// Do they?
pub fn is_kept(longest: Longest) -> bool {
    longest.writes <= BOUND && longest.reads <= BOUND
}

const NAMES: [&str; 4] = ["a", "r1", "r2", "r3"];

/// The directed links between the nodes, the arbiter being 0 and the primary 1.
const LINKS: [(usize, usize); 12] = [
    (0, 1),
    (0, 2),
    (0, 3),
    (1, 0),
    (1, 2),
    (1, 3),
    (2, 0),
    (2, 1),
    (2, 3),
    (3, 0),
    (3, 1),
    (3, 2),
];

/// A set of links that are broken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken(u16);

impl Broken {
    /// All sets; of two that differ only in which secondary is which, one.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..1 << LINKS.len())
            .map(Self)
            .filter(|broken| *broken <= broken.mirrored())
    }

    /// Any set.
    pub fn draw(rng: &mut impl Rng) -> Self {
        Self(rng.random_range(0..1 << LINKS.len()))
    }

    /// The set of the links with these ends.
    pub fn of(links: &[(usize, usize)]) -> Self {
        let mut bits = 0;
        for (index, link) in LINKS.iter().enumerate() {
            if links.contains(link) {
                bits |= 1 << index;
            }
        }
        Self(bits)
    }

    fn links(self) -> impl Iterator<Item = (usize, usize)> {
        let links = LINKS.into_iter().enumerate();
        links
            .filter(move |(index, _)| self.0 & 1 << index != 0)
            .map(|(_, link)| link)
    }

    fn mirrored(self) -> Self {
        let other = |node| match node {
            2 => 3,
            3 => 2,
            node => node,
        };
        let links: Vec<_> = self
            .links()
            .map(|(from, to)| (other(from), other(to)))
            .collect();
        Self::of(&links)
    }

    fn is_whole(self, one: usize, other: usize) -> bool {
        let broken = |from, to| self.links().any(|link| link == (from, to));
        !broken(one, other) && !broken(other, one)
    }

    /// Can anybody serve? The primary, if it can talk with both others; or whoever can talk with the arbiter, which takes
    /// out whom it misses, or becomes primary if the present one has no lease.
    pub fn can_serve(self) -> bool {
        let with_all = self.is_whole(1, 2) && self.is_whole(1, 3);
        with_all || (1..=3).any(|replica| self.is_whole(replica, 0))
    }

    /// What happens while these links are broken.
    pub fn run(self, setting: Setting, detail: Detail) -> Run {
        measure(setting, detail, |cluster, passed| {
            if passed == 0 {
                for (from, to) in self.links() {
                    cluster.cut_one_way(from, to, OBSERVED);
                }
            }
        })
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (from, to)) in self.links().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} → {}", NAMES[from], NAMES[to])?;
        }
        Ok(())
    }
}
