//! The workers that run one plan.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use crate::control::lifecycle::{Drained, Phase};
use crate::error::StartError;
use crate::proxy::bound_listener::BoundListener;
use crate::proxy::context::ListenerContext;
use crate::proxy::shared_state::SharedState;
use crate::proxy::socket_set::Share;
use crate::proxy::worker::{self, WorkerArgs, WorkerHandle, WorkerListener};

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
    /// One for each of the plan's listeners.
    pub(super) listeners: &'a [(BoundListener, ListenerContext)],
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
            listeners,
        } = args;
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let mut workers = Vec::new();
        let of = shared.options.workers.get();
        for worker in 0..of {
            let share = Share { worker, of };
            let own = listeners.iter().flat_map(|(bound, context)| {
                bound.of_worker(share).map(|socket| WorkerListener {
                    socket,
                    context: context.clone(),
                    succession: Arc::clone(bound.succession()),
                })
            });
            let args = WorkerArgs {
                index: shared.first_worker + worker,
                shared: Arc::clone(&shared),
                listeners: own.collect(),
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
