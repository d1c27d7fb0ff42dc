//! Puts the parts together: the only place that names concrete transports and engines.

mod certificates;
mod clients;
mod nodes;
mod renewal;

pub(crate) use certificates::{
    issue_client, issue_node, make_authority, make_dev_certificates, warn_of_keys,
};
pub(crate) use clients::{
    CLIENT_FILE, client, client_in_all, client_in_memory, client_with, remove_client_file,
    write_client_file,
};
pub(crate) use nodes::{
    Machine, Network, Node, Place, arbiter_store, begin_cluster, new_arbiter_store, node_address,
    peer_address, stopped_replica,
};
