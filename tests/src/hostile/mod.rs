//! Clients and strangers that mean harm: what a cluster of processes bears while others work with it.
//!
//! In reading order: `raw` (an end of QUIC that does as it is told), `attack` (what is done to the nodes), `deaf` (a network
//! that answers nothing), `raid` (which has attackers in a process of their own), `work` (what everybody else does, and how long it takes), `node` (what becomes of the nodes) and
//! `siege` (all of that together, and what it showed).

mod attack;
mod deaf;
mod node;
mod raid;
mod raw;
mod siege;
mod work;

pub use self::attack::{Attack, Target, Underway};
pub use self::raid::raid;
pub use self::siege::{Limits, Showing, Siege};
pub use self::work::Latencies;
