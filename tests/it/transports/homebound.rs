//! A transport whose futures panic where they are not polled inside their own runtime, as those of some runtimes' sockets do: the
//! suite and the driver keep to it.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_std::task::block_on;
use async_trait::async_trait;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::driver;
use lockstep_core::driver::handle::{ClientOptions, ReadError};
use lockstep_core::runtime::{Runtime, Task};
use lockstep_core::transport::{Lane, Received, Transport, TransportError};
use lockstep_tests::conformance::transport::{Subject, suite};
use lockstep_transport_mem::{MemTransport, Network};

thread_local! {
    static IS_HOME: Cell<bool> = const { Cell::new(false) };
}

/// Polls `future` as the runtime does.
async fn at_home<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let was_home = IS_HOME.replace(true);
        let polled = future.as_mut().poll(cx);
        IS_HOME.set(was_home);
        polled
    })
    .await
}

fn assert_home() {
    assert!(IS_HOME.get(), "polled outside of its runtime");
}

struct Home;

impl Runtime for Home {
    fn spawn(&self, task: Task) {
        async_std::task::spawn(at_home(task));
    }

    fn sleep(&self, time: Duration) -> Task {
        Box::pin(async move {
            assert_home();
            async_std::task::sleep(time).await;
        })
    }
}

struct Homebound(MemTransport);

#[async_trait]
impl Transport for Homebound {
    fn local(&self) -> &Address {
        self.0.local()
    }

    fn frame_bytes_max(&self) -> usize {
        self.0.frame_bytes_max()
    }

    async fn send(
        &self,
        to: &Address,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<(), TransportError> {
        assert_home();
        self.0.send(to, lane, frames).await
    }

    async fn recv(&self) -> Result<Received, TransportError> {
        assert_home();
        self.0.recv().await
    }

    async fn disconnect(&self, peer: &Address, reason: &str) {
        assert_home();
        self.0.disconnect(peer, reason).await;
    }

    async fn close(&self) {
        assert_home();
        self.0.close().await;
    }

    fn runtime(&self) -> Option<Arc<dyn Runtime>> {
        Some(Arc::new(Home))
    }
}

struct Lab {
    network: Network,
    nodes: usize,
}

#[async_trait]
impl Subject for Lab {
    async fn node(&mut self) -> Arc<dyn Transport> {
        assert_home();
        self.nodes += 1;
        let node = self.network.node(&format!("n{}", self.nodes));
        Arc::new(Homebound(node))
    }

    async fn client(&mut self) -> Arc<dyn Transport> {
        assert_home();
        Arc::new(Homebound(self.network.client("c")))
    }

    async fn restart(&mut self, closed: Arc<dyn Transport>) -> Arc<dyn Transport> {
        assert_home();
        Arc::new(Homebound(self.network.node(closed.local().as_str())))
    }
}

#[test]
fn a_transport_that_needs_its_own_runtime_conforms() {
    let mut lab = Lab {
        network: Network::new(1),
        nodes: 0,
    };
    block_on(at_home(suite(&mut lab)));
}

#[test]
fn calls_over_a_transport_that_needs_its_own_runtime_are_made_from_anywhere() {
    let transport = Arc::new(Homebound(Network::new(1).client("c")));
    let options = ClientOptions {
        deadline: Duration::from_millis(20),
        ..ClientOptions::default()
    };
    let client = driver::connect(transport, vec![Address::new("nowhere")], &options);
    let read = block_on(client.get("k"));
    assert!(
        matches!(read, Err(ReadError::Unreachable { .. })),
        "{read:?}"
    );
    block_on(client.close());
}
