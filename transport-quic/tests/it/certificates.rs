//! Certificates: how they are made and read, what is said when they are wrong, and who is not let in with them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use lockstep_transport_quic::Credentials;
use lockstep_transport_quic::authority::{self, AuthorityError, Existing};
use lockstep_transport_quic::tls::TlsError;

use crate::lab::Lab;

#[test]
fn keys_are_private_and_nothing_is_overwritten_unasked() {
    let lab = Lab::new();
    let dir = lab.dir.path();
    let issued = authority::issue_client(dir, "c", Existing::Keep).unwrap();
    for key in [&issued.key, &dir.join("ca.key")] {
        let mode = fs::metadata(key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", key.display());
    }
    let before = fs::read(&issued.key).unwrap();
    let again = authority::issue_client(dir, "c", Existing::Keep);
    assert!(matches!(again, Err(AuthorityError::Exists { .. })));
    assert!(matches!(
        authority::init(dir),
        Err(AuthorityError::Exists { .. })
    ));
    assert_eq!(fs::read(&issued.key).unwrap(), before);
    authority::issue_client(dir, "c", Existing::Replace).unwrap();
    assert_ne!(fs::read(&issued.key).unwrap(), before);
    Credentials::load_client(dir, None).expect("the only one, and whole");
}

#[test]
fn names_and_hosts_are_checked_before_anything_is_issued() {
    let lab = Lab::new();
    let dir = lab.dir.path();
    for bad in ["", "A", "a.b", "../a", "a/b"] {
        let error = authority::issue_client(dir, bad, Existing::Keep);
        assert!(matches!(error, Err(AuthorityError::Name(_))), "{bad}");
    }
    let hosts = ["not a host".to_owned()];
    let error = authority::issue_node(dir, "a", &hosts, Existing::Keep);
    assert!(matches!(error, Err(AuthorityError::Host { .. })));
    let empty = tempfile::tempdir().unwrap();
    let error = authority::issue_client(empty.path(), "c", Existing::Keep);
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
