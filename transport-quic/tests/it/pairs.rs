//! Two nodes settle on one connection, and their lanes share it without delaying each other.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_std::future::timeout;
use async_std::net::UdpSocket;
use async_std::task::{self, block_on};
use bytes::Bytes;
use lockstep_core::transport::{Lane, Transport};
use lockstep_transport_quic::QuicTransport;

use crate::lab::{Lab, send_until_received, within_patience};

#[test]
fn frames_flow_when_both_dial_at_the_same_time() {
    block_on(async {
        let lab = Lab::new();
        for _ in 0..10 {
            let (a, b) = (lab.node("a"), lab.node("b"));
            let (frames_a, frames_b) = (numbered(0..500), numbered(0..500));
            // The first frame of each makes both dial; the rest goes over whichever connection is in use.
            let (from_a, from_b) = (a.local().clone(), b.local().clone());
            let exchange = async {
                for (to_b, to_a) in frames_a.iter().zip(&frames_b) {
                    a.send(&from_b, Lane::Log, vec![to_b.clone()])
                        .await
                        .unwrap();
                    b.send(&from_a, Lane::Log, vec![to_a.clone()])
                        .await
                        .unwrap();
                    task::yield_now().await;
                }
                // Nothing is lost while they settle: queues have room, and neither end goes.
                for end in [&a, &b] {
                    let mut count = 0;
                    while count < 500 {
                        count += end.recv().await.unwrap().frames.len();
                    }
                }
            };
            within_patience(exchange).await;
        }
    });
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<Bytes> {
    numbers
        .map(|number| Bytes::copy_from_slice(&number.to_be_bytes()))
        .collect()
}

/// Passes datagrams between whoever sends to it and one node, which may be taken away and replaced.
struct Relay {
    socket: UdpSocket,
    node: Mutex<Option<SocketAddr>>,
}

impl Relay {
    async fn run(self: Arc<Self>) {
        let mut other = None;
        let mut datagram = vec![0; 64 << 10];
        while let Ok((size, from)) = self.socket.recv_from(&mut datagram).await {
            let Some(node) = *self.node.lock().unwrap() else {
                continue;
            };
            let to = if from == node {
                other
            } else {
                other = Some(from);
                Some(node)
            };
            if let Some(to) = to {
                let _ = self.socket.send_to(&datagram[..size], to).await;
            }
        }
    }
}

#[test]
fn the_restart_of_a_killed_node_is_noticed_by_the_first_packet() {
    block_on(async {
        let lab = Lab::new();
        let a = lab.node("a");
        let relay = Arc::new(Relay {
            socket: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            node: Mutex::new(None),
        });
        task::spawn(Arc::clone(&relay).run());
        let mut config = lab.config("b");
        config.advertise = Some(relay.socket.local_addr().unwrap().to_string());
        let start = || {
            let mut config = config.clone();
            config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
            let node = QuicTransport::bind(config).unwrap();
            *relay.node.lock().unwrap() = Some(node.listens_at());
            node
        };
        let before = start();
        send_until_received(&a, before.local(), &before, b"before").await;
        // As with `kill -9`, nobody hears of the end.
        *relay.node.lock().unwrap() = None;
        drop(before);
        let after = start();
        let received = async {
            loop {
                let frames = vec![Bytes::from_static(b"after")];
                let _ = a.send(after.local(), Lane::Log, frames).await;
                if timeout(Duration::from_millis(20), after.recv())
                    .await
                    .is_ok()
                {
                    return;
                }
            }
        };
        // Below the three seconds after which a silent connection is given up.
        timeout(Duration::from_secs(2), received)
            .await
            .expect("at once");
    });
}

#[test]
fn a_flood_of_bulk_leaves_the_way_free_for_control() {
    block_on(async {
        let lab = Lab::new();
        let (a, b) = (lab.node("a"), lab.node("b"));
        send_until_received(&a, b.local(), &b, b"connected").await;
        // The receiver takes nothing until the sender's window and queue for bulk are full.
        let bulk = Bytes::from(vec![0; 256 << 10]);
        let mut flooded = 0;
        while a
            .send(b.local(), Lane::Bulk, vec![bulk.clone()])
            .await
            .is_ok()
        {
            flooded += 1;
        }
        assert!(flooded > 64, "a queue of {flooded} frames");
        a.send(b.local(), Lane::Log, vec![Bytes::from_static(b"log")])
            .await
            .unwrap();
        a.send(
            b.local(),
            Lane::Control,
            vec![Bytes::from_static(b"control")],
        )
        .await
        .unwrap();
        // Both come before the receiver has taken more than what was under way.
        let (mut bulk_before, mut urgent) = (0, 0);
        within_patience(async {
            while urgent < 2 {
                for frame in b.recv().await.unwrap().frames {
                    if frame.len() == bulk.len() {
                        bulk_before += 1;
                    } else {
                        urgent += 1;
                    }
                }
            }
        })
        .await;
        assert!(
            bulk_before <= flooded / 2,
            "{bulk_before} of {flooded} frames of bulk came first"
        );
    });
}

/// Has more wait at `from` for `to` than a connection takes, ends the connection, and does nothing more but receive.
async fn check_what_waits_arrives(from: &QuicTransport, to: &QuicTransport) {
    const FRAMES: u8 = 96;
    let bulk = |number| Bytes::from(vec![number; 256 << 10]);
    for number in 0..FRAMES {
        from.send(to.local(), Lane::Bulk, vec![bulk(number)])
            .await
            .unwrap();
    }
    to.disconnect(from.local(), "to see what happens").await;
    within_patience(async {
        loop {
            let frames = to.recv().await.unwrap().frames;
            if frames.contains(&bulk(FRAMES - 1)) {
                return;
            }
        }
    })
    .await;
}

#[test]
fn what_waits_when_a_dialled_connection_ends_goes_over_the_next_one() {
    block_on(async {
        let lab = Lab::new();
        let (a, b) = (lab.node("a"), lab.node("b"));
        send_until_received(&a, b.local(), &b, b"dialled").await;
        check_what_waits_arrives(&a, &b).await;
    });
}

#[test]
fn what_waits_when_an_accepted_connection_ends_goes_over_the_next_one() {
    block_on(async {
        let lab = Lab::new();
        let (a, b) = (lab.node("a"), lab.node("b"));
        send_until_received(&b, a.local(), &a, b"dialled").await;
        check_what_waits_arrives(&a, &b).await;
    });
}
