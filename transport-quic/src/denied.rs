//! Whose certificates are refused although the authority has issued them: a file that people write, `denied.txt`.
//!
//! ```text
//! # lost with a laptop
//! client ann
//! node r7
//! sha256 Fingerprint=0A:1B:…
//! ```
//!
//! A name denies every certificate of that node or client, also those issued later; a fingerprint denies one, and is written as
//! `openssl x509 -fingerprint -sha256 -noout -in FILE` prints it.

use std::collections::BTreeSet;

use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;

use crate::identity::Identity;

const FINGERPRINT_BYTES: usize = 32;

/// Whom the file names.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Denied {
    /// As [`Identity`] shows them.
    holders: BTreeSet<String>,
    fingerprints: BTreeSet<[u8; FINGERPRINT_BYTES]>,
}

impl Denied {
    /// What the file says. The error is the number of the first line that says nothing one could obey.
    pub(crate) fn parse(text: &str) -> Result<Self, usize> {
        let mut denied = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(fingerprint) = fingerprint(line) {
                denied.fingerprints.insert(fingerprint);
            } else if Identity::is_holder(line) {
                denied.holders.insert(line.to_owned());
            } else {
                return Err(number);
            }
        }
        Ok(denied)
    }

    /// Is this certificate, which is of `identity`, denied?
    pub(crate) fn has(&self, certificate: &CertificateDer<'_>, identity: &Identity) -> bool {
        let is_named = !self.holders.is_empty() && self.holders.contains(&identity.to_string());
        is_named || {
            let fingerprint = || digest(&SHA256, certificate);
            !self.fingerprints.is_empty() && self.fingerprints.contains(fingerprint().as_ref())
        }
    }
}

fn fingerprint(line: &str) -> Option<[u8; FINGERPRINT_BYTES]> {
    let (_, digits) = line.split_once('=')?;
    let digits: Vec<&str> = digits.trim().split(':').collect();
    let bytes: Option<Vec<u8>> = digits
        .into_iter()
        .map(|digits| {
            let is_byte = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            u8::from_str_radix(digits, 16).ok().filter(|_| is_byte)
        })
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_fingerprints_are_denied() {
        let fingerprint = ["0A"; FINGERPRINT_BYTES].join(":");
        let text = format!(
            "# lost\n\nclient ann\n  node r7  \nsha256 Fingerprint={fingerprint}\nSHA256 Fingerprint={}\n",
            fingerprint.to_lowercase()
        );
        let denied = Denied::parse(&text).expect("each line says something");
        let holders: Vec<&str> = denied.holders.iter().map(String::as_str).collect();
        assert_eq!(holders, ["client ann", "node r7"]);
        assert!(denied.fingerprints.iter().eq([&[10; FINGERPRINT_BYTES]]));
    }

    #[test]
    fn a_line_that_denies_nobody_is_told() {
        let signed = ["0A"; FINGERPRINT_BYTES - 1].join(":") + ":+B";
        for bad in [
            "ann",
            "client",
            "client Ann",
            "client ann bob",
            "Client ann",
            "sha256 Fingerprint=0A:0B",
            &format!("sha256 Fingerprint={signed}"),
        ] {
            assert_eq!(
                Denied::parse(&format!("client x\n{bad}\n")),
                Err(2),
                "{bad}"
            );
        }
    }
}
