//! Listening sockets, one for each worker.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};

use crate::control::admission::Admission;
use crate::error::StartError;
use crate::net::socket::keep_alive;

/// An address and the sockets that listen there, one for each worker. They outlive
/// the workers, so that what the kernel has queued is not lost between two plans.
pub(crate) struct BoundListener {
    bind: SocketAddr,
    address: SocketAddr,
    sockets: Vec<StdListener>,
    /// Counts its connections, where it has a limit of its own.
    admission: Arc<Admission>,
}

impl BoundListener {
    /// Takes over the sockets that listen on an address already, or opens new ones.
    ///
    /// # Errors
    /// When the address can't be listened on.
    pub(crate) fn open(
        bound: &[BoundListener],
        bind: SocketAddr,
        workers: usize,
    ) -> Result<BoundListener, StartError> {
        if let Some(bound) = bound.iter().find(|bound| bound.bind == bind) {
            let sockets = bound.copies()?;
            return Ok(BoundListener {
                sockets,
                admission: Arc::clone(&bound.admission),
                ..*bound
            });
        }
        let sockets = self::bind(bind, workers)?;
        let address = match sockets.first().map(StdListener::local_addr) {
            Some(Ok(address)) => address,
            Some(Err(source)) => {
                let address = bind;
                return Err(StartError::Bind { address, source });
            }
            None => bind,
        };
        Ok(BoundListener {
            bind,
            address,
            sockets,
            admission: Arc::default(),
        })
    }

    /// Where it listens; never port 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.admission
    }

    /// The same sockets once more, for other workers.
    ///
    /// # Errors
    /// When the process may not open more files.
    pub(crate) fn copies(&self) -> Result<Vec<StdListener>, StartError> {
        let copies = self.sockets.iter().map(StdListener::try_clone);
        copies
            .collect::<Result<_, _>>()
            .map_err(|source| StartError::Bind {
                address: self.address,
                source,
            })
    }
}

/// Opens one socket for each worker, all on one address: the kernel spreads
/// connections over them. With port 0 all take the port the first one got.
fn bind(address: SocketAddr, workers: usize) -> Result<Vec<StdListener>, StartError> {
    let failed = |source| StartError::Bind { address, source };
    // Sharing a port is for our own sockets: somebody else's is an error.
    if address.port() != 0 {
        drop(socket(address, Sharing::No).map_err(failed)?);
    }
    let first = socket(address, Sharing::Yes).map_err(failed)?;
    let taken = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(socket(taken, Sharing::Yes).map_err(failed)?);
    }
    for socket in &sockets {
        rustix::net::listen(socket, BACKLOG).map_err(|error| failed(error.into()))?;
    }
    Ok(sockets)
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
    // Inherited by what is accepted.
    socket.set_tcp_nodelay(true)?;
    keep_alive(&socket)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Connections the kernel holds until they are accepted; it may allow fewer.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn all_workers_listen_on_the_port_the_first_one_got() {
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let ports: Vec<_> = sockets
            .iter()
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
    fn a_port_somebody_else_holds_is_refused_with_a_remedy() {
        let held = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
        let address = held[0].local_addr().unwrap();
        let error = bind(address, 2).unwrap_err().to_string();
        assert!(
            error.contains(&address.to_string()) && error.contains("in use"),
            "{error}"
        );
    }

    #[test]
    fn both_families_can_listen_on_one_port() {
        let v6 = bind("[::]:0".parse().unwrap(), 1).unwrap();
        let port = v6[0].local_addr().unwrap().port();
        bind(SocketAddr::from(([0, 0, 0, 0], port)), 1).unwrap();
    }
}
