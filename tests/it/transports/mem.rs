//! The transport in memory.

use std::sync::Arc;

use async_std::task::block_on;
use async_trait::async_trait;
use lockstep_core::transport::Transport;
use lockstep_tests::conformance::transport::{Subject, suite};
use lockstep_transport_mem::{Conditions, Network};

struct Mem {
    network: Network,
    nodes: usize,
}

impl Mem {
    fn new(network: Network) -> Self {
        Self { network, nodes: 0 }
    }
}

#[async_trait]
impl Subject for Mem {
    async fn node(&mut self) -> Arc<dyn Transport> {
        self.nodes += 1;
        Arc::new(self.network.node(&format!("n{}", self.nodes)))
    }

    async fn client(&mut self) -> Arc<dyn Transport> {
        Arc::new(self.network.client("c"))
    }

    async fn restart(&mut self, closed: Arc<dyn Transport>) -> Arc<dyn Transport> {
        Arc::new(self.network.node(closed.local().as_str()))
    }
}

#[test]
fn the_transport_in_memory_conforms() {
    block_on(suite(&mut Mem::new(Network::new(1))));
}

#[test]
fn the_suite_copes_with_the_loss_and_disorder_that_is_allowed() {
    let network = Network::new(2);
    network.disturb_all(Conditions {
        drop: 0.02,
        duplicate: 0.02,
        reorder: 0.1,
        ..Conditions::default()
    });
    block_on(suite(&mut Mem::new(network)));
}
