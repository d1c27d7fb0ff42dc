//! A UDP socket for quinn, taken for writable until it says otherwise: quinn asks before every packet, and to wait for the
//! system's word each time is half of what a lone request would cost.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use mio::Token;
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::reactor::Sockets;

/// A socket as the reactor sees it: who waits for what.
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

/// The socket.
#[derive(Debug)]
pub(super) struct Socket {
    socket: std::net::UdpSocket,
    state: UdpSocketState,
    watched: Arc<Watched>,
    sockets: Sockets,
    token: Token,
}

impl Socket {
    pub(super) fn new(sockets: &Sockets, socket: std::net::UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        socket.set_nonblocking(true)?;
        let same = mio::net::UdpSocket::from_std(socket.try_clone()?);
        let watched = Arc::new(Watched::new(same));
        let token = sockets.add(Arc::clone(&watched))?;
        Ok(Self {
            socket,
            state,
            watched,
            sockets: sockets.clone(),
            token,
        })
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller { socket: self })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let sent = self.state.send((&self.socket).into(), transmit);
        if let Err(error) = &sent
            && error.kind() == io::ErrorKind::WouldBlock
        {
            self.watched.on_full();
        }
        sent
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            match self.state.recv((&self.socket).into(), buffers, meta) {
                Ok(count) => return Poll::Ready(Ok(count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.watched.poll_readable(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
                // About a packet sent earlier, or a lack that passes: the next packet is wanted in any case. Others first.
                Err(_) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.state.gro_segments()
    }

    fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.sockets.remove(self.token);
    }
}

/// Waits for room in the socket, if it has none.
#[derive(Debug)]
struct Poller {
    socket: Arc<Socket>,
}

impl UdpPoller for Poller {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Socket {
            watched,
            sockets,
            token,
            ..
        } = &*self.socket;
        if watched.poll_room(cx).is_pending() {
            // Tells at once if there is room already.
            sockets.watch_room(watched, *token)?;
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}
