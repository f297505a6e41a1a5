//! Listening sockets, and the loop that accepts.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::control::lifecycle::{Phase, reached};
use crate::error::StartError;
use crate::net::socket::keep_alive;
use crate::proxy::session;
use crate::proxy::worker::Worker;
use crate::upstream::cluster::Target;

/// A listener as its sessions know it.
#[derive(Clone)]
pub(crate) struct ListenerContext {
    pub(crate) address: SocketAddr,
    pub(crate) fallback: Target,
    pub(crate) metadata: Arc<serde_json::Value>,
    pub(crate) idle_timeout: Option<Duration>,
}

/// Opens one socket for each worker, all on one address: the kernel spreads
/// connections over them. With port 0 all take the port the first one got.
pub(crate) fn bind(address: SocketAddr, workers: usize) -> Result<Vec<StdListener>, StartError> {
    let failed = |source| StartError::Bind { address, source };
    // Sharing a port is for our own sockets: somebody else's is an error.
    if address.port() != 0 {
        drop(open(address, Sharing::No).map_err(failed)?);
    }
    let first = open(address, Sharing::Yes).map_err(failed)?;
    let taken = first.local_addr().map_err(failed)?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(open(taken, Sharing::Yes).map_err(failed)?);
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

fn open(address: SocketAddr, sharing: Sharing) -> io::Result<StdListener> {
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

/// Accepts until other workers do it or the drain begins; then takes what the
/// kernel has accepted already, so that nobody who got through is turned away.
pub(crate) async fn accept(worker: Rc<Worker>, post: Rc<ListenerContext>, listener: TcpListener) {
    let phases = worker.site.phases.clone();
    let draining = reached(&phases, Phase::Retiring);
    let mut draining = std::pin::pin!(draining);
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut draining => break,
            accepted = next(&worker, &listener) => accepted,
        };
        match accepted {
            Ok((client, source)) => {
                failing = false;
                admit(&worker, &post, client, source);
            }
            Err(error) => {
                worker.counters.accept_errors.fetch_add(1, Relaxed);
                if !of_the_process(&error) {
                    debug!(%error, "a client went away before it was accepted");
                    continue;
                }
                if !std::mem::replace(&mut failing, true) {
                    warn!(%error, listener = %post.address, "can't accept; clients wait until it goes on");
                }
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
    if *phases.borrow() == Phase::Retiring {
        // The others' sockets are the same: what waits is theirs.
        return;
    }
    while let Some(Ok((client, source))) = waiting(&listener).await {
        admit(&worker, &post, client, source);
    }
}

async fn next(worker: &Worker, listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    worker.sessions.room().await;
    listener.accept().await
}

fn admit(worker: &Rc<Worker>, post: &Rc<ListenerContext>, client: TcpStream, source: SocketAddr) {
    let session = session::serve(Rc::clone(worker), Rc::clone(post), client, source);
    spawn_local(session);
}

/// A connection the kernel has ready, if there is one.
async fn waiting(listener: &TcpListener) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    poll_fn(|cx| {
        Poll::Ready(match listener.poll_accept(cx) {
            Poll::Ready(accepted) => Some(accepted),
            Poll::Pending => None,
        })
    })
    .await
}

/// Whether the process lacks something, so that the next accept fails as well.
fn of_the_process(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

/// Connections the kernel holds until they are accepted; it may allow fewer.
const BACKLOG: i32 = 4096;
/// Before another try when the process can't accept.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

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
        let socket = open("[::1]:0".parse().unwrap(), Sharing::No).unwrap();
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
