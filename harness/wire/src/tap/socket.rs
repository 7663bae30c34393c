//! The few socket options a tap depends on.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Binds a free port without listening at it. While the socket exists, the kernel gives the port to nobody who does not
/// ask for it by number, yet [`listen`] may, because both sockets carry `SO_REUSEADDR` and only one listens.
pub(super) fn reserve(ip: IpAddr) -> io::Result<(Socket, SocketAddr)> {
    let socket = bound(SocketAddr::new(ip, 0))?;
    let addr = socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("an IP socket has an address of another family"))?;
    Ok((socket, addr))
}

/// Listens at an address that was reserved.
pub(super) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = bound(addr)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

fn bound(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// Closes a connection with a reset. Unsent bytes are lost, as in any reset.
pub(super) fn reset(stream: TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        // The peer was quicker, and there is nothing left to reset.
        tracing::debug!(%error, "cannot reset a connection");
    }
    drop(stream);
}
