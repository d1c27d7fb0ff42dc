//! The language of the shell: words, quotes, and what they mean. Pure.

use std::str::Chars;

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `put KEY VALUE`
    Put {
        /// The key.
        key: Vec<u8>,
        /// Its new value.
        value: Vec<u8>,
    },
    /// `get KEY`
    Get {
        /// The key.
        key: Vec<u8>,
    },
    /// `remove KEY`
    Remove {
        /// The key.
        key: Vec<u8>,
    },
    /// `scan [FROM] [LIMIT]`
    Scan {
        /// The first key shown; from the beginning if it is empty.
        from: Vec<u8>,
        /// How many records are shown.
        limit: usize,
    },
    /// `status`
    Status,
    /// `help`
    Help,
    /// `exit`
    Exit,
}

/// The words that begin a line, for completion, each with what follows it and what it does.
pub(crate) const COMMANDS: [(&str, &str, &str); 7] = [
    ("put", "KEY VALUE", "set a key"),
    ("get", "KEY", "print the value of a key"),
    ("remove", "KEY", "delete a key"),
    (
        "scan",
        "[FROM] [LIMIT]",
        "print records in the order of their keys, 20 unless told",
    ),
    ("status", "", "show who is who and how far everybody is"),
    ("help", "", "print this"),
    (
        "exit",
        "",
        "leave the shell; so does the end of the input (Ctrl-D)",
    ),
];

/// Records a `scan` shows unless told.
const SCAN_LIMIT: usize = 20;

/// What `help` prints.
pub(crate) fn help() -> String {
    let mut text = String::new();
    for (name, parameters, what) in COMMANDS {
        let usage = format!("{name} {parameters}");
        text.push_str(&format!("  {usage:22}{what}\n"));
    }
    text.push_str("\n'Quotes' or \"quotes\" hold spaces together; a backslash takes the next character as it is,\nand \\xHH stands for a byte: get \"a\\x00\\xff\"");
    text
}

/// Reads a line; `None` if there is nothing on it. A line that begins with # is a comment.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn parse(line: &str) -> Result<Option<Command>, String> {
    if line.trim_start().starts_with('#') {
        return Ok(None);
    }
    let words = words(line)?;
    let mut words = words.into_iter();
    let Some(name) = words.next() else {
        return Ok(None);
    };
    let name = String::from_utf8_lossy(&name).into_owned();
    let mut next = |what: &str| {
        words
            .next()
            .ok_or_else(|| format!("{name}: {what} is missing"))
    };
    let command = match name.as_str() {
        "put" => Command::Put {
            key: next("the key")?,
            value: next("the value")?,
        },
        "get" => Command::Get {
            key: next("the key")?,
        },
        "remove" => Command::Remove {
            key: next("the key")?,
        },
        "scan" => scan(words.next(), words.next())?,
        "status" => Command::Status,
        "help" => Command::Help,
        "exit" | "quit" => Command::Exit,
        _ => return Err(format!("there is no command {name}; type help")),
    };
    match words.next() {
        Some(word) => Err(format!(
            "{name}: {} is too much; put quotes around what has spaces",
            String::from_utf8_lossy(&word)
        )),
        None => Ok(Some(command)),
    }
}

fn scan(from: Option<Vec<u8>>, limit: Option<Vec<u8>>) -> Result<Command, String> {
    let limit = match limit {
        Some(limit) => {
            let limit = String::from_utf8_lossy(&limit);
            (limit.parse()).map_err(|_| format!("scan: {limit} is not a number of records"))?
        }
        None => SCAN_LIMIT,
    };
    let from = from.unwrap_or_default();
    Ok(Command::Scan { from, limit })
}

/// Cuts a line into words at spaces outside of quotes.
fn words(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<Vec<u8>>, None);
    let mut rest = line.chars();
    while let Some(letter) = rest.next() {
        match (letter, quote) {
            (_, Some(mark)) if letter == mark => quote = None,
            ('\\', None | Some('"')) => {
                let word = word.get_or_insert_default();
                match rest.next().ok_or("the line ends behind a backslash")? {
                    'x' => word.push(byte(&mut rest)?),
                    escaped => push(word, escaped),
                }
            }
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, None) if letter.is_whitespace() => words.extend(word.take()),
            (_, _) => push(word.get_or_insert_default(), letter),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

fn push(word: &mut Vec<u8>, letter: char) {
    let mut bytes = [0; 4];
    word.extend_from_slice(letter.encode_utf8(&mut bytes).as_bytes());
}

/// The byte whose two digits follow `\x`.
fn byte(rest: &mut Chars<'_>) -> Result<u8, String> {
    let mut digit = || rest.next().and_then(|letter| letter.to_digit(16));
    match (digit(), digit()) {
        (Some(high), Some(low)) => Ok((16 * high + low) as u8),
        _ => Err("two hexadecimal digits belong behind \\x, as in \\x00".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_at_spaces_outside_of_quotes() {
        let check = |line: &str, expected: &[&str]| {
            let expected: Vec<&[u8]> = expected.iter().map(|word| word.as_bytes()).collect();
            assert_eq!(words(line).unwrap(), expected, "{line}");
        };
        check("", &[]);
        check("  get \t k  ", &["get", "k"]);
        check("put k 'two words'", &["put", "k", "two words"]);
        check(r#"put k "it's \"so\"""#, &["put", "k", r#"it's "so""#]);
        check(r"put k two\ words", &["put", "k", "two words"]);
        check(r"put k '\'", &["put", "k", r"\"]);
        check("put k ''", &["put", "k", ""]);
        check("pu't' k", &["put", "k"]);
        assert_eq!(words(r#"get a\x00"\xfF b""#).unwrap()[1], b"a\0\xff b");
        check(r"get '\x00'", &["get", r"\x00"]);
        assert!(words(r"get \x0").is_err() && words(r"get \x0g").is_err());
        assert!(words("put 'k").is_err());
        assert!(words("put \\").is_err());
    }

    #[test]
    fn commands_are_understood() {
        let check =
            |line: &str, expected: Command| assert_eq!(parse(line), Ok(Some(expected)), "{line}");
        let (key, value) = (b"k".to_vec(), b"a b".to_vec());
        check(
            "put k 'a b'",
            Command::Put {
                key: key.clone(),
                value,
            },
        );
        check("get k", Command::Get { key: key.clone() });
        check("remove k", Command::Remove { key: key.clone() });
        check(
            "scan",
            Command::Scan {
                from: Vec::new(),
                limit: 20,
            },
        );
        check(
            "scan k 3",
            Command::Scan {
                from: key,
                limit: 3,
            },
        );
        check("status", Command::Status);
        check("help", Command::Help);
        check("exit", Command::Exit);
        check("quit", Command::Exit);
        assert_eq!(parse("   "), Ok(None));
        assert_eq!(parse("# put k v"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |line: &str, expected: &str| {
            let error = parse(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        };
        check("frobnicate", "no command frobnicate");
        check("get", "the key is missing");
        check("put k", "the value is missing");
        check("put k two words", "words is too much");
        check("status now", "too much");
        check("scan k many", "not a number");
        check("get 'k", "not closed");
    }

    #[test]
    fn help_lists_every_command() {
        for (name, _, _) in COMMANDS {
            assert!(help().contains(name));
        }
    }
}
