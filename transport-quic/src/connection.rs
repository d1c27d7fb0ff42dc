//! How a connection begins behind the TLS handshake, lives and ends: Hellos, streams, reading, and who is told what.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;

use bytes::Bytes;
use futures_lite::future;
use lockstep_core::transport::Lane;
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, WriteError};
use tracing::{debug, info, warn};

use crate::closing::{self, Code, Weight};
use crate::dial;
use crate::endpoint::Shared;
use crate::frame::{self, Decoder};
use crate::hello::{self, Hello, HelloError};
use crate::inbox::InQueue;
use crate::peer::{Active, Peer, Streams};

/// Pieces of a stream taken in one go: what some forty packets carry.
const PIECES_MAX: usize = 64;

/// Why a connection did not come about behind the TLS handshake.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{0}")]
    Connection(#[from] ConnectionError),
    #[error(transparent)]
    Hello(#[from] HelloError),
}

/// The other side's control stream, behind its Hello.
pub(crate) struct Control {
    stream: RecvStream,
    decoder: Decoder,
}

/// Reads the other side's Hello: the first frame of its first stream.
pub(crate) async fn read_hello(connection: &Connection) -> Result<(Hello, Control), OpenError> {
    let mut stream = connection.accept_uni().await?;
    let mut decoder = Decoder::new(hello::BYTES_MAX);
    let mut tag = [0];
    match stream.read(&mut tag).await {
        Ok(Some(_)) if lane_of(tag[0]) == Some(Lane::Control) => {}
        Ok(_) => return Err(HelloError::Malformed.into()),
        Err(error) => return Err(read_error(error)),
    }
    loop {
        let mut pieces: [Bytes; PIECES_MAX] = std::array::from_fn(|_| Bytes::new());
        match stream.read_chunks(&mut pieces).await {
            Ok(Some(count)) => pieces[..count]
                .iter()
                .for_each(|piece| decoder.extend(piece)),
            Ok(None) => return Err(HelloError::Malformed.into()),
            Err(error) => return Err(read_error(error)),
        }
        match decoder.next_frame() {
            Ok(None) => {}
            Ok(Some(frame)) => {
                let hello = Hello::decode(frame)?;
                return Ok((hello, Control { stream, decoder }));
            }
            Err(_) => return Err(HelloError::Malformed.into()),
        }
    }
}

/// Opens this side's streams and says Hello. The streams of other lanes begin when they are first used.
pub(crate) async fn open_streams(
    connection: &Connection,
    hello: &Hello,
) -> Result<Streams, OpenError> {
    let mut control = open(connection, Lane::Control).await?;
    let mut chunks = vec![tag_of(Lane::Control)];
    frame::encode(std::iter::once(hello.encode()), &mut chunks);
    control
        .write_all_chunks(&mut chunks)
        .await
        .map_err(write_error)?;
    let log = open(connection, Lane::Log).await?;
    let bulk = open(connection, Lane::Bulk).await?;
    Ok([
        (control, None),
        (log, Some(tag_of(Lane::Log))),
        (bulk, Some(tag_of(Lane::Bulk))),
    ])
}

async fn open(connection: &Connection, lane: Lane) -> Result<SendStream, OpenError> {
    let stream = connection.open_uni().await?;
    let priority = match lane {
        Lane::Control => 2,
        Lane::Log => 1,
        Lane::Bulk => 0,
    };
    stream
        .set_priority(priority)
        .expect("a stream just opened is not closed");
    Ok(stream)
}

/// Runs a connection until it ends. Both sides have said Hello.
pub(crate) async fn run(
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    active: Active,
    streams: Streams,
    control: Control,
) {
    let connection = active.connection.clone();
    let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let is_installed = peer.install(&shared.local, active, streams, &task);
    if is_installed {
        info!(peer = %peer.address, remote = %connection.remote_address(), "connected");
        shared.failures.forget(&peer.address);
    }

    let reader = Reader {
        shared: Arc::clone(&shared),
        peer: Arc::clone(&peer),
        connection: connection.clone(),
        lanes_seen: AtomicU8::new(bit_of(Lane::Control)),
    };
    let reader = Arc::new(reader);
    let mut decoder = control.decoder;
    decoder.set_limit(shared.frame_bytes_max);
    let reading = Arc::clone(&reader);
    shared.runtime.spawn(async move {
        reading.read_lane(control.stream, decoder).await;
    });
    let error = loop {
        // Woken where a stream comes in, the connection ends, or one of this side's streams takes bytes again.
        let resume = poll_fn(|_| {
            peer.resume();
            Poll::Pending
        });
        match future::or(connection.accept_uni(), resume).await {
            Ok(stream) => {
                let reading = Arc::clone(&reader);
                shared
                    .runtime
                    .spawn(async move { reading.read_stream(stream).await });
            }
            Err(error) => break error,
        }
    };
    shared.past.add(&connection);
    on_end(&shared, &peer, &connection, &error);
}

fn on_end(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    connection: &Connection,
    error: &ConnectionError,
) {
    let was_active = peer.uninstall(connection);
    if let Some((weight, reason)) = closing::describe(error) {
        match weight {
            Weight::Usual => debug!(peer = %peer.address, reason, "connection ended"),
            Weight::Unusual if was_active => warn!(peer = %peer.address, reason, "connection lost"),
            Weight::Unusual => debug!(peer = %peer.address, reason, "connection lost"),
        }
        if was_active {
            shared.failures.note(&peer.address, reason);
        }
    }
    if was_active && peer.is_waiting() && peer.begin_dialling() {
        dial::spawn(shared, peer);
    }
}

/// Reads the other side's streams.
struct Reader {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    connection: Connection,
    /// Bits of the lanes whose stream has begun.
    lanes_seen: AtomicU8,
}

impl Reader {
    /// Reads a stream from its beginning.
    async fn read_stream(&self, mut stream: RecvStream) {
        let mut tag = [0];
        let Ok(Some(_)) = stream.read(&mut tag).await else {
            return;
        };
        let Some(lane) = lane_of(tag[0]) else {
            self.cut_off(&format!(
                "a stream begins with {}, which is no lane",
                tag[0]
            ));
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
            let mut pieces: [Bytes; PIECES_MAX] = std::array::from_fn(|_| Bytes::new());
            match stream.read_chunks(&mut pieces).await {
                Ok(Some(count)) => pieces[..count]
                    .iter()
                    .for_each(|piece| decoder.extend(piece)),
                // The other side uses another connection, or goes: `run` hears of it.
                Ok(None) | Err(_) => return,
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

fn tag_of(lane: Lane) -> Bytes {
    Bytes::from_static(match lane {
        Lane::Control => &[0],
        Lane::Log => &[1],
        Lane::Bulk => &[2],
    })
}

fn lane_of(tag: u8) -> Option<Lane> {
    Lane::ALL.get(usize::from(tag)).copied()
}

fn bit_of(lane: Lane) -> u8 {
    1 << lane as u8
}

fn read_error(error: ReadError) -> OpenError {
    match error {
        ReadError::ConnectionLost(error) => error.into(),
        ReadError::Reset(_)
        | ReadError::ClosedStream
        | ReadError::IllegalOrderedRead
        | ReadError::ZeroRttRejected => HelloError::Malformed.into(),
    }
}

fn write_error(error: WriteError) -> OpenError {
    match error {
        WriteError::ConnectionLost(error) => error.into(),
        WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
            HelloError::Malformed.into()
        }
    }
}
