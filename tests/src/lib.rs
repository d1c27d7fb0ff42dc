//! The laboratory: what every implementation of a seam must do, and the instruments that show it: a simulator with
//! faults and invariants for whole clusters on virtual time.

pub mod conformance;

pub mod cluster;
pub mod disk;
pub mod network;
pub mod record;
pub mod shadow;

pub mod campaign;
pub mod chaos;
pub mod faults;
pub mod history;
pub mod invariants;
pub mod paths;
pub mod trace;
pub mod workload;

pub mod course;
