//! What is done: the shares of the operations, for each workload.

use rand::Rng;

use crate::keys::Distribution;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads a key.
    Read,
    /// Writes a key that is there.
    Update,
    /// Writes a key that is not there.
    Insert,
    /// Reads a key and then writes it.
    ReadModifyWrite,
    /// Reads some records, from a key on.
    Scan,
}

/// Records of the longest scan; each length up to this is as frequent.
pub const SCAN_RECORDS_MAX: u32 = 100;

/// A workload.
///
/// - The shares are of 1, and what is missing are updates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload {
    /// What people call it.
    pub name: &'static str,
    reads: f64,
    inserts: f64,
    read_modify_writes: f64,
    scans: f64,
    /// How keys are chosen, unless the user says otherwise.
    pub distribution: Distribution,
}

impl Workload {
    const fn new(name: &'static str, reads: f64, distribution: Distribution) -> Self {
        Self {
            name,
            reads,
            inserts: 0.0,
            read_modify_writes: 0.0,
            scans: 0.0,
            distribution,
        }
    }

    /// Writes only.
    pub const PUT: Self = Self::new("put", 0.0, Distribution::Uniform);
    /// Reads only.
    pub const GET: Self = Self::new("get", 1.0, Distribution::Uniform);
    /// Update heavy.
    pub const YCSB_A: Self = Self::new("ycsb-a", 0.5, Distribution::Zipfian);
    /// Read mostly.
    pub const YCSB_B: Self = Self::new("ycsb-b", 0.95, Distribution::Zipfian);
    /// Read only.
    pub const YCSB_C: Self = Self::new("ycsb-c", 1.0, Distribution::Zipfian);
    /// Read latest.
    pub const YCSB_D: Self = Self {
        inserts: 0.05,
        ..Self::new("ycsb-d", 0.95, Distribution::Latest)
    };
    /// Short scans.
    pub const YCSB_E: Self = Self {
        scans: 0.95,
        inserts: 0.05,
        ..Self::new("ycsb-e", 0.0, Distribution::Zipfian)
    };
    /// Read-modify-write.
    pub const YCSB_F: Self = Self {
        read_modify_writes: 0.5,
        ..Self::new("ycsb-f", 0.5, Distribution::Zipfian)
    };

    /// Half reads, half updates.
    pub const FAILOVER: Self = Self::new("failover", 0.5, Distribution::Uniform);
    /// Writes only.
    pub const CATCH_UP: Self = Self::new("catch-up", 0.0, Distribution::Uniform);

    /// Reads and updates.
    pub const fn mixed(reads: f64) -> Self {
        Self::new("mixed", reads, Distribution::Uniform)
    }

    /// The next operation.
    pub fn draw(&self, rng: &mut impl Rng) -> Operation {
        let drawn: f64 = rng.random();
        if drawn < self.reads {
            Operation::Read
        } else if drawn < self.reads + self.inserts {
            Operation::Insert
        } else if drawn < self.reads + self.inserts + self.read_modify_writes {
            Operation::ReadModifyWrite
        } else if drawn < self.reads + self.inserts + self.read_modify_writes + self.scans {
            Operation::Scan
        } else {
            Operation::Update
        }
    }

    /// Does it need keys that are there?
    pub fn reads(&self) -> bool {
        self.reads > 0.0 || self.read_modify_writes > 0.0 || self.scans()
    }

    /// Does it scan?
    pub fn scans(&self) -> bool {
        self.scans > 0.0
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn operations_come_in_the_shares_of_the_workload() {
        let check = |workload: Workload, expected: [f64; 5]| {
            let mut rng = StdRng::seed_from_u64(7);
            let mut counts = [0; 5];
            for _ in 0..100_000 {
                counts[workload.draw(&mut rng) as usize] += 1;
            }
            for (count, share) in counts.iter().zip(expected) {
                let found = f64::from(*count) / 100_000.0;
                assert!(
                    (found - share).abs() < 0.01,
                    "{}: {counts:?}",
                    workload.name
                );
            }
        };
        check(Workload::PUT, [0.0, 1.0, 0.0, 0.0, 0.0]);
        check(Workload::GET, [1.0, 0.0, 0.0, 0.0, 0.0]);
        check(Workload::mixed(0.3), [0.3, 0.7, 0.0, 0.0, 0.0]);
        check(Workload::YCSB_A, [0.5, 0.5, 0.0, 0.0, 0.0]);
        check(Workload::YCSB_B, [0.95, 0.05, 0.0, 0.0, 0.0]);
        check(Workload::YCSB_C, [1.0, 0.0, 0.0, 0.0, 0.0]);
        check(Workload::YCSB_D, [0.95, 0.0, 0.05, 0.0, 0.0]);
        check(Workload::YCSB_E, [0.0, 0.0, 0.05, 0.0, 0.95]);
        check(Workload::YCSB_F, [0.5, 0.0, 0.0, 0.5, 0.0]);
    }
}
