//! One fault of a seed: a row of the table, or broken links, at a moment of its own, and what clients do meanwhile.

use std::fmt;

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::faults::{Row, TABLE};
use super::links::{self, Broken};
use super::{LOOK, Longest, Run, Setting};
use crate::cluster::MS;
use crate::trace::Detail;

/// What must hold.
const INVARIANT: &str = "no single fault stops the service for longer than it may";

/// Leases end at some time after what began them: the fault comes up to so many looks later.
const DELAY_MAX: u64 = 500;

/// What breaks.
enum Fault {
    Single(&'static Row),
    Links(Broken),
}

impl Fault {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        if rng.random_bool(0.7) {
            return Self::Single(TABLE.choose(rng).expect("not empty"));
        }
        loop {
            let broken = Broken::draw(rng);
            if broken.can_serve() {
                return Self::Links(broken);
            }
        }
    }

    fn run(&self, setting: Setting, detail: Detail) -> Run {
        match self {
            Self::Single(row) => row.run(setting, detail),
            Self::Links(broken) => broken.run(setting, detail),
        }
    }

    fn is_kept(&self, longest: Longest) -> bool {
        match self {
            Self::Single(row) => row.is_kept(longest),
            Self::Links(_) => links::is_kept(longest),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Single(row) => write!(f, "{:?} of the {:?}", row.kind, row.who),
            Self::Links(broken) => write!(f, "links broken: {broken}"),
        }
    }
}

/// Has the fault of a seed happen. It is a violation if that stops the service for longer than it may.
pub fn run(seed: u64, detail: Detail) -> Run {
    // Not the stream the cluster draws from, so that its draws do not repeat these.
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x51_4e61_e0fa);
    let (writes, reads) = *[(true, true), (true, false), (false, true)]
        .choose(&mut rng)
        .expect("not empty");
    let setting = Setting {
        seed,
        writes,
        reads,
        delay: rng.random_range(0..DELAY_MAX) * LOOK,
    };
    let fault = Fault::draw(&mut rng);
    let mut run = fault.run(setting, detail);
    if run.longest().is_ok_and(|longest| !fault.is_kept(longest)) {
        let Longest { writes, reads, .. } = run.longest;
        let what = format!(
            "{fault}: {} ms without a write, {} ms without a read",
            writes / MS,
            reads / MS
        );
        run.cluster.violate(INVARIANT, what);
    }
    run
}
