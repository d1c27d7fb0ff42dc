//! A state in 128 bits. Two lanes with different keys, each a multiplication folded onto itself: among the some million
//! states of a search, two that differ and look alike are not to be expected in the lifetime of this universe.

use std::hash::{Hash, Hasher};

/// The fingerprint of anything that can be hashed.
pub fn of<T: Hash + ?Sized>(what: &T) -> u128 {
    let mut hasher = Fingerprint::default();
    what.hash(&mut hasher);
    hasher.wide()
}

struct Fingerprint {
    left: u64,
    right: u64,
}

// Digits of pi and of e: odd, and nobody chose them.
const LEFT: u64 = 0x2437_6a88_85a3_08d3;
const RIGHT: u64 = 0xadf8_5458_a2bb_4a9b;

impl Default for Fingerprint {
    fn default() -> Self {
        Self {
            left: RIGHT,
            right: LEFT,
        }
    }
}

impl Fingerprint {
    fn wide(&self) -> u128 {
        let left = fold(self.left ^ self.right.rotate_left(32), RIGHT);
        let right = fold(self.right ^ self.left.rotate_left(17), LEFT);
        u128::from(left) << 64 | u128::from(right)
    }
}

fn fold(word: u64, key: u64) -> u64 {
    let product = u128::from(word) * u128::from(key);
    let (high, low) = ((product >> 64) as u64, product as u64);
    // The word once more, so that a product of zero forgets nothing.
    (high ^ low).wrapping_add(word.rotate_left(29))
}

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            let word = <[u8; 8]>::try_from(word).expect("chunks of eight");
            self.write_u64(u64::from_le_bytes(word));
        }
        let rest = words.remainder();
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        self.write_u64(u64::from_le_bytes(word) ^ (bytes.len() as u64) << 56);
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, word: u64) {
        self.left = fold(self.left ^ word, LEFT);
        self.right = fold(self.right.wrapping_add(word), RIGHT);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.wide() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_differs_looks_different() {
        let mut seen = HashSet::new();
        for first in 0..300_u64 {
            for second in 0..300_u64 {
                assert!(seen.insert(of(&(first, second))));
            }
        }
        assert_ne!(of("ab"), of("ab\0"));
        assert_ne!(of(&(1_u8, 0_u64)), of(&(0_u8, 1_u64)));
        assert_eq!(of(&vec!["a", "b"]), of(&vec!["a", "b"]));
    }
}
