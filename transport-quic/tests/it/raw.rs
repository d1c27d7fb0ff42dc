//! Ends that speak QUIC with good certificates, but not as they should: each is cut off with a reason that both sides
//! see, and nobody else notices.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use async_std::task::block_on;
use lockstep_core::limits;
use lockstep_core::transport::Transport;
use lockstep_transport_quic::QuicTransport;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{AsyncStdRuntime, Connection, ConnectionError, Endpoint, EndpointConfig};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::lab::{Lab, listen_of, send_until_received, within_patience};

const CONTROL: u8 = 0;
const LOG: u8 = 1;

/// Connects to `node` with the certificate at `certificate`, without saying anything.
async fn connect(
    lab: &Lab,
    certificate: &Path,
    alpn: &str,
    node: &QuicTransport,
) -> Result<Connection, ConnectionError> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(lab.dir.path().join("ca.pem")).unwrap();
    roots.add(authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_file(certificate.with_extension("pem")).unwrap()],
            PrivateKeyDer::from_pem_file(certificate.with_extension("key")).unwrap(),
        )
        .unwrap();
    tls.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let runtime = Arc::new(AsyncStdRuntime);
    let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime).unwrap();
    let connecting = endpoint.connect_with(config, listen_of(node), "localhost");
    within_patience(connecting.unwrap()).await
}

fn hello(version: u16, address: &str) -> Vec<u8> {
    let mut hello = Vec::new();
    hello.extend_from_slice(&version.to_be_bytes());
    hello.extend_from_slice(&7_u64.to_be_bytes());
    hello.extend_from_slice(address.as_bytes());
    framed(&hello)
}

fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(frame);
    bytes
}

/// Opens a stream for `lane` with `bytes` on it, which stays open.
async fn write(connection: &Connection, lane: u8, bytes: &[u8]) {
    let mut stream = connection.open_uni().await.unwrap();
    // Whoever is cut off meanwhile learns it elsewhere.
    let _ = stream.write_all(&[lane]).await;
    let _ = stream.write_all(bytes).await;
    let connection = connection.clone();
    async_std::task::spawn(async move {
        connection.closed().await;
        drop(stream);
    });
}

/// The reason the node gives for ending the connection.
async fn reason(connection: &Connection) -> String {
    match within_patience(connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => {
            String::from_utf8_lossy(&close.reason).into_owned()
        }
        other => panic!("ended for another reason: {other}"),
    }
}

/// A node, and a peer of it that must not notice anything.
struct Scene {
    lab: Lab,
    node: QuicTransport,
    bystander: QuicTransport,
}

impl Scene {
    async fn new() -> Self {
        let lab = Lab::new();
        lab.client_credentials("c");
        lab.node_credentials("raw");
        let scene = Self {
            node: lab.node("a"),
            bystander: lab.node("b"),
            lab,
        };
        scene.check_bystander().await;
        scene
    }

    async fn check_bystander(&self) {
        let to = self.node.local();
        send_until_received(&self.bystander, to, &self.node, b"undisturbed").await;
    }

    async fn client(&self) -> Connection {
        let certificate = self.lab.dir.path().join("clients/c");
        let connection = connect(&self.lab, &certificate, "lockstep/1", &self.node).await;
        connection.expect("a good certificate")
    }

    async fn node(&self) -> Connection {
        let certificate = self.lab.dir.path().join("nodes/raw");
        let connection = connect(&self.lab, &certificate, "lockstep/1", &self.node).await;
        connection.expect("a good certificate")
    }

    /// Says hello as a client and waits until it is taken.
    async fn greeted(&self) -> Connection {
        let connection = self.client().await;
        write(&connection, CONTROL, &hello(1, "client:c")).await;
        within_patience(connection.accept_uni())
            .await
            .expect("the node's control stream");
        connection
    }
}

/// What a client does wrong after its Hello, and a part of the reason it gets.
fn check_violation(lane: u8, bytes: &'static [u8], expected: &str) {
    block_on(async {
        let scene = Scene::new().await;
        let connection = scene.greeted().await;
        write(&connection, lane, bytes).await;
        let reason = reason(&connection).await;
        assert!(reason.contains(expected), "{reason}");
        scene.check_bystander().await;
    });
}

#[test]
fn a_frame_above_the_limit_is_cut_off() {
    check_violation(LOG, b"\xff\xff\xff\xff", "exceeds the limit");
}

#[test]
fn a_frame_longer_than_any_request_is_cut_off() {
    // A node may send one of this length.
    let length = u32::try_from(limits::REQUEST_BYTES_MAX + 1).unwrap();
    const { assert!(limits::REQUEST_BYTES_MAX < limits::FRAME_BYTES_MAX) };
    check_violation(
        LOG,
        length.to_be_bytes().to_vec().leak(),
        "exceeds the limit",
    );
}

#[test]
fn a_frame_that_does_not_become_whole_gives_way_to_one_that_does() {
    block_on(async {
        let mut scene = Scene::new().await;
        let mut config = scene.lab.config("d");
        config.client_bytes_max = 0;
        scene.node = QuicTransport::bind(config).unwrap();
        let stalled = scene.greeted().await;
        let length = u32::try_from(limits::REQUEST_BYTES_MAX).unwrap();
        let half = [&length.to_be_bytes()[..], &[7; 64 << 10]].concat();
        write(&stalled, LOG, &half).await;
        // Beside it there is room for short frames, and for nothing else, as long as it may yet become whole.
        let other = scene.greeted().await;
        write(&other, CONTROL + 2, &framed(b"short")).await;
        let received = within_patience(scene.node.recv()).await.unwrap();
        assert_eq!(received.frames, [b"short".as_slice()]);
        let long = vec![7; 1 << 20];
        write(&other, LOG, &framed(&long)).await;
        let received = within_patience(scene.node.recv()).await.unwrap();
        assert_eq!(received.frames, [long]);
        let reason = reason(&stalled).await;
        assert!(reason.contains("not become whole"), "{reason}");
        scene.check_bystander().await;
    });
}

#[test]
fn a_stream_for_no_lane_is_cut_off() {
    check_violation(9, b"GET / HTTP/1.1", "no lane");
}

#[test]
fn a_second_stream_for_a_lane_is_cut_off() {
    check_violation(CONTROL, b"\0\0\0\0", "a second stream");
}

/// What somebody says instead of a proper Hello, and a part of the reason it gets.
fn check_hello(bytes: Vec<u8>, expected: &str) {
    block_on(async {
        let scene = Scene::new().await;
        let connection = scene.client().await;
        write(&connection, CONTROL, &bytes).await;
        let reason = reason(&connection).await;
        assert!(reason.contains(expected), "{reason}");
        scene.check_bystander().await;
    });
}

#[test]
fn another_version_in_the_hello_is_refused() {
    check_hello(hello(2, "client:c"), "version 2");
}

#[test]
fn rubbish_instead_of_a_hello_is_refused() {
    check_hello(b"GET / HTTP/1.1\r\n\r\n".to_vec(), "not a Hello");
    check_hello(framed(b"\0\x01short"), "not a Hello");
}

#[test]
fn who_says_no_hello_is_not_waited_for() {
    block_on(async {
        let scene = Scene::new().await;
        let connection = scene.client().await;
        let reason = reason(&connection).await;
        assert!(reason.contains("no Hello"), "{reason}");
        scene.check_bystander().await;
    });
}

#[test]
fn strangers_are_counted_and_refused_when_they_are_too_many() {
    block_on(async {
        let scene = Arc::new(Scene::new().await);
        let stranger = Arc::new(Lab::new());
        stranger.client_credentials("c");
        let knocking: Vec<_> = (0..8)
            .map(|_| {
                let (scene, stranger) = (Arc::clone(&scene), Arc::clone(&stranger));
                async_std::task::spawn(async move {
                    let certificate = stranger.dir.path().join("clients/c");
                    while scene.node.traffic().handshakes_refused == 0 {
                        connect(&stranger, &certificate, "lockstep/1", &scene.node)
                            .await
                            .expect_err("a stranger");
                    }
                })
            })
            .collect();
        for knocking in knocking {
            within_patience(knocking).await;
        }
        assert!(scene.node.traffic().handshakes_failed > 0);
        scene.check_bystander().await;
        // It was here before, so it comes back, whatever goes on at the same address.
        let bystander = scene.bystander.local().clone();
        scene
            .node
            .disconnect(&bystander, "to see it come back")
            .await;
        scene.check_bystander().await;
    });
}

#[test]
fn another_version_of_the_transport_is_refused_in_the_handshake() {
    block_on(async {
        let scene = Scene::new().await;
        let certificate = scene.lab.dir.path().join("clients/c");
        let error = connect(&scene.lab, &certificate, "lockstep/2", &scene.node)
            .await
            .expect_err("another version");
        assert!(error.to_string().contains("protocol"), "{error}");
        scene.check_bystander().await;
    });
}

#[test]
fn a_node_cannot_claim_the_name_of_another() {
    block_on(async {
        let scene = Scene::new().await;
        let connection = scene.node().await;
        let claimed = scene.bystander.local().as_str();
        write(&connection, CONTROL, &hello(1, claimed)).await;
        let reason = reason(&connection).await;
        assert!(
            reason.contains("the certificate is of node raw"),
            "{reason}"
        );
        scene.check_bystander().await;
    });
}

#[test]
fn a_client_that_claims_to_be_a_node_is_a_client() {
    block_on(async {
        let scene = Scene::new().await;
        let connection = scene.client().await;
        write(
            &connection,
            CONTROL,
            &hello(1, scene.bystander.local().as_str()),
        )
        .await;
        write(&connection, LOG, &framed(b"I am b")).await;
        let received = within_patience(scene.node.recv()).await.unwrap();
        assert_eq!(received.frames, [b"I am b".as_slice()]);
        assert_eq!(
            received.sender.kind(),
            lockstep_core::transport::SenderKind::Client
        );
        assert!(received.from.as_str().starts_with("client:c#"));
    });
}

#[test]
fn a_client_cannot_answer_as_a_node() {
    block_on(async {
        // A client's certificate in the place of a node's is refused before any socket is opened; so the server here is
        // a plain QUIC server.
        let lab = Lab::new();
        let dir = lab.dir.path();
        lab.client_credentials("c");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(dir.join("clients/c.pem")).unwrap()],
                PrivateKeyDer::from_pem_file(dir.join("clients/c.key")).unwrap(),
            )
            .unwrap();
        tls.alpn_protocols = vec![b"lockstep/1".to_vec()];
        let tls = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
        let config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        let socket = UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let port = socket.local_addr().unwrap().port();
        let runtime = Arc::new(AsyncStdRuntime);
        let server =
            Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime).unwrap();
        let accepting = async_std::task::spawn(async move {
            while let Some(incoming) = server.accept().await {
                if let Err(error) = incoming.await {
                    return error.to_string();
                }
            }
            String::new()
        });
        let a = lab.node("a");
        let target = lockstep_core::config::Address::new(format!("c@127.0.0.1:{port}"));
        // Already the purpose in the certificate forbids it.
        crate::lab::failure_containing(&a, &target, "key usage").await;
        let other_side = within_patience(accepting).await;
        assert!(other_side.contains("key usage"), "{other_side}");
    });
}

#[test]
fn a_node_is_where_its_certificate_says() {
    block_on(async {
        let scene = Scene::new().await;
        let connection = scene.node().await;
        write(&connection, CONTROL, &hello(1, "raw@10.1.2.3:7")).await;
        let reason = reason(&connection).await;
        assert!(reason.contains("does not name that host"), "{reason}");
        scene.check_bystander().await;
    });
}
