//! A UDP socket for quinn, taken for writable until it says otherwise: quinn asks before every packet, and to wait for the
//! system's word each time is half of what a lone request would cost.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mio::Token;
use quinn::udp::{RecvMeta, Transmit, UdpSocketState};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::sockets::Sockets;
use super::watched::Watched;

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
