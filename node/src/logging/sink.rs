//! Where lines of the log end: standard error, or a file that is kept short. Whether anybody takes them is none of the
//! node's concern: a line that nobody takes is lost, and everything goes on.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A log file that would grow beyond this many bytes is set aside, and a new one begun.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Files set aside that are kept, `PATH.1` being the newest.
const FILES_KEPT: u32 = 4;

/// Takes whole lines, one at each call. Never fails.
///
/// - A line the file cannot take goes to standard error, and one that standard error cannot take is lost: the reader of
///   a pipe may have ended, and the node must not.
pub(super) struct Sink {
    file: Option<LogFile>,
}

impl Sink {
    /// Writes to standard error.
    pub(super) fn errors() -> Self {
        Self { file: None }
    }

    /// Writes to the end of the file at `path`.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub(super) fn file(path: &Path) -> io::Result<Self> {
        let file = LogFile::open(path, FILE_BYTES_MAX)?;
        Ok(Self { file: Some(file) })
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_filed = match &mut self.file {
            Some(file) => file.append(line).is_ok(),
            None => false,
        };
        if !is_filed {
            // Nobody is left to tell.
            let _ = io::stderr().write_all(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that is set aside before it grows beyond a bound.
struct LogFile {
    path: PathBuf,
    bytes_max: u64,
    file: File,
    bytes: u64,
}

impl LogFile {
    fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            bytes_max,
            bytes: file.metadata()?.len(),
            file,
        })
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let size = line.len() as u64;
        if self.bytes > 0 && self.bytes + size > self.bytes_max {
            self.set_aside()?;
        }
        self.file.write_all(line)?;
        self.bytes += size;
        Ok(())
    }

    /// Gives each file the next number, the oldest one up, and begins anew.
    fn set_aside(&mut self) -> io::Result<()> {
        for number in (1..FILES_KEPT).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))?;
        *self = Self::open(&self.path, self.bytes_max)?;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_set_aside_before_it_grows_too_long_and_the_oldest_ones_go() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "before\n").unwrap();
        let mut file = LogFile::open(&path, 20).unwrap();
        let text = |name: &str| fs::read_to_string(dir.path().join(name)).ok();
        file.append(b"0123456789\n").unwrap();
        assert_eq!(text("log").unwrap(), "before\n0123456789\n");
        assert_eq!(text("log.1"), None);
        for number in 0..6 {
            file.append(format!("a line of its own {number}\n").as_bytes())
                .unwrap();
        }
        assert_eq!(text("log").unwrap(), "a line of its own 5\n");
        assert_eq!(text("log.1").unwrap(), "a line of its own 4\n");
        assert_eq!(text("log.4").unwrap(), "a line of its own 1\n");
        assert_eq!(text("log.5"), None);
        // One that is too long by itself is still a line.
        file.append(&[b'x'; 50]).unwrap();
        assert_eq!(text("log").unwrap().len(), 50);
    }
}
