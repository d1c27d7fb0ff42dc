//! The certificates of a cluster that speaks QUIC.

use std::io;
use std::path::Path;
use std::time::Duration;

use lockstep_core::operation::Key;
use lockstep_core::rights::ClientRole;
use lockstep_core::transport::SenderKind;
use lockstep_transport_quic::authority::{self, AuthorityError, Existing, Issued, Order};
use lockstep_transport_quic::identity::Rights;
use lockstep_transport_quic::tls;
use tracing::warn;

use crate::args::{ClientCertArgs, IssueArgs, NodeCertArgs};
use crate::output::{self, Failure};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Name of the client certificate that `dev` makes.
const DEV_CLIENT: &str = "dev";

/// Makes the authority of a new cluster.
pub(crate) fn make_authority(tls_dir: &Path) -> Result<Issued, Failure> {
    authority::init(tls_dir).map_err(failure)
}

/// Makes the certificate of a node: a new one, or another one in the place of what it has, from which is taken what no flag
/// says.
pub(crate) fn issue_node(args: &NodeCertArgs) -> Result<Issued, Failure> {
    let mut order = match args.issue.renew {
        true => Order::renewal(tls_dir(&args.issue), SenderKind::Node, &args.name),
        false => Order::node(&args.name, &args.hosts),
    }
    .map_err(failure)?;
    if !args.hosts.is_empty() {
        order.hosts.clone_from(&args.hosts);
    }
    if let Some(role) = args.role {
        order.identity.rights = Rights::Node(role.into());
    }
    issue(order, &args.issue)
}

/// Makes the certificate of a client, likewise.
pub(crate) fn issue_client(args: &ClientCertArgs) -> Result<Issued, Failure> {
    let mut order = match args.issue.renew {
        true => Order::renewal(tls_dir(&args.issue), SenderKind::Client, &args.name),
        false => Order::client(&args.name),
    }
    .map_err(failure)?;
    if let Rights::Client(role, prefixes) = &mut order.identity.rights {
        *role = args.role.map_or(*role, Into::into);
        if !args.prefixes.is_empty() {
            *prefixes = args
                .prefixes
                .iter()
                .map(|prefix| Key::from(prefix.as_str()))
                .collect();
        }
    }
    issue(order, &args.issue)
}

fn tls_dir(args: &IssueArgs) -> &Path {
    &args.tls_dir.tls_dir
}

fn issue(mut order: Order, args: &IssueArgs) -> Result<Issued, Failure> {
    if let Some(days) = args.days {
        order.valid_for = DAY * days;
    }
    let existing = match args.renew {
        true => Existing::Replace,
        false => Existing::Keep,
    };
    authority::issue(tls_dir(args), &order, existing).map_err(failure)
}

/// Says what is not as it should be where a node has its certificate.
pub(crate) fn warn_of_keys(tls_dir: &Path) {
    for concern in tls::concerns(tls_dir) {
        warn!("{concern}");
    }
}

/// Makes what is not there yet: the authority, and certificates of the nodes `names` on `hosts` and of a client that may
/// do everything.
pub(crate) fn make_dev_certificates(
    tls_dir: &Path,
    names: &[String],
    hosts: &[String],
) -> Result<(), Failure> {
    unless_there(authority::init(tls_dir))?;
    for name in names {
        let order = Order::node(name, hosts).map_err(failure)?;
        unless_there(authority::issue(tls_dir, &order, Existing::Keep))?;
    }
    let mut client = Order::client(DEV_CLIENT).map_err(failure)?;
    client.identity.rights = Rights::Client(ClientRole::Admin, Vec::new());
    unless_there(authority::issue(tls_dir, &client, Existing::Keep))
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
        | AuthorityError::NotIssued { .. }
        | AuthorityError::Name(_)
        | AuthorityError::Host { .. } => Failure::Usage(text),
        AuthorityError::File { source, .. } if source.kind() == io::ErrorKind::NotADirectory => {
            Failure::Usage(text)
        }
        AuthorityError::File { .. } | AuthorityError::Crypto { .. } => Failure::Broken(text),
        _ => Failure::Broken(text),
    }
}
