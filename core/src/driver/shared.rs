//! One end of the network for an arbiter and a replica of the same process: each has a half of it, and hears what is for it.
//!
//! A task reads the end and puts each frame where it belongs, by its head. What the two have to say to each other takes the way of any
//! frame to the own address.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_channel::{Receiver, Sender, bounded, unbounded};
use async_trait::async_trait;
use bytes::Bytes;
use futures_lite::FutureExt;

use crate::config::Address;
use crate::driver::spawn::runtime_of;
use crate::limits::RECV_BYTES_MAX;
use crate::runtime::Runtime;
use crate::transport::{Lane, Received, Traffic, Transport, TransportError};
use crate::wire;

/// Bytes that wait for a half: what a round of its process takes. While more would, the end is not read, so that its own bounds hold
/// senders up.
const WAITING_BYTES_MAX: usize = 4 * RECV_BYTES_MAX;

/// So long a half may leave no room before what is for it is dropped: many rounds of a process that is busy, and a fraction of any
/// lease, since the other half waits as well.
const PATIENCE: Duration = Duration::from_millis(50);

/// The halves of `end`, for the arbiter and for the replica that share it. The end closes when both halves are closed.
pub fn share(end: Arc<dyn Transport>) -> (Arc<dyn Transport>, Arc<dyn Transport>) {
    let queues: Arc<[Queue; 2]> = Arc::default();
    let (held, let_go) = bounded(1);
    let half = |number| -> Arc<dyn Transport> {
        Arc::new(Half {
            end: Arc::clone(&end),
            queues: Arc::clone(&queues),
            number,
            _held: held.clone(),
        })
    };
    let halves = (half(0), half(1));
    let runtime = runtime_of(end.as_ref());
    let sorting = sort(end, Arc::clone(&runtime), queues, let_go);
    runtime.spawn(Box::pin(sorting));
    halves
}

/// One of the halves.
struct Half {
    end: Arc<dyn Transport>,
    /// Of the arbiter, and of the replica.
    queues: Arc<[Queue; 2]>,
    /// Which of them is its own.
    number: usize,
    _held: Sender<()>,
}

/// What waits for a half.
struct Queue {
    waiting: (Sender<Received>, Receiver<Received>),
    bytes: AtomicUsize,
    /// Something was taken, or the queue was closed.
    changed: (Sender<()>, Receiver<()>),
}

/// Puts what arrives at `end` into the queue that it is for, until that is closed, or nobody holds a half any more.
async fn sort(
    end: Arc<dyn Transport>,
    runtime: Arc<dyn Runtime>,
    queues: Arc<[Queue; 2]>,
    let_go: Receiver<()>,
) {
    let mut is_deaf = [false; 2];
    loop {
        let nobody = async {
            let _ = let_go.recv().await;
            Err(TransportError::Closed)
        };
        let Ok(mut received) = end.recv().or(nobody).await else {
            break;
        };
        let to_arbiter = received
            .frames
            .extract_if(.., |frame| wire::is_for_arbiter(frame));
        let to_arbiter = Received {
            frames: to_arbiter.collect(),
            from: received.from.clone(),
            sender: received.sender.clone(),
        };
        for ((queue, is_deaf), received) in
            queues.iter().zip(&mut is_deaf).zip([to_arbiter, received])
        {
            if received.frames.is_empty() {
                continue;
            }
            // Who has been waited for in vain is not waited for again before it takes something.
            let has_room =
                queue.has_room() || !*is_deaf && queue.has_room_within(runtime.as_ref()).await;
            if has_room {
                queue.push(received);
            }
            *is_deaf = !has_room;
        }
    }
    queues.iter().for_each(Queue::close);
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            waiting: unbounded(),
            bytes: AtomicUsize::default(),
            changed: bounded(1),
        }
    }
}

impl Queue {
    /// A queue that is closed has: what comes vanishes there.
    fn has_room(&self) -> bool {
        self.is_closed() || self.bytes.load(Ordering::SeqCst) < WAITING_BYTES_MAX
    }

    /// Waits for room, but not for long.
    async fn has_room_within(&self, runtime: &dyn Runtime) -> bool {
        let room = async {
            while !self.has_room() {
                let _ = self.changed.1.recv().await;
            }
            true
        };
        let impatience = async {
            runtime.sleep(PATIENCE).await;
            false
        };
        room.or(impatience).await
    }

    fn push(&self, received: Received) {
        self.bytes.fetch_add(bytes_of(&received), Ordering::SeqCst);
        // Fails only where it is closed, and nobody asks any more.
        let _ = self.waiting.0.try_send(received);
    }

    async fn pop(&self) -> Result<Received, TransportError> {
        let received = self.waiting.1.recv().await;
        // Nothing waits from here on, so the future cannot be dropped with what it has taken.
        let received = received.map_err(|_| TransportError::Closed)?;
        self.bytes.fetch_sub(bytes_of(&received), Ordering::SeqCst);
        let _ = self.changed.0.try_send(());
        Ok(received)
    }

    fn close(&self) {
        self.waiting.1.close();
        while self.waiting.1.try_recv().is_ok() {}
        let _ = self.changed.0.try_send(());
    }

    fn is_closed(&self) -> bool {
        self.waiting.1.is_closed()
    }
}

/// What it takes in memory, so that empty frames count as well.
fn bytes_of(received: &Received) -> usize {
    let frames = received.frames.iter();
    let frames: usize = frames
        .map(|frame| frame.len() + mem::size_of::<Bytes>())
        .sum();
    mem::size_of::<Received>() + frames
}

impl Half {
    fn queue(&self) -> &Queue {
        &self.queues[self.number]
    }
}

#[async_trait]
impl Transport for Half {
    fn local(&self) -> &Address {
        self.end.local()
    }

    fn frame_bytes_max(&self) -> usize {
        self.end.frame_bytes_max()
    }

    async fn send(
        &self,
        to: &Address,
        lane: Lane,
        frames: Vec<Bytes>,
    ) -> Result<(), TransportError> {
        if self.queue().is_closed() {
            return Err(TransportError::Closed);
        }
        self.end.send(to, lane, frames).await
    }

    async fn recv(&self) -> Result<Received, TransportError> {
        self.queue().pop().await
    }

    /// The other half is connected by the same connection, and loses it, too.
    async fn disconnect(&self, peer: &Address, reason: &str) {
        self.end.disconnect(peer, reason).await;
    }

    async fn close(&self) {
        self.queue().close();
        if self.queues.iter().all(Queue::is_closed) {
            self.end.close().await;
        }
    }

    fn runtime(&self) -> Option<Arc<dyn Runtime>> {
        self.end.runtime()
    }

    /// Of both halves together.
    fn traffic(&self) -> Traffic {
        self.end.traffic()
    }

    fn last_failure(&self, peer: &Address) -> Option<String> {
        self.end.last_failure(peer)
    }
}
