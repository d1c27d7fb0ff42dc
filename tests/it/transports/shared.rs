//! One end that an arbiter and a replica share.

use std::sync::Arc;
use std::time::Duration;

use async_std::future::timeout;
use async_std::task::{block_on, yield_now};
use async_trait::async_trait;
use bytes::Bytes;
use lockstep_core::config::{ClusterId, ConfigVersion, NodeId};
use lockstep_core::driver::share;
use lockstep_core::message::{ConfigQuery, Message, ToArbiter};
use lockstep_core::transport::{Lane, Transport, TransportError};
use lockstep_core::wire;
use lockstep_tests::conformance::transport::{Subject, suite};
use lockstep_transport_mem::Network;

use super::quic::Quic;

/// The replica's halves of the nodes of another subject.
struct Shared<S>(S);

async fn replica_half(end: Arc<dyn Transport>) -> Arc<dyn Transport> {
    let (arbiter, replica) = share(end);
    arbiter.close().await;
    replica
}

#[async_trait]
impl<S: Subject> Subject for Shared<S> {
    async fn node(&mut self) -> Arc<dyn Transport> {
        replica_half(self.0.node().await).await
    }

    async fn client(&mut self) -> Arc<dyn Transport> {
        self.0.client().await
    }

    async fn restart(&mut self, closed: Arc<dyn Transport>) -> Arc<dyn Transport> {
        replica_half(self.0.restart(closed).await).await
    }
}

#[test]
fn a_half_of_a_shared_end_conforms() {
    block_on(suite(&mut Shared(Quic::new())));
}

fn to_arbiter(version: u64) -> Bytes {
    let query = ConfigQuery {
        node: NodeId(7),
        version: ConfigVersion(version),
        cluster: Some(ClusterId(1)),
    };
    wire::encode(&Message::ToArbiter(ToArbiter::ConfigQuery(query)))
}

/// Not for an arbiter.
fn to_replica(content: &'static str) -> Bytes {
    Bytes::from_static(content.as_bytes())
}

/// What comes to `half` next; it has to come soon.
async fn next(half: &dyn Transport) -> Vec<Bytes> {
    let received = timeout(Duration::from_secs(30), half.recv()).await;
    received.expect("it comes").expect("open").frames
}

#[test]
fn each_half_gets_what_is_for_it_from_others_and_from_the_other_half() {
    block_on(async {
        let network = Network::new(1);
        let (arbiter, replica) = share(Arc::new(network.node("n1")));
        assert_eq!(arbiter.local(), replica.local());
        let other = network.node("n2");
        for from in [&other as &dyn Transport, &*arbiter, &*replica] {
            let mixed = [
                to_replica("a"),
                to_arbiter(1),
                to_arbiter(2),
                to_replica("b"),
            ];
            from.send(replica.local(), Lane::Log, mixed.to_vec())
                .await
                .unwrap();
            assert_eq!(next(&*arbiter).await, [to_arbiter(1), to_arbiter(2)]);
            let received = replica.recv().await.unwrap();
            assert_eq!(received.frames, [to_replica("a"), to_replica("b")]);
            assert_eq!(&received.from, from.local());
        }
        for half in [&arbiter, &replica] {
            half.send(other.local(), Lane::Log, vec![to_replica("c")])
                .await
                .unwrap();
            assert_eq!(next(&other).await, [to_replica("c")]);
        }
    });
}

#[test]
fn a_half_that_does_not_read_keeps_little_and_nobody_from_anything() {
    block_on(async {
        let network = Network::new(1);
        let (arbiter, replica) = share(Arc::new(network.node("n1")));
        let other = network.node("n2");
        let large = Bytes::from(vec![0; 1 << 20]);
        for round in 0..100 {
            let frames = vec![large.clone(), to_arbiter(round)];
            other
                .send(replica.local(), Lane::Bulk, frames)
                .await
                .unwrap();
            assert_eq!(next(&*arbiter).await, [to_arbiter(round)]);
        }
        let again = to_replica("again");
        let mut kept = 0;
        loop {
            let frames = vec![again.clone()];
            other
                .send(replica.local(), Lane::Bulk, frames)
                .await
                .unwrap();
            match &next(&*replica).await[..] {
                [frame] if *frame == large => kept += 1,
                frames => break assert!(frames.contains(&again)),
            }
        }
        assert!(kept < 10, "{kept} MiB were kept for who did not read");
    });
}

#[test]
fn a_shared_end_closes_when_both_halves_have() {
    block_on(async {
        let network = Network::new(1);
        let end: Arc<dyn Transport> = Arc::new(network.node("n1"));
        let (arbiter, replica) = share(Arc::clone(&end));
        let other = network.node("n2");
        arbiter.close().await;
        assert!(matches!(arbiter.recv().await, Err(TransportError::Closed)));
        let frames = vec![to_replica("a")];
        let sent = arbiter.send(other.local(), Lane::Log, frames).await;
        assert!(matches!(sent, Err(TransportError::Closed)));
        // What is for it vanishes, and the other half goes on.
        let frames = vec![to_arbiter(1), to_replica("b")];
        let sent = other.send(replica.local(), Lane::Log, frames);
        sent.await.unwrap();
        assert_eq!(next(&*replica).await, [to_replica("b")]);
        let sent = replica.send(other.local(), Lane::Log, vec![to_replica("c")]);
        sent.await.unwrap();
        assert_eq!(next(&other).await, [to_replica("c")]);
        replica.close().await;
        for closed in [&replica, &end] {
            assert!(matches!(closed.recv().await, Err(TransportError::Closed)));
        }
    });
}

#[test]
fn a_shared_end_is_let_go_with_its_halves() {
    block_on(async {
        let end = Arc::new(Network::new(1).node("n1"));
        let held = Arc::downgrade(&end);
        drop(share(end));
        let gone = async {
            while held.strong_count() > 0 {
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), gone)
            .await
            .expect("it goes");
    });
}
