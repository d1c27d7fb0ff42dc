//! Addresses of a network in memory: any name for a node, one of its own for each client.

use lockstep_core::config::Address;

/// How the addresses of clients begin. Nobody connects to them: a client is reached only while it is there.
const CLIENT_PREFIX: &str = "client:";

/// The address of a client; `number` makes it unique.
pub(crate) fn of_client(name: &str, number: u64) -> Address {
    Address::new(format!("{CLIENT_PREFIX}{name}#{number}"))
}

/// Is this the address of a client?
pub(crate) fn is_client(address: &Address) -> bool {
    address.as_str().starts_with(CLIENT_PREFIX)
}
