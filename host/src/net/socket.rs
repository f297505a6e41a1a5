//! Options of TCP sockets, and what the system knows of them.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::sockopt;
use tokio::net::TcpStream;

/// Lets the kernel notice a peer that vanished on a connection without traffic.
/// Set on a listening socket, it holds for what is accepted there.
pub(crate) fn keep_alive(socket: impl AsFd) -> io::Result<()> {
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, KEEPALIVE_IDLE)?;
    Ok(sockopt::set_tcp_keepintvl(&socket, KEEPALIVE_INTERVAL)?)
}

/// Makes the close of a socket a reset.
pub(crate) fn reset_on_close(socket: impl AsFd) {
    // Fails only on a socket that is gone already.
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// How many of the bytes written to a socket its peer has not acknowledged, the FIN
/// counted as one. What a reset discards is still counted.
pub(crate) fn unacknowledged(socket: impl AsFd) -> usize {
    // SAFETY: SIOCOUTQ (TIOCOUTQ by its number) writes one int to its argument,
    // which is what `Getter` has room for.
    let rest = unsafe {
        rustix::ioctl::ioctl(
            &socket,
            rustix::ioctl::Getter::<{ libc::TIOCOUTQ as rustix::ioctl::Opcode }, libc::c_int>::new(
            ),
        )
    };
    // Fails only on what is no socket, and is never negative.
    rest.ok().and_then(|rest| rest.try_into().ok()).unwrap_or(0)
}

/// So long a connection without traffic is left alone.
pub(crate) const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Appends what a peer has sent; 0 bytes: it has finished.
pub(crate) async fn read_some(from: &TcpStream, bytes: &mut BytesMut) -> io::Result<usize> {
    loop {
        from.readable().await?;
        match from.try_read_buf(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}
