//! What stands in the values: who wrote it, for which key, as which write, and bytes that can be checked.

use lockstep_core::limits::Limits;
use lockstep_core::operation::Value;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

/// Run, key and write.
const STAMP_BYTES: usize = 8 + 8 + 4;

/// The padding of values is cut out of a block of at least this size, so that values do not repeat soon: an engine
/// that compresses finds nothing to gain.
const BLOCK_BYTES_MIN: usize = 1 << 20;

/// What a value says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The run that wrote it.
    pub run: u64,
    /// The number of the key it is for.
    pub key: u64,
    /// Which of the run's writes of the key it is, from 1.
    pub write: u32,
}

/// Makes and checks values.
#[derive(Debug)]
pub struct Values {
    run: u64,
    size: usize,
    block: Vec<u8>,
}

/// Values cannot be of this size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it takes {STAMP_BYTES} bytes to tell who wrote a value, and no cluster takes more than {}",
    Limits::VALUE_BYTES_CEILING
)]
pub struct ValueSizeError {
    /// Bytes of a value that were asked for.
    pub size: usize,
}

impl Values {
    /// Values of `size` bytes, written by the run of this number.
    pub fn new(run: u64, size: usize) -> Result<Self, ValueSizeError> {
        if !(STAMP_BYTES..=Limits::VALUE_BYTES_CEILING).contains(&size) {
            return Err(ValueSizeError { size });
        }
        let mut block = vec![0; BLOCK_BYTES_MIN + size];
        StdRng::seed_from_u64(run).fill_bytes(&mut block);
        Ok(Self { run, size, block })
    }

    /// The run that writes them.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// The value that the run's write of this number sets the key to.
    pub fn value(&self, key: u64, write: u32) -> Value {
        let mut bytes = Vec::with_capacity(self.size);
        bytes.extend(self.run.to_le_bytes());
        bytes.extend(key.to_le_bytes());
        bytes.extend(write.to_le_bytes());
        bytes.extend(self.padding(key, write));
        bytes.into()
    }

    /// What a value says of itself; `None` if it is no value that this run could have written, nor any other run.
    pub fn stamp(&self, value: &Value) -> Option<Stamp> {
        let bytes = value.as_ref();
        let (run, rest) = bytes.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (write, padding) = rest.split_first_chunk()?;
        let stamp = Stamp {
            run: u64::from_le_bytes(*run),
            key: u64::from_le_bytes(*key),
            write: u32::from_le_bytes(*write),
        };
        let is_whole = stamp.run != self.run || padding == self.padding(stamp.key, stamp.write);
        is_whole.then_some(stamp)
    }

    fn padding(&self, key: u64, write: u32) -> &[u8] {
        let drawn = (key ^ u64::from(write) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let from = (drawn >> 44) as usize;
        &self.block[from..from + self.size - STAMP_BYTES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_tells_who_wrote_it() {
        for size in [STAMP_BYTES, 128, 3 << 20] {
            let values = Values::new(7, size).unwrap();
            let value = values.value(42, 3);
            assert_eq!(value.as_ref().len(), size);
            let (run, key, write) = (7, 42, 3);
            assert_eq!(values.stamp(&value), Some(Stamp { run, key, write }));
        }
    }

    #[test]
    fn a_value_with_a_wrong_byte_is_not_taken_for_one() {
        let values = Values::new(7, 128).unwrap();
        let good = values.value(42, 3);
        for at in 8..128 {
            let mut bytes = good.as_ref().to_owned();
            bytes[at] ^= 1;
            assert_eq!(values.stamp(&bytes.into()), None, "byte {at}");
        }
        assert_eq!(values.stamp(&good.as_ref()[..127].into()), None);
        assert_eq!(values.stamp(&"hello".into()), None);
    }

    #[test]
    fn what_another_run_wrote_is_told_apart() {
        let values = Values::new(7, 128).unwrap();
        let other = Values::new(8, 64).unwrap().value(42, 3);
        assert_eq!(values.stamp(&other).unwrap().run, 8);
    }

    #[test]
    fn sizes_without_room_for_the_stamp_are_refused() {
        assert!(Values::new(1, STAMP_BYTES - 1).is_err());
        assert!(Values::new(1, Limits::VALUE_BYTES_CEILING).is_ok());
        assert!(Values::new(1, Limits::VALUE_BYTES_CEILING + 1).is_err());
    }
}
