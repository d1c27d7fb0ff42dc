//! The example of a transport of one's own.

use std::sync::Arc;
use std::time::Duration;

use async_std::task::{self, block_on};
use async_trait::async_trait;
use lockstep_core::transport::Transport;
use lockstep_tests::conformance::transport::{Subject, suite};

#[path = "../../examples/tcp/main.rs"]
mod example;

use example::transport::Tcp;

struct Example;

#[async_trait]
impl Subject for Example {
    async fn node(&mut self) -> Arc<dyn Transport> {
        Arc::new(Tcp::node("127.0.0.1:0").await.unwrap())
    }

    async fn client(&mut self) -> Arc<dyn Transport> {
        Arc::new(Tcp::client())
    }

    async fn restart(&mut self, closed: Arc<dyn Transport>) -> Arc<dyn Transport> {
        loop {
            // The listener goes a moment after the transport is closed.
            match Tcp::node(closed.local().as_str()).await {
                Ok(transport) => return Arc::new(transport),
                Err(_) => task::sleep(Duration::from_millis(2)).await,
            }
        }
    }
}

#[test]
fn the_example_over_tcp_conforms() {
    block_on(suite(&mut Example));
}

#[test]
fn the_example_over_tcp_runs_a_cluster() {
    example::main().expect("three replicas agree");
}
