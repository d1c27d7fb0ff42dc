//! Why connections end: codes and reasons that travel to the other side, and the words in which they are told here.

use quinn::{Connection, ConnectionError, TransportErrorCode, VarInt};

/// Why this side ends a connection. The numbers are part of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The transport is closed: its program ends.
    Closed = 0,
    /// Whoever uses the transport asked for it.
    Disconnected = 1,
    /// The peer has connected again.
    Replaced = 2,
    /// The Hello is none, of another version, or did not come.
    Hello = 3,
    /// What the Hello says does not agree with the certificate.
    Identity = 4,
    /// A frame above the limit, or a stream that should not be.
    Violation = 5,
    /// As many are connected as may be.
    TooMany = 6,
}

/// What somebody else says is told up to this length.
const TOLD_CHARS_MAX: usize = 160;

/// Ends `connection` and tells the other side why.
pub(crate) fn close(connection: &Connection, code: Code, reason: &str) {
    connection.close(VarInt::from_u32(code as u32), reason.as_bytes());
}

/// How much attention the end of a connection deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// In the course of things: a program ended, a connection was replaced.
    Usual,
    /// Somebody did something wrong, or the network did.
    Unusual,
}

/// The end of a connection in words; `None` if this side ended it, and has said why.
pub(crate) fn describe(error: &ConnectionError) -> Option<(Weight, String)> {
    match error {
        ConnectionError::LocallyClosed => None,
        ConnectionError::ApplicationClosed(close) => {
            let reason = shortened(&close.reason);
            let weight = match close.error_code.into_inner() {
                code if code == Code::Closed as u64 || code == Code::Replaced as u64 => {
                    Weight::Usual
                }
                _ => Weight::Unusual,
            };
            Some((weight, format!("ended by the other side: {reason}")))
        }
        // What it had to say may not be said before the handshake is over (RFC 9000, section 10.2.3).
        ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::APPLICATION_ERROR =>
        {
            let text = "ended by the other side during the handshake";
            Some((Weight::Usual, text.to_owned()))
        }
        ConnectionError::ConnectionClosed(close) => {
            let reason = if close.reason.is_empty() {
                close.error_code.to_string()
            } else {
                shortened(&close.reason)
            };
            Some((
                Weight::Unusual,
                format!("refused by the other side: {}", explain(&reason)),
            ))
        }
        ConnectionError::TransportError(error) => {
            let reason = if error.reason.is_empty() {
                error.code.to_string()
            } else {
                shortened(error.reason.as_bytes())
            };
            Some((Weight::Unusual, explain(&reason)))
        }
        ConnectionError::TimedOut => Some((Weight::Unusual, "no answer".to_owned())),
        ConnectionError::Reset => Some((
            Weight::Unusual,
            "the process there is another one".to_owned(),
        )),
        ConnectionError::VersionMismatch | ConnectionError::CidsExhausted => {
            Some((Weight::Unusual, error.to_string()))
        }
    }
}

/// What somebody else says, fit to be told: of bounded length, without what a terminal would obey.
pub(crate) fn shortened(text: &[u8]) -> String {
    // No character takes more bytes.
    let beginning = &text[..text.len().min(4 * TOLD_CHARS_MAX)];
    let text = String::from_utf8_lossy(beginning);
    let mut chars = text.chars().map(|c| {
        if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    });
    let mut told: String = chars.by_ref().take(TOLD_CHARS_MAX).collect();
    if chars.next().is_some() {
        told.push('…');
    }
    told
}

/// Adds to the words of the TLS library what they mean here.
fn explain(reason: &str) -> String {
    let hint = if reason.contains("UnknownIssuer")
        || reason.contains("unknown CA")
        || reason.contains("BadSignature")
    {
        "the certificates were issued by different authorities"
    } else if reason.contains("Expired") || reason.contains("expired") {
        "a certificate has expired, or a clock is wrong"
    } else if reason.contains("NotValidYet") {
        "a certificate is not valid yet, or a clock is wrong"
    } else if reason.contains("known protocol") || reason.contains("application protocol") {
        "another version of this transport, or another program"
    } else if reason.contains("NoCertificatesPresented") || reason.contains("sent no certificates")
    {
        "no certificate was shown"
    } else {
        return reason.to_owned();
    };
    format!("{hint} ({reason})")
}

#[cfg(test)]
mod tests {
    use quinn::{ApplicationClose, ConnectionClose};

    use super::*;

    #[test]
    fn an_end_during_the_handshake_is_not_taken_for_another_version() {
        let close = ConnectionClose {
            error_code: TransportErrorCode::APPLICATION_ERROR,
            frame_type: None,
            reason: Vec::new().into(),
        };
        let (weight, text) = describe(&ConnectionError::ConnectionClosed(close)).unwrap();
        assert_eq!(weight, Weight::Usual);
        assert!(text.contains("during the handshake"), "{text}");
    }

    #[test]
    fn what_others_say_is_told_in_bounds_and_obeyed_by_no_terminal() {
        let check = |said: &[u8], expected: &str| {
            let close = ApplicationClose {
                error_code: VarInt::from_u32(9),
                reason: said.to_vec().into(),
            };
            let (_, text) = describe(&ConnectionError::ApplicationClosed(close)).unwrap();
            assert_eq!(text, format!("ended by the other side: {expected}"));
        };
        check("the limit, 1 µs".as_bytes(), "the limit, 1 µs");
        check(
            b"\x1b[2Jgone\nINFO all is well",
            "\u{fffd}[2Jgone\u{fffd}INFO all is well",
        );
        check(
            &[b'x'; 1 << 20],
            &format!("{}…", "x".repeat(TOLD_CHARS_MAX)),
        );
        check(
            &[0xff; 1 << 20],
            &format!("{}…", "\u{fffd}".repeat(TOLD_CHARS_MAX)),
        );
    }
}
