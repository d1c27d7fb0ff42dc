//! The UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// Asked of the system for each direction of the socket, so that a burst to a busy process is not lost; it may give less.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// A socket at `listen`; one for an IPv6 wildcard takes IPv4 as well.
pub(crate) fn open(listen: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(listen),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if listen.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Larger buffers are a help, not a condition.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&listen.into())?;
    Ok(socket.into())
}

/// A socket at any port, for IPv6 and IPv4 where the system has both.
pub(crate) fn open_any() -> io::Result<std::net::UdpSocket> {
    open((Ipv6Addr::UNSPECIFIED, 0).into()).or_else(|_| open((Ipv4Addr::UNSPECIFIED, 0).into()))
}
