//! What has arrived and waits for `recv`: a bounded queue for each lane of each connection, served in turn.
//!
//! A queue that is full stops the reading of its stream, whose flow control stops the sender. Nobody else is held up.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use async_channel::{Receiver, Sender as Channel};
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::limits::{RECV_BYTES_MAX, RECV_FRAMES_MAX};
use lockstep_core::rights::Sender;
use lockstep_core::transport::{Received, SenderKind};

use crate::budget::Room;

/// A lane is not read on while this much waits from a node.
const NODE_BYTES_MAX: usize = 1 << 20;

/// A lane is not read on while this much waits from a client; there are many of them.
const CLIENT_BYTES_MAX: usize = 128 << 10;

/// What a frame takes beside its bytes, so that empty ones count as well.
const FRAME_BYTES: usize = size_of::<Waiting>();

/// All queues, through the turns of those that hold something.
pub(crate) struct Inbox {
    turns: Channel<Arc<InQueue>>,
    next_turn: Receiver<Arc<InQueue>>,
}

/// What has arrived on one lane of one connection.
///
/// - It is in the channel of turns exactly while `frames` is not empty.
pub(crate) struct InQueue {
    from: Address,
    sender: Sender,
    turns: Channel<Arc<InQueue>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    frames: VecDeque<Waiting>,
    /// Of the frames, what they take beside their bytes included.
    bytes: usize,
    /// Of the reader, while it waits for room.
    reader: Option<Waker>,
}

/// A frame, and the room that was made for it, if it is a long one of a client.
struct Waiting {
    frame: Bytes,
    room: Option<Room>,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        let (turns, next_turn) = async_channel::unbounded();
        Self { turns, next_turn }
    }

    /// A queue for what comes from `from`.
    pub(crate) fn queue(&self, from: Address, sender: Sender) -> Arc<InQueue> {
        Arc::new(InQueue {
            from,
            sender,
            turns: self.turns.clone(),
            state: Mutex::default(),
        })
    }

    /// Frames of whoever's turn it is; `None` once closed. Dropping the future loses nothing.
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
    /// Adds frames, however many: the reader has them in memory anyway, and waits for room before it reads more. `room` was
    /// made for the first of them.
    pub(crate) fn push(self: &Arc<Self>, frames: Vec<Bytes>, mut room: Option<Room>) {
        if frames.is_empty() {
            return;
        }
        let mut state = self.lock();
        let was_empty = state.frames.is_empty();
        for frame in frames {
            state.bytes += frame.len() + FRAME_BYTES;
            let room = room.take();
            state.frames.push_back(Waiting { frame, room });
        }
        drop(state);
        if was_empty {
            self.take_turn();
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

    /// What waits longest, as much as one `recv` hands over; for the rest the queue gets another turn.
    fn take(self: &Arc<Self>) -> Received {
        let mut state = self.lock();
        let mut frames = Vec::with_capacity(state.frames.len().min(RECV_FRAMES_MAX));
        let mut bytes = 0;
        while let Some(next) = state.frames.front() {
            bytes += next.frame.len();
            if !frames.is_empty() && (frames.len() == RECV_FRAMES_MAX || bytes > RECV_BYTES_MAX) {
                break;
            }
            let Some(Waiting { frame, room }) = state.frames.pop_front() else {
                break;
            };
            drop(room);
            state.bytes -= frame.len() + FRAME_BYTES;
            frames.push(frame);
        }
        let is_empty = state.frames.is_empty();
        let reader = if state.bytes < self.bytes_max() {
            state.reader.take()
        } else {
            None
        };
        drop(state);
        if !is_empty {
            self.take_turn();
        }
        if let Some(reader) = reader {
            reader.wake();
        }
        Received {
            from: self.from.clone(),
            sender: self.sender.clone(),
            frames,
        }
    }

    fn take_turn(self: &Arc<Self>) {
        // Fails only when the transport is closed, and then nobody asks any more.
        let _ = self.turns.try_send(Arc::clone(self));
    }

    fn bytes_max(&self) -> usize {
        match self.sender.kind() {
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

#[cfg(test)]
mod tests {
    use futures_lite::future::{block_on, poll_once};

    use super::*;

    fn queue(inbox: &Inbox, name: &str) -> Arc<InQueue> {
        inbox.queue(Address::new(name), Sender::trusted(SenderKind::Client))
    }

    fn frames(count: usize, size: usize) -> Vec<Bytes> {
        vec![Bytes::from(vec![0; size]); count]
    }

    #[test]
    fn what_one_recv_hands_over_is_bounded_and_others_have_their_turn_between() {
        block_on(async {
            let inbox = Inbox::new();
            let (flood, other) = (queue(&inbox, "flood"), queue(&inbox, "other"));
            flood.push(frames(2 * RECV_FRAMES_MAX + 1, 0), None);
            flood.push(frames(3, RECV_BYTES_MAX / 2 + 1), None);
            flood.push(frames(1, 3 * RECV_BYTES_MAX), None);
            other.push(frames(1, 5), None);
            let mut taken = Vec::new();
            while let Some(Some(received)) = poll_once(inbox.pop()).await {
                let bytes: usize = received.frames.iter().map(Bytes::len).sum();
                assert!(received.frames.len() <= RECV_FRAMES_MAX);
                assert!(bytes <= RECV_BYTES_MAX || received.frames.len() == 1);
                taken.push((received.from.to_string(), received.frames.len()));
            }
            assert_eq!(taken[1], ("other".to_owned(), 1), "{taken:?}");
            let of_flood = taken.iter().filter(|(from, _)| from == "flood");
            let all: usize = of_flood.map(|(_, count)| count).sum();
            assert_eq!(all, 2 * RECV_FRAMES_MAX + 5);
            assert_eq!(flood.lock().bytes, 0);
        });
    }

    #[test]
    fn empty_frames_fill_a_queue_too() {
        let inbox = Inbox::new();
        let queue = queue(&inbox, "a");
        queue.push(frames(CLIENT_BYTES_MAX / FRAME_BYTES + 1, 0), None);
        assert!(queue.is_full());
    }
}
