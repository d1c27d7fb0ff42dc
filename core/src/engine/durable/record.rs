//! One small record in a file of its own, checksummed and replaced atomically: the node's meta data, the arbiter's record.
//!
//! magic (8 bytes) · format version (4) · CRC-32 of the body (4) · length of the body (8) · body in postcard

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::StoreError;
use crate::engine::durable::directory::DataDir;
use crate::engine::durable::files;
use crate::engine::files::Files;

const HEADER_BYTES: usize = 24;
const VERSION: u32 = 1;

/// A file with one record.
#[derive(Debug)]
pub(super) struct RecordFile {
    files: Arc<dyn Files>,
    path: PathBuf,
    magic: [u8; 8],
}

impl RecordFile {
    /// The file of this name in the directory; `magic` tells the kinds of records apart.
    pub(super) fn new(directory: &DataDir, name: &str, magic: [u8; 8]) -> Self {
        Self {
            files: directory.shared_files(),
            path: directory.path().join(name),
            magic,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The record, durable on return; `None` if there is no file.
    pub(super) fn load<T: DeserializeOwned>(&self) -> Result<Option<T>, StoreError> {
        let Some(contents) = files::read_if_present(&*self.files, &self.path)? else {
            return Ok(None);
        };
        // A process before this one may have ended when the file had its name and the directory was not synced.
        files::sync_directory(&*self.files, files::directory_of(&self.path))?;
        self.decode(&contents).map(Some)
    }

    /// Replaces the record; durable on return.
    pub(super) fn save<T: Serialize>(&self, record: &T) -> Result<(), StoreError> {
        let body = postcard::to_stdvec(record).expect("records have an encoding");
        let mut contents = Vec::with_capacity(HEADER_BYTES + body.len());
        contents.extend(self.magic);
        contents.extend(VERSION.to_le_bytes());
        contents.extend(crc32fast::hash(&body).to_le_bytes());
        contents.extend((body.len() as u64).to_le_bytes());
        contents.extend(body);
        files::replace(&*self.files, &self.path, &contents)
    }

    fn decode<T: DeserializeOwned>(&self, contents: &[u8]) -> Result<T, StoreError> {
        let damaged = |offset: u64, what: &str| files::damaged(&self.path, offset, what);
        let Some((header, body)) = contents.split_first_chunk::<HEADER_BYTES>() else {
            return Err(damaged(
                contents.len() as u64,
                "the file ends in its header",
            ));
        };
        if header[..8] != self.magic {
            return Err(damaged(0, "the file does not begin as it should"));
        }
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
        if word(8) != VERSION {
            return Err(StoreError::Format {
                path: self.path.clone(),
                found: word(8),
                expected: VERSION,
            });
        }
        let length = u64::from(word(16)) | u64::from(word(20)) << 32;
        if body.len() as u64 != length {
            return Err(damaged(16, "the file does not have the length it states"));
        }
        if crc32fast::hash(body) != word(12) {
            return Err(damaged(HEADER_BYTES as u64, "the checksum does not match"));
        }
        match postcard::take_from_bytes(body) {
            Ok((record, [])) => Ok(record),
            Ok((_, rest)) => Err(damaged(
                (contents.len() - rest.len()) as u64,
                "something follows the record",
            )),
            Err(_) => Err(damaged(HEADER_BYTES as u64, "the record cannot be decoded")),
        }
    }
}
