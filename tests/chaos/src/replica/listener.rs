//! A listening socket whose queue can be filled.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Listens, with room for many connections.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// Fills its queue, so that the kernel drops each SYN; what filled it.
pub(super) async fn fill(listener: &TcpListener) -> io::Result<Vec<Socket>> {
    set_backlog(listener, 0)?;
    let address = listener.local_addr()?;
    let mut fillers = Vec::new();
    // A connect that gets through on loopback takes microseconds.
    while let Ok(connected) = timeout(FULL, TcpStream::connect(address)).await {
        fillers.push(Socket::from(connected?.into_std()?));
    }
    Ok(fillers)
}

/// Gives it its room again.
pub(super) fn empty(listener: &TcpListener) -> io::Result<()> {
    set_backlog(listener, BACKLOG)
}

fn set_backlog(listener: &TcpListener, backlog: i32) -> io::Result<()> {
    // SAFETY: a system call on a descriptor we own; to listen again is to set the
    // length of the queue.
    match unsafe { libc::listen(listener.as_raw_fd(), backlog) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

const BACKLOG: i32 = 4096;
const FULL: Duration = Duration::from_millis(50);
