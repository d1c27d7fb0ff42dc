//! Messages to bytes and back: a version byte, then the message in postcard.
//!
//! The transport checks sizes, the [`host`](crate::host) who may say what; this is the only place that knows the encoding.

use bytes::Bytes;
use serde::Deserialize;

use crate::message::Message;

/// Nodes of different versions do not talk. It is raised once between two releases, with the first change of a message; what
/// changes after that goes with it. The last release has 6.
pub const VERSION: u8 = 7;

/// Most messages fit in as many.
const BUFFER_BYTES: usize = 1 << 10;

/// How the body of a frame begins whose message is for an arbiter: with the number of its kind, `Message::ToArbiter`,
/// `Message::Register` or `Message::Offer`.
const TO_ARBITER: u8 = 0;
const REGISTER: u8 = 5;
const OFFER: u8 = 6;

/// Why a frame is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Nothing in it.
    #[error("empty frame")]
    Empty,
    /// The sender runs software of another protocol version.
    #[error(
        "protocol version {theirs}, but this node speaks version {VERSION}: run the same release everywhere"
    )]
    Version {
        /// The version byte of the frame.
        theirs: u8,
    },
    /// Not a message of this version.
    #[error("malformed message")]
    Malformed,
    /// A message with something behind it.
    #[error("{0} bytes behind the message")]
    Trailing(usize),
}

/// The bytes of a message.
pub fn encode(message: &Message) -> Bytes {
    encode_by(&mut Vec::new(), message)
}

/// The bytes of a message. They are collected in `buffer`, which is spared growing when it is used again.
pub fn encode_by(buffer: &mut Vec<u8>, message: &Message) -> Bytes {
    loop {
        if let Some((version, body)) = buffer.split_first_mut() {
            *version = VERSION;
            // Into a slice, which unlike a vector is not asked to grow for every byte.
            match postcard::to_slice(message, body) {
                Ok(encoded) => {
                    let end = 1 + encoded.len();
                    return Bytes::copy_from_slice(&buffer[..end]);
                }
                Err(postcard::Error::SerializeBufferFull) => {}
                Err(error) => panic!("messages have an encoding: {error}"),
            }
        }
        let length = (2 * buffer.len()).max(BUFFER_BYTES);
        buffer.resize(length, 0);
    }
}

/// The message of a frame.
///
/// # Errors
/// If the bytes are not exactly one message of this version. Nothing is allocated beyond what the frame itself justifies.
pub fn decode(frame: &[u8]) -> Result<Message, DecodeError> {
    let (version, body) = frame.split_first().ok_or(DecodeError::Empty)?;
    if *version != VERSION {
        return Err(DecodeError::Version { theirs: *version });
    }
    let malformed = |_| DecodeError::Malformed;
    let mut frame = postcard::Deserializer::from_bytes(body);
    let message = Message::deserialize(&mut frame).map_err(malformed)?;
    match frame.finalize().map_err(malformed)? {
        [] => Ok(message),
        rest => Err(DecodeError::Trailing(rest.len())),
    }
}

/// Is this frame's message for an arbiter? Told from its head alone; what is no message is not.
pub fn is_for_arbiter(frame: &[u8]) -> bool {
    matches!(frame, [VERSION, TO_ARBITER | REGISTER | OFFER, ..])
}

#[cfg(test)]
mod tests;
