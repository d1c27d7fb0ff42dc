//! The simulated network: decides for each frame whether, when and how often it arrives.
//!
//! It has one link for each ordered pair of nodes. Links can be cut or slowed down until a given moment, so that no
//! fault needs to be undone by hand. It moves nothing itself; the cluster puts the arrivals into its queue.

use std::ops::Range;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// How the links behave that no fault concerns.
#[derive(Clone, Debug)]
pub struct NetworkOptions {
    /// Nanoseconds a frame takes.
    pub latency: Range<u64>,
    /// Of all frames, how many are lost.
    pub loss: f64,
    /// Of all frames, how many arrive twice.
    pub duplication: f64,
    /// Of all frames, how many take ten times as long, so that later ones overtake them.
    pub reordering: f64,
    /// Of all frames, how many arrive once more much later, perhaps at another start of the receiver.
    pub echoes: f64,
}

impl NetworkOptions {
    /// A network without faults on which every frame takes as long.
    pub fn steady(latency: u64) -> Self {
        Self {
            latency: latency..latency + 1,
            loss: 0.0,
            duplication: 0.0,
            reordering: 0.0,
            echoes: 0.0,
        }
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives then.
    Arrives(u64),
    /// It arrives then, after later ones.
    Overtaken(u64),
    /// It arrives at both times.
    Twice(u64, u64),
    /// It arrives at both times, and the second is long after the first.
    Echoed(u64, u64),
    /// It is kept back until a script lets it arrive.
    Held,
    /// It is lost.
    Lost,
    /// The link is cut.
    Cut,
}

#[derive(Clone, Copy, Debug, Default)]
struct Link {
    cut_until: u64,
    slow_until: u64,
    is_lossy: bool,
    lost_in_a_row: u32,
}

/// Of the frames on a lossy link, how many are lost, and how many in a row at most.
const LOSSY: (f64, u32) = (0.1, 3);

/// The links between a fixed number of nodes.
#[derive(Debug)]
pub struct Network {
    options: NetworkOptions,
    nodes: usize,
    links: Vec<Link>,
}

/// How much longer a frame takes on a slow link.
const SLOWNESS: u64 = 40;

/// How much later a frame arrives once more, in nanoseconds.
const ECHO: Range<u64> = 1_000_000..1_500_000_000;

impl Network {
    /// All links whole.
    pub fn new(nodes: usize, options: NetworkOptions) -> Self {
        Self {
            options,
            nodes,
            links: vec![Link::default(); nodes * nodes],
        }
    }

    /// Loses, duplicates and reorders nothing any more; all links are whole.
    pub fn heal(&mut self) {
        self.options.loss = 0.0;
        self.options.duplication = 0.0;
        self.options.reordering = 0.0;
        self.options.echoes = 0.0;
        self.links.fill(Link::default());
    }

    /// Frames from `from` to `to` are lost until then.
    pub fn cut(&mut self, from: usize, to: usize, until: u64) {
        self.link(from, to).cut_until = until;
    }

    /// Frames from `from` to `to` take long until then.
    pub fn slow(&mut self, from: usize, to: usize, until: u64) {
        self.link(from, to).slow_until = until;
    }

    /// Frames from `from` to `to` are lost now and then, but never more than three in a row: the forwarder of the
    /// official cases.
    pub fn make_lossy(&mut self, from: usize, to: usize) {
        self.link(from, to).is_lossy = true;
    }

    /// Draws what becomes of a frame.
    pub fn draw(&mut self, rng: &mut ChaCha8Rng, now: u64, from: usize, to: usize) -> Fate {
        let link = *self.link(from, to);
        if link.cut_until > now {
            return Fate::Cut;
        }
        if link.is_lossy {
            let (often, in_a_row_max) = LOSSY;
            let is_lost = link.lost_in_a_row < in_a_row_max && rng.random_bool(often);
            let lost_in_a_row = &mut self.link(from, to).lost_in_a_row;
            *lost_in_a_row = if is_lost { *lost_in_a_row + 1 } else { 0 };
            if is_lost {
                return Fate::Lost;
            }
        }
        if self.options.loss > 0.0 && rng.random_bool(self.options.loss) {
            return Fate::Lost;
        }
        let slowness = if link.slow_until > now { SLOWNESS } else { 1 };
        let mut latency = || rng.random_range(self.options.latency.clone()) * slowness;
        let (first, second) = (latency(), latency());
        if self.options.duplication > 0.0 && rng.random_bool(self.options.duplication) {
            return Fate::Twice(now + first, now + first + second);
        }
        if self.options.echoes > 0.0 && rng.random_bool(self.options.echoes) {
            return Fate::Echoed(now + first, now + first + rng.random_range(ECHO));
        }
        if self.options.reordering > 0.0 && rng.random_bool(self.options.reordering) {
            return Fate::Overtaken(now + first + 10 * second);
        }
        Fate::Arrives(now + first)
    }

    fn link(&mut self, from: usize, to: usize) -> &mut Link {
        &mut self.links[from * self.nodes + to]
    }
}
