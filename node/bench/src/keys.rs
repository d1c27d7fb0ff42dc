//! Which keys clients work with: what they are called, and which one comes next.

use std::sync::atomic::{AtomicU64, Ordering};

use lockstep_core::limits::Limits;
use lockstep_core::operation::Key;
use rand::Rng;
use rand_distr::Zipf;

/// The skew of YCSB.
const EXPONENT: f64 = 0.99;

/// The keys, by number: the prefix and the number, with zeros in between.
#[derive(Debug)]
pub struct Keys {
    prefix: Vec<u8>,
    size: usize,
    /// Keys below are taken to be there.
    count: AtomicU64,
    next_insert: AtomicU64,
    next_sequential: AtomicU64,
}

/// The keys that were asked for cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Their numbers do not fit behind the prefix.
    #[error("{count} keys do not fit into keys of {size} bytes, {prefix} of which are the prefix")]
    TooShort {
        /// How many.
        count: u64,
        /// Of what size.
        size: usize,
        /// Bytes of the prefix.
        prefix: usize,
    },
    /// No cluster takes them.
    #[error("keys of {size} bytes are above {limit}, which is the most a cluster takes")]
    TooLong {
        /// Their size.
        size: usize,
        /// The largest that can be configured.
        limit: usize,
    },
}

impl Keys {
    /// `count` keys of `size` bytes.
    pub fn new(prefix: &str, size: usize, count: u64) -> Result<Self, KeysError> {
        let limit = Limits::KEY_BYTES_CEILING;
        if size > limit {
            return Err(KeysError::TooLong { size, limit });
        }
        let digits = u32::try_from(size.saturating_sub(prefix.len())).unwrap_or(u32::MAX);
        if 10_u64.checked_pow(digits).is_some_and(|room| room < count) {
            let prefix = prefix.len();
            return Err(KeysError::TooShort {
                count,
                size,
                prefix,
            });
        }
        Ok(Self {
            prefix: prefix.as_bytes().to_owned(),
            size,
            count: AtomicU64::new(count),
            next_insert: AtomicU64::new(count),
            next_sequential: AtomicU64::new(0),
        })
    }

    /// What the key of this number is called.
    pub fn name(&self, number: u64) -> Key {
        let mut bytes = Vec::with_capacity(self.size);
        bytes.extend(&self.prefix);
        bytes.resize(self.size, b'0');
        let mut rest = number;
        for digit in bytes[self.prefix.len()..].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        bytes.into()
    }

    /// The number of the key that is called so; `None` if none is.
    pub fn number(&self, name: &Key) -> Option<u64> {
        let digits = name.as_ref().strip_prefix(&self.prefix[..])?;
        let is_own = name.as_ref().len() == self.size && digits.iter().all(u8::is_ascii_digit);
        if !is_own {
            return None;
        }
        digits.iter().try_fold(0_u64, |number, digit| {
            number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
    }

    /// Keys that are there.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The number of a key that is not there; `None` when there are no more.
    pub fn insert(&self) -> Option<u64> {
        let number = self.next_insert.fetch_add(1, Ordering::Relaxed);
        let digits = (self.size - self.prefix.len()) as u32;
        let is_free = 10_u64.checked_pow(digits).is_none_or(|room| number < room);
        is_free.then_some(number)
    }

    /// The key is there.
    pub fn inserted(&self, number: u64) {
        self.count.fetch_max(number + 1, Ordering::Relaxed);
    }
}

/// How keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Each as often as any other.
    Uniform,
    /// A few very often (zipfian, 0.99), scattered over all keys.
    Zipfian,
    /// Those that were inserted last most often.
    Latest,
    /// One after the other, and from the beginning again.
    Sequential,
}

/// Chooses keys.
#[derive(Clone, Copy, Debug)]
pub enum Chooser {
    /// See [`Distribution`].
    Uniform,
    /// The most frequent ones scattered over all.
    Zipfian(Zipf<f64>),
    /// The most frequent one is the one inserted last.
    Latest(Zipf<f64>),
    /// See [`Distribution`].
    Sequential,
}

impl Chooser {
    /// Chooses among `count` keys, at least one.
    pub fn new(distribution: Distribution, count: u64) -> Self {
        let zipf = || Zipf::new(count as f64, EXPONENT).expect("there are keys");
        match distribution {
            Distribution::Uniform => Self::Uniform,
            Distribution::Zipfian => Self::Zipfian(zipf()),
            Distribution::Latest => Self::Latest(zipf()),
            Distribution::Sequential => Self::Sequential,
        }
    }

    /// The number of the next key.
    pub fn next(&self, keys: &Keys, rng: &mut impl Rng) -> u64 {
        let count = keys.count();
        match self {
            Self::Uniform => rng.random_range(0..count),
            Self::Zipfian(zipf) => scatter(rank(zipf, rng)) % count,
            Self::Latest(zipf) => (count - 1).saturating_sub(rank(zipf, rng)),
            Self::Sequential => keys.next_sequential.fetch_add(1, Ordering::Relaxed) % count,
        }
    }
}

/// How many are more frequent.
fn rank(zipf: &Zipf<f64>, rng: &mut impl Rng) -> u64 {
    rng.sample(zipf) as u64 - 1
}

/// Spreads consecutive numbers: the last steps of SplitMix64, which map no two numbers to the same one.
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const COUNT: u64 = 1_000;
    const DRAWS: usize = 200_000;

    /// How often each key was chosen.
    fn draw(distribution: Distribution) -> Vec<usize> {
        let keys = Keys::new("k", 8, COUNT).unwrap();
        let chooser = Chooser::new(distribution, COUNT);
        let mut rng = StdRng::seed_from_u64(42);
        let mut counts = vec![0; COUNT as usize];
        for _ in 0..DRAWS {
            counts[chooser.next(&keys, &mut rng) as usize] += 1;
        }
        counts
    }

    /// The share that the key of this rank is to have.
    fn zipf_share(rank: u32) -> f64 {
        let weight = |rank: u32| f64::from(rank).powf(-EXPONENT);
        weight(rank) / (1..=COUNT as u32).map(weight).sum::<f64>()
    }

    fn is_near(count: usize, share: f64) -> bool {
        let found = count as f64 / DRAWS as f64;
        (found - share).abs() < 0.05 * share
    }

    #[test]
    fn keys_have_their_size_and_the_order_of_their_numbers() {
        let keys = Keys::new("bench/", 16, COUNT).unwrap();
        assert_eq!(keys.name(0), Key::from("bench/0000000000"));
        assert_eq!(keys.name(1_234_567_890), Key::from("bench/1234567890"));
        assert!(keys.name(99) < keys.name(100));
    }

    #[test]
    fn a_key_is_known_by_its_name() {
        let keys = Keys::new("bench/", 16, COUNT).unwrap();
        for number in [0, 1_234_567_890] {
            assert_eq!(keys.number(&keys.name(number)), Some(number));
        }
        for other in [
            "bench/123",
            "bench/12345678901",
            "other/0000000001",
            "bench/00000000x1",
        ] {
            assert_eq!(keys.number(&other.into()), None, "{other}");
        }
        let long = Keys::new("", 30, COUNT).unwrap();
        assert_eq!(long.number(&"9".repeat(30).into()), None);
    }

    #[test]
    fn keys_that_do_not_fit_are_refused() {
        let check = |prefix, size, count, fits: bool| {
            assert_eq!(
                Keys::new(prefix, size, count).is_ok(),
                fits,
                "{prefix} {size} {count}"
            );
        };
        check("bench/", 8, 100, true);
        check("bench/", 8, 101, false);
        check("bench/", 6, 1, true);
        check("bench/", 6, 2, false);
        check("bench/", 3, 2, false);
        check("", 64, u64::MAX, true);
        check("", Limits::KEY_BYTES_CEILING, 1, true);
        check("", Limits::KEY_BYTES_CEILING + 1, 1, false);
    }

    #[test]
    fn inserts_get_each_number_once_until_there_are_no_more() {
        let keys = Keys::new("k", 2, 8).unwrap();
        assert_eq!([keys.insert(), keys.insert()], [Some(8), Some(9)]);
        assert_eq!(keys.insert(), None);
        keys.inserted(9);
        keys.inserted(8);
        assert_eq!(keys.count(), 10);
    }

    #[test]
    fn uniform_chooses_all_alike() {
        let counts = draw(Distribution::Uniform);
        let expected = DRAWS / COUNT as usize;
        assert!(
            counts
                .iter()
                .all(|count| count.abs_diff(expected) < expected / 2)
        );
    }

    #[test]
    fn zipfian_chooses_by_rank_and_scatters_the_ranks() {
        let mut counts = draw(Distribution::Zipfian);
        let hottest = counts.iter().max().unwrap();
        assert_ne!(counts[0], *hottest, "the first key need not be the hottest");
        let neighbours = counts
            .windows(2)
            .filter(|pair| pair[0].min(pair[1]) > DRAWS / 100);
        assert!(neighbours.count() < 3, "hot keys are not side by side");
        counts.sort_unstable_by(|one, other| other.cmp(one));
        // Two ranks may share a key, so those behind the first are at least as frequent as they are to be.
        assert!(
            counts[0] as f64 >= 0.95 * zipf_share(1) * DRAWS as f64,
            "{}",
            counts[0]
        );
        assert!(
            counts[0] as f64 <= 1.3 * zipf_share(1) * DRAWS as f64,
            "{}",
            counts[0]
        );
    }

    #[test]
    fn latest_prefers_what_was_inserted_last() {
        let counts = draw(Distribution::Latest);
        let last = COUNT as usize - 1;
        assert!(is_near(counts[last], zipf_share(1)), "{}", counts[last]);
        assert!(
            is_near(counts[last - 1], zipf_share(2)),
            "{}",
            counts[last - 1]
        );
        assert!(
            is_near(counts[last - 9], zipf_share(10)),
            "{}",
            counts[last - 9]
        );
    }

    #[test]
    fn latest_follows_the_inserts() {
        let keys = Keys::new("k", 8, 1).unwrap();
        let chooser = Chooser::new(Distribution::Latest, 1);
        let mut rng = StdRng::seed_from_u64(1);
        assert_eq!(chooser.next(&keys, &mut rng), 0);
        keys.inserted(5);
        assert_eq!(chooser.next(&keys, &mut rng), 5);
    }

    #[test]
    fn sequential_goes_round() {
        let keys = Keys::new("k", 8, 3).unwrap();
        let chooser = Chooser::new(Distribution::Sequential, 3);
        let mut rng = StdRng::seed_from_u64(1);
        let numbers: Vec<u64> = (0..7).map(|_| chooser.next(&keys, &mut rng)).collect();
        assert_eq!(numbers, [0, 1, 2, 0, 1, 2, 0]);
    }
}
