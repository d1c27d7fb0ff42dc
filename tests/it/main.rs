//! Tests of how the parts work together, in one binary.

mod simulation;
mod stores;
mod transports;
