//! Records as lines of NDJSON: what `import` reads and `export` prints. A key or value that is UTF-8 stands in
//! `key` or `value`, anything else in `key_base64` or `value_base64`.

use std::io::{self, BufRead};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lockstep_core::limits::Limits;
use lockstep_core::operation::{Key, Value};
use serde::{Deserialize, Serialize};

/// The longest line that can be a record: both ceilings, each byte written as `\u0000`, and what stands around them.
pub(crate) const LINE_BYTES_MAX: usize =
    6 * (Limits::KEY_BYTES_CEILING + Limits::VALUE_BYTES_CEILING) + 1024;

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The key.
    pub(crate) key: Key,
    /// The value.
    pub(crate) value: Value,
}

impl Record {
    /// Bytes of key and value.
    pub(crate) fn size(&self) -> usize {
        self.key.0.len() + self.value.0.len()
    }
}

/// Why a line is no record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadLine {
    /// It is not a JSON object.
    #[error("not a record: expected a JSON object, {{\"key\": \"…\", \"value\": \"…\"}}")]
    NotAnObject,
    /// It is not a JSON object with the fields of a record.
    #[error("not a record: {0}")]
    NotARecord(serde_json::Error),
    /// A field is missing, in both spellings.
    #[error("not a record: `{field}` (or `{field}_base64`) is missing")]
    Missing {
        /// `key` or `value`.
        field: &'static str,
    },
    /// A field stands there in both spellings.
    #[error("not a record: `{field}` and `{field}_base64` exclude each other")]
    Twice {
        /// `key` or `value`.
        field: &'static str,
    },
    /// What should be base64 is not.
    #[error("`{field}_base64` is not base64 (standard alphabet, with padding): {source}")]
    NotBase64 {
        /// `key` or `value`.
        field: &'static str,
        /// What is wrong with it.
        source: base64::DecodeError,
    },
    /// The file begins with a mark that editors of Windows put there.
    #[error(
        "the file begins with a byte order mark, which is no part of a record: save it as UTF-8 without one (`sed -i '1s/^\\xef\\xbb\\xbf//' FILE` takes it off)"
    )]
    ByteOrderMark,
    /// The file is of another encoding.
    #[error("the file is UTF-16, as its byte order mark shows: save it as UTF-8")]
    Utf16,
    /// The key has no bytes.
    #[error("the key is empty")]
    EmptyKey,
    /// The line is longer than any record can be.
    #[error("the line is longer than {LINE_BYTES_MAX} bytes, longer than any record")]
    TooLong,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

/// Reads one line, without its end.
pub(crate) fn parse(line: &[u8]) -> Result<Record, BadLine> {
    match line {
        [0xef, 0xbb, 0xbf, ..] => return Err(BadLine::ByteOrderMark),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Err(BadLine::Utf16),
        _ => {}
    }
    // A list of strings would do for serde as well.
    if line.trim_ascii_start().first() != Some(&b'{') {
        return Err(BadLine::NotAnObject);
    }
    let line: Line = serde_json::from_slice(line).map_err(BadLine::NotARecord)?;
    let key = field("key", line.key, line.key_base64)?;
    let value = field("value", line.value, line.value_base64)?;
    if key.is_empty() {
        return Err(BadLine::EmptyKey);
    }
    Ok(Record {
        key: key.into(),
        value: value.into(),
    })
}

fn field(
    field: &'static str,
    text: Option<String>,
    base64: Option<String>,
) -> Result<Vec<u8>, BadLine> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(base64)) => BASE64
            .decode(base64)
            .map_err(|source| BadLine::NotBase64 { field, source }),
        (None, None) => Err(BadLine::Missing { field }),
        (Some(_), Some(_)) => Err(BadLine::Twice { field }),
    }
}

/// Appends the line of a record, with its end, to `out`.
pub(crate) fn write(out: &mut Vec<u8>, key: &Key, value: &Value) {
    let (key, key_base64) = text_or_base64(key.as_ref());
    let (value, value_base64) = text_or_base64(value.as_ref());
    let line = Line {
        key,
        key_base64,
        value,
        value_base64,
    };
    serde_json::to_writer(&mut *out, &line).expect("strings become JSON and memory takes it");
    out.push(b'\n');
}

/// Text if the bytes are UTF-8, base64 otherwise; exactly one of the two.
pub(crate) fn text_or_base64(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64.encode(bytes))),
    }
}

/// Reads the next line into `line`, without its end. `None` at the end of the input.
///
/// # Errors
/// The outer one when the input cannot be read; the inner one when the line is too long, which is then skipped
/// without being kept.
pub(crate) fn read_line(
    input: &mut impl BufRead,
    line: &mut Vec<u8>,
) -> io::Result<Option<Result<(), BadLine>>> {
    line.clear();
    let (mut is_any, mut is_too_long) = (false, false);
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            break;
        }
        is_any = true;
        let end = available.iter().position(|byte| *byte == b'\n');
        let part = &available[..end.unwrap_or(available.len())];
        is_too_long |= line.len() + part.len() > LINE_BYTES_MAX;
        if !is_too_long {
            line.extend_from_slice(part);
        }
        let used = part.len() + usize::from(end.is_some());
        input.consume(used);
        if end.is_some() {
            break;
        }
    }
    if is_too_long {
        *line = Vec::new();
        return Ok(Some(Err(BadLine::TooLong)));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(is_any.then_some(Ok(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &[u8], value: &[u8]) -> Record {
        Record {
            key: key.into(),
            value: value.into(),
        }
    }

    #[test]
    fn a_byte_order_mark_is_named() {
        let error = |line: &[u8]| parse(line).unwrap_err().to_string();
        assert!(error(b"\xef\xbb\xbf{\"key\":\"k\",\"value\":\"\"}").contains("byte order mark"));
        assert!(error(b"\xff\xfe{\0").contains("UTF-16"));
    }

    #[test]
    fn lines_are_read_in_both_spellings() {
        let check = |line: &str, key: &[u8], value: &[u8]| {
            assert_eq!(
                parse(line.as_bytes()).unwrap(),
                record(key, value),
                "{line}"
            );
        };
        check(r#"{"key":"k","value":"v"}"#, b"k", b"v");
        check(r#" { "value" : "" , "key" : "a\nb" } "#, b"a\nb", b"");
        check(
            r#"{"key":"\u00fc","value":"\ud83d\ude00"}"#,
            "ü".as_bytes(),
            "😀".as_bytes(),
        );
        check(r#"{"key_base64":"AAE=","value":"v"}"#, &[0, 1], b"v");
        check(r#"{"key":"k","value_base64":"/w=="}"#, b"k", &[255]);
    }

    #[test]
    fn a_line_that_is_no_record_says_why() {
        let check = |line: &str, expected: &str| {
            let error = parse(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        };
        check("", "not a record");
        check("key value", "not a record");
        check(r#"["k",null,"v",null]"#, "expected a JSON object");
        check(r#"{"key":"k","value":"v""#, "not a record: EOF");
        check(r#"{"key":"k","value":"v"} x"#, "trailing");
        check(r#"{"key":"k","value":"v","ttl":1}"#, "unknown field `ttl`");
        check(r#"{"key":"k","key":"k","value":"v"}"#, "duplicate field");
        check(r#"{"key":1,"value":"v"}"#, "expected a string");
        check(r#"{"key":"k"}"#, "`value` (or `value_base64`) is missing");
        check(r#"{"value":"v"}"#, "`key` (or `key_base64`) is missing");
        check(
            r#"{"key":"k","key_base64":"aw==","value":"v"}"#,
            "exclude each other",
        );
        check(r#"{"key_base64":"???","value":"v"}"#, "not base64");
        check(r#"{"key":"","value":"v"}"#, "the key is empty");
        assert!(parse(b"{\"key\":\"\xff\",\"value\":\"v\"}").is_err());
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        let every_byte: Vec<u8> = (0..=255).collect();
        let records = [
            record(b"k", b""),
            record("grüße\n\"\\".as_bytes(), b"\0\r\n\x7f"),
            record(&every_byte, &every_byte),
            record(b"\xff", "text".as_bytes()),
        ];
        let mut out = Vec::new();
        for record in &records {
            write(&mut out, &record.key, &record.value);
        }
        let lines: Vec<&[u8]> = out.split(|byte| *byte == b'\n').collect();
        assert_eq!(
            lines.len(),
            records.len() + 1,
            "one line a record, each with its end"
        );
        for (line, record) in lines.iter().zip(&records) {
            assert_eq!(&parse(line).unwrap(), record);
        }
    }

    #[test]
    fn text_is_written_as_text_and_the_rest_as_base64() {
        let line = |key: &[u8], value: &[u8]| {
            let mut out = Vec::new();
            write(&mut out, &key.into(), &value.into());
            String::from_utf8(out).unwrap()
        };
        assert_eq!(line(b"k", b"v"), "{\"key\":\"k\",\"value\":\"v\"}\n");
        assert_eq!(
            line(&[0xff], b"v"),
            "{\"key_base64\":\"/w==\",\"value\":\"v\"}\n"
        );
    }

    /// The lines of `input`, read through a buffer so small that lines do not fit into it.
    fn lines(input: &[u8]) -> Vec<Result<Vec<u8>, String>> {
        let mut input = io::BufReader::with_capacity(3, input);
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        while let Some(read) = read_line(&mut input, &mut line).unwrap() {
            lines.push(
                read.map(|()| line.clone())
                    .map_err(|error| error.to_string()),
            );
        }
        lines
    }

    #[test]
    fn lines_end_with_any_of_the_usual_ends() {
        let check = |input: &[u8], expected: &[&str]| {
            let expected: Vec<_> = expected
                .iter()
                .map(|line| Ok(line.as_bytes().to_vec()))
                .collect();
            assert_eq!(lines(input), expected);
        };
        check(b"", &[]);
        check(b"\n", &[""]);
        check(b"one\ntwo three\n", &["one", "two three"]);
        check(b"one\r\n\r\ntwo", &["one", "", "two"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_reported() {
        let mut input = vec![b'x'; LINE_BYTES_MAX + 1];
        input.extend_from_slice(b"\nnext\n");
        let mut input = &input[..];
        let mut line = Vec::new();
        let first = read_line(&mut input, &mut line).unwrap().unwrap();
        assert!(matches!(first, Err(BadLine::TooLong)));
        assert_eq!(line.capacity(), 0, "what was collected of it is given back");
        assert!(matches!(read_line(&mut input, &mut line), Ok(Some(Ok(())))));
        assert_eq!(line, b"next");
        assert!(matches!(read_line(&mut input, &mut line), Ok(None)));
    }
}
