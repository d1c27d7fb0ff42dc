//! Where the tests run the program; the rest is the laboratory's.

use std::path::Path;

pub(crate) use lockstep_tests::processes::{Cluster, Ended, Place, Server, eventually};

/// The program under test.
pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lockstep"))
}

/// An empty directory to run it in.
pub(crate) fn place() -> Place {
    Place::new(program())
}
