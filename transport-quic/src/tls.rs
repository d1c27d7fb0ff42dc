//! Certificates as a node or client needs them: read from a directory, checked, with errors that say what to do.
//!
//! The directory is laid out as [`authority`] writes it. Of it are needed `ca.pem` and, in `nodes/` or
//! `clients/`, the certificate and key of whoever starts; `denied.txt`, if there is one, says whose certificates are refused. With a single one there, no name has to be given.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use lockstep_core::operation::Key;
use lockstep_core::rights::NodeRole;
use lockstep_core::transport::SenderKind;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::authority;
use crate::denied::Denied;
use crate::identity::{self, Identity, Name, Rights};
use crate::verifier;

/// Whom nobody is to talk to any more, in the directory of certificates.
const DENIED: &str = "denied.txt";

/// What a node or client shows to others, and whom it trusts: its certificate, its key, and the cluster's authority.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Where they were read.
    dir: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Arc<PrivateKeyDer<'static>>,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    pub(crate) denied: Arc<Denied>,
}

/// Why certificates cannot be used. Every text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no `ca.pem`.
    #[error(
        "{path} is missing: make the cluster's certificates with `lockstep certs init`, or copy that file from where they were made"
    )]
    NoAuthority {
        /// Where it should be.
        path: PathBuf,
    },
    /// There is no certificate of the kind needed.
    #[error(
        "{folder} holds no certificate: issue one with `lockstep certs {command}`, and copy its .pem and .key there"
    )]
    NoCertificate {
        /// Where it should be.
        folder: PathBuf,
        /// The words behind `lockstep certs`.
        command: &'static str,
    },
    /// There are several, and none was chosen.
    #[error("{folder} holds several certificates ({}): choose one with --name", names.join(", "))]
    Several {
        /// Where they are.
        folder: PathBuf,
        /// Whose they are.
        names: Vec<String>,
    },
    /// A certificate or its key is not there.
    #[error("{path} is missing: issue it with `lockstep certs {command}`, or copy it there")]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// The words behind `lockstep certs`.
        command: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not contain what its name says.
    #[error("{path} does not contain {what} in PEM format: issue it again, or copy it again")]
    NotPem {
        /// The file.
        path: PathBuf,
        /// A certificate or a private key.
        what: &'static str,
    },
    /// The certificate has expired.
    #[error("{path} expired at {at}: issue it again with `{command}`, where ca.key is")]
    Expired {
        /// The file.
        path: PathBuf,
        /// When it did.
        at: String,
        /// What issues it again.
        command: String,
    },
    /// The certificate is not valid yet.
    #[error("{path} is valid from {from} on: set this machine's clock")]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// When it begins to be.
        from: String,
    },
    /// The certificate was issued by another authority.
    #[error(
        "{path} was not issued by the authority of {authority}: they belong to different clusters, or `lockstep certs init` was run again"
    )]
    OtherAuthority {
        /// The certificate.
        path: PathBuf,
        /// The authority's certificate.
        authority: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error("the key {key} does not belong to the certificate {path}: copy the pair again")]
    KeyMismatch {
        /// The certificate.
        path: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// The certificate is of another kind or name than the file's place says.
    #[error(
        "{path} is not the certificate of {expected}: it was renamed, moved, or made by another program"
    )]
    OtherIdentity {
        /// The file.
        path: PathBuf,
        /// Whose it should be: its kind and name.
        expected: String,
    },
    /// The node may not act as it is to.
    #[error(
        "the certificate of {identity} is not for the role {role}: issue it again with `lockstep certs node {} --renew --role {role} --tls-dir {dir}`, or start it as what it is for",
        identity.name
    )]
    OtherRole {
        /// Where it is.
        dir: PathBuf,
        /// Whose it is.
        identity: Identity,
        /// What it is to be.
        role: NodeRole,
    },
    /// The deny list has a line that denies nobody.
    #[error(
        "line {line} of {path} denies nobody: write `client NAME`, `node NAME`, or what `openssl x509 -fingerprint -sha256 -noout -in FILE` prints"
    )]
    Denied {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
    },
    /// The TLS library refuses the certificate or key for another reason.
    #[error("{path} cannot be used")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl Credentials {
    /// Reads those of the node `name`, or of the only one there is.
    ///
    /// # Errors
    /// Something is missing, damaged, expired or does not belong together.
    pub fn load_node(dir: &Path, name: Option<&str>) -> Result<Self, TlsError> {
        Self::load(dir, SenderKind::Node, name)
    }

    /// Reads those of the client `name`, or of the only one there is.
    ///
    /// # Errors
    /// Something is missing, damaged, expired or does not belong together.
    pub fn load_client(dir: &Path, name: Option<&str>) -> Result<Self, TlsError> {
        Self::load(dir, SenderKind::Client, name)
    }

    /// The same, if they are of a node that may act as `role`.
    ///
    /// # Errors
    /// It may not.
    pub fn of_role(self, role: NodeRole) -> Result<Self, TlsError> {
        match self.identity.rights {
            Rights::Node(own) if own.includes(role) => Ok(self),
            Rights::Node(_) | Rights::Client(..) => Err(TlsError::OtherRole {
                dir: self.dir,
                identity: self.identity,
                role,
            }),
        }
    }

    /// The files that they were read from, and the one of whom is denied, which need not be there.
    pub fn files(&self) -> Vec<PathBuf> {
        let folder = authority::folder(&self.dir, self.identity.kind());
        let own = |extension| folder.join(format!("{}.{extension}", self.identity.name));
        let shared = |name| self.dir.join(name);
        vec![shared("ca.pem"), shared(DENIED), own("pem"), own("key")]
    }

    /// Until when the certificate is valid.
    pub fn expires(&self) -> SystemTime {
        let expiry = identity::expiry_of(&self.chain[0]);
        expiry.expect("it was parsed when it was loaded")
    }

    /// The same, in words.
    pub fn expires_told(&self) -> String {
        let expiry = identity::expiry_told(&self.chain[0]);
        expiry.expect("it was parsed when it was loaded")
    }

    /// Whose they are: `node NAME` or `client NAME`.
    pub fn holder(&self) -> String {
        self.identity.to_string()
    }

    /// What makes another certificate that says the same, where `ca.key` is.
    pub fn renewal(&self) -> String {
        renewal(&self.identity.to_string(), &self.dir)
    }

    /// Why the holder of this certificate is not wanted; `None`: he is.
    pub(crate) fn denial(
        &self,
        certificate: &CertificateDer<'_>,
        identity: &Identity,
    ) -> Option<String> {
        let is_denied = self.denied.has(certificate, identity);
        is_denied.then(|| format!("the certificate of {identity} is on the deny list"))
    }

    /// The hosts that the certificate names.
    pub(crate) fn hosts(&self) -> Vec<String> {
        identity::hosts_of(&self.chain[0])
    }

    /// Does the certificate name this IP address or DNS name?
    pub(crate) fn names_host(&self, host: &str) -> bool {
        verifier::names_host(&self.chain[0], host)
    }

    /// The name in the certificate.
    pub fn name(&self) -> &Name {
        &self.identity.name
    }

    /// With which the keys have to begin that the holder may name; none: he may name any.
    pub fn prefixes(&self) -> &[Key] {
        match &self.identity.rights {
            Rights::Node(_) => &[],
            Rights::Client(_, prefixes) => prefixes,
        }
    }

    fn load(dir: &Path, kind: SenderKind, name: Option<&str>) -> Result<Self, TlsError> {
        let authority_path = dir.join("ca.pem");
        let folder = authority::folder(dir, kind);
        let command = command(kind);
        if !authority_path.exists() {
            return Err(TlsError::NoAuthority {
                path: authority_path,
            });
        }
        let name = match name {
            Some(name) => name.to_owned(),
            None => only_name(&folder, kind)?,
        };
        let path = folder.join(format!("{name}.pem"));
        let key_path = folder.join(format!("{name}.key"));

        let roots = Arc::new(read_roots(&authority_path)?);
        let chain = read_certificates(&path, command)?;
        let key = read_key(&key_path, command)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider())
            .build()
            .map_err(|_| TlsError::NotPem {
                path: authority_path.clone(),
                what: "a certificate",
            })?;
        let leaf = chain.first().expect("read_certificates gives at least one");
        verifier
            .verify_client_cert(leaf, &chain[1..], UnixTime::now())
            .map_err(|error| {
                let renewal = renewal(&format!("{} {name}", word_of(kind)), dir);
                certificate_error(error, &path, &authority_path, leaf, renewal)
            })?;
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider()).map_err(|source| {
            match source {
                rustls::Error::InconsistentKeys(_) => TlsError::KeyMismatch {
                    path: path.clone(),
                    key: key_path.clone(),
                },
                source => TlsError::Unusable {
                    path: key_path.clone(),
                    source,
                },
            }
        })?;
        let identity = Identity::of(leaf).ok();
        let identity = identity
            .filter(|identity| identity.kind() == kind && identity.name.as_str() == name)
            .ok_or_else(|| match Name::new(&name) {
                Ok(name) => TlsError::OtherIdentity {
                    path: path.clone(),
                    expected: format!("{} {name}", word_of(kind)),
                },
                Err(_) => TlsError::Missing {
                    path: path.clone(),
                    command,
                },
            })?;
        Ok(Self {
            dir: dir.to_owned(),
            identity,
            chain,
            key: Arc::new(key),
            roots,
            verifier,
            denied: Arc::new(read_denied(&dir.join(DENIED))?),
        })
    }
}

/// What is not as it should be in a directory from which a node serves, though it works: a sentence for each.
pub fn concerns(dir: &Path) -> Vec<String> {
    let mut concerns = Vec::new();
    let authority = dir.join("ca.key");
    if authority.exists() {
        concerns.push(format!(
            "{} is on the machine of a node: who takes that has the whole cluster; keep it where certificates are issued, \
             and nowhere else",
            authority.display()
        ));
    }
    let nodes = authority::folder(dir, SenderKind::Node);
    let clients = authority::folder(dir, SenderKind::Client);
    for folder in [dir, &nodes, &clients] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let is_key = path.extension().is_some_and(|extension| extension == "key");
            let is_open = |metadata: fs::Metadata| metadata.permissions().mode() & 0o077 != 0;
            if is_key && fs::metadata(&path).is_ok_and(is_open) {
                let path = path.display();
                concerns.push(format!("{path} can be read by others: chmod 600 {path}"));
            }
        }
    }
    concerns
}

fn renewal(holder: &str, dir: &Path) -> String {
    format!(
        "lockstep certs {holder} --renew --tls-dir {}",
        dir.display()
    )
}

/// The one implementation of cryptography this transport uses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn word_of(kind: SenderKind) -> &'static str {
    match kind {
        SenderKind::Node => "node",
        SenderKind::Client => "client",
    }
}

fn command(kind: SenderKind) -> &'static str {
    match kind {
        SenderKind::Node => "node NAME --host HOST",
        SenderKind::Client => "client NAME",
    }
}

fn only_name(folder: &Path, kind: SenderKind) -> Result<String, TlsError> {
    let none = || TlsError::NoCertificate {
        folder: folder.to_owned(),
        command: command(kind),
    };
    let read_error = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => none(),
        _ => TlsError::Read {
            path: folder.to_owned(),
            source,
        },
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(read_error)? {
        let path = entry.map_err(read_error)?.path();
        let is_certificate = path.extension().is_some_and(|extension| extension == "pem");
        if let Some(name) = path.file_stem().and_then(|name| name.to_str())
            && is_certificate
        {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    match names.len() {
        0 => Err(none()),
        1 => Ok(names.remove(0)),
        _ => Err(TlsError::Several {
            folder: folder.to_owned(),
            names,
        }),
    }
}

fn read_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path, "init")? {
        roots.add(certificate).map_err(|_| TlsError::NotPem {
            path: path.to_owned(),
            what: "a certificate",
        })?;
    }
    Ok(roots)
}

/// Nobody is denied where there is no file.
fn read_denied(path: &Path) -> Result<Denied, TlsError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Denied::default()),
        Err(source) => {
            return Err(TlsError::Read {
                path: path.to_owned(),
                source,
            });
        }
    };
    Denied::parse(&text).map_err(|line| TlsError::Denied {
        path: path.to_owned(),
        line,
    })
}

fn read(path: &Path, command: &'static str) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => TlsError::Missing {
            path: path.to_owned(),
            command,
        },
        _ => TlsError::Read {
            path: path.to_owned(),
            source,
        },
    })
}

/// At least one.
fn read_certificates(
    path: &Path,
    command: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path, command)?;
    CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or_else(|| TlsError::NotPem {
            path: path.to_owned(),
            what: "a certificate",
        })
}

fn read_key(path: &Path, command: &'static str) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read(path, command)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| TlsError::NotPem {
        path: path.to_owned(),
        what: "a private key",
    })
}

fn certificate_error(
    error: rustls::Error,
    path: &Path,
    authority: &Path,
    leaf: &CertificateDer<'_>,
    renewal: String,
) -> TlsError {
    let path = path.to_owned();
    let validity = |end: fn(&X509Certificate<'_>) -> String| {
        X509Certificate::from_der(leaf).map_or_else(|_| "?".to_owned(), |(_, parsed)| end(&parsed))
    };
    let rustls::Error::InvalidCertificate(reason) = &error else {
        return TlsError::Unusable {
            path,
            source: error,
        };
    };
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsError::Expired {
            path,
            at: validity(|parsed| parsed.validity().not_after.to_string()),
            command: renewal,
        },
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsError::NotYetValid {
                path,
                from: validity(|parsed| parsed.validity().not_before.to_string()),
            }
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            TlsError::OtherAuthority {
                path,
                authority: authority.to_owned(),
            }
        }
        _ => TlsError::Unusable {
            path,
            source: error,
        },
    }
}
