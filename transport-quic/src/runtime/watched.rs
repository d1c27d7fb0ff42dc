//! A socket as the reactor sees it: who waits for packets, and who for room.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A socket, and who waits for it.
#[derive(Debug)]
pub(super) struct Watched {
    socket: Mutex<mio::net::UdpSocket>,
    reader: Mutex<Reader>,
    /// The last packet found no room. Set without the lock, cleared with it.
    is_full: AtomicBool,
    writers: Mutex<Vec<Waker>>,
}

/// - Nobody is `waiting` while there is `news`.
#[derive(Debug, Default)]
struct Reader {
    /// Packets came since somebody looked.
    news: bool,
    waiting: Option<Waker>,
}

impl Watched {
    pub(super) fn new(socket: mio::net::UdpSocket) -> Self {
        Self {
            socket: Mutex::new(socket),
            reader: Mutex::default(),
            is_full: AtomicBool::new(false),
            writers: Mutex::default(),
        }
    }

    /// The socket, for the system.
    pub(super) fn socket(&self) -> MutexGuard<'_, mio::net::UdpSocket> {
        lock(&self.socket)
    }

    /// The system says that packets have come.
    pub(super) fn on_readable(&self) {
        let waiting = {
            let mut reader = lock(&self.reader);
            let waiting = reader.waiting.take();
            reader.news = waiting.is_none();
            waiting
        };
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// A packet found no room.
    pub(super) fn on_full(&self) {
        self.is_full.store(true, Ordering::SeqCst);
    }

    /// The system says that there is room.
    pub(super) fn on_writable(&self) {
        let waiting = {
            let mut writers = lock(&self.writers);
            self.is_full.store(false, Ordering::SeqCst);
            std::mem::take(&mut *writers)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits until the system says that packets have come; not if it has said so since the last time.
    pub(super) fn poll_readable(&self, cx: &Context<'_>) -> Poll<()> {
        let mut reader = lock(&self.reader);
        if std::mem::take(&mut reader.news) {
            return Poll::Ready(());
        }
        reader.waiting = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits until there is room.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_full.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        let mut writers = lock(&self.writers);
        if !self.is_full.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        if writers.iter().all(|other| !other.will_wake(cx.waker())) {
            writers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is half done where a waker could panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
