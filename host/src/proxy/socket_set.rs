//! Listening sockets of one address, one for each worker.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::error::StartError;
use crate::net::socket::keep_alive;

/// One socket for each worker, all on one address.
#[derive(Clone)]
pub(super) struct SocketSet {
    pub(super) address: SocketAddr,
    pub(super) sockets: Vec<Arc<StdListener>>,
}

/// One of a plan's workers: its number, from 0, of how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) worker: usize,
    pub(crate) of: usize,
}

impl SocketSet {
    /// Binds one socket for each worker, all to one address: once they listen, the
    /// kernel spreads connections over them. With port 0 all take the port the first
    /// one got.
    pub(super) fn bind(address: SocketAddr, workers: usize) -> Result<SocketSet, StartError> {
        let failed = |source| StartError::Bind { address, source };
        let first = socket(address, Sharing::Yes).map_err(failed)?;
        let taken = first.local_addr().map_err(failed)?;
        let mut sockets = vec![Arc::new(first)];
        for _ in 1..workers {
            sockets.push(Arc::new(socket(taken, Sharing::Yes).map_err(failed)?));
        }
        Ok(SocketSet {
            address: taken,
            sockets,
        })
    }

    /// Sockets that another process bound.
    ///
    /// # Errors
    /// When the system refuses an option that ours have.
    pub(super) fn passed(address: SocketAddr, sockets: Vec<StdListener>) -> io::Result<SocketSet> {
        for socket in &sockets {
            prepare(SockRef::from(socket))?;
        }
        Ok(SocketSet {
            address,
            sockets: sockets.into_iter().map(Arc::new).collect(),
        })
    }

    /// Has the kernel queue clients; those that listen already go on.
    pub(super) fn listen(&self) -> io::Result<()> {
        for socket in &self.sockets {
            rustix::net::listen(socket, BACKLOG)?;
        }
        Ok(())
    }

    /// Another process may have bound more or fewer than there are workers. Of more each
    /// worker has several, as the kernel gives clients to all of them; of fewer a worker
    /// has that of another.
    pub(super) fn of_worker(&self, share: Share) -> impl Iterator<Item = Arc<StdListener>> {
        let count = self.sockets.len();
        let shared = (share.worker >= count).then(|| share.worker % count.max(1));
        let own = (share.worker..count).step_by(share.of.max(1));
        let sockets = own
            .chain(shared)
            .map(|index| self.sockets.get(index).cloned());
        sockets.collect::<Vec<_>>().into_iter().flatten()
    }
}

/// Sharing a port is for our own sockets: somebody else's is an error.
pub(super) fn check_free(address: SocketAddr) -> Result<(), StartError> {
    if address.port() != 0 {
        let bound = socket(address, Sharing::No);
        drop(bound.map_err(|source| StartError::Bind { address, source })?);
    }
    Ok(())
}

/// Whether a socket on one address keeps others from the other: every address of a
/// family is part of its unspecified one.
pub(super) fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip = one.ip() == other.ip();
    let unspecified = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && (same_ip || unspecified)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    No,
    Yes,
}

fn socket(address: SocketAddr, sharing: Sharing) -> io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // As in Envoy: `[::]:443` and `0.0.0.0:443` are two listeners.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(sharing == Sharing::Yes)?;
    prepare(SockRef::from(&socket))?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// What is accepted inherits all but the last.
fn prepare(socket: SockRef<'_>) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    keep_alive(&*socket)?;
    socket.set_nonblocking(true)
}

/// Connections the kernel holds until they are accepted; it may allow fewer.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn all_workers_listen_on_the_port_the_first_one_got() {
        let set = SocketSet::bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let ports: Vec<_> = (set.sockets.iter())
            .map(|s| s.local_addr().unwrap().port())
            .collect();
        assert_eq!(ports.len(), 3);
        assert!(
            ports[0] != 0 && ports.iter().all(|port| *port == ports[0]),
            "{ports:?}"
        );
    }

    #[test]
    fn a_listener_on_ipv6_leaves_ipv4_to_another() {
        let socket = socket("[::1]:0".parse().unwrap(), Sharing::No).unwrap();
        assert!(Socket::from(socket).only_v6().unwrap());
    }

    #[test]
    fn passed_sockets_are_shared_out_and_none_is_left() {
        let cases = [
            ("as many as workers", 2, 2, &[&[0][..], &[1]][..]),
            ("more", 5, 2, &[&[0, 2, 4], &[1, 3]]),
            ("fewer", 2, 3, &[&[0], &[1], &[0]]),
            ("one for all", 1, 2, &[&[0], &[0]]),
        ];
        for (why, count, workers, expected) in cases {
            let set = SocketSet::bind("127.0.0.1:0".parse().unwrap(), count).unwrap();
            for (worker, expected) in expected.iter().enumerate() {
                let of = workers;
                let own = set.of_worker(Share { worker, of }).map(|socket| {
                    let mut all = set.sockets.iter();
                    all.position(|one| Arc::ptr_eq(one, &socket)).unwrap()
                });
                assert_eq!(own.collect::<Vec<_>>(), *expected, "{why}, worker {worker}");
            }
        }
    }
}
