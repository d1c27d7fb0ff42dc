//! What `strace` has written down, as calls to files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Said;

/// What is recorded.
pub(super) const CALLS: &str = "trace=open,openat,creat,read,write,pwrite64,writev,pwritev,pwritev2,lseek,ftruncate,truncate,\
fallocate,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,close,dup,dup2,dup3,\
copy_file_range,sendfile,fcntl";

/// A change of files, or something that was said.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A file was opened, or made, as this number.
    Open {
        fd: u64,
        path: PathBuf,
        is_emptied: bool,
        is_made: bool,
    },
    Close(u64),
    Write {
        fd: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLength {
        fd: u64,
        bytes: u64,
    },
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    MakeDirectory(PathBuf),
    RemoveDirectory(PathBuf),
    Sync(u64),
    Said(Said),
}

/// What a process did, in its order.
pub(super) struct Recording(pub(super) Vec<Event>);

impl Recording {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Reads the calls that concern files below `root`, and what went to the standard output.
    pub(super) fn read(log: &Path, root: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(log).map_err(|error| error.to_string())?;
        let mut reader = Reader {
            root,
            offsets: BTreeMap::new(),
            paths: BTreeMap::new(),
            begun: BTreeMap::new(),
            events: Vec::new(),
        };
        for line in text.lines() {
            reader
                .line(line)
                .map_err(|what| format!("{what}: {}", &line[..line.len().min(200)]))?;
        }
        Ok(Self(reader.events))
    }
}

struct Reader<'a> {
    root: &'a Path,
    /// Files below the root that are open, and where each is written to next; `None` where that is always its end.
    offsets: BTreeMap<u64, Option<u64>>,
    /// As what they were opened.
    paths: BTreeMap<u64, PathBuf>,
    /// Calls that other threads have come between, by thread.
    begun: BTreeMap<String, String>,
    events: Vec<Event>,
}

impl Reader<'_> {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (thread, rest) = line.split_once(' ').ok_or("no thread")?;
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            // Another thread may be given the number before the call is over.
            if let Some(arguments) = begun.strip_prefix("close(") {
                return self.call("close", &arguments_of(arguments), 0);
            }
            self.begun.insert(thread.to_owned(), begun.to_owned());
            return Ok(());
        }
        let whole = match rest.strip_prefix("<... ") {
            Some(resumed) if resumed.starts_with("close resumed>") => return Ok(()),
            Some(resumed) => {
                let begun = self.begun.remove(thread).ok_or("nothing was begun")?;
                let (_, end) = resumed.split_once(" resumed>").ok_or("no end")?;
                format!("{begun}{end}")
            }
            None => rest.to_owned(),
        };
        // Signals, ends of threads.
        let Some((call, returned)) = whole.rsplit_once(") = ").or_else(|| {
            let (call, returned) = whole.rsplit_once(") ")?;
            Some((call, returned.trim_start().strip_prefix("= ")?))
        }) else {
            return Ok(());
        };
        let (name, arguments) = call.split_once('(').ok_or("no arguments")?;
        let returned = returned.split(' ').next().unwrap_or_default();
        let Ok(returned) = returned.parse::<i64>() else {
            return Ok(());
        };
        // What failed has changed nothing.
        match u64::try_from(returned) {
            Ok(returned) => self.call(name, &arguments_of(arguments), returned),
            Err(_) => Ok(()),
        }
    }

    fn call(&mut self, name: &str, arguments: &[Argument], returned: u64) -> Result<(), String> {
        let number = |at: usize| arguments.get(at).and_then(Argument::number);
        let path = |at: usize| {
            let directory = at.checked_sub(1).and_then(number);
            self.below_root(directory, arguments.get(at))
        };
        let event = match name {
            "open" | "openat" | "creat" => {
                let at = usize::from(name == "openat");
                let Some(path) = path(at) else { return Ok(()) };
                let flags = arguments.get(at + 1).map_or("", Argument::word);
                if flags.contains("O_TMPFILE") {
                    return Err("files without a name are not understood".to_owned());
                }
                let is_appended = flags.contains("O_APPEND");
                self.offsets.insert(returned, (!is_appended).then_some(0));
                self.paths.insert(returned, path.clone());
                Event::Open {
                    fd: returned,
                    path,
                    is_emptied: flags.contains("O_TRUNC"),
                    is_made: flags.contains("O_CREAT"),
                }
            }
            "read" => {
                if let Some(Some(offset)) = number(0).and_then(|fd| self.offsets.get_mut(&fd)) {
                    *offset += returned;
                }
                return Ok(());
            }
            "lseek" => {
                if let Some(offset) = number(0).and_then(|fd| self.offsets.get_mut(&fd)) {
                    *offset = Some(returned);
                }
                return Ok(());
            }
            "write" if number(0) == Some(1) => Event::Said(said(arguments.get(1))?),
            "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" => {
                let Some(fd) = number(0).filter(|fd| self.offsets.contains_key(fd)) else {
                    return Ok(());
                };
                let mut bytes = arguments.get(1).map(Argument::bytes).unwrap_or_default();
                bytes.truncate(returned as usize);
                if bytes.len() as u64 != returned {
                    return Err("more was written than was recorded".to_owned());
                }
                let offset = match name {
                    "pwrite64" | "pwritev" | "pwritev2" => {
                        let at = if name == "pwritev2" {
                            3
                        } else {
                            arguments.len() - 1
                        };
                        number(at).ok_or("no offset")?
                    }
                    _ => self.advance(fd, returned).unwrap_or(u64::MAX),
                };
                Event::Write { fd, offset, bytes }
            }
            "ftruncate" => {
                let Some(fd) = number(0).filter(|fd| self.offsets.contains_key(fd)) else {
                    return Ok(());
                };
                let bytes = number(1).ok_or("no length")?;
                Event::SetLength { fd, bytes }
            }
            "fallocate" => {
                let Some(fd) = number(0).filter(|fd| self.offsets.contains_key(fd)) else {
                    return Ok(());
                };
                let end = number(2).zip(number(3)).map(|(from, count)| from + count);
                Event::SetLength {
                    fd,
                    bytes: end.ok_or("no length")?,
                }
            }
            "rename" => match (path(0), path(1)) {
                (Some(from), Some(to)) => Event::Rename(from, to),
                _ => return Ok(()),
            },
            "renameat" | "renameat2" => match (path(1), path(3)) {
                (Some(from), Some(to)) => Event::Rename(from, to),
                _ => return Ok(()),
            },
            "unlink" => match path(0) {
                Some(path) => Event::Remove(path),
                None => return Ok(()),
            },
            "unlinkat" => {
                let flags = arguments.get(2).map_or("", Argument::word);
                let is_directory = flags.contains("AT_REMOVEDIR");
                match path(1) {
                    Some(path) if is_directory => Event::RemoveDirectory(path),
                    Some(path) => Event::Remove(path),
                    None => return Ok(()),
                }
            }
            "mkdir" | "mkdirat" => match path(usize::from(name == "mkdirat")) {
                Some(path) => Event::MakeDirectory(path),
                None => return Ok(()),
            },
            "rmdir" => match path(0) {
                Some(path) => Event::RemoveDirectory(path),
                None => return Ok(()),
            },
            "fsync" | "fdatasync" => match number(0).filter(|fd| self.offsets.contains_key(fd)) {
                Some(fd) => Event::Sync(fd),
                None => return Ok(()),
            },
            "close" => match number(0).filter(|fd| self.offsets.remove(fd).is_some()) {
                Some(fd) => Event::Close(fd),
                None => return Ok(()),
            },
            "fcntl" | "dup" | "dup2" | "dup3" => {
                let is_copy = name != "fcntl"
                    || arguments
                        .get(1)
                        .map_or("", Argument::word)
                        .contains("F_DUPFD");
                match number(0).filter(|fd| is_copy && self.offsets.contains_key(fd)) {
                    Some(_) => return Err("copies of open files are not understood".to_owned()),
                    None => return Ok(()),
                }
            }
            _ => {
                let concerns = number(0).is_some_and(|fd| self.offsets.contains_key(&fd));
                if concerns || path(0).is_some() || path(1).is_some() {
                    return Err("this call is not understood".to_owned());
                }
                return Ok(());
            }
        };
        self.events.push(event);
        Ok(())
    }

    fn advance(&mut self, fd: u64, count: u64) -> Option<u64> {
        let offset = self.offsets.get_mut(&fd)?.as_mut()?;
        let at = *offset;
        *offset += count;
        Some(at)
    }

    /// The path as seen from the root, if it is below that. It may begin in a directory that is open.
    fn below_root(&self, directory: Option<u64>, path: Option<&Argument>) -> Option<PathBuf> {
        let text = String::from_utf8(path?.text()?).ok()?;
        let path = Path::new(&text);
        if path.is_relative() {
            return Some(self.paths.get(&directory?)?.join(path));
        }
        let below = path.strip_prefix(self.root).ok()?;
        Some(Path::new("/").join(below))
    }
}

fn said(argument: Option<&Argument>) -> Result<Said, String> {
    let bytes = argument.map(Argument::bytes).unwrap_or_default();
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut numbers = text.split_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(durable)), Some(Ok(begun))) => Ok(Said { durable, begun }),
        _ => Err("not what the process says".to_owned()),
    }
}

/// An argument as it is written down.
struct Argument<'a>(&'a str);

impl Argument<'_> {
    fn word(&self) -> &str {
        self.0
    }

    fn number(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// A single string.
    fn text(&self) -> Option<Vec<u8>> {
        self.0.starts_with('"').then(|| self.bytes())
    }

    /// Every byte of every string in it: of one, or of a vector of several.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, piece) in self.0.split('"').enumerate() {
            if number % 2 == 0 {
                continue;
            }
            let digits = piece.split("\\x").skip(1);
            bytes.extend(digits.filter_map(|digits| u8::from_str_radix(digits, 16).ok()));
        }
        bytes
    }
}

/// Splits at commas that are in no string, no vector and no structure.
fn arguments_of(text: &str) -> Vec<Argument<'_>> {
    let (mut arguments, mut begins, mut depth, mut is_string) = (Vec::new(), 0, 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => is_string = !is_string,
            b'[' | b'{' | b'(' if !is_string => depth += 1,
            b']' | b'}' | b')' if !is_string => depth -= 1,
            b',' if !is_string && depth == 0 => {
                arguments.push(Argument(text[begins..at].trim()));
                begins = at + 1;
            }
            _ => {}
        }
    }
    arguments.push(Argument(text[begins..].trim()));
    arguments
}
