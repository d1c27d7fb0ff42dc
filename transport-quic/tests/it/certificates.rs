//! Certificates: how they are made and read, what is said when they are wrong, and who is not let in with them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use lockstep_core::operation::Key;
use lockstep_core::rights::{ClientRole, NodeRole};
use lockstep_transport_quic::Credentials;
use lockstep_transport_quic::authority::{self, AuthorityError, Existing, Order};
use lockstep_transport_quic::identity::Rights;
use lockstep_transport_quic::tls::{self, TlsError};

use crate::lab::Lab;

#[test]
fn keys_are_private_and_nothing_is_overwritten_unasked() {
    let lab = Lab::new();
    let dir = lab.dir.path();
    let order = Order::client("c").unwrap();
    let issued = authority::issue(dir, &order, Existing::Keep).unwrap();
    for key in [&issued.key, &dir.join("ca.key")] {
        let mode = fs::metadata(key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", key.display());
    }
    let before = fs::read(&issued.key).unwrap();
    let again = authority::issue(dir, &order, Existing::Keep);
    assert!(matches!(again, Err(AuthorityError::Exists { .. })));
    assert!(matches!(
        authority::init(dir),
        Err(AuthorityError::Exists { .. })
    ));
    assert_eq!(fs::read(&issued.key).unwrap(), before);
    authority::issue(dir, &order, Existing::Replace).unwrap();
    assert_ne!(fs::read(&issued.key).unwrap(), before);
    Credentials::load_client(dir, None).expect("the only one, and whole");
}

#[test]
fn names_and_hosts_are_checked_before_anything_is_issued() {
    let lab = Lab::new();
    let dir = lab.dir.path();
    for bad in ["", "A", "a.b", "../a", "a/b"] {
        let error = Order::client(bad);
        assert!(matches!(error, Err(AuthorityError::Name(_))), "{bad}");
    }
    let hosts = ["not a host".to_owned()];
    let order = Order::node("a", &hosts).unwrap();
    let error = authority::issue(dir, &order, Existing::Keep);
    assert!(matches!(error, Err(AuthorityError::Host { .. })));
    let empty = tempfile::tempdir().unwrap();
    let order = Order::client("c").unwrap();
    let error = authority::issue(empty.path(), &order, Existing::Keep);
    assert!(matches!(error, Err(AuthorityError::NoAuthority { .. })));
}

#[test]
fn a_name_is_needed_only_where_there_are_several() {
    let lab = Lab::new();
    let dir = lab.dir.path();
    assert!(matches!(
        Credentials::load_node(dir, None),
        Err(TlsError::NoCertificate { .. })
    ));
    lab.node_credentials("a");
    assert_eq!(
        Credentials::load_node(dir, None).unwrap().name().as_str(),
        "a"
    );
    lab.node_credentials("b");
    let error = Credentials::load_node(dir, None).unwrap_err();
    assert!(matches!(&error, TlsError::Several { names, .. } if names == &["a", "b"]));
    assert!(error.to_string().contains("--name"));
    assert_eq!(
        Credentials::load_node(dir, Some("b"))
            .unwrap()
            .name()
            .as_str(),
        "b"
    );
    let error = Credentials::load_node(dir, Some("z")).unwrap_err();
    assert!(matches!(error, TlsError::Missing { .. }));
}

#[test]
fn what_does_not_belong_together_is_found_before_the_start() {
    let (lab, other) = (Lab::new(), Lab::new());
    let dir = lab.dir.path();
    lab.node_credentials("a");
    lab.node_credentials("b");
    lab.client_credentials("c");
    other.node_credentials("a");
    let load = || Credentials::load_node(dir, Some("a")).unwrap_err();
    let path = |name: &str| dir.join(name);

    fs::copy(path("nodes/b.key"), path("nodes/a.key")).unwrap();
    assert!(matches!(load(), TlsError::KeyMismatch { .. }));
    fs::copy(path("nodes/b.pem"), path("nodes/a.pem")).unwrap();
    assert!(matches!(load(), TlsError::OtherIdentity { .. }));
    fs::copy(path("clients/c.pem"), path("nodes/a.pem")).unwrap();
    fs::copy(path("clients/c.key"), path("nodes/a.key")).unwrap();
    assert!(matches!(load(), TlsError::OtherIdentity { .. }));
    fs::copy(other.dir.path().join("nodes/a.pem"), path("nodes/a.pem")).unwrap();
    assert!(matches!(load(), TlsError::OtherAuthority { .. }));
    fs::write(path("nodes/a.pem"), "rubbish").unwrap();
    assert!(matches!(load(), TlsError::NotPem { .. }));
    fs::remove_file(path("nodes/a.pem")).unwrap();
    assert!(matches!(load(), TlsError::Missing { .. }));
    fs::remove_file(path("ca.pem")).unwrap();
    assert!(matches!(load(), TlsError::NoAuthority { .. }));
}

#[test]
fn what_a_node_may_be_is_found_before_the_start() {
    let lab = Lab::new();
    let hosts = ["127.0.0.1".to_owned()];
    let mut order = Order::node("a", &hosts).unwrap();
    let load = || Credentials::load_node(lab.dir.path(), Some("a")).unwrap();
    lab.issue(&order);
    for role in [NodeRole::Replica, NodeRole::Arbiter] {
        load().of_role(role).expect("it may be either");
    }
    order.identity.rights = Rights::Node(NodeRole::Arbiter);
    lab.issue(&order);
    load().of_role(NodeRole::Arbiter).expect("it says so");
    let error = load().of_role(NodeRole::Replica).unwrap_err();
    assert!(matches!(error, TlsError::OtherRole { .. }));
    let text = error.to_string();
    let command = "lockstep certs node a --renew --role replica";
    assert!(text.contains(command), "{text}");
}

#[test]
fn a_renewed_certificate_says_what_the_former_one_said() {
    let lab = Lab::new();
    let dir = lab.dir.path();
    let hosts = ["10.0.0.1", "db1.example", "::1"].map(str::to_owned);
    let mut node = Order::node("a", &hosts).unwrap();
    node.identity.rights = Rights::Node(NodeRole::Replica);
    let mut client = Order::client("c").unwrap();
    let prefixes = vec![Key::from("a/"), Key::from([0, 255].as_slice())];
    client.identity.rights = Rights::Client(ClientRole::Read, prefixes);
    for order in [node, client] {
        let (kind, name) = (order.identity.kind(), order.identity.name.clone());
        let renewal = || Order::renewal(dir, kind, name.as_str());
        let none = renewal().unwrap_err();
        assert!(matches!(none, AuthorityError::NotIssued { .. }), "{none}");
        lab.issue(&order);
        assert_eq!(renewal().unwrap(), order);
    }
}

#[test]
fn readable_keys_and_the_key_of_the_authority_are_noticed() {
    let lab = Lab::new();
    let dir = lab.dir.path();
    lab.node_credentials("a");
    let concerns = || tls::concerns(dir).join("\n");
    assert!(concerns().contains("ca.key is on the machine of a node"));
    fs::remove_file(dir.join("ca.key")).unwrap();
    assert_eq!(concerns(), "");
    let key = dir.join("nodes/a.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let command = format!("chmod 600 {}", key.display());
    assert!(concerns().ends_with(&command), "{}", concerns());
}

#[test]
fn what_makes_an_expired_certificate_anew_can_be_typed() {
    let lab = Lab::new();
    lab.issue(&Order {
        valid_for: Duration::ZERO,
        ..Order::client("c").unwrap()
    });
    let load = || Credentials::load_client(lab.dir.path(), Some("c"));
    // It is valid to the end of this second.
    let error = loop {
        match load() {
            Ok(_) => std::thread::yield_now(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, TlsError::Expired { .. }), "{error}");
    let dir = lab.dir.path().display();
    let command = format!("`lockstep certs client c --renew --tls-dir {dir}`");
    assert!(error.to_string().contains(&command), "{error}");
}

#[test]
fn a_deny_list_that_cannot_be_obeyed_is_not_passed_over() {
    let lab = Lab::new();
    lab.node_credentials("a");
    fs::write(lab.dir.path().join("denied.txt"), "client c\nann\n").unwrap();
    let error = Credentials::load_node(lab.dir.path(), Some("a")).unwrap_err();
    assert!(matches!(error, TlsError::Denied { line: 2, .. }), "{error}");
}
