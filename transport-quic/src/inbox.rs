//! What has arrived and waits for `recv`: a bounded queue for each lane of each connection, served in turn.
//!
//! A queue that is full stops the reading of its stream, whose flow control stops the sender. Nobody else is held up.

use std::future::poll_fn;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use async_channel::{Receiver, Sender};
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::transport::{Received, SenderKind};

/// A lane is not read on while this much waits from a node.
const NODE_BYTES_MAX: usize = 1 << 20;

/// A lane is not read on while this much waits from a client; there are many of them.
const CLIENT_BYTES_MAX: usize = 128 << 10;

/// All queues, through the turns of those that hold something.
pub(crate) struct Inbox {
    turns: Sender<Arc<InQueue>>,
    next_turn: Receiver<Arc<InQueue>>,
}

/// What has arrived on one lane of one connection.
///
/// - It is in the channel of turns exactly while `frames` is not empty.
pub(crate) struct InQueue {
    from: Address,
    sender: SenderKind,
    turns: Sender<Arc<InQueue>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    frames: Vec<Bytes>,
    bytes: usize,
    /// Of the reader, while it waits for room.
    reader: Option<Waker>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        let (turns, next_turn) = async_channel::unbounded();
        Self { turns, next_turn }
    }

    /// A queue for what comes from `from`.
    pub(crate) fn queue(&self, from: Address, sender: SenderKind) -> Arc<InQueue> {
        Arc::new(InQueue {
            from,
            sender,
            turns: self.turns.clone(),
            state: Mutex::default(),
        })
    }

    /// The frames of whoever's turn it is; `None` once closed. Dropping the future loses nothing.
    pub(crate) async fn pop(&self) -> Option<Received> {
        let queue = self.next_turn.recv().await.ok()?;
        Some(queue.take())
    }

    /// Ends waiting and later `pop`s, and forgets what waits.
    pub(crate) fn close(&self) {
        self.turns.close();
        while self.next_turn.try_recv().is_ok() {}
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.turns.is_closed()
    }
}

impl InQueue {
    /// Adds frames, however many: the reader has them in memory anyway, and waits for room before it reads more.
    pub(crate) fn push(self: &Arc<Self>, frames: Vec<Bytes>) {
        if frames.is_empty() {
            return;
        }
        let mut state = self.lock();
        state.bytes += frames.iter().map(Bytes::len).sum::<usize>();
        if state.frames.is_empty() {
            state.frames = frames;
            drop(state);
            // Fails only when the transport is closed, and then nobody asks any more.
            let _ = self.turns.try_send(Arc::clone(self));
        } else {
            state.frames.extend(frames);
        }
    }

    /// Waits until there is room. One reader only.
    pub(crate) async fn room(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.bytes < self.bytes_max() {
                return Poll::Ready(());
            }
            state.reader = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Is there as much waiting as may?
    pub(crate) fn is_full(&self) -> bool {
        self.lock().bytes >= self.bytes_max()
    }

    fn take(&self) -> Received {
        let mut state = self.lock();
        state.bytes = 0;
        let reader = state.reader.take();
        let frames = mem::take(&mut state.frames);
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Received {
            from: self.from.clone(),
            sender: self.sender,
            frames,
        }
    }

    fn bytes_max(&self) -> usize {
        match self.sender {
            SenderKind::Node => NODE_BYTES_MAX,
            SenderKind::Client => CLIENT_BYTES_MAX,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the queue")
    }
}
