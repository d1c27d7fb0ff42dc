//! Who a certificate says somebody is: a node or a client, and its name.
//!
//! The identity stands in the certificate as a URI among the subject's alternative names, `lockstep://node/NAME` or
//! `lockstep://client/NAME`, exactly one of them. Only the cluster's authority can write it.

use std::fmt;

use lockstep_core::limits;
use lockstep_core::transport::SenderKind;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

const NODE_PREFIX: &str = "lockstep://node/";
const CLIENT_PREFIX: &str = "lockstep://client/";

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
    /// What it may do.
    pub kind: SenderKind,
    /// What it is called; a node and a client may have the same name.
    pub name: Name,
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

    /// How it stands in a certificate.
    pub fn to_uri(&self) -> String {
        let prefix = match self.kind {
            SenderKind::Node => NODE_PREFIX,
            SenderKind::Client => CLIENT_PREFIX,
        };
        format!("{prefix}{}", self.name)
    }

    fn from_uri(uri: &str) -> Option<Self> {
        let (kind, name) = if let Some(name) = uri.strip_prefix(NODE_PREFIX) {
            (SenderKind::Node, name)
        } else {
            (SenderKind::Client, uri.strip_prefix(CLIENT_PREFIX)?)
        };
        let name = Name::new(name).ok()?;
        Some(Self { kind, name })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
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
        for kind in [SenderKind::Node, SenderKind::Client] {
            let name = Name::new("r1").expect("a name");
            let identity = Identity { kind, name };
            assert_eq!(Identity::from_uri(&identity.to_uri()), Some(identity));
        }
        for bad in [
            "lockstep://node/",
            "lockstep://node/A",
            "lockstep://x/a",
            "https://node/a",
        ] {
            assert_eq!(Identity::from_uri(bad), None, "{bad}");
        }
    }
}
