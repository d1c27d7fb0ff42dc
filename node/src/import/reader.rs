//! Reads records from a file or from standard input, on a thread of its own, a bounded distance ahead of the writes.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::thread;

use async_std::channel::{self, Receiver, Sender};

use crate::output::Failure;
use crate::records::{self, BadLine, Record};

/// Lines travel to the writers in batches of about so many bytes, so that the hand-over costs little.
const BATCH_BYTES: usize = 256 << 10;
/// Batches read ahead: enough that nobody waits for the disk.
const BATCHES_AHEAD: usize = 4;

/// A record and the number of its line, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The number.
    pub(crate) number: u64,
    /// The record.
    pub(crate) record: Record,
}

/// What was read.
#[derive(Debug)]
pub(crate) enum Item {
    /// A record.
    Line(Line),
    /// A line that is no record.
    Bad {
        /// Its number.
        number: u64,
        /// What is wrong with it.
        error: BadLine,
    },
    /// The input failed; nothing follows.
    Failed(io::Error),
}

/// Items in the order of the file.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The items.
    pub(crate) items: Vec<Item>,
    /// Bytes of the input read up to its end.
    pub(crate) read: u64,
}

/// A file being read.
#[derive(Debug)]
pub(crate) struct Reader {
    /// What was read; closed at the end of the input.
    pub(crate) batches: Receiver<Batch>,
    /// Bytes in the file; `None` when nobody knows: a pipe.
    pub(crate) length: Option<u64>,
}

impl Reader {
    /// Begins to read the file, or standard input if it is `-`.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str() == "-" {
            return Ok(Self::start(io::stdin(), None));
        }
        let wrong =
            |error: io::Error| Failure::Usage(format!("cannot read {}: {error}", path.display()));
        let file = File::open(path).map_err(wrong)?;
        let metadata = file.metadata().map_err(wrong)?;
        if metadata.is_dir() {
            return Err(wrong(io::ErrorKind::IsADirectory.into()));
        }
        let length = metadata.is_file().then_some(metadata.len());
        Ok(Self::start(file, length))
    }

    fn start(input: impl Read + Send + 'static, length: Option<u64>) -> Self {
        let (sender, batches) = channel::bounded(BATCHES_AHEAD);
        // Ends with the input, or when the receiver is dropped; the process does not wait for it.
        thread::spawn(move || read(input, &sender));
        Self { batches, length }
    }
}

fn read(input: impl Read, sender: &Sender<Batch>) {
    let mut input = BufReader::with_capacity(BATCH_BYTES, input);
    let (mut line, mut number, mut read) = (Vec::new(), 0, 0_u64);
    let (mut items, mut bytes) = (Vec::new(), 0);
    loop {
        // Whoever types or produces records slowly does not want to wait for the batch to fill.
        if bytes >= BATCH_BYTES || input.buffer().is_empty() {
            bytes = 0;
            if !pass_on(&mut items, read, sender) {
                return;
            }
        }
        let item = match records::read_line(&mut input, &mut line) {
            Ok(None) => break,
            Ok(Some(Ok(()))) => {
                number += 1;
                read += line.len() as u64 + 1;
                // Empty lines are what editors and `cat` leave behind.
                if line.trim_ascii().is_empty() {
                    continue;
                }
                bytes += line.len();
                match records::parse(&line) {
                    Ok(record) => Item::Line(Line { number, record }),
                    Err(error) => Item::Bad { number, error },
                }
            }
            Ok(Some(Err(error))) => {
                number += 1;
                Item::Bad { number, error }
            }
            Err(error) => {
                items.push(Item::Failed(error));
                break;
            }
        };
        items.push(item);
    }
    pass_on(&mut items, read, sender);
}

/// Hands the items over, if there are any; false when nobody wants them any more.
fn pass_on(items: &mut Vec<Item>, read: u64, sender: &Sender<Batch>) -> bool {
    if items.is_empty() {
        return true;
    }
    let items = std::mem::take(items);
    sender.send_blocking(Batch { items, read }).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(input: &'static str) -> Vec<String> {
        let reader = Reader::start(input.as_bytes(), None);
        let mut found = Vec::new();
        while let Ok(batch) = reader.batches.recv_blocking() {
            found.extend(batch.items.into_iter().map(|item| match item {
                Item::Line(line) => format!("{} {:?}", line.number, line.record.key),
                Item::Bad { number, error } => format!("{number} {error}"),
                Item::Failed(error) => error.to_string(),
            }));
        }
        found
    }

    #[test]
    fn records_come_with_the_numbers_of_their_lines() {
        let found =
            items("{\"key\":\"a\",\"value\":\"\"}\n\nnonsense\n{\"key\":\"b\",\"value\":\"\"}");
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], "1 a");
        assert!(found[1].starts_with("3 not a record"), "{}", found[1]);
        assert_eq!(found[2], "4 b");
    }

    #[test]
    fn a_file_that_is_not_there_is_a_usage_error() {
        let error = Reader::open(Path::new("no such file")).unwrap_err();
        assert!(matches!(error, Failure::Usage(_)), "{error:?}");
    }
}
