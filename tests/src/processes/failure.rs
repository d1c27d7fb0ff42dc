//! What keeps the laboratory from working, as opposed to what it finds out.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use lockstep_transport_quic::QuicError;
use lockstep_transport_quic::authority::AuthorityError;
use lockstep_transport_quic::tls::TlsError;

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Why no experiment could be made, or none could be ended.
#[derive(thiserror::Error)]
pub enum Failure {
    /// A program does not start.
    #[error("cannot run {}: {source}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No cluster could be begun.
    #[error("no cluster could be begun: {log}")]
    NotBegun {
        /// What the program says.
        log: String,
    },
    /// There are no certificates.
    #[error("cannot make certificates: {0}")]
    Certificates(#[from] AuthorityError),
    /// A host has no free port, or is none of this machine.
    #[error("no port is to be had at {host}: {source}")]
    Address {
        /// The host.
        host: IpAddr,
        /// Why.
        source: io::Error,
    },
    /// A process that was killed keeps its data.
    #[error("cannot remove {}: {source}", directory.display())]
    Wipe {
        /// Where.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A process did not say what was waited for.
    #[error("no line {prefix:?} came from {name}; its log says:\n{log}")]
    Silent {
        /// The process.
        name: String,
        /// How the line begins.
        prefix: String,
        /// What it logged.
        log: String,
    },
    /// Something did not come about.
    #[error("waited {} s in vain: {what}", patience.as_secs())]
    InVain {
        /// What.
        what: String,
        /// For how long.
        patience: Duration,
    },
    /// No client can be made of the certificate.
    #[error(transparent)]
    Credentials(#[from] TlsError),
    /// A client has no socket.
    #[error(transparent)]
    Client(#[from] QuicError),
    /// A fault takes a network of its own, and there is none.
    #[error("links can be cut only in a private network")]
    NoNetwork,
    /// A fault takes disks that can be disturbed, and there are none.
    #[error("disks cannot be disturbed: {reason}")]
    NoDisks {
        /// Why.
        reason: String,
    },
    /// There is nothing to attack with.
    #[error("cannot attack: {reason}")]
    Hostile {
        /// Why.
        reason: String,
    },
    /// The network cannot be cut or mended.
    #[error("`{command}` failed: {errors}")]
    Network {
        /// What was tried.
        command: String,
        /// What it wrote to standard error.
        errors: String,
    },
}

/// Readable where a test unwraps it.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Polls until there is something.
///
/// # Errors
/// If that takes longer than `patience`.
pub fn until<T>(
    what: &str,
    patience: Duration,
    mut poll: impl FnMut() -> Option<T>,
) -> Result<T, Failure> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = poll() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            let what = what.to_owned();
            return Err(Failure::InVain { what, patience });
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Polls until there is something, for tests.
///
/// # Panics
/// If that takes far too long.
#[track_caller]
pub fn eventually<T>(what: &str, poll: impl FnMut() -> Option<T>) -> T {
    until(what, PATIENCE, poll).unwrap_or_else(|failure| panic!("{failure}"))
}
