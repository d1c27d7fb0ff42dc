//! Who is not let in, and that both sides learn why. The others notice nothing.

use async_std::task::block_on;
use lockstep_core::config::Address;
use lockstep_core::transport::Transport;
use lockstep_transport_quic::{Admit, QuicTransport};

use crate::lab::{Lab, failure_containing, listen_of, send_until_received};

#[test]
fn an_end_of_another_cluster_is_refused() {
    block_on(async {
        let (lab, other) = (Lab::new(), Lab::new());
        let (a, b) = (lab.node("a"), lab.node("b"));
        let stranger = other.node("b2");
        failure_containing(&stranger, a.local(), "different authorities").await;
        let client = other.client("c");
        failure_containing(&client, a.local(), "different authorities").await;
        send_until_received(&a, b.local(), &b, b"undisturbed").await;
    });
}

#[test]
fn a_node_of_another_name_than_dialled_is_not_talked_to() {
    block_on(async {
        let lab = Lab::new();
        let (a, b) = (lab.node("a"), lab.node("b"));
        let wrong = Address::new(format!("c@{}", listen_of(&b)));
        failure_containing(&a, &wrong, "node c was expected, node b answers").await;
        send_until_received(&a, b.local(), &b, b"right").await;
    });
}

#[test]
fn a_certificate_has_to_be_valid_for_a_host_dialled_without_a_name() {
    block_on(async {
        let lab = Lab::new();
        let client = lab.client("c");
        let mut config = lab.config("a");
        config.listen = "127.0.0.2:0".parse().unwrap();
        config.advertise = Some("localhost:0".to_owned());
        let a = QuicTransport::bind(config).unwrap();
        let host_only = Address::new(a.listens_at().to_string());
        failure_containing(&client, &host_only, "not valid for 127.0.0.2").await;
        let with_name = Address::new(format!("a@{}", a.listens_at()));
        send_until_received(&client, &with_name, &a, b"with the name").await;
    });
}

#[test]
fn more_clients_than_allowed_are_turned_away() {
    block_on(async {
        let lab = Lab::new();
        let mut config = lab.config("a");
        config.clients_max = 1;
        let a = QuicTransport::bind(config).unwrap();
        let (first, second) = (lab.client("c"), lab.client("d"));
        send_until_received(&first, a.local(), &a, b"first").await;
        failure_containing(&second, a.local(), "1 clients are connected").await;
        drop(first);
        send_until_received(&second, a.local(), &a, b"room again").await;
    });
}

#[test]
fn one_certificate_cannot_take_every_place() {
    block_on(async {
        let lab = Lab::new();
        let mut config = lab.config("a");
        config.clients_each_max = 1;
        let a = QuicTransport::bind(config).unwrap();
        let (first, second) = (lab.client("c"), lab.client("c"));
        send_until_received(&first, a.local(), &a, b"first").await;
        failure_containing(&second, a.local(), "with the certificate of c").await;
        let other = lab.client("d");
        send_until_received(&other, a.local(), &a, b"a place of its own").await;
        drop(first);
        send_until_received(&second, a.local(), &a, b"room again").await;
    });
}

#[test]
fn an_arbiter_takes_nodes_only_and_tells_clients_where_to_go() {
    block_on(async {
        let lab = Lab::new();
        let mut config = lab.config("a");
        config.admit = Admit::Nodes;
        let a = QuicTransport::bind(config).unwrap();
        let client = lab.client("c");
        failure_containing(&client, a.local(), "connect to a replica").await;
        let b = lab.node("b");
        send_until_received(&b, a.local(), &a, b"undisturbed").await;
    });
}
