//! Reads a file in large pieces while it is looked at in small ones.

use std::io;

use crate::engine::files::File;

/// A part of a file, held in memory.
#[derive(Debug)]
pub(super) struct Window<'a> {
    file: &'a dyn File,
    /// Bytes read at once, unless more are asked for.
    piece: usize,
    offset: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    pub(super) fn new(file: &'a dyn File, piece: usize) -> Self {
        Self {
            file,
            piece,
            offset: 0,
            bytes: Vec::new(),
        }
    }

    /// The `length` bytes at `offset`, fewer if the file ends before.
    pub(super) fn at(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let is_inside = self.offset <= offset
            && offset + length as u64 <= self.offset + self.bytes.len() as u64;
        if !is_inside {
            self.fill(offset, length.max(self.piece))?;
        }
        let start = usize::try_from(offset - self.offset).expect("inside what was read");
        let end = self.bytes.len().min(start + length);
        Ok(&self.bytes[start..end])
    }

    fn fill(&mut self, offset: u64, length: usize) -> io::Result<()> {
        self.offset = offset;
        self.bytes.resize(length, 0);
        let filled = self.file.read_at(&mut self.bytes, offset)?;
        self.bytes.truncate(filled);
        Ok(())
    }
}
