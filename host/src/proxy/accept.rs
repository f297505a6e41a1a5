//! Listening sockets, and the loop that accepts.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::control::lifecycle::{Phase, reached};
use crate::proxy::context::{ListenerContext, WorkerContext};
use crate::proxy::session;

/// Accepts until other workers do it or the drain begins; then takes what the
/// kernel has accepted already, so that nobody who got through is turned away.
pub(crate) async fn accept(
    worker: Rc<WorkerContext>,
    listener: Rc<ListenerContext>,
    socket: TcpListener,
) {
    let phases = worker.shared.phases.clone();
    let draining = reached(&phases, Phase::Retiring);
    let mut draining = std::pin::pin!(draining);
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut draining => break,
            accepted = next(&worker, &socket) => accepted,
        };
        match accepted {
            Ok((client, source)) => {
                failing = false;
                admit(&worker, &listener, client, source);
            }
            Err(error) => {
                worker.counters.accept_errors.fetch_add(1, Relaxed);
                if !of_the_process(&error) {
                    debug!(%error, "a client went away before it was accepted");
                    continue;
                }
                if !std::mem::replace(&mut failing, true) {
                    warn!(%error, listener = %listener.address, "can't accept; clients wait until it goes on");
                }
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
    if *phases.borrow() == Phase::Retiring {
        // The others' sockets are the same: what waits is theirs.
        return;
    }
    while let Some(Ok((client, source))) = waiting(&socket).await {
        admit(&worker, &listener, client, source);
    }
}

async fn next(
    worker: &WorkerContext,
    listener: &TcpListener,
) -> io::Result<(TcpStream, SocketAddr)> {
    worker.sessions.room().await;
    listener.accept().await
}

fn admit(
    worker: &Rc<WorkerContext>,
    listener: &Rc<ListenerContext>,
    client: TcpStream,
    source: SocketAddr,
) {
    let session = session::serve(Rc::clone(worker), Rc::clone(listener), client, source);
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

/// Before another try when the process can't accept.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
