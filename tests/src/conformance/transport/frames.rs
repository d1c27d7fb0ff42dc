//! Frames that tell whether they are whole, and sending that copes with loss.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_std::future::timeout;
use bytes::Bytes;
use lockstep_core::config::Address;
use lockstep_core::transport::{Lane, Received, Transport};

/// Whatever happens on a loaded machine happens within this time; more is a failure.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What has not arrived after this time is sent again.
pub(super) const AGAIN: Duration = Duration::from_millis(200);

const HEADER_BYTES: usize = 16;

/// A frame of `size` bytes, at least 16, whose content follows from its number.
pub(super) fn frame(number: u64, size: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(size.max(HEADER_BYTES));
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(&(size as u64).to_be_bytes());
    bytes.extend((HEADER_BYTES..size).map(|at| filler(number, at)));
    bytes.into()
}

/// The number of a frame made by [`frame`].
///
/// # Panics
/// If it is not whole and unchanged.
pub(super) fn number(frame: &Bytes) -> u64 {
    let header = |at: usize| {
        let bytes = frame
            .get(at..at + 8)
            .expect("a frame arrived that is shorter than any that was sent");
        u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
    };
    let number = header(0);
    assert_eq!(header(8), frame.len() as u64, "a frame arrived in part");
    let is_whole = (HEADER_BYTES..frame.len()).all(|at| frame[at] == filler(number, at));
    assert!(is_whole, "a frame arrived changed");
    number
}

fn filler(number: u64, at: usize) -> u8 {
    (number as usize).wrapping_add(at).wrapping_mul(31) as u8
}

/// Does something that ends on its own, but not by waiting for ever.
pub(super) async fn within<T>(
    patience: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> T {
    match timeout(patience, future).await {
        Ok(done) => done,
        Err(_) => panic!("did not happen within {patience:?}: {what}"),
    }
}

/// Sends a frame, again and again, until it arrives; gives what it arrived with.
pub(super) async fn deliver(
    from: &dyn Transport,
    to: &Address,
    lane: Lane,
    frame: &Bytes,
    at: &dyn Transport,
) -> Received {
    deliver_within(PATIENCE, from, to, lane, frame, at).await
}

/// Like [`deliver`], for a check with a time limit of its own.
pub(super) async fn deliver_within(
    patience: Duration,
    from: &dyn Transport,
    to: &Address,
    lane: Lane,
    frame: &Bytes,
    at: &dyn Transport,
) -> Received {
    let delivery = async {
        loop {
            // Errors are loss as well: a queue that is full, a connection that has just ended.
            let _ = from.send(to, lane, vec![frame.clone()]).await;
            let arrived = timeout(AGAIN, receive(at, frame)).await;
            if let Ok(received) = arrived {
                return received;
            }
        }
    };
    within(patience, "a frame arrives", delivery).await
}

/// Receives until `frame` is among what came.
async fn receive(at: &dyn Transport, frame: &Bytes) -> Received {
    loop {
        let received = at.recv().await.expect("the receiver is open");
        assert!(!received.frames.is_empty(), "received nothing");
        if received.frames.contains(frame) {
            return received;
        }
    }
}

/// Lets `a` and `b` reach each other, so that what follows starts with connections.
pub(super) async fn meet(a: &dyn Transport, b: &dyn Transport) {
    let greeting = frame(u64::MAX, 20);
    deliver(a, b.local(), Lane::Log, &greeting, b).await;
    deliver(b, a.local(), Lane::Log, &greeting, a).await;
}

/// Bytes that are alive, of frames made by [`Tracked::frame`]: how much a transport holds on to.
#[derive(Clone, Default)]
pub(super) struct Tracked {
    alive: Arc<AtomicUsize>,
}

struct TrackedBytes {
    bytes: Vec<u8>,
    alive: Arc<AtomicUsize>,
}

impl Tracked {
    /// A frame that is counted until the last reference to it goes.
    pub(super) fn frame(&self, number: u64, size: usize) -> Bytes {
        self.alive.fetch_add(size, Ordering::Relaxed);
        Bytes::from_owner(TrackedBytes {
            bytes: frame(number, size).into(),
            alive: Arc::clone(&self.alive),
        })
    }

    pub(super) fn alive_bytes(&self) -> usize {
        self.alive.load(Ordering::Relaxed)
    }
}

impl AsRef<[u8]> for TrackedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for TrackedBytes {
    fn drop(&mut self) {
        self.alive.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}
