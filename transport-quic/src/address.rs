//! Addresses of this transport: `NAME@HOST:PORT`, or `HOST:PORT` where the name is not known beforehand.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use lockstep_core::config::Address;
use lockstep_core::limits;

use crate::identity::Name;

/// How the addresses of connected clients begin. They cannot be dialled.
const CLIENT_PREFIX: &str = "client:";

/// A node to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name its certificate must have; `None`: the certificate must be valid for the host.
    pub name: Option<Name>,
    /// An IP address, without the brackets of IPv6, or a DNS name.
    pub host: String,
    /// The UDP port.
    pub port: u16,
}

/// The text is no address of a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not an address: {problem}; write HOST:PORT or NAME@HOST:PORT, as in 10.0.0.1:7101, r1@db1.example:7101 or [::1]:7101"
)]
pub struct BadAddress {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Target {
    /// Reads an address.
    ///
    /// # Errors
    /// It is none of a node; the error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, BadAddress> {
        Self::read(text).map_err(|problem| BadAddress {
            text: text.to_owned(),
            problem,
        })
    }

    fn read(text: &str) -> Result<Self, &'static str> {
        if text.starts_with(CLIENT_PREFIX) {
            return Err("a client cannot be connected to");
        }
        if text.len() > limits::ADDRESS_BYTES_MAX {
            return Err("it is too long");
        }
        let (name, endpoint) = match text.split_once('@') {
            Some((name, endpoint)) => {
                let name = Name::new(name).map_err(|_| "the part before @ is not a name")?;
                (Some(name), endpoint)
            }
            None => (None, text),
        };
        let (host, port) = endpoint.rsplit_once(':').ok_or("the port is missing")?;
        let port = port
            .parse()
            .map_err(|_| "the port is not a number up to 65535")?;
        let host = match host.strip_prefix('[') {
            Some(host) => {
                let host = host.strip_suffix(']').ok_or("a bracket is missing")?;
                let host: Ipv6Addr = host
                    .parse()
                    .map_err(|_| "not an IPv6 address in brackets")?;
                host.to_string()
            }
            None if host.contains(':') => return Err("an IPv6 address needs brackets"),
            None => host.to_owned(),
        };
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_allowed) {
            return Err("the host is neither an IP address nor a DNS name");
        }
        Ok(Self { name, host, port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}@")?;
        }
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(host)) => write!(f, "[{host}]:{}", self.port),
            Ok(IpAddr::V4(_)) | Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// The `HOST:PORT` of an address: where it is reached.
pub fn endpoint_of(address: &Address) -> &str {
    let text = address.as_str();
    text.split_once('@').map_or(text, |(_, endpoint)| endpoint)
}

/// The address under which a connected client is answered; `number` makes it unique, and it tells people from where it came.
pub(crate) fn of_client(name: &Name, number: u64, remote: SocketAddr) -> Address {
    let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
    Address::new(format!("{CLIENT_PREFIX}{name}#{number}@{remote}"))
}

/// What a client calls itself. Nobody can use it.
pub(crate) fn of_self_as_client(name: &Name) -> Address {
    Address::new(format!("{CLIENT_PREFIX}{name}"))
}

/// Is this the address of a connected client?
pub(crate) fn is_client(address: &Address) -> bool {
    address.as_str().starts_with(CLIENT_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: Option<&str>, host: &str, port: u16) {
        let target = Target::parse(text).expect("an address");
        assert_eq!(target.name.as_ref().map(Name::as_str), name, "{text}");
        assert_eq!((target.host.as_str(), target.port), (host, port), "{text}");
        assert_eq!(target.to_string(), text);
    }

    #[test]
    fn addresses_have_a_name_or_none_and_every_kind_of_host() {
        check("r1@10.0.0.1:7101", Some("r1"), "10.0.0.1", 7101);
        check("10.0.0.1:7101", None, "10.0.0.1", 7101);
        check("[::1]:7101", None, "::1", 7101);
        check("r-2@[fe80::7]:1", Some("r-2"), "fe80::7", 1);
        check(
            "a@db1.example.org:65535",
            Some("a"),
            "db1.example.org",
            65535,
        );
        check("localhost:0", None, "localhost", 0);
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for bad in [
            "",
            "r1",
            "r1@",
            "r1@host",
            "host:",
            "host:99999",
            "host:x",
            ":1",
            "R1@host:1",
            "@host:1",
            "::1:7101",
            "[::1:7101",
            "[host]:1",
            "a b:1",
            "a/b:1",
            "client:c#1",
            "a@b@c:1",
        ] {
            let error = Target::parse(bad).expect_err(bad);
            assert_eq!(error.text, bad);
        }
        assert!(Target::parse(&format!("{}:1", "x".repeat(400))).is_err());
    }

    #[test]
    fn the_endpoint_is_what_follows_the_name() {
        assert_eq!(endpoint_of(&Address::new("r1@[::1]:7")), "[::1]:7");
        assert_eq!(endpoint_of(&Address::new("host:7")), "host:7");
    }
}
