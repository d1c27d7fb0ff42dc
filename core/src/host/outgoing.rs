//! What a process sends in one round: messages grouped by peer and lane, each group handed over as one.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::config::Address;
use crate::message::Message;
use crate::transport::Lane;
use crate::wire;

/// The messages of one round.
#[derive(Debug, Default)]
pub struct Outgoing {
    // Ordered so that what is most urgent to a peer goes first.
    frames: BTreeMap<(Lane, Address), Vec<Bytes>>,
    /// Where messages become bytes.
    buffer: Vec<u8>,
}

/// Frames for one peer, on one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// For whom.
    pub to: Address,
    /// On which lane.
    pub lane: Lane,
    /// In this order; at least one.
    pub frames: Vec<Bytes>,
}

impl Outgoing {
    /// Adds a message; the only place where one becomes bytes.
    pub(super) fn push(&mut self, to: Address, message: &Message) {
        let frame = wire::encode_by(&mut self.buffer, message);
        let lane = message.lane();
        self.frames.entry((lane, to)).or_default().push(frame);
    }

    /// Takes what goes next, the most urgent first.
    pub fn take(&mut self) -> Option<Parcel> {
        let ((lane, to), frames) = self.frames.pop_first()?;
        Some(Parcel { to, lane, frames })
    }
}
