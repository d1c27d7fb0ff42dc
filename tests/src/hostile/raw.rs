//! An end of QUIC that says what it is told to, with a certificate of the cluster or with none.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{AsyncStdRuntime, Connection, ConnectionError, Endpoint, EndpointConfig, SendStream};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::processes::Failure;

const ALPN: &[u8] = b"lockstep/1";

/// Version of the Hello, the start of the transport, and what a client calls itself.
const HELLO: &[u8] = b"\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07client:hostile";

/// One end, with a socket of its own.
pub(super) struct Raw {
    endpoint: Endpoint,
    config: quinn::ClientConfig,
}

impl Raw {
    /// With the client's certificate `name` from `tls_dir`, or with none.
    pub(super) fn new(tls_dir: &Path, name: Option<&str>) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::Hostile {
            reason: error.to_string(),
        };
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(tls_dir.join("ca.pem"));
        let authority = authority.map_err(|error| failed(&error))?;
        roots.add(authority).map_err(|error| failed(&error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| failed(&error))?
            .with_root_certificates(roots);
        let mut tls = match name {
            Some(name) => {
                let file = |extension| tls_dir.join(format!("clients/{name}.{extension}"));
                let certificate = CertificateDer::from_pem_file(file("pem"));
                let key = PrivateKeyDer::from_pem_file(file("key"));
                let chain = vec![certificate.map_err(|error| failed(&error))?];
                tls.with_client_auth_cert(chain, key.map_err(|error| failed(&error))?)
                    .map_err(|error| failed(&error))?
            }
            None => tls.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let tls = QuicClientConfig::try_from(tls).map_err(|error| failed(&error))?;
        let socket = UdpSocket::bind(("127.0.0.1", 0)).map_err(|error| failed(&error))?;
        let runtime = Arc::new(AsyncStdRuntime);
        let endpoint = Endpoint::new(EndpointConfig::default(), None, socket, runtime);
        Ok(Self {
            endpoint: endpoint.map_err(|error| failed(&error))?,
            config: quinn::ClientConfig::new(Arc::new(tls)),
        })
    }

    /// Connects, and says nothing.
    pub(super) async fn connect(&self, node: SocketAddr) -> Result<Connection, ConnectionError> {
        let host = node.ip().to_string();
        let connecting = self.endpoint.connect_with(self.config.clone(), node, &host);
        connecting
            .map_err(|_| ConnectionError::LocallyClosed)?
            .await
    }

    /// Connects and says Hello. The control stream comes with it.
    pub(super) async fn greet(
        &self,
        node: SocketAddr,
    ) -> Result<(Connection, SendStream), ConnectionError> {
        let connection = self.connect(node).await?;
        let mut control = connection.open_uni().await?;
        let hello = [&[0][..], &framed(HELLO)].concat();
        let _ = control.write_all(&hello).await;
        Ok((connection, control))
    }
}

/// A frame as it goes over a stream.
pub(super) fn framed(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).expect("no frame is as long");
    [&length.to_be_bytes()[..], frame].concat()
}
