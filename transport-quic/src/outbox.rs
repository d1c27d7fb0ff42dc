//! What waits to be sent on one lane to one peer: a bounded queue and, while there is a connection, its stream.
//!
//! Whoever sends writes to the stream itself as long as that takes frames at once, which saves waking a task. Where the
//! stream stops taking, the connection's task writes on when it takes again, everything that waits in one go.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use lockstep_core::limits;
use quinn::{SendStream, WriteError};

use crate::allowance::Allowance;
use crate::frame;

/// Frames waiting for a node on one lane.
const FRAMES_MAX: usize = 64 << 10;

/// Bytes waiting for a node on one lane: a frame of the largest size beside others.
const NODE_BYTES_MAX: usize = 32 << 20;

/// Bytes waiting for a client on one lane: who does not read his answers loses them. As many as it is given in one round.
const CLIENT_BYTES_MAX: usize = limits::CLIENT_ANSWERS_BYTES_MAX;

/// Handed to the stream in one go.
const WRITE_BYTES_MAX: usize = 256 << 10;

/// One lane to one peer.
pub(crate) struct OutQueue {
    bytes_max: usize,
    state: Mutex<State>,
}

struct State {
    frames: VecDeque<Bytes>,
    waiting: Waiting,
    writer: Option<Writer>,
}

/// Bytes in a queue.
struct Waiting {
    bytes: usize,
    /// What all clients share; it counts `bytes`.
    allowance: Option<Allowance>,
}

/// - `chunks` from `written` on belong to frames that are no longer in the queue.
struct Writer {
    stream: SendStream,
    /// Wakes the connection's task, which writes on.
    task: Waker,
    /// The beginning of the stream, until it is written with the first frames.
    preamble: Option<Bytes>,
    chunks: Vec<Bytes>,
    written: usize,
    /// The stream takes nothing at the moment, and will wake `task`.
    is_blocked: bool,
}

/// What became of frames that were to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    /// On their way, or in the queue of a connected peer.
    Taken,
    /// In the queue until there is a connection.
    Waiting,
    /// Dropped: no room.
    Full,
    /// Dropped: no connection.
    NoConnection,
}

/// What to do with frames while there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unconnected {
    /// Keep them: the peer can be dialled.
    Keep,
    /// Drop them.
    Drop,
}

impl OutQueue {
    /// A queue to a node.
    pub(crate) fn to_node() -> Self {
        Self::new(NODE_BYTES_MAX, None)
    }

    /// A queue to a client. All clients share `allowance`.
    pub(crate) fn to_client(allowance: Allowance) -> Self {
        Self::new(CLIENT_BYTES_MAX, Some(allowance))
    }

    fn new(bytes_max: usize, allowance: Option<Allowance>) -> Self {
        let state = State {
            frames: VecDeque::new(),
            waiting: Waiting {
                bytes: 0,
                allowance,
            },
            writer: None,
        };
        Self {
            bytes_max,
            state: Mutex::new(state),
        }
    }

    /// Takes all of `frames` or none, and writes what the stream takes at once.
    pub(crate) fn offer(&self, frames: Vec<Bytes>, unconnected: Unconnected) -> Offered {
        let mut state = self.lock();
        if state.writer.is_none() && unconnected == Unconnected::Drop {
            return Offered::NoConnection;
        }
        let bytes: usize = frames.iter().map(Bytes::len).sum();
        // What comes together into an empty queue finds room whatever its size: it is in memory anyway.
        let fits = state.frames.is_empty()
            || (state.frames.len() + frames.len() <= FRAMES_MAX
                && state.waiting.bytes + bytes <= self.bytes_max);
        if !fits || !state.waiting.take(bytes) {
            return Offered::Full;
        }
        state.frames.extend(frames);
        state.write();
        match state.writer {
            Some(_) => Offered::Taken,
            None => Offered::Waiting,
        }
    }

    /// Gives the queue a stream; what waits is written. `preamble` is the beginning of the stream.
    /// The stream of another connection is finished: what was written to it is still delivered.
    pub(crate) fn attach(&self, stream: SendStream, preamble: Option<Bytes>, task: Waker) {
        let mut state = self.lock();
        state.writer = Some(Writer {
            stream,
            task,
            preamble,
            chunks: Vec::new(),
            written: 0,
            is_blocked: false,
        });
        state.write();
    }

    /// Takes the stream away.
    pub(crate) fn detach(&self) {
        self.lock().writer = None;
    }

    /// Writes on, where the stream took nothing before.
    pub(crate) fn resume(&self) {
        let mut state = self.lock();
        if let Some(writer) = &mut state.writer
            && writer.is_blocked
        {
            writer.is_blocked = false;
            state.write();
        }
    }

    /// Drops what waits for a connection; nothing if there is one.
    pub(crate) fn drop_waiting(&self) {
        let mut state = self.lock();
        if state.writer.is_none() {
            state.frames.clear();
            let bytes = state.waiting.bytes;
            state.waiting.give_back(bytes);
        }
    }

    /// Does something wait?
    pub(crate) fn is_waiting(&self) -> bool {
        let state = self.lock();
        let is_writing = state
            .writer
            .as_ref()
            .is_some_and(|writer| writer.written < writer.chunks.len());
        is_writing || !state.frames.is_empty()
    }

    /// Takes the stream out, to end it.
    pub(crate) fn take_stream(&self) -> Option<SendStream> {
        self.lock().writer.take().map(|writer| writer.stream)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the queue")
    }
}

impl State {
    /// Writes until nothing is left or the stream takes no more. Without a stream, nothing happens.
    fn write(&mut self) {
        while let Some(writer) = &mut self.writer {
            if writer.is_blocked {
                return;
            }
            if writer.written == writer.chunks.len() {
                if self.frames.is_empty() {
                    return;
                }
                writer.written = 0;
                writer.chunks.clear();
                writer.chunks.extend(writer.preamble.take());
                let (count, bytes) = fill(&self.frames, WRITE_BYTES_MAX);
                frame::encode(self.frames.drain(..count), &mut writer.chunks);
                self.waiting.give_back(bytes);
            }
            match writer.poll() {
                Poll::Ready(Ok(chunks)) => writer.written += chunks,
                Poll::Pending => writer.is_blocked = true,
                // The connection's task finds out as well and says why. What is left waits for the next connection;
                // a frame that was begun is lost.
                Poll::Ready(Err(_)) => self.writer = None,
            }
        }
    }
}

impl Waiting {
    /// So many bytes more, if the allowance has them.
    fn take(&mut self, bytes: usize) -> bool {
        let is_left = self
            .allowance
            .as_ref()
            .is_none_or(|allowance| allowance.take(bytes));
        self.bytes += if is_left { bytes } else { 0 };
        is_left
    }

    /// So many bytes wait no more.
    fn give_back(&mut self, bytes: usize) {
        self.bytes -= bytes;
        if let Some(allowance) = &self.allowance {
            allowance.give_back(bytes);
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}

/// How many of the first frames are written in one go, and their bytes: at least one.
fn fill(frames: &VecDeque<Bytes>, bytes_max: usize) -> (usize, usize) {
    let mut bytes = 0;
    for (count, frame) in frames.iter().enumerate() {
        if bytes >= bytes_max {
            return (count, bytes);
        }
        bytes += frame.len();
    }
    (frames.len(), bytes)
}

impl Writer {
    /// Writes what the stream takes. Pending means that nothing was written and that the connection's task is woken.
    fn poll(&mut self) -> Poll<Result<usize, WriteError>> {
        let mut cx = Context::from_waker(&self.task);
        let write = pin!(self.stream.write_chunks(&mut self.chunks[self.written..]));
        write.poll(&mut cx).map_ok(|written| written.chunks)
    }
}
