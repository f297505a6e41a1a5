//! The workers that run one plan.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use crate::control::lifecycle::{Drained, Phase};
use crate::error::StartError;
use crate::proxy::context::ListenerContext;
use crate::proxy::shared_state::SharedState;
use crate::proxy::sockets::BoundListener;
use crate::proxy::worker::{self, Resolving, WorkerArgs, WorkerHandle};

/// The workers that run one plan.
#[derive(Default)]
pub(super) struct Generation {
    workers: Vec<WorkerHandle>,
    phases: watch::Sender<Phase>,
}

/// What a generation needs to begin.
pub(super) struct GenerationArgs<'a> {
    pub(super) shared: Arc<SharedState>,
    /// The sender of the phases in `shared`.
    pub(super) phases: watch::Sender<Phase>,
    /// The number of its first worker.
    pub(super) first: usize,
    /// One for each of the plan's listeners.
    pub(super) listeners: &'a [(BoundListener, ListenerContext)],
    pub(super) admin: Option<&'a BoundListener>,
    pub(super) resolving: Resolving,
}

impl Generation {
    /// Starts the workers; they accept when they enter [`Phase::Running`]. Dropped
    /// before, they end.
    ///
    /// # Errors
    /// When a thread, a copy of a socket or a filter can't be had, or a worker's
    /// thread ends early.
    pub(super) async fn start(args: GenerationArgs<'_>) -> Result<Generation, StartError> {
        let GenerationArgs {
            shared,
            phases,
            first,
            listeners,
            admin,
            resolving,
        } = args;
        let mut sockets = Vec::new();
        for (bound, _) in listeners {
            sockets.push(bound.copies()?);
        }
        let mut admin_sockets = admin.map(BoundListener::copies).transpose()?;
        let mut resolving = Some(resolving);
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let mut workers = Vec::new();
        for index in first..first + shared.options.workers.get() {
            let own = sockets.iter_mut().zip(listeners);
            let args = WorkerArgs {
                index,
                shared: Arc::clone(&shared),
                sockets: own
                    .filter_map(|(sockets, (_, context))| Some((sockets.pop()?, context.clone())))
                    .collect(),
                admin: admin_sockets.as_mut().and_then(Vec::pop),
                resolving: resolving.take(),
            };
            workers.push(worker::spawn(args, dispatch.clone())?);
        }
        for (worker, handle) in workers.iter_mut().enumerate() {
            let gone = |_| {
                let source = std::io::Error::other("its thread ended");
                Err(StartError::Worker { worker, source })
            };
            (&mut handle.started).await.unwrap_or_else(gone)?;
        }
        Ok(Generation { workers, phases })
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phases.send_replace(phase);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Whether it still has threads; each holds a receiver.
    pub(super) fn is_alive(&self) -> bool {
        self.phases.receiver_count() > 0
    }

    /// What each worker reports when its sessions are over.
    pub(super) fn take_reports(&mut self) -> impl Iterator<Item = oneshot::Receiver<Drained>> {
        self.workers.drain(..).map(|worker| worker.drained)
    }
}
