//! The contents of one simulated file: what is on the disk, and what the cache has beside that.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::fault::{Mishap, Mishaps};
use super::survival::{Stamp, Survival};

/// What a disk writes whole or not at all, in bytes.
pub(super) const BLOCK: u64 = 512;

/// The bytes of a block; `None` if all are zero.
type Block = Option<Arc<[u8; BLOCK as usize]>>;

static ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];

/// What a file holds.
///
/// - A block is read from `unsynced`, else from `dropped`, else from `durable`, else it is zero.
/// - Behind the length every block reads as zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    durable: BTreeMap<u64, Block>,
    durable_length: u64,
    /// Written, and lost by a sync that failed: the cache has it, and takes it for durable.
    dropped: BTreeMap<u64, Block>,
    /// All that a block has been since it was synced, the last of which is what it is.
    unsynced: BTreeMap<u64, Vec<(Stamp, Block)>>,
    unsynced_lengths: Vec<(Stamp, u64)>,
    /// From the beginning on so many bytes have their place on the disk.
    pub(super) allocated: u64,
}

impl Contents {
    pub(super) fn length(&self) -> u64 {
        let unsynced = self.unsynced_lengths.last();
        unsynced.map_or(self.durable_length, |(_, length)| *length)
    }

    pub(super) fn read_at(&self, bytes: &mut [u8], offset: u64) -> usize {
        let count = self.length().saturating_sub(offset).min(bytes.len() as u64);
        if count == 0 {
            return 0;
        }
        let end = offset + count;
        let bytes = &mut bytes[..count as usize];
        bytes.fill(0);
        let blocks = offset / BLOCK..end.div_ceil(BLOCK);
        let mut copy = |number: u64, block: &Block| {
            let begins = number * BLOCK;
            let (from, to) = (begins.max(offset), (begins + BLOCK).min(end));
            let target = &mut bytes[(from - offset) as usize..(to - offset) as usize];
            let held = block.as_deref().unwrap_or(&ZEROS);
            target.copy_from_slice(&held[(from - begins) as usize..(to - begins) as usize]);
        };
        for (number, block) in self.durable.range(blocks.clone()) {
            copy(*number, block);
        }
        for (number, block) in self.dropped.range(blocks.clone()) {
            copy(*number, block);
        }
        for (number, versions) in self.unsynced.range(blocks) {
            copy(*number, newest(versions));
        }
        count as usize
    }

    pub(super) fn write_at(&mut self, stamp: Stamp, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        let end = offset + bytes.len() as u64;
        for number in offset / BLOCK..end.div_ceil(BLOCK) {
            let begins = number * BLOCK;
            let (from, to) = (begins.max(offset), (begins + BLOCK).min(end));
            let written = &bytes[(from - offset) as usize..(to - offset) as usize];
            self.change(stamp, number, (from - begins) as usize, written);
        }
        if end > self.length() {
            self.unsynced_lengths.push((stamp, end));
        }
    }

    /// Writes a part of a block.
    fn change(&mut self, stamp: Stamp, number: u64, at: usize, written: &[u8]) {
        let present = self.block(number);
        let held = present.as_deref().unwrap_or(&ZEROS);
        let is_dropped = self.dropped.contains_key(&number);
        if held[at..at + written.len()] == *written && !is_dropped {
            return;
        }
        let mut changed = *held;
        changed[at..at + written.len()].copy_from_slice(written);
        let block = (changed != ZEROS).then(|| Arc::new(changed));
        self.unsynced
            .entry(number)
            .or_default()
            .push((stamp, block));
    }

    fn block(&self, number: u64) -> Block {
        if let Some(versions) = self.unsynced.get(&number) {
            return newest(versions).clone();
        }
        let clean = || self.durable.get(&number);
        self.dropped
            .get(&number)
            .or_else(clean)
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn set_length(&mut self, stamp: Stamp, length: u64) {
        if length < self.length() {
            self.clear_behind(stamp, length);
            self.allocated = self.allocated.min(length.next_multiple_of(BLOCK));
        }
        self.unsynced_lengths.push((stamp, length));
    }

    fn clear_behind(&mut self, stamp: Stamp, length: u64) {
        let first = length / BLOCK;
        let within = (length % BLOCK) as usize;
        if within > 0 {
            self.change(stamp, first, within, &ZEROS[within..]);
        }
        let behind = length.div_ceil(BLOCK)..;
        let mut blocks: Vec<u64> = Vec::new();
        blocks.extend(self.durable.range(behind.clone()).map(|(number, _)| number));
        blocks.extend(self.dropped.range(behind.clone()).map(|(number, _)| number));
        blocks.extend(self.unsynced.range(behind).map(|(number, _)| number));
        for number in blocks {
            self.change(stamp, number, 0, &ZEROS);
        }
    }

    /// Everything that is known to be unsynced is durable.
    pub(super) fn sync(&mut self) {
        for (number, versions) in std::mem::take(&mut self.unsynced) {
            let block = newest(&versions).clone();
            self.reach(number, block);
        }
        if let Some((_, length)) = self.unsynced_lengths.drain(..).next_back() {
            self.durable_length = length;
        }
    }

    /// A block comes to the disk.
    fn reach(&mut self, number: u64, block: Block) {
        self.dropped.remove(&number);
        match block {
            Some(_) => self.durable.insert(number, block),
            None => self.durable.remove(&number),
        };
    }

    /// A sync fails: each block that was to be written is on the disk, or is dropped while the cache takes it for written.
    pub(super) fn fail_sync(&mut self, rng: &mut ChaCha8Rng, mishaps: &mut Mishaps) {
        let reaching = [0.0, 0.5, 0.9][rng.random_range(0..3)];
        for (number, versions) in std::mem::take(&mut self.unsynced) {
            let block = newest(&versions).clone();
            if rng.random_bool(reaching) {
                self.reach(number, block);
            } else {
                self.dropped.insert(number, block);
                *mishaps.entry(Mishap::Dropped).or_default() += 1;
            }
        }
    }

    /// The cache forgets some of what it takes for durable.
    pub(super) fn evict(&mut self, rng: &mut ChaCha8Rng, mishaps: &mut Mishaps) {
        let probability = [0.0, 0.2, 1.0][rng.random_range(0..3)];
        let before = self.dropped.len();
        self.dropped.retain(|_, _| !rng.random_bool(probability));
        *mishaps.entry(Mishap::Evicted).or_default() += (before - self.dropped.len()) as u64;
    }

    /// Power is lost.
    pub(super) fn crash(
        &mut self,
        survival: Survival,
        rng: &mut ChaCha8Rng,
        mishaps: &mut Mishaps,
    ) {
        let mut fates = Fates::default();
        self.dropped.clear();
        for (number, versions) in std::mem::take(&mut self.unsynced) {
            let count = survival.of_versions(&versions, rng);
            fates.of_block(&versions, count);
            if let Some(kept) = count.checked_sub(1) {
                self.reach(number, versions[kept].1.clone());
            }
        }
        let lengths = std::mem::take(&mut self.unsynced_lengths);
        let count = survival.of_versions(&lengths, rng);
        if let Some(kept) = count.checked_sub(1) {
            self.durable_length = lengths[kept].1;
        }
        fates.count(mishaps);
        *mishaps.entry(Mishap::LengthKept).or_default() += u64::from(count > 0);
        *mishaps.entry(Mishap::LengthUndone).or_default() += u64::from(count < lengths.len());
        self.allocated = self
            .allocated
            .max(self.durable_length.next_multiple_of(BLOCK));
        // What is behind the end is gone, however much of it came to the disk.
        self.clear_behind(Stamp(0), self.durable_length);
        self.sync();
    }

    /// Is anything unsynced, or not durable although it was synced?
    pub(super) fn is_durable(&self) -> bool {
        self.unsynced.is_empty() && self.dropped.is_empty() && self.unsynced_lengths.is_empty()
    }
}

fn newest(versions: &[(Stamp, Block)]) -> &Block {
    &versions
        .last()
        .expect("a block has a version if it has any")
        .1
}

/// What became of the blocks of each write.
#[derive(Default)]
struct Fates {
    kept: BTreeMap<Stamp, u64>,
    undone: BTreeMap<Stamp, u64>,
}

impl Fates {
    fn of_block(&mut self, versions: &[(Stamp, Block)], count: usize) {
        for (index, (stamp, _)) in versions.iter().enumerate() {
            let is_kept = index < count;
            let fates = if is_kept {
                &mut self.kept
            } else {
                &mut self.undone
            };
            *fates.entry(*stamp).or_default() += 1;
        }
    }

    fn count(&self, mishaps: &mut Mishaps) {
        let torn = self
            .kept
            .keys()
            .filter(|kept| self.undone.contains_key(kept));
        let is_reordered = match (self.undone.keys().next(), self.kept.keys().next_back()) {
            (Some(undone), Some(kept)) => undone < kept,
            (Some(_) | None, None) | (None, Some(_)) => false,
        };
        for (mishap, count) in [
            (Mishap::BlocksKept, self.kept.values().sum()),
            (Mishap::BlocksUndone, self.undone.values().sum()),
            (Mishap::Torn, torn.count() as u64),
            (Mishap::Reordered, u64::from(is_reordered)),
        ] {
            *mishaps.entry(mishap).or_default() += count;
        }
    }
}
