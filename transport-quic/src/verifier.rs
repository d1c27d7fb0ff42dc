//! The TLS sessions: both sides show certificates of the cluster's authority, always in TLS 1.3 and in full.
//!
//! Sessions are not resumed: whom one talks to is established at every connection, which are few and long-lived.

use std::sync::Arc;

use lockstep_core::transport::SenderKind;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use crate::address::Target;
use crate::identity::Identity;
use crate::tls::{Credentials, provider};

/// The protocol of this transport and its version. Others are refused in the handshake.
const ALPN: &[u8] = b"lockstep/1";

/// What is sent as the server's name. Who the server is, the verifier finds out; nodes serve one certificate only.
pub(crate) const SERVER_NAME: &str = "lockstep";

/// How a node answers who connects to it.
pub(crate) fn server(credentials: &Credentials) -> Result<QuicServerConfig, Error> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::clone(&credentials.verifier))
        .with_single_cert(credentials.chain.clone(), credentials.key.clone_key())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    QuicServerConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
}

/// How `target` is connected to.
pub(crate) fn client(
    credentials: &Arc<Credentials>,
    target: &Target,
) -> Result<QuicClientConfig, Error> {
    let provider = provider();
    let verifier = NodeVerifier {
        target: target.clone(),
        credentials: Arc::clone(credentials),
        algorithms: provider.signature_verification_algorithms,
    };
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(credentials.chain.clone(), credentials.key.clone_key())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
}

/// Does the certificate name this IP address or DNS name?
pub(crate) fn names_host(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(host) = ServerName::try_from(host) else {
        return false;
    };
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|certificate| verify_server_name(&certificate, &host).is_ok())
}

/// Accepts a node of the cluster: the one named in the address or, without a name there, one valid for the host.
#[derive(Debug)]
struct NodeVerifier {
    target: Target,
    credentials: Arc<Credentials>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.credentials.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        let identity =
            Identity::of(end_entity).map_err(|error| Error::General(error.to_string()))?;
        if let Some(denial) = self.credentials.denial(end_entity, &identity) {
            return Err(Error::General(denial));
        }
        if identity.kind() != SenderKind::Node {
            return Err(Error::General(format!("{identity} answers as a node")));
        }
        match &self.target.name {
            Some(name) if *name == identity.name => {}
            Some(name) => {
                return Err(Error::General(format!(
                    "node {name} was expected, {identity} answers"
                )));
            }
            None => {
                let host = &self.target.host;
                let server_name = ServerName::try_from(host.as_str())
                    .map_err(|_| Error::General(format!("{host} cannot stand in a certificate")))?;
                verify_server_name(&certificate, &server_name).map_err(|_| {
                    Error::General(format!(
                        "the certificate of {identity} is not valid for {host}: issue it with --host {host}, \
                         or write the address with the name, {}@{host}:{}",
                        identity.name, self.target.port
                    ))
                })?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
