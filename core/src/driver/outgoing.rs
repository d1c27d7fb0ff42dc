//! What a process sends in one round of the loop: messages grouped by peer and lane, each group handed over as one.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::config::Address;
use crate::driver::{Watch, lanes};
use crate::message::Message;
use crate::transport::{Lane, Transport, TransportError};
use crate::wire::{self, GroupId};

/// The messages of one round.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    // Ordered so that what is most urgent to a peer goes first.
    frames: BTreeMap<(Lane, Address), Vec<Bytes>>,
    /// Where messages become bytes.
    buffer: Vec<u8>,
}

impl Outgoing {
    /// Adds a message; the only place where one becomes bytes.
    pub(super) fn push(&mut self, to: Address, message: &Message) {
        let frame = wire::encode_by(&mut self.buffer, GroupId::default(), message);
        let lane = lanes::lane(message);
        self.frames.entry((lane, to)).or_default().push(frame);
    }

    /// Hands everything to the transport. What it does not take is lost, as on any network.
    pub(super) async fn send(&mut self, transport: &dyn Transport, watch: &dyn Watch) {
        while let Some(((lane, to), mut frames)) = self.frames.pop_first() {
            let limit = transport.frame_bytes_max();
            // One frame too many bytes long must not take the others with it.
            frames.retain(|frame| {
                let size = frame.len();
                if size > limit {
                    let error = TransportError::TooLarge { size, limit };
                    watch.on_unsent(&to, &error.to_string());
                }
                size <= limit
            });
            if frames.is_empty() {
                continue;
            }
            if let Err(error) = transport.send(&to, lane, frames).await {
                watch.on_unsent(&to, &error.to_string());
            }
        }
    }
}
