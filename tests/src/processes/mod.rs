//! The program as real processes: real sockets, real files, `kill -9`.
//!
//! In reading order: `place`, `disk`, `server`, `subject`, `cluster` and `machines` (processes and where they live), `observer` (what they say of
//! themselves); `journal`, `tap` and `load` (clients at work, and what they learn); `private_network` and `fault` (what goes
//! wrong); `experiment` (rounds of that, under load) and `report` (what it showed).
//!
//! Whatever has to come about is polled for, with a bound that only a broken program or a machine at a standstill
//! reaches.

mod failure;

mod cluster;
mod disk;
mod machines;
mod observer;
mod place;
mod server;
mod subject;

mod journal;
mod load;
mod tap;

mod fault;
mod private_network;

mod experiment;
mod report;

pub use self::cluster::{Cluster, Hosts, REPLICAS};
pub use self::disk::Condition;
pub use self::experiment::Experiment;
pub use self::failure::{Failure, PATIENCE, eventually, until};
pub use self::fault::Scenario;
pub use self::load::LoadOptions;
pub use self::machines::Machines;
pub use self::observer::{Observer, View};
pub use self::place::{Ended, Place};
pub use self::private_network::{PrivateNetwork, Whereabouts};
pub use self::report::{Limits, Report};
pub use self::server::Server;
pub use self::subject::{Subject, Who};
