//! Certificates and deny lists that are taken up while connections live.

use std::fs;
use std::time::{Duration, SystemTime};

use async_std::task::block_on;
use lockstep_core::transport::Transport;
use lockstep_transport_quic::authority::Order;
use lockstep_transport_quic::{Credentials, QuicError, QuicTransport};

use crate::lab::{Lab, failure_containing, send_until_received};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn deny(lab: &Lab, text: &str) {
    fs::write(lab.dir.path().join("denied.txt"), text).unwrap();
}

/// Reads the certificates anew, as whoever runs a node does when they have changed.
fn take_up(lab: &Lab, node: &QuicTransport, name: &str) {
    let credentials = Credentials::load_node(lab.dir.path(), Some(name)).unwrap();
    node.renew(credentials).expect("they are its own");
}

#[test]
fn a_new_certificate_is_shown_to_who_comes_next_and_disturbs_nobody() {
    block_on(async {
        let lab = Lab::new();
        let (a, first) = (lab.node("a"), lab.client("first"));
        send_until_received(&first, a.local(), &a, b"before").await;
        let long = first.certified_until(a.local()).expect("connected");

        let hosts = ["127.0.0.1".to_owned()];
        lab.issue(&Order {
            valid_for: 40 * DAY,
            ..Order::node("a", &hosts).unwrap()
        });
        take_up(&lab, &a, "a");
        send_until_received(&first, a.local(), &a, b"still there").await;
        assert_eq!(first.certified_until(a.local()), Some(long));
        let second = lab.client("second");
        send_until_received(&second, a.local(), &a, b"afterwards").await;
        let short = second.certified_until(a.local()).expect("connected");
        assert!(short < SystemTime::now() + 41 * DAY && short < long);
    });
}

#[test]
fn who_is_denied_is_cut_off_and_stays_out_until_taken_from_the_list() {
    block_on(async {
        let lab = Lab::new();
        let (a, b) = (lab.node("a"), lab.node("b"));
        let (lost, kept) = (lab.client("lost"), lab.client("kept"));
        for (end, frame) in [(&lost, b"lost".as_slice()), (&kept, b"kept"), (&b, b"node")] {
            send_until_received(end, a.local(), &a, frame).await;
        }
        deny(&lab, "client lost\nnode b\n");
        take_up(&lab, &a, "a");
        for end in [&lost, &b] {
            failure_containing(end, a.local(), "is on the deny list").await;
        }
        // Nor does it dial whom it denies.
        failure_containing(&a, b.local(), "is on the deny list").await;
        send_until_received(&kept, a.local(), &a, b"undisturbed").await;
        deny(&lab, "");
        take_up(&lab, &a, "a");
        send_until_received(&lost, a.local(), &a, b"again").await;
    });
}

#[test]
fn a_node_does_not_take_up_what_is_of_another_or_for_another_place() {
    let lab = Lab::new();
    let (a, other) = (lab.node("a"), lab.node_credentials("b"));
    let error = a.renew(other).unwrap_err();
    assert!(matches!(error, QuicError::AnotherIdentity { .. }));
    let hosts = ["10.0.0.1".to_owned()];
    lab.issue(&Order::node("a", &hosts).unwrap());
    let error = a.renew(lab.node_credentials("a")).unwrap_err();
    assert!(matches!(error, QuicError::HostNotCertified { .. }));
}
