//! What the network does to frames. That the transport is one is checked by the conformance suite in `lockstep-tests`.

use std::time::Duration;

use async_std::future::timeout;
use async_std::task::block_on;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::transport::{Lane, SenderKind, Transport, TransportError};

use crate::{Conditions, MemTransport, Network};

fn frames(numbers: std::ops::Range<u32>) -> Vec<Bytes> {
    numbers
        .map(|number| Bytes::copy_from_slice(&number.to_be_bytes()))
        .collect()
}

async fn send(from: &MemTransport, to: &MemTransport, numbers: std::ops::Range<u32>) {
    for frame in frames(numbers) {
        from.send(to.local(), Lane::Log, vec![frame])
            .await
            .expect("there is room");
    }
}

/// Takes `count` frames, whatever time they need.
async fn take(at: &MemTransport, count: usize) -> Vec<u32> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let received = at.recv().await.expect("open");
        taken.extend(received.frames.iter().map(|frame| {
            u32::from_be_bytes(
                frame
                    .as_ref()
                    .try_into()
                    .expect("the frames of these tests"),
            )
        }));
    }
    taken
}

#[test]
fn an_undisturbed_frame_is_there_when_send_returns() {
    block_on(async {
        let network = Network::new(1);
        let (a, b) = (network.node("a"), network.node("b"));
        a.send(b.local(), Lane::Control, frames(0..3))
            .await
            .unwrap();
        let received = b.recv().await.unwrap();
        assert_eq!(received.from, Address::new("a"));
        assert_eq!(received.sender.kind(), SenderKind::Node);
        assert_eq!(received.frames, frames(0..3));
        let counts = network.counts(a.local(), b.local());
        assert_eq!((counts.frames_sent, counts.bytes_sent), (3, 12));
        assert_eq!((counts.frames_delivered, counts.frames_dropped), (3, 0));
    });
}

#[test]
fn a_cut_in_one_direction_leaves_the_other() {
    block_on(async {
        let network = Network::new(1);
        let (a, b) = (network.node("a"), network.node("b"));
        network.cut_one_way(a.local(), b.local());
        send(&a, &b, 0..5).await;
        send(&b, &a, 0..5).await;
        assert_eq!(take(&a, 5).await, [0, 1, 2, 3, 4]);
        assert_eq!(network.counts(a.local(), b.local()).frames_dropped, 5);
        network.mend(a.local(), b.local());
        send(&a, &b, 5..6).await;
        assert_eq!(take(&b, 1).await, [5]);
    });
}

#[test]
fn an_isolated_node_hears_nobody_and_is_heard_by_nobody() {
    block_on(async {
        let network = Network::new(1);
        let (a, b, c) = (network.node("a"), network.node("b"), network.node("c"));
        network.isolate(b.local());
        send(&a, &b, 0..1).await;
        send(&b, &c, 0..1).await;
        send(&a, &c, 7..8).await;
        assert_eq!(take(&c, 1).await, [7]);
        assert_eq!(network.counts_total().frames_dropped, 2);
        network.mend_all();
        send(&a, &b, 1..2).await;
        assert_eq!(take(&b, 1).await, [1]);
    });
}

/// Which of 1000 frames arrive over a link that loses three in ten.
async fn survivors(seed: u64) -> Vec<u32> {
    let network = Network::new(seed);
    let (a, b) = (network.node("a"), network.node("b"));
    network.disturb(a.local(), b.local(), Conditions::lossy(0.3));
    send(&a, &b, 0..1000).await;
    let delivered = network.counts(a.local(), b.local()).frames_delivered;
    take(&b, delivered as usize).await
}

#[test]
fn the_seed_decides_which_frames_are_lost() {
    block_on(async {
        let survivors_of_one = survivors(1).await;
        assert!((600..800).contains(&survivors_of_one.len()));
        assert_eq!(survivors_of_one, survivors(1).await);
        assert_ne!(survivors_of_one, survivors(2).await);
    });
}

#[test]
fn duplicates_arrive_and_are_counted() {
    block_on(async {
        let network = Network::new(3);
        let (a, b) = (network.node("a"), network.node("b"));
        network.disturb_all(Conditions {
            duplicate: 0.5,
            ..Conditions::default()
        });
        send(&a, &b, 0..100).await;
        let counts = network.counts(a.local(), b.local());
        assert!((30..70).contains(&counts.frames_duplicated));
        assert_eq!(counts.frames_delivered, 100 + counts.frames_duplicated);
        let mut taken = take(&b, counts.frames_delivered as usize).await;
        taken.dedup();
        assert_eq!(taken.len(), 100);
    });
}

#[test]
fn reordered_frames_all_arrive_but_in_another_order() {
    block_on(async {
        let network = Network::new(4);
        let (a, b) = (network.node("a"), network.node("b"));
        network.disturb_all(Conditions {
            reorder: 0.3,
            ..Conditions::default()
        });
        send(&a, &b, 0..200).await;
        let mut taken = take(&b, 200).await;
        assert!(!taken.is_sorted());
        taken.sort_unstable();
        assert!(taken.iter().copied().eq(0..200));
    });
}

#[test]
fn a_cut_takes_delayed_frames_with_it() {
    block_on(async {
        let network = Network::new(5);
        let (a, b) = (network.node("a"), network.node("b"));
        let delay = Duration::from_millis(5);
        network.disturb_all(Conditions::slow(delay, delay));
        send(&a, &b, 0..3).await;
        network.cut(a.local(), b.local());
        while network.counts(a.local(), b.local()).frames_dropped < 3 {
            let took = timeout(Duration::from_millis(1), b.recv()).await;
            assert!(took.is_err(), "arrived over a cut link");
        }
    });
}

#[test]
fn a_client_that_has_gone_is_not_connected() {
    block_on(async {
        let network = Network::new(6);
        let node = network.node("a");
        let client = network.client("c");
        client
            .send(node.local(), Lane::Log, frames(0..1))
            .await
            .unwrap();
        let received = node.recv().await.unwrap();
        assert_eq!(received.sender.kind(), SenderKind::Client);
        drop(client);
        let again = network.client("c");
        assert_ne!(again.local(), &received.from);
        let error = node.send(&received.from, Lane::Log, frames(0..1)).await;
        assert!(matches!(error, Err(TransportError::NotConnected { .. })));
    });
}

#[test]
fn a_flooded_receiver_has_room_for_others() {
    block_on(async {
        let network = Network::new(7);
        let (a, b, c) = (network.node("a"), network.node("b"), network.node("c"));
        let frame = Bytes::from(vec![0; 1 << 20]);
        let mut full = false;
        for _ in 0..1000 {
            full |= a
                .send(c.local(), Lane::Bulk, vec![frame.clone()])
                .await
                .is_err_and(|error| matches!(error, TransportError::QueueFull { .. }));
        }
        assert!(full);
        b.send(c.local(), Lane::Bulk, frames(0..1)).await.unwrap();
        a.send(c.local(), Lane::Log, frames(0..1)).await.unwrap();
    });
}

#[test]
fn a_restarted_node_takes_the_address_over() {
    block_on(async {
        let network = Network::new(8);
        let (a, before) = (network.node("a"), network.node("b"));
        let after = network.node("b");
        assert!(matches!(before.recv().await, Err(TransportError::Closed)));
        drop(before);
        send(&a, &after, 0..1).await;
        assert_eq!(take(&after, 1).await, [0]);
    });
}
