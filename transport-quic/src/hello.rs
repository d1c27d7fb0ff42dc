//! The first frame on a connection's control stream, in both directions: who speaks, and which start of it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use lockstep_core::config::Address;
use lockstep_core::limits;

use crate::address::Target;
use crate::identity::Identity;

/// Version of what follows the TLS handshake. ALPN names the version of the whole transport; this one can tell finer.
const VERSION: u16 = 1;

/// Version and start.
const FIXED_BYTES: usize = 2 + 8;

/// Longest Hello, in bytes.
pub(crate) const BYTES_MAX: usize = FIXED_BYTES + limits::ADDRESS_BYTES_MAX;

/// What either side says first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Which start of the speaker's transport: drawn at random, so that two connections with the same one lead to the same
    /// process.
    pub(crate) start: u64,
    /// Where the speaker is reached; of no meaning for a client.
    pub(crate) address: Address,
}

/// The first frame is no Hello of this version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HelloError {
    #[error(
        "version {theirs} of the transport is spoken there, version {VERSION} here: update the older program"
    )]
    Version { theirs: u16 },
    #[error("the first frame is not a Hello")]
    Malformed,
}

impl Hello {
    /// How the speaker is dialled.
    ///
    /// # Errors
    /// It is not dialled, or calls itself otherwise than its certificate does.
    pub(crate) fn target(&self, identity: &Identity) -> Result<Target, String> {
        let target = Target::parse(self.address.as_str()).map_err(|error| error.to_string())?;
        if target.name.as_ref() == Some(&identity.name) {
            return Ok(target);
        }
        Err(format!(
            "the Hello says {}, the certificate is of {identity}",
            self.address
        ))
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(BYTES_MAX);
        bytes.put_u16(VERSION);
        bytes.put_u64(self.start);
        bytes.extend_from_slice(self.address.as_str().as_bytes());
        bytes.freeze()
    }

    pub(crate) fn decode(mut bytes: Bytes) -> Result<Self, HelloError> {
        if bytes.len() < 2 {
            return Err(HelloError::Malformed);
        }
        // The version comes first in every version, so that any two can tell each other.
        let theirs = bytes.get_u16();
        if theirs != VERSION {
            return Err(HelloError::Version { theirs });
        }
        if bytes.len() < 8 || bytes.len() > 8 + limits::ADDRESS_BYTES_MAX {
            return Err(HelloError::Malformed);
        }
        let start = bytes.get_u64();
        let address = str::from_utf8(&bytes).map_err(|_| HelloError::Malformed)?;
        Ok(Self {
            start,
            address: Address::new(address),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_bytes_are_pinned() {
        let hello = Hello {
            start: 0x0102_0304_0506_0708,
            address: Address::new("r1@h:1"),
        };
        let bytes = hello.encode();
        assert_eq!(
            bytes,
            b"\x00\x01\x01\x02\x03\x04\x05\x06\x07\x08r1@h:1".as_slice()
        );
        assert_eq!(Hello::decode(bytes), Ok(hello));
    }

    #[test]
    fn other_versions_and_rubbish_are_told_apart() {
        let check = |bytes: &'static [u8], expected| {
            assert_eq!(
                Hello::decode(Bytes::from_static(bytes)),
                Err(expected),
                "{bytes:?}"
            );
        };
        check(
            b"\x00\x02whatever follows",
            HelloError::Version { theirs: 2 },
        );
        check(b"", HelloError::Malformed);
        check(b"\x00\x01\x01", HelloError::Malformed);
        check(
            b"\x00\x01\x01\x02\x03\x04\x05\x06\x07\x08\xff\xfe",
            HelloError::Malformed,
        );
    }
}
