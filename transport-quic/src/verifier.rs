//! The TLS sessions: both sides show certificates of the cluster's authority, always in TLS 1.3 and in full.
//!
//! Sessions are not resumed: whom one talks to is established at every connection, which are few and long-lived.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use lockstep_core::transport::SenderKind;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};

use crate::address::Target;
use crate::identity::{self, Identity};
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

/// How `target` is connected to. If it answers with a certificate that has expired, `expired` has the time.
pub(crate) fn client(
    credentials: &Arc<Credentials>,
    target: &Target,
    expired: &Arc<OnceLock<SystemTime>>,
) -> Result<QuicClientConfig, Error> {
    let provider = provider();
    let verifier = NodeVerifier {
        target: target.clone(),
        credentials: Arc::clone(credentials),
        expired: Arc::clone(expired),
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
    expired: Arc<OnceLock<SystemTime>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl NodeVerifier {
    /// If nothing but the time is wrong with it, whoever asks is told.
    fn note_expiry(&self, end_entity: &CertificateDer<'_>, was_good_at: impl Fn(UnixTime) -> bool) {
        let Some(expiry) = identity::expiry_of(end_entity) else {
            return;
        };
        let age = expiry.duration_since(SystemTime::UNIX_EPOCH);
        if was_good_at(UnixTime::since_unix_epoch(age.unwrap_or_default())) {
            // Of several addresses the first that answers so is as good as the others.
            let _ = self.expired.set(expiry);
        }
    }
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
        let at = |time| {
            verify_server_cert_signed_by_trust_anchor(
                &certificate,
                &self.credentials.roots,
                intermediates,
                time,
                self.algorithms.all,
            )
        };
        at(now).inspect_err(|_| self.note_expiry(end_entity, |time| at(time).is_ok()))?;
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::authority::{self, Existing, Order};

    fn credentials(dir: &Path) -> Arc<Credentials> {
        authority::init(dir).unwrap();
        let order = Order::node("a", &["127.0.0.1".to_owned()]).unwrap();
        authority::issue(dir, &order, Existing::Keep).unwrap();
        Arc::new(Credentials::load_node(dir, Some("a")).unwrap())
    }

    #[test]
    fn of_who_is_refused_it_is_known_when_the_certificate_expired() {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [own, other] = dirs.each_ref().map(|dir| credentials(dir.path()));
        let check = |shown: &Credentials, after_expiry: bool, expected| {
            let verifier = NodeVerifier {
                target: Target::parse("a@127.0.0.1:1").unwrap(),
                credentials: Arc::clone(&own),
                expired: Arc::default(),
                algorithms: provider().signature_verification_algorithms,
            };
            let end = shown.expires().duration_since(SystemTime::UNIX_EPOCH);
            let now = end.unwrap() - Duration::from_secs(1);
            let now = now + Duration::from_secs(2 * u64::from(after_expiry));
            let name = ServerName::try_from(SERVER_NAME).unwrap();
            let now = UnixTime::since_unix_epoch(now);
            let verified = verifier.verify_server_cert(&shown.chain[0], &[], &name, &[], now);
            let is_good = verified.is_ok();
            assert_eq!((is_good, verifier.expired.get().copied()), expected);
        };
        check(&own, false, (true, None));
        check(&own, true, (false, Some(own.expires())));
        // Whoever answers in its place says nothing of it.
        check(&other, false, (false, None));
        check(&other, true, (false, None));
    }
}
