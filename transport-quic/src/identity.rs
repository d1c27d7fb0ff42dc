//! Who a certificate says somebody is: a node or a client, its name, and what it may do.
//!
//! The identity stands in the certificate as a URI among the subject's alternative names, exactly one of them. Only the
//! cluster's authority can write it:
//!
//! ```text
//! lockstep://node/NAME?role=ROLE                        replica, arbiter or both; both, where no role is said
//! lockstep://client/NAME?role=ROLE&prefix=PREFIX&…      read, write or admin; write, where no role is said
//! ```
//!
//! Prefixes are percent-encoded bytes. A URI that says more than that is none: it may restrict what this release does not
//! know.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lockstep_core::limits;
use lockstep_core::operation::Key;
use lockstep_core::rights::{ClientRole, NodeRole, Sender};
use lockstep_core::transport::SenderKind;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use quinn::Connection;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

const NODE_PREFIX: &str = "lockstep://node/";
const CLIENT_PREFIX: &str = "lockstep://client/";
const ROLE: &str = "role=";
const PREFIX: &str = "prefix=";

/// The name of a node or client: 1 to 63 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// The text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a name: use 1 to 63 of a-z, 0-9 and -")]
pub struct BadName {
    /// What was given.
    pub text: String,
}

impl Name {
    /// Checks `text`.
    ///
    /// # Errors
    /// `text` is empty, too long, or has other characters than those allowed.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if (1..=limits::NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName {
                text: text.to_owned(),
            })
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a certificate of the cluster's authority says about its holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// What it is called; a node and a client may have the same name.
    pub name: Name,
    /// What it may do.
    pub rights: Rights,
}

/// What the holder of a certificate may do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rights {
    /// To take part, in this role.
    Node(NodeRole),
    /// To make requests, in this role, of keys that begin with one of these; of any, where there are none.
    Client(ClientRole, Vec<Key>),
}

/// A certificate does not say who its holder is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the certificate names neither a node nor a client of Lockstep: issue one with `lockstep certs`"
)]
pub struct NoIdentity;

impl Identity {
    /// Reads the identity out of a certificate. Whether the certificate is to be trusted has to be checked elsewhere.
    ///
    /// # Errors
    /// There is none in it, or more than one.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, NoIdentity> {
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| NoIdentity)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| NoIdentity)?
            .ok_or(NoIdentity)?;
        let mut identities = names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Self::from_uri(uri),
                _ => None,
            });
        match (identities.next(), identities.next()) {
            (Some(identity), None) => Ok(identity),
            (_, _) => Err(NoIdentity),
        }
    }

    /// That of the other end of a connection, whose certificate was verified in the handshake.
    pub(crate) fn of_peer(connection: &Connection) -> Result<Self, NoIdentity> {
        Self::of(&peer_certificate(connection).ok_or(NoIdentity)?)
    }

    /// A node or a client?
    pub fn kind(&self) -> SenderKind {
        match self.rights {
            Rights::Node(_) => SenderKind::Node,
            Rights::Client(..) => SenderKind::Client,
        }
    }

    /// Is this how an identity is shown, whatever its rights?
    pub(crate) fn is_holder(text: &str) -> bool {
        let name = text
            .strip_prefix("node ")
            .or_else(|| text.strip_prefix("client "));
        name.is_some_and(|name| Name::new(name).is_ok())
    }

    /// As the protocol knows it.
    pub(crate) fn sender(&self) -> Sender {
        match &self.rights {
            Rights::Node(role) => Sender::Node {
                role: *role,
                name: Some(Arc::from(self.name.as_str())),
            },
            Rights::Client(role, prefixes) => Sender::Client {
                role: *role,
                prefixes: Arc::from(prefixes.as_slice()),
            },
        }
    }

    /// How it stands in a certificate.
    pub fn to_uri(&self) -> String {
        match &self.rights {
            Rights::Node(role) => format!("{NODE_PREFIX}{}?{ROLE}{role}", self.name),
            Rights::Client(role, prefixes) => {
                let mut uri = format!("{CLIENT_PREFIX}{}?{ROLE}{role}", self.name);
                for prefix in prefixes {
                    let prefix = percent_encode(prefix.as_ref(), NON_ALPHANUMERIC);
                    uri.push_str(&format!("&{PREFIX}{prefix}"));
                }
                uri
            }
        }
    }

    fn from_uri(uri: &str) -> Option<Self> {
        let (path, said) = uri.split_once('?').unwrap_or((uri, ""));
        let mut said = said.split('&').filter(|said| !said.is_empty()).peekable();
        let role = said.next_if(|said| said.starts_with(ROLE));
        let role = role.map(|said| &said[ROLE.len()..]);
        let (name, rights) = if let Some(name) = path.strip_prefix(NODE_PREFIX) {
            (name, Rights::Node(node_role(role)?))
        } else {
            let name = path.strip_prefix(CLIENT_PREFIX)?;
            let mut prefixes = Vec::new();
            while let Some(said) = said.next_if(|said| said.starts_with(PREFIX)) {
                let prefix: Vec<u8> = percent_decode_str(&said[PREFIX.len()..]).collect();
                prefixes.push(Key::from(prefix));
            }
            (name, Rights::Client(client_role(role)?, prefixes))
        };
        let name = Name::new(name).ok()?;
        said.next().is_none().then_some(Self { name, rights })
    }
}

/// The certificate that the other end of a connection has shown.
pub(crate) fn peer_certificate(connection: &Connection) -> Option<CertificateDer<'static>> {
    let identity = connection.peer_identity()?;
    let chain = identity.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    chain.into_iter().next()
}

/// The hosts that a certificate names: IP addresses and DNS names.
pub(crate) fn hosts_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    names.iter().filter_map(host_of).collect()
}

fn host_of(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let ip = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            ip.ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

/// Until when a certificate is valid.
pub(crate) fn expiry_of(certificate: &CertificateDer<'_>) -> Option<SystemTime> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The same, in words.
pub(crate) fn expiry_told(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.validity().not_after.to_string())
}

fn node_role(said: Option<&str>) -> Option<NodeRole> {
    match said {
        Some("replica") => Some(NodeRole::Replica),
        Some("arbiter") => Some(NodeRole::Arbiter),
        Some("both") | None => Some(NodeRole::Both),
        Some(_) => None,
    }
}

fn client_role(said: Option<&str>) -> Option<ClientRole> {
    match said {
        Some("read") => Some(ClientRole::Read),
        Some("write") | None => Some(ClientRole::Write),
        Some("admin") => Some(ClientRole::Admin),
        Some(_) => None,
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            SenderKind::Node => write!(f, "node {}", self.name),
            SenderKind::Client => write!(f, "client {}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_few_characters_and_a_bounded_length() {
        let longest = "x".repeat(63);
        for good in ["a", "r1", "node-7", "0", "-", longest.as_str()] {
            assert_eq!(
                Name::new(good).map(|name| name.to_string()),
                Ok(good.to_owned())
            );
        }
        let too_long = "x".repeat(64);
        for bad in ["", "R1", "a.b", "a@b", "ä", "a b", "a/b", too_long.as_str()] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_identity_survives_its_uri() {
        let check = |rights: Rights, uri: &str| {
            let name = Name::new("r1").expect("a name");
            let identity = Identity { name, rights };
            assert_eq!(identity.to_uri(), uri);
            assert_eq!(Identity::from_uri(uri), Some(identity));
        };
        for role in [NodeRole::Replica, NodeRole::Arbiter, NodeRole::Both] {
            check(
                Rights::Node(role),
                &format!("lockstep://node/r1?role={role}"),
            );
        }
        for role in [ClientRole::Read, ClientRole::Write, ClientRole::Admin] {
            let uri = format!("lockstep://client/r1?role={role}");
            check(Rights::Client(role, Vec::new()), &uri);
        }
        let prefixes = vec![Key::from("a/"), Key::from([255, 38].as_slice())];
        check(
            Rights::Client(ClientRole::Read, prefixes),
            "lockstep://client/r1?role=read&prefix=a%2F&prefix=%FF%26",
        );
    }

    #[test]
    fn a_certificate_without_a_role_has_the_usual_one() {
        let rights = |uri| Identity::from_uri(uri).map(|identity| identity.rights);
        let write = Rights::Client(ClientRole::Write, Vec::new());
        assert_eq!(rights("lockstep://client/me"), Some(write));
        let both = Rights::Node(NodeRole::Both);
        assert_eq!(rights("lockstep://node/r1"), Some(both));
    }

    #[test]
    fn what_says_anything_else_is_no_identity() {
        for bad in [
            "lockstep://node/",
            "lockstep://node/A",
            "lockstep://x/a",
            "https://node/a",
            "lockstep://node/a?role=",
            "lockstep://node/a?role=admin",
            "lockstep://client/a?role=replica",
            "lockstep://node/a?role=replica&prefix=b",
            "lockstep://client/a?role=read&until=noon",
            "lockstep://client/a?prefix=b&role=read",
            "lockstep://client/a?role=read&role=admin",
        ] {
            assert_eq!(Identity::from_uri(bad), None, "{bad}");
        }
    }
}
