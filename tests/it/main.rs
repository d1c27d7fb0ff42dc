//! Tests of how the parts work together, in one binary.

mod availability;
mod costs;
mod course;
mod drills;
mod exploration;
mod fields;
mod integration;
mod leases;
mod reads;
mod real;
mod register;
mod scripts;
mod simulation;
mod stops;
mod stores;
mod transports;
