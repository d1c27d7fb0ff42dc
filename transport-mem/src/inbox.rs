//! What waits for one receiver: a bounded queue per sender and lane, served in turn.
//!
//! A queue of its own for each sender and lane keeps one that floods from taking the room of the others.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use async_channel::{Receiver, Sender as Channel};
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::limits::{RECV_BYTES_MAX, RECV_FRAMES_MAX};
use lockstep_core::rights::Sender;
use lockstep_core::transport::{Lane, Received, SenderKind};

/// Frames waiting from one sender on one lane.
const QUEUE_FRAMES_MAX: usize = 64 << 10;

/// Bytes waiting from one sender on one lane; a frame of the largest size fits beside others.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// - A queue in `queues` is not empty, and its key is in the channel `turns`. A key there may be without a queue.
pub(crate) struct Inbox {
    queues: Mutex<BTreeMap<Key, Queue>>,
    turns: Channel<Key>,
    next_turn: Receiver<Key>,
}

type Key = (Address, Lane);

struct Queue {
    sender: SenderKind,
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl Queue {
    /// What waits longest, as much as one `recv` hands over.
    fn take(&mut self) -> Vec<Bytes> {
        let (mut count, mut bytes) = (0, 0);
        for frame in self.frames.iter().take(RECV_FRAMES_MAX) {
            if count > 0 && bytes + frame.len() > RECV_BYTES_MAX {
                break;
            }
            count += 1;
            bytes += frame.len();
        }
        self.bytes -= bytes;
        self.frames.drain(..count).collect()
    }
}

impl Inbox {
    pub(crate) fn new() -> Self {
        let (turns, next_turn) = async_channel::unbounded();
        Self {
            queues: Mutex::default(),
            turns,
            next_turn,
        }
    }

    /// Adds all of `frames` or, if they do not fit or the inbox is closed, none: false.
    pub(crate) fn push(
        &self,
        from: &Address,
        sender: SenderKind,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> bool {
        if frames.is_empty() {
            return true;
        }
        let bytes = frames.iter().map(Bytes::len).sum();
        let key = (from.clone(), lane);
        let mut queues = self.lock();
        if self.turns.is_closed() {
            return false;
        }
        match queues.get_mut(&key) {
            // Frames that come together into an empty queue find room whatever their number: they are in memory anyway.
            None => {
                let queue = Queue {
                    sender,
                    frames: frames.into(),
                    bytes,
                };
                queues.insert(key.clone(), queue);
                self.turns.try_send(key).is_ok()
            }
            Some(queue) => {
                let fits = queue.frames.len() + frames.len() <= QUEUE_FRAMES_MAX
                    && queue.bytes + bytes <= QUEUE_BYTES_MAX;
                if fits {
                    queue.frames.extend(frames);
                    queue.bytes += bytes;
                }
                fits
            }
        }
    }

    /// Frames of whoever's turn it is; `None` once closed. Dropping the future loses nothing.
    pub(crate) async fn pop(&self) -> Option<Received> {
        loop {
            let key = self.next_turn.recv().await.ok()?;
            // Nothing waits between the turn and its frames, so the future cannot be dropped in between.
            let mut queues = self.lock();
            let Some(queue) = queues.get_mut(&key) else {
                continue;
            };
            let received = Received {
                from: key.0.clone(),
                sender: Sender::trusted(queue.sender),
                frames: queue.take(),
            };
            if queue.frames.is_empty() {
                queues.remove(&key);
            } else {
                // Fails only when the inbox is closed, and then nobody asks any more.
                let _ = self.turns.try_send(key);
            }
            return Some(received);
        }
    }

    /// Forgets what waits from `from`.
    pub(crate) fn forget(&self, from: &Address) {
        self.lock().retain(|(sender, _), _| sender != from);
    }

    /// Ends waiting and later `pop`s, and forgets what waits.
    pub(crate) fn close(&self) {
        let mut queues = self.lock();
        self.turns.close();
        while self.next_turn.try_recv().is_ok() {}
        queues.clear();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.turns.is_closed()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Queue>> {
        self.queues
            .lock()
            .expect("nothing panics while it holds the queues")
    }
}
