//! What is done: operations, keys and values.

use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::args::{LoadArgs, Work};

/// Values are cut out of a block of this size, so that they do not repeat soon and nothing is gained by compressing them.
const BLOCK_BYTES: usize = 1 << 20;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Writes a key.
    Put,
    /// Reads a key.
    Get,
}

/// Draws operations, and makes keys and values.
pub(crate) struct Source {
    work: Work,
    keys: u64,
    key_size: usize,
    value_size: usize,
    rng: SmallRng,
    block: Vec<u8>,
}

impl Source {
    /// What the flags ask for.
    pub(crate) fn new(args: &LoadArgs) -> Self {
        let mut rng = SmallRng::from_os_rng();
        let mut block = vec![0; BLOCK_BYTES + args.value_size];
        rng.fill_bytes(&mut block);
        Self {
            work: args.work,
            keys: args.keys,
            key_size: args.key_size,
            value_size: args.value_size,
            rng,
            block,
        }
    }

    /// What the next operation does.
    pub(crate) fn kind(&mut self) -> Kind {
        match self.work {
            Work::Fill | Work::Put => Kind::Put,
            Work::Get => Kind::Get,
            Work::Mixed if self.rng.random() => Kind::Get,
            Work::Mixed => Kind::Put,
        }
    }

    /// The key of the next operation; each as often as any other.
    pub(crate) fn key(&mut self) -> Vec<u8> {
        let number = self.rng.random_range(0..self.keys);
        self.name(number)
    }

    /// What the key of this number is called.
    pub(crate) fn name(&self, number: u64) -> Vec<u8> {
        format!("{number:0width$}", width = self.key_size).into_bytes()
    }

    /// The value of the next write.
    pub(crate) fn value(&mut self) -> &[u8] {
        let from = self.rng.random_range(0..BLOCK_BYTES);
        &self.block[from..from + self.value_size]
    }
}
