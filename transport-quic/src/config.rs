//! How a transport is set up, and what can be wrong with that.

use std::io;
use std::net::SocketAddr;

use lockstep_core::limits;

use crate::address::Target;
use crate::identity::Name;
use crate::tls::Credentials;

/// Clients connected to a node at the same time, unless configured otherwise: some 15 KiB each, and a second's keep-alives.
pub const CLIENTS_MAX: usize = 20_000;

/// Clients connected at the same time with the same certificate, unless configured otherwise. One that does its worst holds
/// some 300 KiB of a node with each of them, and 1 MiB more with the first 32.
pub const CLIENTS_EACH_MAX: usize = 1024;

/// Bytes of long frames of clients that a node has in memory before they are handed over, unless configured otherwise: seven
/// of the largest, or 127 with values of 1 MiB. Half of it is for clients with the same certificate.
pub const CLIENT_BYTES_MAX: usize = 128 << 20;

/// The setup of a node's transport.
#[derive(Clone, Debug)]
pub struct QuicConfig {
    /// Where it listens. Port 0 lets the system choose one.
    pub listen: SocketAddr,
    /// `HOST:PORT` at which others reach it; `None`, the default: where it listens. Port 0 stands for the port it listens on.
    pub advertise: Option<String>,
    /// Who it is.
    pub credentials: Credentials,
    /// Whom it takes connections from.
    pub admit: Admit,
    /// Largest frame it carries; all nodes of a cluster should have the same. Default
    /// [`limits::FRAME_BYTES_MAX`]. From clients it takes frames up to [`limits::REQUEST_BYTES_MAX`].
    pub frame_bytes_max: usize,
    /// Clients connected at the same time; more are turned away. Default [`CLIENTS_MAX`].
    pub clients_max: usize,
    /// Clients connected at the same time with the same certificate; more are turned away.
    pub clients_each_max: usize,
    /// Bytes of long frames of clients in memory before they are handed over; who sends more waits. At least one frame
    /// of the largest size, whatever is configured.
    pub client_bytes_max: usize,
}

/// From whom does this end take connections?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// From nodes and clients.
    Everybody,
    /// From nodes; the arbiter, which clients have nothing to ask.
    Nodes,
}

impl QuicConfig {
    /// A node that listens at `listen`, with everything else as usual.
    pub fn new(listen: SocketAddr, credentials: Credentials) -> Self {
        Self {
            listen,
            advertise: None,
            credentials,
            admit: Admit::Everybody,
            frame_bytes_max: limits::FRAME_BYTES_MAX,
            clients_max: CLIENTS_MAX,
            clients_each_max: CLIENTS_EACH_MAX,
            client_bytes_max: CLIENT_BYTES_MAX,
        }
    }

    /// The `HOST:PORT` to tell others; the socket is bound to `bound`.
    pub(crate) fn advertised(&self, bound: SocketAddr) -> Result<String, QuicError> {
        let target = self.target(bound)?;
        check_host(&self.credentials, &target.host)?;
        Ok(target.to_string())
    }

    fn target(&self, bound: SocketAddr) -> Result<Target, QuicError> {
        let Some(advertise) = &self.advertise else {
            if bound.ip().is_unspecified() {
                return Err(QuicError::NoAdvertisedAddress { listen: bound });
            }
            return Ok(Target {
                name: None,
                host: bound.ip().to_string(),
                port: bound.port(),
            });
        };
        match Target::parse(advertise) {
            Ok(mut target) if target.name.is_none() => {
                if target.port == 0 {
                    target.port = bound.port();
                }
                Ok(target)
            }
            Ok(_) | Err(_) => Err(QuicError::BadAdvertisedAddress {
                advertise: advertise.clone(),
            }),
        }
    }
}

/// Does the certificate name where others are told that the node is?
pub(crate) fn check_host(credentials: &Credentials, host: &str) -> Result<(), QuicError> {
    if credentials.names_host(host) {
        return Ok(());
    }
    let mut hosts = credentials.hosts();
    hosts.push(host.to_owned());
    Err(QuicError::HostNotCertified {
        name: credentials.name().clone(),
        host: host.to_owned(),
        command: format!("{} --host {}", credentials.renewal(), hosts.join(",")),
    })
}

/// Why a transport could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuicError {
    /// Another program uses the port.
    #[error("{listen} is in use: stop the program that listens there, or choose another port")]
    AddressInUse {
        /// The address.
        listen: SocketAddr,
    },
    /// The system does not allow it.
    #[error("not allowed to listen at {listen}: choose a port above 1023")]
    PermissionDenied {
        /// The address.
        listen: SocketAddr,
    },
    /// This machine does not have the address.
    #[error(
        "{listen} is not an address of this machine: listen at one that it has, or at 0.0.0.0 or [::]"
    )]
    AddressNotAvailable {
        /// The address.
        listen: SocketAddr,
    },
    /// It listens at every address of the machine, and nobody said which one others use.
    #[error("{listen} is every address of this machine: say at which HOST:PORT others reach it")]
    NoAdvertisedAddress {
        /// The address.
        listen: SocketAddr,
    },
    /// The address to tell others is not `HOST:PORT`.
    #[error("{advertise:?} is not HOST:PORT")]
    BadAdvertisedAddress {
        /// What was given.
        advertise: String,
    },
    /// Others would not believe that the node is there.
    #[error(
        "the certificate of node {name} does not name {host}, at which others are to reach it: issue it again with `{command}`, where ca.key is"
    )]
    HostNotCertified {
        /// The node.
        name: Name,
        /// Where others are told that it is.
        host: String,
        /// What issues one that does.
        command: String,
    },
    /// The certificate that was to take another's place is of somebody else.
    #[error("the certificate is of {theirs}, but this is {own}")]
    AnotherIdentity {
        /// Whose it is.
        theirs: String,
        /// Who this end is.
        own: String,
    },
    /// The certificate or key is refused.
    #[error("the certificate cannot be used")]
    Tls(#[from] rustls::Error),
    /// The socket failed for another reason.
    #[error("cannot open a socket at {listen}")]
    Socket {
        /// The address.
        listen: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl QuicError {
    pub(crate) fn socket(listen: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { listen },
            io::ErrorKind::PermissionDenied => Self::PermissionDenied { listen },
            io::ErrorKind::AddrNotAvailable => Self::AddressNotAvailable { listen },
            _ => Self::Socket { listen, source },
        }
    }
}
