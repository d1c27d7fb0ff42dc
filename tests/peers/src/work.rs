//! What is done: operations, keys and values, drawn and made as `lockstep bench` draws and makes its own.

use lockstep_bench::keys::{Chooser, Distribution, Keys};
use lockstep_bench::tally;
use lockstep_bench::values::Values;
use lockstep_bench::workload::{Operation, Workload};
use lockstep_core::operation::{Key, Value};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::args::{LoadArgs, Work};
use crate::lane::Failure;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Writes a key.
    Put,
    /// Reads a key.
    Get,
}

impl Kind {
    /// As what it is counted.
    pub(crate) fn counted(self) -> tally::Kind {
        match self {
            Self::Put => tally::Kind::Write,
            Self::Get => tally::Kind::Read,
        }
    }
}

/// Draws operations, and makes keys and values.
pub(crate) struct Source {
    workload: Workload,
    keys: Keys,
    chooser: Chooser,
    values: Values,
    /// Writes so far.
    writes: u32,
    rng: SmallRng,
}

impl Source {
    /// What the flags ask for.
    pub(crate) fn new(args: &LoadArgs) -> Result<Self, Failure> {
        let mut rng = SmallRng::from_os_rng();
        let workload = match args.work {
            Work::Fill | Work::Put => Workload::PUT,
            Work::Get => Workload::GET,
            Work::Mixed => Workload::mixed(0.5),
        };
        Ok(Self {
            workload,
            keys: Keys::new("", args.key_size, args.keys)?,
            chooser: Chooser::new(Distribution::Uniform, args.keys),
            values: Values::new(rng.random(), args.value_size)?,
            writes: 0,
            rng,
        })
    }

    /// What the next operation does.
    pub(crate) fn kind(&mut self) -> Kind {
        match self.workload.draw(&mut self.rng) {
            Operation::Read => Kind::Get,
            Operation::Update => Kind::Put,
            Operation::Insert | Operation::ReadModifyWrite | Operation::Scan => {
                unreachable!("these workloads read and update")
            }
        }
    }

    /// The number of the key of the next operation.
    pub(crate) fn choose(&mut self) -> u64 {
        self.chooser.next(&self.keys, &mut self.rng)
    }

    /// What the key of this number is called.
    pub(crate) fn name(&self, number: u64) -> Key {
        self.keys.name(number)
    }

    /// The value of the next write, to the key of this number.
    pub(crate) fn value(&mut self, number: u64) -> Value {
        self.writes = self.writes.wrapping_add(1);
        self.values.value(number, self.writes)
    }
}
