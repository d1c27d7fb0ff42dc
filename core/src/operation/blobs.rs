//! Keys and values: bytes, made of what programs have and given back as what they need.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::str::Utf8Error;
use std::string::FromUtf8Error;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// A key: any bytes, at least one and at most [`Limits::key_bytes_max`](crate::limits::Limits::key_bytes_max). Cheap to clone.
///
/// It is made of bytes or text, copied or taken over, and is a slice of bytes for whoever reads it: `len`, `starts_with` and so
/// on are those of the slice. Keys are in the order of their bytes.
///
/// ```
/// use lockstep_core::operation::Key;
///
/// let key = Key::from("user/1");
/// assert_eq!(key, Key::from(b"user/1"));
/// assert_eq!(key.as_str(), Ok("user/1"));
/// assert!(key.starts_with(b"user/") && key.len() == 6);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key(pub Bytes);

/// A value: any bytes, at most [`Limits::value_bytes_max`](crate::limits::Limits::value_bytes_max); may be empty. Cheap to clone.
///
/// It is made and read as a [`Key`] is.
///
/// ```
/// use lockstep_core::operation::Value;
///
/// let value = Value::from(String::from("42"));
/// assert_eq!(value.as_str().unwrap().parse(), Ok(42));
/// assert_eq!(Vec::from(value), b"42");
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Value(pub Bytes);

macro_rules! blob {
    ($name:ident) => {
        impl $name {
            /// The bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// The bytes as text.
            ///
            /// # Errors
            /// They are not UTF-8. `Display` shows them all the same, with replacement characters.
            pub fn as_str(&self) -> Result<&str, Utf8Error> {
                std::str::from_utf8(&self.0)
            }
        }

        /// Text up to 40 bytes, escaped; of all else only how long it is.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.as_str() {
                    Ok(text) if text.len() <= 40 => write!(f, "{}", text.escape_debug()),
                    _ => write!(f, "<{} bytes>", self.0.len()),
                }
            }
        }

        /// The text, with the replacement character in the place of what is not UTF-8. Nothing is escaped.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&String::from_utf8_lossy(&self.0))
            }
        }

        impl Deref for $name {
            type Target = [u8];

            fn deref(&self) -> &[u8] {
                &self.0
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        /// Order, equality and hash are those of the slice, so that maps find it by one.
        impl Borrow<[u8]> for $name {
            fn borrow(&self) -> &[u8] {
                &self.0
            }
        }

        taken_over!($name: Bytes, Vec<u8>, Box<[u8]>, String);
        copied!($name: &[u8], &Vec<u8>, &str, &String);

        impl<const N: usize> From<[u8; N]> for $name {
            fn from(bytes: [u8; N]) -> Self {
                Self::from(&bytes)
            }
        }

        impl<const N: usize> From<&[u8; N]> for $name {
            fn from(bytes: &[u8; N]) -> Self {
                Self::from(bytes.as_slice())
            }
        }

        impl From<Box<str>> for $name {
            fn from(text: Box<str>) -> Self {
                Self::from(String::from(text))
            }
        }

        impl From<Cow<'_, [u8]>> for $name {
            fn from(bytes: Cow<'_, [u8]>) -> Self {
                Self::from(bytes.into_owned())
            }
        }

        impl From<Cow<'_, str>> for $name {
            fn from(text: Cow<'_, str>) -> Self {
                Self::from(text.into_owned())
            }
        }

        /// The same bytes, shared.
        impl From<&$name> for $name {
            fn from(other: &$name) -> Self {
                other.clone()
            }
        }

        impl From<$name> for Bytes {
            fn from(blob: $name) -> Self {
                blob.0
            }
        }

        impl From<$name> for Vec<u8> {
            fn from(blob: $name) -> Self {
                blob.0.into()
            }
        }

        /// Fails if the bytes are not UTF-8; the error has them.
        impl TryFrom<$name> for String {
            type Error = FromUtf8Error;

            fn try_from(blob: $name) -> Result<Self, FromUtf8Error> {
                Self::from_utf8(blob.into())
            }
        }
    };
}

macro_rules! taken_over {
    ($name:ident: $($from:ty),*) => {
        $(impl From<$from> for $name {
            fn from(bytes: $from) -> Self {
                Self(bytes.into())
            }
        })*
    };
}

macro_rules! copied {
    ($name:ident: $($from:ty),*) => {
        $(impl From<$from> for $name {
            fn from(bytes: $from) -> Self {
                Self(Bytes::copy_from_slice(bytes.as_ref()))
            }
        })*
    };
}

blob!(Key);
blob!(Value);

impl Key {
    /// Is there a cluster that takes it, whatever its limits are?
    pub fn is_possible(&self) -> bool {
        (1..=Limits::KEY_BYTES_CEILING).contains(&self.len())
    }
}

impl Value {
    /// Is there a cluster that takes it, whatever its limits are?
    pub fn is_possible(&self) -> bool {
        self.len() <= Limits::VALUE_BYTES_CEILING
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::hash::{DefaultHasher, Hash, Hasher};

    use super::*;

    #[test]
    fn keys_and_values_are_made_of_what_programs_have() {
        let (text, bytes) = (String::from("ab"), b"ab".to_vec());
        let keys = [
            Key::from("ab"),
            Key::from(&text),
            Key::from(text.clone()),
            Key::from(text.clone().into_boxed_str()),
            Key::from(Cow::from(&text)),
            Key::from(Cow::<str>::from(text.clone())),
            Key::from(b"ab"),
            Key::from(*b"ab"),
            Key::from(bytes.as_slice()),
            Key::from(&bytes),
            Key::from(bytes.clone()),
            Key::from(bytes.clone().into_boxed_slice()),
            Key::from(Cow::from(&bytes)),
            Key::from(Bytes::from_static(b"ab")),
            Key::from(&Key::from("ab")),
        ];
        assert!(keys.iter().all(|key| key.as_bytes() == b"ab"), "{keys:?}");
        // Both are of one macro.
        assert_eq!(Value::from(&text), Value::from(Bytes::from(bytes)));
    }

    #[test]
    fn what_is_taken_over_is_not_copied() {
        let bytes = vec![b'x'; 1000];
        let at = bytes.as_ptr();
        let value = Value::from(bytes);
        assert_eq!(value.as_ptr(), at);
        assert_eq!(Value::from(&value).as_ptr(), at);
        drop(value.clone());
        let bytes: Vec<u8> = value.into();
        assert_eq!(bytes.as_ptr(), at);
    }

    #[test]
    fn they_give_back_what_programs_need() {
        let value = Value::from("grün");
        assert_eq!(value.as_str(), Ok("grün"));
        assert_eq!(value.to_string(), "grün");
        assert_eq!(format!("{value:>6}"), "  grün");
        assert!(value.len() == 5 && !value.is_empty() && value.ends_with(b"n"));
        assert_eq!(Bytes::from(value.clone()), "grün");
        assert_eq!(Vec::from(value.clone()), "grün".as_bytes());
        assert_eq!(String::try_from(value), Ok("grün".to_owned()));
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_and_are_not_lost() {
        let value = Value::from(b"a\xffb");
        assert!(value.as_str().is_err());
        assert_eq!(value.to_string(), "a\u{fffd}b");
        let error = String::try_from(value).unwrap_err();
        assert_eq!(error.into_bytes(), b"a\xffb");
    }

    #[test]
    fn maps_find_a_key_by_its_bytes() {
        let bytes: [&[u8]; 4] = [b"", b"a", b"a\0", b"\xff"];
        let map: BTreeMap<Key, usize> = (0..4).map(|at| (Key::from(bytes[at]), at)).collect();
        for (at, bytes) in bytes.into_iter().enumerate() {
            assert_eq!(map.get(bytes), Some(&at));
            let hash = |hashed: &dyn Fn(&mut DefaultHasher)| {
                let mut hasher = DefaultHasher::new();
                hashed(&mut hasher);
                hasher.finish()
            };
            let key = Key::from(bytes);
            assert_eq!(hash(&|h| key.hash(h)), hash(&|h| bytes.hash(h)));
        }
        assert!(map.keys().map(Key::as_bytes).eq(BTreeSet::from(bytes)));
    }
}
