//! Values with a unit, as people type them: sizes and durations.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: `4096`, `64KiB`, `16MiB`, `2GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByteSize(pub(crate) u64);

const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("", 1),
];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = text[digits.len()..].trim();
        UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .and_then(|(_, factor)| digits.parse::<u64>().ok()?.checked_mul(*factor))
            .map(Self)
            .ok_or_else(|| "write a size as 4096, 64KiB, 16MiB or 2GiB".to_owned())
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, factor) = UNITS
            .iter()
            .find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor))
            .unwrap_or(&("", 1));
        write!(f, "{}{name}", self.0 / factor)
    }
}

impl ByteSize {
    /// The size as a length in memory.
    pub(crate) fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// Reads `500ms`, `5s`, `2m`; a bare number means seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| WRONG_DURATION)?;
    let seconds = match &text[digits.len()..] {
        "ms" => number / 1000.0,
        "s" | "" => number,
        "m" => number * 60.0,
        _ => return Err(WRONG_DURATION.to_owned()),
    };
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() && duration <= DURATION_MAX => Ok(duration),
        Ok(_) | Err(_) => Err("the duration must be above zero and at most a day".to_owned()),
    }
}

const WRONG_DURATION: &str = "write a duration as 500ms, 5s or 2m";
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(
                text.parse::<ByteSize>().ok().map(|size| size.0),
                expected,
                "{text}"
            );
        };
        check("0", Some(0));
        check("4096", Some(4096));
        check("64KiB", Some(64 << 10));
        check("64 kib", Some(64 << 10));
        check("2GiB", Some(2 << 30));
        check("", None);
        check("KiB", None);
        check("-1", None);
        check("1.5MiB", None);
        check("10MB", None);
        check("99999999999999GiB", None);
    }

    #[test]
    fn a_size_prints_as_it_is_read() {
        for text in ["0", "1", "1000", "4KiB", "1MiB", "3GiB"] {
            assert_eq!(text.parse::<ByteSize>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn durations_are_read_with_their_unit() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(
                duration(text).ok(),
                expected.map(Duration::from_millis),
                "{text}"
            );
        };
        check("500ms", Some(500));
        check("5s", Some(5_000));
        check("5", Some(5_000));
        check("1.5s", Some(1_500));
        check("2m", Some(120_000));
        check("0s", None);
        check("-1s", None);
        check("s", None);
        check("5h", None);
        check("1e300", None);
        check("NaN", None);
    }
}
