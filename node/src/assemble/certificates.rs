//! The certificates of a cluster that speaks QUIC.

use std::io;
use std::path::Path;

use lockstep_transport_quic::authority::{self, AuthorityError, Existing, Issued};

use crate::output::{self, Failure};

/// Name of the client certificate that `dev` makes.
const DEV_CLIENT: &str = "dev";

/// Makes the authority of a new cluster.
pub(crate) fn make_authority(tls_dir: &Path) -> Result<Issued, Failure> {
    authority::init(tls_dir).map_err(failure)
}

/// Makes the certificate of a node.
pub(crate) fn issue_node(tls_dir: &Path, name: &str, hosts: &[String]) -> Result<Issued, Failure> {
    authority::issue_node(tls_dir, name, hosts, Existing::Keep).map_err(failure)
}

/// Makes the certificate of a client.
pub(crate) fn issue_client(tls_dir: &Path, name: &str) -> Result<Issued, Failure> {
    authority::issue_client(tls_dir, name, Existing::Keep).map_err(failure)
}

/// Makes what is not there yet: the authority, and certificates of the nodes `names` on `hosts` and of a client.
pub(crate) fn make_dev_certificates(
    tls_dir: &Path,
    names: &[String],
    hosts: &[String],
) -> Result<(), Failure> {
    unless_there(authority::init(tls_dir))?;
    for name in names {
        unless_there(authority::issue_node(tls_dir, name, hosts, Existing::Keep))?;
    }
    unless_there(authority::issue_client(tls_dir, DEV_CLIENT, Existing::Keep))
}

fn unless_there(issued: Result<Issued, AuthorityError>) -> Result<(), Failure> {
    match issued {
        Ok(_) | Err(AuthorityError::Exists { .. }) => Ok(()),
        Err(error) => Err(failure(error)),
    }
}

fn failure(error: AuthorityError) -> Failure {
    let text = output::chain(&error);
    match error {
        AuthorityError::Exists { .. }
        | AuthorityError::NoAuthority { .. }
        | AuthorityError::Name(_)
        | AuthorityError::Host { .. } => Failure::Usage(text),
        AuthorityError::File { source, .. } if source.kind() == io::ErrorKind::NotADirectory => {
            Failure::Usage(text)
        }
        AuthorityError::File { .. } | AuthorityError::Crypto { .. } => Failure::Broken(text),
        _ => Failure::Broken(text),
    }
}
