//! The hot operations, ready to be done over and over: `benches/hot` times them, `bin/instructions` counts what they
//! execute. Both do exactly the same.
//!
//! Whatever an operation needs is made beforehand, so that making it is not measured.

mod codec;
mod engine;
mod host;
mod inputs;
mod log;
mod played;
mod replica;

use std::path::Path;

/// Has operations done, and finds out in its own way what they cost.
pub trait Meter {
    /// Measures `run`. Each time it takes what `prepare` has made for it; several may be made before the first is taken,
    /// and they are taken in the order in which they were made.
    fn measure<I, O>(&mut self, name: &str, prepare: impl FnMut() -> I, run: impl FnMut(I) -> O);
}

/// Measures those that do the same each time. Those that need a disk use `directory`, which is empty.
pub fn measure(meter: &mut impl Meter, directory: &Path) {
    codec::measure(meter);
    replica::measure(meter);
    host::measure(meter);
    log::measure(meter, directory);
    engine::measure(meter, directory);
}

/// Measures those that the threads of fjall have a part in: what a read executes depends on whether they have compacted the
/// state already. Fit for a clock, not for a count.
pub fn measure_varying(meter: &mut impl Meter, directory: &Path) {
    engine::measure_varying(meter, directory);
}

/// Entries that travel together under load.
const BATCH: usize = 64;
