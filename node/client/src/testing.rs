//! A cluster in the process, for the tests of programs: without sockets, with disks in memory, over a network that a test can
//! disturb. [`Client::from`](crate::Client) makes a client of its handles.

pub use lockstep_transport_mem::cluster::ClusterError;
pub use lockstep_transport_mem::{Cluster, Conditions, Network};
