//! Reading the other side's streams, each into a queue of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use lockstep_core::transport::Lane;
use quinn::{Connection, RecvStream};
use tracing::warn;

use crate::closing::{self, Code};
use crate::frame::Decoder;
use crate::inbox::InQueue;
use crate::opening::Control;
use crate::peer::Peer;
use crate::shared::Shared;
use crate::streams;

/// Reads the other side's streams.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    connection: Connection,
    /// Bits of the lanes whose stream has begun.
    lanes_seen: AtomicU8,
}

impl Reader {
    /// For a connection of `peer`, which has said Hello.
    pub(crate) fn new(shared: Arc<Shared>, peer: Arc<Peer>, connection: Connection) -> Self {
        Self {
            shared,
            peer,
            connection,
            lanes_seen: AtomicU8::new(bit_of(Lane::Control)),
        }
    }

    /// Reads the control stream on.
    pub(crate) async fn read_control(&self, control: Control) {
        let Control {
            stream,
            mut decoder,
        } = control;
        decoder.set_limit(self.shared.frame_bytes_max);
        self.read_lane(stream, decoder).await;
    }

    /// Reads another stream from its beginning.
    pub(crate) async fn read_stream(&self, mut stream: RecvStream) {
        let Ok(Some(first)) = streams::first_byte(&mut stream).await else {
            return;
        };
        let Some(lane) = streams::lane_of(first) else {
            self.cut_off(&format!("a stream begins with {first}, which is no lane"));
            return;
        };
        let seen = self.lanes_seen.fetch_or(bit_of(lane), Ordering::Relaxed);
        if seen & bit_of(lane) != 0 {
            self.cut_off(&format!("a second stream for the lane {lane:?}"));
            return;
        }
        self.read_lane(stream, Decoder::new(self.shared.frame_bytes_max))
            .await;
    }

    /// Reads frames until the stream or the connection ends.
    async fn read_lane(&self, mut stream: RecvStream, mut decoder: Decoder) {
        let queue = self
            .shared
            .inbox
            .queue(self.peer.address.clone(), self.peer.kind);
        loop {
            if let Err(reason) = deliver(&mut decoder, &queue) {
                self.cut_off(&reason);
                return;
            }
            queue.room().await;
            match streams::read(&mut stream, &mut decoder).await {
                Ok(true) => {}
                // The other side uses another connection, or goes: the connection's task hears of it.
                Ok(false) | Err(_) => return,
            }
        }
    }

    fn cut_off(&self, reason: &str) {
        warn!(peer = %self.peer.address, reason, "cut off");
        self.shared
            .failures
            .note(&self.peer.address, format!("cut off: {reason}"));
        closing::close(&self.connection, Code::Violation, reason);
    }
}

fn deliver(decoder: &mut Decoder, queue: &Arc<InQueue>) -> Result<(), String> {
    let mut frames = Vec::new();
    let result = loop {
        match decoder.next_frame() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.to_string()),
        }
    };
    queue.push(frames);
    result
}

fn bit_of(lane: Lane) -> u8 {
    1 << lane as u8
}
