//! What a write is called towards people: its request and its key in one word, which `lockstep resolve` takes.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lockstep_core::operation::{Key, RequestName};

/// A write. Written as its request and, in the alphabet of base64 that is safe everywhere, its key:
/// `3f2a9c51d0e84b76-17-2034.Z3JlZXRpbmc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WriteName {
    /// The request.
    pub(crate) request: RequestName,
    /// The key it was to change.
    pub(crate) key: Key,
}

impl fmt::Display for WriteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = URL_SAFE_NO_PAD.encode(self.key.as_ref());
        write!(f, "{}.{key}", self.request)
    }
}

impl FromStr for WriteName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const WRONG: &str = "write the name that `put` or `remove` gave, as in 3f2a9c51d0e84b76-17-2034.Z3JlZXRpbmc";
        let (request, key) = text.split_once('.').ok_or(WRONG)?;
        let key = URL_SAFE_NO_PAD.decode(key).map_err(|_| WRONG)?;
        Ok(Self {
            request: request.parse().map_err(|_| WRONG)?,
            key: key.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_named_by_its_request_and_its_key() {
        for key in [&b"greeting"[..], b"\xff\0-.", b"x"] {
            let name = WriteName {
                request: "3f2a-17-2034".parse().unwrap(),
                key: key.to_vec().into(),
            };
            assert_eq!(name.to_string().parse(), Ok(name));
        }
        let spelled = "3f2a9c51d0e84b76-17-2034.Z3JlZXRpbmc";
        assert_eq!(spelled.parse::<WriteName>().unwrap().to_string(), spelled);
        for wrong in [
            "",
            "3f2a-17-2034",
            "3f2a-17.Z3JlZXRpbmc",
            "3f2a-17-2034.Z3JlZXRpbmc=",
        ] {
            assert!(wrong.parse::<WriteName>().is_err(), "{wrong}");
        }
    }
}
