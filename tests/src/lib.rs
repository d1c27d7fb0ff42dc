//! The laboratory: what every implementation of a seam must do, and the instruments that show it.

pub mod conformance;
