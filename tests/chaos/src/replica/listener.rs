//! A listening socket whose queue can be filled.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

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
    set_backlog(listener, LEAST_BACKLOG)?;
    let address = listener.local_addr()?;
    let started = Instant::now();
    let mut fillers = Vec::new();
    loop {
        let queue = Queue::of(listener)?;
        if queue.is_full() {
            return Ok(fillers);
        }
        if started.elapsed() > FILL_LIMIT {
            let Queue { length, most } = queue;
            let what = format!("the queue of {address} has {length} of {most} and does not fill");
            return Err(io::Error::new(io::ErrorKind::TimedOut, what));
        }
        // One that hangs was dropped by a queue that somebody else filled meanwhile.
        if let Ok(connected) = timeout(NEXT_LOOK, TcpStream::connect(address)).await {
            fillers.push(Socket::from(connected?.into_std()?));
        }
    }
}

/// Connections that wait to be accepted.
struct Queue {
    length: u32,
    most: u32,
}

impl Queue {
    fn of(listener: &TcpListener) -> io::Result<Self> {
        // SAFETY: a structure of numbers, for which zero is a value.
        let mut info: libc::tcp_info = unsafe { mem::zeroed() };
        let mut size = mem::size_of::<libc::tcp_info>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `size` bytes, to what is ours and outlives
        // the call.
        let got = unsafe {
            libc::getsockopt(
                listener.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_INFO,
                (&raw mut info).cast(),
                &raw mut size,
            )
        };
        if got != 0 {
            return Err(io::Error::last_os_error());
        }
        // What these two fields hold for a socket that listens.
        Ok(Self {
            length: info.tcpi_unacked,
            most: info.tcpi_sacked,
        })
    }

    /// As the kernel decides whether to drop a SYN.
    fn is_full(&self) -> bool {
        self.length > self.most
    }
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
/// With a backlog of zero and no SYN cookies not even the first gets in.
const LEAST_BACKLOG: i32 = 1;
const NEXT_LOOK: Duration = Duration::from_millis(50);
const FILL_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Duration, Queue, TcpStream, empty, fill, listen, timeout};

    #[tokio::test]
    async fn a_full_queue_takes_nobody_until_it_is_emptied() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = TcpStream::connect(address).await.unwrap();
        let fillers = fill(&listener).await.unwrap();
        assert!(Queue::of(&listener).unwrap().is_full());
        let connect = timeout(Duration::from_millis(300), TcpStream::connect(address));
        assert!(connect.await.is_err(), "a SYN was answered");
        empty(&listener).unwrap();
        assert!(!Queue::of(&listener).unwrap().is_full());
        TcpStream::connect(address).await.unwrap();
        drop((waiting, fillers));
    }
}
