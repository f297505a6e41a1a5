//! A host that takes another process's place, or gives up its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::Host;
use super::drain::log_drained;
use crate::control::lifecycle::{Drained, Phase};
use crate::error::StartError;
use crate::plan::Plan;
use crate::proxy::handover::{Offer, Patience, Successor};
use crate::proxy::options::HostOptions;
use crate::proxy::predecessor::Predecessor;
use crate::takeover::error::TakeoverError;
use crate::takeover::listener::Candidate;

/// A candidate that has started, and the addresses that it goes on with.
pub struct ReadyCandidate {
    candidate: Candidate,
    kept: Vec<SocketAddr>,
}

impl Host {
    /// As [`Host::start`], in the place of a process that runs: on its sockets, where the
    /// plan has their listeners, and with what its VMs share. It accepts until this host
    /// does, and then no more.
    ///
    /// # Errors
    /// As in [`Host::start`], or the other process ends, does not answer, or has waited no
    /// longer. It goes on as before, and knows why.
    pub async fn take_over(
        mut predecessor: Predecessor,
        plan: Plan,
        wasm: &[u8],
        options: HostOptions,
    ) -> Result<Host, StartError> {
        let host = Host::new(options).and_then(|mut host| {
            (host.listeners, host.passed_admin) = predecessor.take_sockets()?;
            Ok(host)
        });
        let mut host = match host {
            Ok(host) => host,
            Err(error) => {
                predecessor.failed(error.to_string()).await;
                return Err(error);
            }
        };
        host.names = predecessor.take_names();
        predecessor.share(&host.vm_data);
        host.predecessor = Some(predecessor);
        let started = host.run(plan, wasm).await;
        match (started, host.predecessor.take()) {
            (Ok(()), Some(predecessor)) => {
                host.remaining = predecessor.running(&host.sessions).await?;
            }
            (Ok(()), None) => {}
            (Err(error), predecessor) => {
                if let Some(predecessor) = predecessor {
                    predecessor.failed(error.to_string()).await;
                }
                return Err(error);
            }
        }
        Ok(host)
    }

    /// Gives a candidate the listening sockets and what the VMs share, and waits until it
    /// has started. Nothing changes here until [`Host::hand_over`].
    ///
    /// # Errors
    /// When it ends, is silent for too long, can't start, or is of another version.
    pub async fn offer(&self, candidate: Candidate) -> Result<ReadyCandidate, TakeoverError> {
        let kept = self.for_takeover().make(&candidate).await?;
        Ok(ReadyCandidate { candidate, kept })
    }

    /// Lets a candidate accept. Meanwhile the admin listener waits, so that no order is
    /// lost between the two. [`Host::retire`] is to follow at once.
    ///
    /// # Errors
    /// When it ends, or is silent for too long. This host goes on as before.
    pub async fn hand_over(&mut self, ready: ReadyCandidate) -> Result<Successor, TakeoverError> {
        let paused = timeout(ORDERS, self.main_thread.pause()).await;
        // Not before: a client that was accepted is served.
        let handed_over = self.main_thread.hand_over();
        let ReadyCandidate { candidate, kept } = ready;
        let completed = match paused {
            Ok(()) => self.for_takeover().complete(candidate, kept).await,
            Err(_) => Err(TakeoverError::Orders { limit: ORDERS }),
        };
        if completed.is_err() {
            let sockets = self.admin.as_ref().map(|admin| admin.copies());
            self.main_thread.resume(handed_over);
            match sockets.transpose() {
                Ok(sockets) => self.main_thread.serve_admin(sockets.unwrap_or_default()),
                Err(error) => tracing::error!("the admin listener is not served: {error}"),
            }
        }
        completed
    }

    /// Accepts no more, now that a successor does, waits until `limit` is over for the
    /// open connections to end, and cuts the rest. The successor probes, and serves the
    /// admin listener.
    pub async fn retire(
        mut self,
        successor: Successor,
        limit: impl Future<Output = ()>,
    ) -> Drained {
        let open = usize::try_from(self.counters.total().active()).unwrap_or(usize::MAX);
        // Of what it does not go on with, the last clients are still taken.
        for bound in &self.listeners {
            if !successor.keeps(bound.address()) {
                bound.end_unless_in(&[]);
            }
        }
        self.main_thread
            .watch_clusters(Vec::new(), self.vm_data.clone());
        // The successor has these sockets: what waits there is its own.
        self.listeners.clear();
        self.admin = None;
        self.current.enter(Phase::Retiring);
        successor.retired(ANSWER).await;
        let sessions = Arc::clone(&self.sessions);
        // Those of the process before as well: this one is asked for them.
        let remaining = self.remaining.take();
        let (end, over) = oneshot::channel();
        let ending = async {
            let drained = self.end_sessions(remaining, limit).await;
            drop::<oneshot::Sender<()>>(end);
            drained
        };
        let (mut drained, ()) = tokio::join!(ending, successor.answer(&sessions, over));
        drained.finished = open.saturating_sub(drained.cut);
        log_drained(drained);
        drained
    }

    fn for_takeover(&self) -> Offer<'_> {
        Offer {
            listeners: &self.listeners,
            admin: self.admin.as_ref(),
            names: &self.names,
            vm_data: &self.vm_data,
            patience: Patience {
                answer: ANSWER,
                start: self.options.takeover_limit,
            },
        }
    }
}

/// How long each message may take, but the one that says that the candidate has started.
const ANSWER: Duration = Duration::from_secs(10);
/// How long orders that are being carried out may take; the candidate waits for longer.
const ORDERS: Duration = Duration::from_secs(5);
