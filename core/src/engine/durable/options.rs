//! What an operator may choose about the disk.

/// Sizes of the durable stores. The defaults suit a node with some GiB of disk and half a GiB of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreOptions {
    /// Bytes of entries in a log segment, allocated ahead. The log is trimmed by whole segments; each change of segment costs
    /// a few milliseconds once. What is written at once and is more has a segment of its own. Default 64 MiB.
    pub segment_bytes: u64,
    /// Writes find no room when the file system has less than this to spare, so that the engine, which cannot undo
    /// half a write, meets a full disk only where others fill it meanwhile. Default 64 MiB.
    pub reserve_bytes: u64,
    /// What is kept in memory of the state on the disk, in bytes: half of it for records that were read or written lately,
    /// half for blocks of fjall's files. Default 64 MiB.
    pub cache_bytes: u64,
    /// What is collected in memory of a state that is transferred before it is written out, in bytes. Default 16 MiB.
    pub memtable_bytes: u64,
    /// The engine's own journal, in bytes; at least 64 MiB. Default 128 MiB.
    pub journal_bytes: u64,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            reserve_bytes: 64 << 20,
            cache_bytes: 64 << 20,
            memtable_bytes: 16 << 20,
            journal_bytes: 128 << 20,
        }
    }
}
