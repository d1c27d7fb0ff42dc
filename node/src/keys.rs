//! Keys as people type and read them. A key is bytes: text where it is UTF-8, base64 or escapes elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lockstep_core::operation::Key;
use lockstep_core::range::KeyRange;

use crate::output::Failure;

/// How a key stands on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As it is.
    Text,
    /// In base64, standard alphabet with padding, as `export` prints it.
    Base64,
}

/// The key that was typed.
///
/// # Errors
/// If it is no base64 and should be.
pub(crate) fn read(typed: &str, spelling: Spelling) -> Result<Key, Failure> {
    match spelling {
        Spelling::Text => Ok(typed.into()),
        Spelling::Base64 => BASE64.decode(typed).map(Key::from).map_err(|error| {
            Failure::Usage(format!(
                "--key-base64: {typed} is not base64 (standard alphabet, with padding): {error}"
            ))
        }),
    }
}

/// The keys that begin with one of these, in their order, and each once; all keys, where there are none of these.
pub(crate) fn ranges(prefixes: impl Iterator<Item = Key>) -> Vec<KeyRange> {
    let mut prefixes: Vec<Key> = prefixes.collect();
    if prefixes.is_empty() {
        return vec![KeyRange::all()];
    }
    prefixes.sort_unstable();
    prefixes.dedup_by(|next, kept| next.as_ref().starts_with(kept.as_ref()));
    prefixes.into_iter().map(KeyRange::prefix).collect()
}

/// Prefixes for people.
pub(crate) fn shown_prefixes(prefixes: &[Key]) -> String {
    let shown: Vec<String> = prefixes
        .iter()
        .map(|prefix| shown(prefix.as_ref()))
        .collect();
    shown.join(" or ")
}

/// A key for people, in quotes, as the shell reads it.
pub(crate) fn shown(key: &[u8]) -> String {
    let mut text = String::from("\"");
    for chunk in key.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' | '\\' => text.extend(['\\', letter]),
                _ if letter.is_control() => {
                    let mut bytes = [0; 4];
                    let bytes = letter.encode_utf8(&mut bytes).bytes();
                    bytes.for_each(|byte| text.push_str(&escape(byte)));
                }
                _ => text.push(letter),
            }
        }
        chunk
            .invalid()
            .iter()
            .for_each(|byte| text.push_str(&escape(*byte)));
    }
    text.push('"');
    text
}

fn escape(byte: u8) -> String {
    format!("\\x{byte:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_text_or_base64() {
        let key = |typed, spelling| read(typed, spelling).map(|key| key.as_ref().to_vec());
        assert_eq!(key("AAE=", Spelling::Text).unwrap(), b"AAE=");
        assert_eq!(key("AAE=", Spelling::Base64).unwrap(), [0, 1]);
        let error = key("AAE", Spelling::Base64).unwrap_err().to_string();
        assert!(error.contains("AAE is not base64"), "{error}");
    }

    #[test]
    fn keys_of_several_prefixes_come_once_and_in_order() {
        let check = |prefixes: &[&str], expected: &[&str]| {
            let expected: Vec<KeyRange> = expected.iter().map(|p| KeyRange::prefix(*p)).collect();
            assert_eq!(ranges(prefixes.iter().map(|p| Key::from(*p))), expected);
        };
        check(&["b/", "a/"], &["a/", "b/"]);
        check(&["a/", "a/b/", "a/c/", "a/"], &["a/"]);
        check(&["ab", "a/"], &["a/", "ab"]);
        assert_eq!(ranges([].into_iter()), [KeyRange::all()]);
    }

    #[test]
    fn a_key_is_shown_as_the_shell_reads_it() {
        let check = |key: &[u8], expected: &str| assert_eq!(shown(key), expected);
        check(b"greeting", "\"greeting\"");
        check("größe".as_bytes(), "\"größe\"");
        check(b"a\0\xff\x1b[0m\"\\", r#""a\x00\xff\x1b[0m\"\\""#);
        check("\u{9b}".as_bytes(), r#""\xc2\x9b""#);
    }
}
