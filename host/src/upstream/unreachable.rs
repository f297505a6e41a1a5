//! Addresses that cannot be connected to, for tests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use tokio::net::TcpSocket;

/// An address where connections are neither accepted nor refused, as long as this
/// lives: a listening socket whose queue is full.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    pub(crate) fn open() -> BlackHole {
        let (address, socket) = refusing();
        let listener = socket.listen(0).unwrap().into_std().unwrap();
        let limit = Duration::from_millis(200);
        let connect = || TcpStream::connect_timeout(&address, limit).ok();
        BlackHole {
            address,
            _listener: listener,
            _queue: std::iter::from_fn(connect).collect(),
        }
    }
}

/// An address that refuses connections: not listening, but bound, so that the port
/// stays taken while the socket lives.
pub(crate) fn refusing() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    (socket.local_addr().unwrap(), socket)
}
