//! Nodes and clients that belong together, and how they find each other.

use std::net::SocketAddr;

use async_std::task::block_on;
use bytes::Bytes;
use futures_lite::future;
use lockstep_core::config::Address;
use lockstep_core::operation::Key;
use lockstep_core::rights::{ClientRole, NodeRole, Sender};
use lockstep_core::transport::{Lane, SenderKind, Transport, TransportError};
use lockstep_transport_quic::authority::Order;
use lockstep_transport_quic::identity::Rights;
use lockstep_transport_quic::{QuicConfig, QuicError, QuicTransport, endpoint_of};

use crate::lab::{Lab, bind_again, listen_of, send_until_received, within_patience};

#[test]
fn nodes_exchange_frames_under_the_names_of_their_certificates() {
    block_on(async {
        let lab = Lab::new();
        let (a, b) = (lab.node("a"), lab.node("b"));
        assert!(a.local().as_str().starts_with("a@127.0.0.1:"));
        let received = send_until_received(&a, b.local(), &b, b"there").await;
        assert_eq!(
            (&received.from, received.sender.kind()),
            (a.local(), SenderKind::Node)
        );
        let received = send_until_received(&b, a.local(), &a, b"back").await;
        assert_eq!(
            (&received.from, received.sender.kind()),
            (b.local(), SenderKind::Node)
        );
    });
}

#[test]
fn a_client_dials_by_host_and_is_answered_where_its_frame_came_from() {
    block_on(async {
        let lab = Lab::new();
        let (node, client) = (lab.node("a"), lab.client("c"));
        let host_only = Address::new(endpoint_of(node.local()));
        let received = send_until_received(&client, &host_only, &node, b"question").await;
        assert_eq!(received.sender.kind(), SenderKind::Client);
        let answer = send_until_received(&node, &received.from, &client, b"answer").await;
        assert_eq!(
            (&answer.from, answer.sender.kind()),
            (&host_only, SenderKind::Node)
        );

        client.close().await;
        let gone = loop {
            let frames = vec![Bytes::from_static(b"late")];
            match node.send(&received.from, Lane::Log, frames).await {
                Ok(()) => async_std::task::yield_now().await,
                Err(error) => break error,
            }
        };
        assert!(matches!(gone, TransportError::NotConnected { .. }));
    });
}

#[test]
fn ipv6_and_names_of_hosts_work_for_nodes_and_clients() {
    block_on(async {
        let lab = Lab::new();
        let listen: SocketAddr = "[::1]:0".parse().unwrap();
        let bind = |name| QuicTransport::bind(QuicConfig::new(listen, lab.node_credentials(name)));
        let (a, b) = (bind("a").unwrap(), bind("b").unwrap());
        assert!(a.local().as_str().starts_with("a@[::1]:"));
        let received = send_until_received(&a, b.local(), &b, b"six").await;
        assert_eq!(&received.from, a.local());

        // One client reaches nodes of both families, by number and by name.
        let (four, client) = (lab.node("four"), lab.client("c"));
        let host_only = Address::new(endpoint_of(b.local()));
        send_until_received(&client, &host_only, &b, b"by number").await;
        let by_name = Address::new(format!("localhost:{}", listen_of(&four).port()));
        send_until_received(&client, &by_name, &four, b"by name").await;
    });
}

#[test]
fn a_node_that_was_dialled_by_its_host_is_the_same_when_it_dials_itself() {
    block_on(async {
        let lab = Lab::new();
        let (node, other) = (lab.node("a"), lab.node("b"));
        let host_only = Address::new(endpoint_of(node.local()));
        // It has dialled first, and is taken for whom it says that it is.
        let received = send_until_received(&node, other.local(), &other, b"first").await;
        assert_eq!(&received.from, node.local());
        send_until_received(&other, &host_only, &node, b"asked").await;
        within_patience(async {
            loop {
                let answer = send_until_received(&node, other.local(), &other, b"answer").await;
                if answer.from == host_only {
                    return;
                }
            }
        })
        .await;
        for _ in 0..3 {
            for (end, peer) in [(&node, other.local()), (&other, &host_only)] {
                end.disconnect(peer, "who dials next?").await;
            }
            let both = future::zip(
                send_until_received(&node, other.local(), &other, b"announced"),
                send_until_received(&other, &host_only, &node, b"asked again"),
            );
            let (announced, asked) = both.await;
            assert_eq!((&announced.from, &asked.from), (&host_only, other.local()));
        }
    });
}

#[test]
fn an_answer_comes_from_the_address_that_was_asked() {
    block_on(async {
        let lab = Lab::new();
        let (node, client) = (lab.node("a"), lab.client("c"));
        let host_only = Address::new(endpoint_of(node.local()));
        for asked in [&host_only, node.local(), &host_only] {
            let question = send_until_received(&client, asked, &node, b"question").await;
            let answer = send_until_received(&node, &question.from, &client, b"answer").await;
            assert_eq!(&answer.from, asked);
        }
    });
}

#[test]
fn a_restarted_node_is_reached_again_at_once() {
    block_on(async {
        let lab = Lab::new();
        let a = lab.node("a");
        let mut config = lab.config("b");
        let b = QuicTransport::bind(config.clone()).unwrap();
        config.listen = listen_of(&b);
        send_until_received(&a, b.local(), &b, b"before").await;
        drop(b);
        let b = bind_again(config).await;
        send_until_received(&a, b.local(), &b, b"after").await;
        send_until_received(&b, a.local(), &a, b"after, back").await;
    });
}

#[test]
fn what_is_wrong_with_an_address_to_listen_at_is_said() {
    block_on(async {
        let lab = Lab::new();
        let a = lab.node("a");
        let try_at = |listen: SocketAddr| {
            QuicTransport::bind(QuicConfig::new(listen, lab.node_credentials("b"))).err()
        };
        let in_use = try_at(listen_of(&a));
        assert!(matches!(in_use, Some(QuicError::AddressInUse { .. })));
        let everywhere = try_at("0.0.0.0:0".parse().unwrap());
        assert!(matches!(
            everywhere,
            Some(QuicError::NoAdvertisedAddress { .. })
        ));
        let foreign = try_at("192.0.2.1:0".parse().unwrap());
        assert!(matches!(
            foreign,
            Some(QuicError::AddressNotAvailable { .. })
        ));

        let mut config = lab.config("b");
        config.listen = "0.0.0.0:0".parse().unwrap();
        config.advertise = Some("localhost:0".to_owned());
        let b = QuicTransport::bind(config.clone()).unwrap();
        assert!(b.local().as_str().starts_with("b@localhost:"));
        assert!(!b.local().as_str().ends_with(":0"));
        send_until_received(&a, b.local(), &b, b"found").await;
        config.advertise = Some("c@localhost:0".to_owned());
        let error = QuicTransport::bind(config).err();
        assert!(matches!(
            error,
            Some(QuicError::BadAdvertisedAddress { .. })
        ));
    });
}

#[test]
fn what_a_sender_may_do_comes_with_its_frames() {
    block_on(async {
        let lab = Lab::new();
        let hosts = ["127.0.0.1".to_owned()];
        let mut order = Order::node("b", &hosts).unwrap();
        order.identity.rights = Rights::Node(NodeRole::Replica);
        lab.issue(&order);
        let mut order = Order::client("c").unwrap();
        let prefixes = vec![Key::from("a/")];
        order.identity.rights = Rights::Client(ClientRole::Read, prefixes.clone());
        lab.issue(&order);

        let (a, b, client) = (lab.node("a"), lab.node("b"), lab.client("c"));
        let replica = Sender::Node {
            role: NodeRole::Replica,
            name: Some("b".into()),
        };
        let received = send_until_received(&b, a.local(), &a, b"dialled by b").await;
        assert_eq!(received.sender, replica);
        let fresh = lab.node("d");
        let received = send_until_received(&fresh, b.local(), &b, b"dialled by d").await;
        assert_eq!(
            received.sender,
            Sender::Node {
                role: NodeRole::Both,
                name: Some("d".into()),
            }
        );
        let received = send_until_received(&b, fresh.local(), &fresh, b"answered by b").await;
        assert_eq!(received.sender, replica);
        let received = send_until_received(&client, a.local(), &a, b"asked").await;
        let reader = Sender::Client {
            role: ClientRole::Read,
            prefixes: prefixes.into(),
        };
        assert_eq!(received.sender, reader);
        let from = received.from.to_string();
        assert!(
            from.starts_with("client:c#") && from.contains("@127.0.0.1:"),
            "{from}"
        );
    });
}

#[test]
fn a_node_does_not_start_where_its_certificate_does_not_name_the_host() {
    let lab = Lab::new();
    let mut config = lab.config("a");
    config.advertise = Some("db1.example:7".to_owned());
    let error = QuicTransport::bind(config).err().expect("refused");
    let text = error.to_string();
    let command = format!(
        "`lockstep certs node a --renew --tls-dir {} --host 127.0.0.1,::1,localhost,db1.example`",
        lab.dir.path().display()
    );
    assert!(text.contains(&command), "{text}");
}
