//! Tests of how the parts work together, in one binary.

mod course;
mod simulation;
mod stores;
mod transports;
