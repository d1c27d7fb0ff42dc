//! Where a client's certificate comes from.

use std::path::{Path, PathBuf};

use lockstep_transport_quic::Credentials;
use lockstep_transport_quic::tls::TlsError;

/// Who a client is, and which cluster it trusts: a directory, or [`Credentials`] that were read already.
///
/// The directory is one that `lockstep certs` makes, or a copy of its `ca.pem` and of `clients/NAME.pem` and `clients/NAME.key`. If it
/// has several clients, `Credentials::load_client` takes the name of one.
#[derive(Clone, Debug)]
pub struct Tls(Source);

#[derive(Clone, Debug)]
enum Source {
    Directory(PathBuf),
    Credentials(Box<Credentials>),
}

impl Tls {
    pub(crate) fn credentials(self) -> Result<Credentials, TlsError> {
        match self.0 {
            Source::Directory(directory) => Credentials::load_client(&directory, None),
            Source::Credentials(credentials) => Ok(*credentials),
        }
    }
}

impl From<PathBuf> for Tls {
    fn from(directory: PathBuf) -> Self {
        Self(Source::Directory(directory))
    }
}

impl From<&Path> for Tls {
    fn from(directory: &Path) -> Self {
        directory.to_owned().into()
    }
}

impl From<&PathBuf> for Tls {
    fn from(directory: &PathBuf) -> Self {
        directory.clone().into()
    }
}

impl From<&str> for Tls {
    fn from(directory: &str) -> Self {
        PathBuf::from(directory).into()
    }
}

impl From<&String> for Tls {
    fn from(directory: &String) -> Self {
        PathBuf::from(directory).into()
    }
}

impl From<String> for Tls {
    fn from(directory: String) -> Self {
        PathBuf::from(directory).into()
    }
}

impl From<Credentials> for Tls {
    fn from(credentials: Credentials) -> Self {
        Self(Source::Credentials(Box::new(credentials)))
    }
}
