//! What can be wrong with one direction of a link, and what a frame meets there.

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

/// How one direction of a link treats frames. The default is a perfect link.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditions {
    /// Probability that a frame is lost.
    pub drop: f64,
    /// Probability that a frame arrives twice; the second one suffers delay and reordering on its own.
    pub duplicate: f64,
    /// Every frame takes this long, drawn evenly; frames overtake each other where the range allows it.
    pub delay: RangeInclusive<Duration>,
    /// Probability that a frame is held back for up to `reorder_delay`, so that later ones overtake it.
    pub reorder: f64,
    /// How long a frame that is to be overtaken is held back at most.
    pub reorder_delay: Duration,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            drop: 0.0,
            duplicate: 0.0,
            delay: Duration::ZERO..=Duration::ZERO,
            reorder: 0.0,
            reorder_delay: Duration::from_millis(5),
        }
    }
}

impl Conditions {
    /// A link that loses each frame with probability `drop`.
    pub fn lossy(drop: f64) -> Self {
        Self {
            drop,
            ..Self::default()
        }
    }

    /// A link on which every frame takes between `from` and `to`.
    pub fn slow(from: Duration, to: Duration) -> Self {
        Self {
            delay: from..=to,
            ..Self::default()
        }
    }

    /// Draws what becomes of one frame: the delay of each copy that arrives.
    pub(crate) fn draw(&self, rng: &mut StdRng) -> Vec<Duration> {
        if hits(rng, self.drop) {
            return Vec::new();
        }
        let copies = if hits(rng, self.duplicate) { 2 } else { 1 };
        (0..copies).map(|_| self.draw_delay(rng)).collect()
    }

    fn draw_delay(&self, rng: &mut StdRng) -> Duration {
        let delay = if self.delay.start() < self.delay.end() {
            rng.random_range(self.delay.clone())
        } else {
            *self.delay.start()
        };
        if hits(rng, self.reorder) {
            delay + rng.random_range(Duration::ZERO..=self.reorder_delay)
        } else {
            delay
        }
    }
}

/// Draws only where there is something to decide, and takes probabilities beyond 0 and 1 for the nearest sensible one.
fn hits(rng: &mut StdRng, probability: f64) -> bool {
    probability > 0.0 && rng.random_bool(probability.min(1.0))
}
