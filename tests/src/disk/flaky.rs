//! The flaky persistence of the official cases.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// After each request that it carries out it refuses up to three.
#[derive(Clone, Debug)]
pub(super) struct Flaky {
    left: u32,
    rng: ChaCha8Rng,
}

impl Flaky {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            left: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    pub(super) fn refuses(&mut self) -> bool {
        if self.left > 0 {
            self.left -= 1;
            return true;
        }
        self.left = self.rng.random_range(0..=3);
        false
    }
}
