//! Tests of how the parts work together, in one binary.

mod course;
mod integration;
mod simulation;
mod stores;
mod transports;
