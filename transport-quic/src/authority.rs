//! The cluster's certificate authority: makes its own certificate, and those of nodes and clients.
//!
//! All of it lies in one directory, of which nodes and clients need `ca.pem` and their own two files only:
//!
//! ```text
//! ca.pem              certificate of the authority, valid for 20 years
//! ca.key              its private key: keep it off the machines that run nodes
//! nodes/NAME.pem      certificate of a node, valid for 10 years unless wanted otherwise
//! nodes/NAME.key      its private key
//! clients/NAME.pem    certificate of a client, likewise
//! clients/NAME.key    its private key
//! ```
//!
//! Certificates are valid from a day before they were made, for machines whose clocks are behind.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lockstep_core::rights::{ClientRole, NodeRole};
use lockstep_core::transport::SenderKind;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::identity::{self, BadName, Identity, Name, Rights};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const VALID_BEFORE: Duration = DAY;
const AUTHORITY_VALID_FOR: Duration = Duration::from_secs(20 * 365 * DAY.as_secs());

/// How long a certificate is valid, unless wanted otherwise.
pub const VALID_FOR: Duration = Duration::from_secs(10 * 365 * DAY.as_secs());

/// Only the owner reads a private key.
const KEY_MODE: u32 = 0o600;
const CERTIFICATE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o700;

/// What to do with a certificate that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Fail and leave it alone.
    Keep,
    /// Make a new key and certificate in its place.
    Replace,
}

/// Where a certificate and its key were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// There is one already. Nothing was changed.
    #[error("{path} exists already and was left alone")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The directory has no authority.
    #[error(
        "{dir} has no certificate authority (ca.pem and ca.key): run `lockstep certs init` first, or use the directory where that was done"
    )]
    NoAuthority {
        /// The directory.
        dir: PathBuf,
    },
    /// There is nothing to renew.
    #[error("{path} is missing: there is nothing to renew, so make it without --renew")]
    NotIssued {
        /// Where it should be.
        path: PathBuf,
    },
    /// Not a name.
    #[error(transparent)]
    Name(#[from] BadName),
    /// Neither an IP address nor a DNS name.
    #[error("{host:?} is neither an IP address nor a DNS name")]
    Host {
        /// What was given.
        host: String,
    },
    /// A file could not be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The authority's files are damaged, or cryptography failed.
    #[error("cannot make a certificate with the authority in {dir}")]
    Crypto {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: rcgen::Error,
    },
}

/// Makes the authority of a new cluster in `dir`, which is made if need be.
///
/// # Errors
/// There is one already, or it cannot be written.
pub fn init(dir: &Path) -> Result<Issued, AuthorityError> {
    let issued = Issued {
        certificate: dir.join("ca.pem"),
        key: dir.join("ca.key"),
    };
    make_dir(dir)?;
    let crypto = |source| crypto_error(dir, source);
    let mut params = params_valid_for(AUTHORITY_VALID_FOR);
    params.distinguished_name = distinguished_name("lockstep authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(crypto)?;
    let certificate = params.self_signed(&key).map_err(crypto)?;
    write_pair(&issued, &certificate.pem(), &key, Existing::Keep)?;
    Ok(issued)
}

/// Issues what is ordered, with a new key.
///
/// # Errors
/// There is no authority in `dir`, a host is none, there is one already, or it cannot be written.
pub fn issue(dir: &Path, order: &Order, existing: Existing) -> Result<Issued, AuthorityError> {
    let params = leaf_params(order)?;
    let authority = load(dir)?;
    make_dir(&folder(dir, order.identity.kind()))?;
    let issued = place_of(dir, order.identity.kind(), order.identity.name.as_str());
    let crypto = |source| crypto_error(dir, source);
    let key = KeyPair::generate().map_err(crypto)?;
    let certificate = params.signed_by(&key, &authority).map_err(crypto)?;
    write_pair(&issued, &certificate.pem(), &key, existing)?;
    Ok(issued)
}

/// A certificate that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whose it is, and what it allows.
    pub identity: Identity,
    /// IP addresses and DNS names at which a node is reached; none for a client.
    pub hosts: Vec<String>,
    /// For how long from now it is valid.
    pub valid_for: Duration,
}

impl Order {
    /// For the node `name`, reached at any of `hosts` (IP addresses or DNS names), in either role.
    ///
    /// # Errors
    /// The name is none.
    pub fn node(name: &str, hosts: &[String]) -> Result<Self, AuthorityError> {
        Self::of(name, Rights::Node(NodeRole::Both), hosts)
    }

    /// For the client `name`, which may read and write every key.
    ///
    /// # Errors
    /// The name is none.
    pub fn client(name: &str) -> Result<Self, AuthorityError> {
        Self::of(name, Rights::Client(ClientRole::Write, Vec::new()), &[])
    }

    /// For the same identity and hosts as the certificate that is there.
    ///
    /// # Errors
    /// There is none in `dir`, or it cannot be read.
    pub fn renewal(dir: &Path, kind: SenderKind, name: &str) -> Result<Self, AuthorityError> {
        let name = Name::new(name)?;
        let path = place_of(dir, kind, name.as_str()).certificate;
        let unusable = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => AuthorityError::NotIssued { path: path.clone() },
            _ => AuthorityError::File {
                path: path.clone(),
                source,
            },
        };
        let pem = fs::read(&path).map_err(unusable)?;
        let certificate = CertificateDer::from_pem_slice(&pem)
            .map_err(|error| unusable(io::Error::other(error)))?;
        let identity = Identity::of(&certificate);
        let identity = identity.map_err(|error| unusable(io::Error::other(error)))?;
        Ok(Self {
            identity,
            hosts: identity::hosts_of(&certificate),
            valid_for: VALID_FOR,
        })
    }

    fn of(name: &str, rights: Rights, hosts: &[String]) -> Result<Self, AuthorityError> {
        let name = Name::new(name)?;
        Ok(Self {
            identity: Identity { name, rights },
            hosts: hosts.to_vec(),
            valid_for: VALID_FOR,
        })
    }
}

fn place_of(dir: &Path, kind: SenderKind, name: &str) -> Issued {
    let folder = folder(dir, kind);
    Issued {
        certificate: folder.join(format!("{name}.pem")),
        key: folder.join(format!("{name}.key")),
    }
}

/// The folder of `dir` that holds the certificates of nodes or of clients.
pub(crate) fn folder(dir: &Path, kind: SenderKind) -> PathBuf {
    match kind {
        SenderKind::Node => dir.join("nodes"),
        SenderKind::Client => dir.join("clients"),
    }
}

fn leaf_params(order: &Order) -> Result<CertificateParams, AuthorityError> {
    let Order {
        identity,
        hosts,
        valid_for,
    } = order;
    let mut params = params_valid_for(*valid_for);
    params.distinguished_name = distinguished_name(identity.name.as_str());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = match identity.kind() {
        SenderKind::Node => vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ],
        SenderKind::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    let uri = identity.to_uri();
    let uri = uri.try_into().expect("an identity is ASCII");
    params.subject_alt_names = vec![SanType::URI(uri)];
    for host in hosts {
        let bad_host = || AuthorityError::Host { host: host.clone() };
        let name = match host.parse() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) if is_dns_name(host) => {
                SanType::DnsName(host.clone().try_into().map_err(|_| bad_host())?)
            }
            Err(_) => return Err(bad_host()),
        };
        params.subject_alt_names.push(name);
    }
    Ok(params)
}

fn is_dns_name(host: &str) -> bool {
    rustls::pki_types::DnsName::try_from(host).is_ok()
}

fn params_valid_for(time: Duration) -> CertificateParams {
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.not_before = (now - VALID_BEFORE).into();
    params.not_after = (now + time).into();
    params
}

fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "lockstep");
    name.push(DnType::CommonName, common_name);
    name
}

fn load(dir: &Path) -> Result<Issuer<'static, KeyPair>, AuthorityError> {
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => AuthorityError::NoAuthority {
                dir: dir.to_owned(),
            },
            _ => AuthorityError::File { path, source },
        })
    };
    let certificate = read("ca.pem")?;
    let key = read("ca.key")?;
    KeyPair::from_pem(&key)
        .and_then(|key| Issuer::from_ca_cert_pem(&certificate, key))
        .map_err(|source| crypto_error(dir, source))
}

fn make_dir(dir: &Path) -> Result<(), AuthorityError> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(DIRECTORY_MODE).create(dir);
    made.map_err(|source| AuthorityError::File {
        path: dir.to_owned(),
        source,
    })
}

fn write_pair(
    issued: &Issued,
    certificate: &str,
    key: &KeyPair,
    existing: Existing,
) -> Result<(), AuthorityError> {
    if existing == Existing::Keep {
        // Checked for both before either is written, so that a key never stands beside another's certificate.
        for path in [&issued.key, &issued.certificate] {
            if path.exists() {
                return Err(AuthorityError::Exists { path: path.clone() });
            }
        }
    }
    write(&issued.key, KEY_MODE, &key.serialize_pem(), existing)?;
    write(&issued.certificate, CERTIFICATE_MODE, certificate, existing)
}

fn write(path: &Path, mode: u32, text: &str, existing: Existing) -> Result<(), AuthorityError> {
    let file_error = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => AuthorityError::Exists {
            path: path.to_owned(),
        },
        _ => AuthorityError::File {
            path: path.to_owned(),
            source,
        },
    };
    if existing == Existing::Replace {
        // A file that was there would keep its own mode.
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(file_error(error)),
        }
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .map_err(file_error)
}

fn crypto_error(dir: &Path, source: rcgen::Error) -> AuthorityError {
    AuthorityError::Crypto {
        dir: dir.to_owned(),
        source,
    }
}
