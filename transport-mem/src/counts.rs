//! What is counted on one direction of a link.

use bytes::Bytes;

/// What one direction of a link has carried since it was first used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Frames handed over by the sender and accepted.
    pub frames_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Frames put into the receiver's queue, duplicates included.
    pub frames_delivered: u64,
    /// Their bytes.
    pub bytes_delivered: u64,
    /// Frames lost: the link was cut, chance, nobody there, or no room.
    pub frames_dropped: u64,
    /// Frames that arrived twice.
    pub frames_duplicated: u64,
    /// Frames that did not arrive at once.
    pub frames_delayed: u64,
}

impl Counts {
    pub(crate) fn count_sent(&mut self, frames: &[Bytes]) {
        self.frames_sent += frames.len() as u64;
        self.bytes_sent += frames.iter().map(|frame| frame.len() as u64).sum::<u64>();
    }

    pub(crate) fn count_delivered(&mut self, frames: &[Bytes]) {
        self.frames_delivered += frames.len() as u64;
        self.bytes_delivered += frames.iter().map(|frame| frame.len() as u64).sum::<u64>();
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.frames_sent += other.frames_sent;
        self.bytes_sent += other.bytes_sent;
        self.frames_delivered += other.frames_delivered;
        self.bytes_delivered += other.bytes_delivered;
        self.frames_dropped += other.frames_dropped;
        self.frames_duplicated += other.frames_duplicated;
        self.frames_delayed += other.frames_delayed;
    }
}
