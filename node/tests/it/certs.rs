//! The commands that make certificates.

use crate::support::place;

#[test]
fn certificates_are_made_once_and_never_overwritten() {
    let place = place();
    place.ok(&["certs", "init", "--tls-dir", "tls"]);
    let authority = std::fs::read(place.path().join("tls/ca.pem")).unwrap();
    place.ok(&[
        "certs",
        "node",
        "r1",
        "--host",
        "127.0.0.1",
        "--host",
        "::1,db1.example",
        "--tls-dir",
        "tls",
    ]);
    place.ok(&[
        "certs",
        "node",
        "r2",
        "--host",
        "10.0.0.1",
        "10.0.0.2",
        "--tls-dir",
        "tls",
    ]);
    place.ok(&["certs", "client", "me", "--tls-dir", "tls"]);

    let again = place.run(&["certs", "init", "--tls-dir", "tls"]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.errors.contains("ca."), "{again:?}");
    assert_eq!(
        std::fs::read(place.path().join("tls/ca.pem")).unwrap(),
        authority
    );
    let again = place.run(&["certs", "client", "me", "--tls-dir", "tls"]);
    assert_eq!(again.code, 2, "{again:?}");
}

#[test]
fn what_cannot_become_a_certificate_is_refused() {
    let place = place();
    let check = |arguments: &[&str], expected: &str| {
        let ended = place.run(arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        assert!(ended.errors.contains(expected), "{arguments:?}: {ended:?}");
    };
    check(&["certs", "client", "me", "--tls-dir", "tls"], "certs init");
    place.ok(&["certs", "init", "--tls-dir", "tls"]);
    check(&["certs", "node", "r1", "--tls-dir", "tls"], "--host");
    check(
        &["certs", "node", "a/b", "--host", "x", "--tls-dir", "tls"],
        "a/b",
    );
    check(
        &[
            "certs",
            "node",
            "r1",
            "--host",
            "no host",
            "--tls-dir",
            "tls",
        ],
        "no host",
    );
}

#[test]
fn a_json_answer_names_the_files() {
    let place = place();
    place.ok(&["certs", "init", "--tls-dir", "tls"]);
    let made = place.json(&["certs", "client", "me", "--tls-dir", "tls"]);
    for file in ["certificate", "key"] {
        let path = place.path().join(made[file].as_str().unwrap());
        assert!(path.is_file(), "{path:?}");
    }
}
