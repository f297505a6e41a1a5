//! Where workers take requests of the admin listener.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::Request;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::proxy::admin::reply::{Reply, filter_is_down};

/// Where the workers of a generation take requests of the admin listener: a filter's
/// responses are given on the thread of its VM, and one VM knows as much as another.
#[derive(Debug, Default)]
pub(crate) struct AdminDesk(Mutex<BTreeMap<usize, UnboundedSender<Waiting>>>);

/// A request that was read to its end, and where it came from.
#[derive(Debug)]
pub(crate) struct AdminRequest {
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
    /// Without a body: `None`.
    pub(super) request: Request<Option<Bytes>>,
}

/// A request for which a reply is awaited.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(super) request: Box<AdminRequest>,
    pub(super) reply: oneshot::Sender<Result<Reply, Box<AdminRequest>>>,
}

impl AdminDesk {
    /// A worker's VMs answer from now on.
    pub(crate) fn open(&self, worker: usize) -> UnboundedReceiver<Waiting> {
        let (sender, requests) = unbounded_channel();
        self.with(|workers| workers.insert(worker, sender));
        requests
    }

    /// A worker takes no more; those it has got it answers, or hands back.
    pub(crate) fn close(&self, worker: usize) {
        self.with(|workers| workers.remove(&worker));
    }

    /// Has the first worker that lives answer.
    ///
    /// # Errors
    /// The request, when all are retired: others answer now.
    pub(super) async fn ask(&self, request: Box<AdminRequest>) -> Result<Reply, Box<AdminRequest>> {
        let (reply, answer) = oneshot::channel();
        let mut waiting = Waiting { request, reply };
        let workers: Vec<_> = self.with(|workers| workers.values().cloned().collect());
        for worker in workers {
            match worker.send(waiting) {
                // A worker that panics meanwhile answers nothing.
                Ok(()) => return answer.await.unwrap_or_else(|_| Ok(filter_is_down())),
                Err(unsent) => waiting = unsent.0,
            }
        }
        Err(waiting.request)
    }

    fn with<R>(
        &self,
        visit: impl FnOnce(&mut BTreeMap<usize, UnboundedSender<Waiting>>) -> R,
    ) -> R {
        visit(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
