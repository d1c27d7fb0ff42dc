//! Reading the other side's streams, each into a queue of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use futures_lite::future;
use lockstep_core::rights::Sender;
use lockstep_core::transport::Lane;
use quinn::{Connection, RecvStream};
use tracing::warn;

use crate::budget::{self, Room};
use crate::closing::{self, Code};
use crate::frame::Decoder;
use crate::gate::Fare;
use crate::inbox::InQueue;
use crate::opening::Control;
use crate::peer::Peer;
use crate::shared::Shared;
use crate::streams;

/// Frames of clients up to this size arrive without room having been made for them.
const SHORT_BYTES_MAX: usize = 16 << 10;

/// Reads the other side's streams.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    connection: Connection,
    sender: Sender,
    /// What the other side has paid, if it began the connection.
    fare: Option<Arc<Fare>>,
    /// Bits of the lanes whose stream has begun.
    lanes_seen: AtomicU8,
}

/// The connection has ended.
struct Gone;

impl Reader {
    /// For a connection of `peer`, which has said Hello, and has the certificate of `sender`.
    pub(crate) fn new(
        shared: Arc<Shared>,
        peer: Arc<Peer>,
        connection: Connection,
        sender: Sender,
        fare: Option<Arc<Fare>>,
    ) -> Self {
        Self {
            shared,
            peer,
            connection,
            sender,
            fare,
            lanes_seen: AtomicU8::new(bit_of(Lane::Control)),
        }
    }

    /// Reads the control stream on.
    pub(crate) async fn read_control(&self, control: Control) {
        let Control {
            stream,
            mut decoder,
        } = control;
        decoder.set_limit(self.frame_bytes_max());
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
        self.read_lane(stream, Decoder::new(self.frame_bytes_max()))
            .await;
    }

    /// Reads frames until the stream or the connection ends.
    async fn read_lane(&self, mut stream: RecvStream, mut decoder: Decoder) {
        let queue = self
            .shared
            .inbox
            .queue(self.peer.address.clone(), self.sender.clone());
        let mut room = None;
        loop {
            match deliver(&mut decoder, &queue, &mut room) {
                Ok(0) => {}
                Ok(_) => {
                    if let Some(fare) = &self.fare {
                        fare.pay_back();
                    }
                }
                Err(reason) => {
                    self.cut_off(&reason);
                    return;
                }
            }
            queue.room().await;
            if room.is_none() {
                room = match self.room_for(&decoder).await {
                    Ok(room) => room,
                    Err(Gone) => return,
                };
            }
            let read = async {
                let read = streams::read(&mut stream, self.peer.kind, &mut decoder).await;
                // The other side uses another connection, or goes: the connection's task hears of it.
                read.unwrap_or(false)
            };
            let Some(room) = &room else {
                if read.await {
                    continue;
                }
                return;
            };
            let given_up = async {
                room.given_up().await;
                self.cut_off(&format!(
                    "a frame has not become whole within {} s, and others wait for the room it takes",
                    budget::PATIENCE.as_secs()
                ));
                false
            };
            if !future::or(read, given_up).await {
                return;
            }
        }
    }

    /// Waits for room for the frame that is under way, if it is one that needs it.
    async fn room_for(&self, decoder: &Decoder) -> Result<Option<Room>, Gone> {
        let long = decoder.unfinished().filter(|size| *size > SHORT_BYTES_MAX);
        let (Some(size), Some(name)) = (long, &self.peer.client) else {
            return Ok(None);
        };
        let room = async {
            let room = self.shared.budget.room(name, size, &self.shared.runtime);
            Ok(Some(room.await))
        };
        let gone = async {
            self.connection.closed().await;
            Err(Gone)
        };
        future::or(room, gone).await
    }

    fn frame_bytes_max(&self) -> usize {
        self.shared.frame_bytes_max_of(self.peer.kind)
    }

    fn cut_off(&self, reason: &str) {
        warn!(peer = %self.peer.address, reason, "cut off");
        self.shared
            .failures
            .note(&self.peer.address, format!("cut off: {reason}"));
        closing::close(&self.connection, Code::Violation, reason);
    }
}

/// Hands on what is whole, and tells how many frames that were. `room` was made for the frame that becomes whole first.
fn deliver(
    decoder: &mut Decoder,
    queue: &Arc<InQueue>,
    room: &mut Option<Room>,
) -> Result<usize, String> {
    let mut frames = Vec::new();
    let result = loop {
        match decoder.next_frame() {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => break Ok(frames.len()),
            Err(error) => break Err(error.to_string()),
        }
    };
    if !frames.is_empty() {
        let room = room.take().inspect(Room::on_whole);
        queue.push(frames, room);
    }
    result
}

fn bit_of(lane: Lane) -> u8 {
    1 << lane as u8
}
