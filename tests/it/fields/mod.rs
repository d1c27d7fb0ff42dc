//! Every field of everything that is said, at its limits and far beyond them.
//!
//! - `table`: every request with every field at 0, at its limit, behind it and far beyond, and what has to be answered to each.
//! - `suite`: asks a cluster all of it, and sees that nothing else comes of it.
//! - `simulated` and `durable`: the clusters that are asked: one in the simulator, and one of drivers with the engine of programs.
//! - `drains`: the requests that end a role, each of a cluster of its own.
//! - `lies`: what members say to each other, changed on its way.

mod answer;
mod drains;
mod durable;
mod lies;
mod simulated;
mod suite;
mod table;

use lockstep_core::limits::Limits;

use self::durable::Durable;
use self::simulated::Simulated;

/// Limits of a cluster that are not those of all clusters.
fn limits() -> Limits {
    Limits {
        key_bytes_max: 1 << 10,
        value_bytes_max: 16 << 10,
        ..Limits::default()
    }
}

/// The largest that can be.
fn ceilings() -> Limits {
    Limits {
        key_bytes_max: Limits::KEY_BYTES_CEILING,
        value_bytes_max: Limits::VALUE_BYTES_CEILING,
        ..Limits::default()
    }
}

#[test]
fn every_request_is_answered_whatever_its_fields_are() {
    let mut lab = Simulated::new(limits());
    suite::all(&mut lab, limits());
    lab.finish();
}

#[test]
fn the_engine_of_programs_gives_the_same_answers() {
    let mut lab = Durable::new(limits());
    suite::all(&mut lab, limits());
    lab.finish();
}

#[test]
fn what_is_as_long_as_it_can_be_is_written_and_read() {
    let mut lab = Simulated::new(ceilings());
    suite::writes(&mut lab, ceilings());
    lab.finish();
    let mut lab = Durable::new(ceilings());
    suite::writes(&mut lab, ceilings());
    lab.finish();
}
