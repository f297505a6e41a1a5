//! One worker's life: a thread with its own runtime, sockets and VMs.

use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::{io, thread};

use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet, spawn_local, yield_now};
use tracing::{Dispatch, error};

use crate::control::CloseCommand;
use crate::control::lifecycle::{Drained, Phase, reached};
use crate::error::StartError;
use crate::proxy::caught_panic::CaughtPanic;
use crate::proxy::context::{ListenerContext, WorkerContext};
#[cfg(test)]
use crate::proxy::fault::Fault;
use crate::proxy::shared_state::SharedState;
use crate::proxy::{admin, listener};
use crate::upstream::resolver::Resolver;

/// What a worker needs to begin.
pub(crate) struct WorkerArgs {
    pub(crate) index: usize,
    pub(crate) shared: Arc<SharedState>,
    /// One for each of the plan's listeners.
    pub(crate) sockets: Vec<(StdListener, ListenerContext)>,
    /// The first worker's only: a filter's responses are given on the thread of
    /// its VM, and one VM knows as much as another. So a request costs no hop.
    pub(crate) admin: Option<StdListener>,
    /// The first worker's only.
    pub(crate) resolving: Option<Resolving>,
}

/// Keeps DNS names up to date.
pub(crate) struct Resolving {
    pub(crate) resolver: Resolver,
    pub(crate) refresh: Duration,
}

/// A worker's life, as seen from the host.
pub(crate) struct WorkerHandle {
    /// Whether its VMs started; an error when its thread ended before it was known.
    pub(crate) started: oneshot::Receiver<Result<(), StartError>>,
    /// What became of its sessions; an error when its thread ended early.
    pub(crate) drained: oneshot::Receiver<Drained>,
}

/// What a worker reports to its host, each once.
struct Reports {
    started: Option<oneshot::Sender<Result<(), StartError>>>,
    drained: Option<oneshot::Sender<Drained>>,
}

impl Reports {
    fn started(&mut self, outcome: Result<(), StartError>) {
        // A host that is gone needs no report.
        let _ = self.started.take().map(|host| host.send(outcome));
    }

    fn drained(&mut self, drained: Drained) {
        let _ = self.drained.take().map(|host| host.send(drained));
    }
}

/// Starts a worker's thread. A panic ends the thread and no other: what it had to
/// report, it reports no more.
///
/// # Errors
/// When the system gives no thread or no runtime.
pub(crate) fn spawn(args: WorkerArgs, dispatch: Dispatch) -> Result<WorkerHandle, StartError> {
    let worker = args.index;
    let failed = |source: io::Error| StartError::Worker { worker, source };
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let (started_sender, started) = oneshot::channel();
    let (drained_sender, drained) = oneshot::channel();
    let mut reports = Reports {
        started: Some(started_sender),
        drained: Some(drained_sender),
    };
    let name = format!("worker-{worker}");
    let thread = thread::Builder::new().name(name.clone());
    let run = move || {
        let _logs = tracing::dispatcher::set_default(&dispatch);
        let counters = Arc::clone(&args.shared.counters[worker]);
        let life = || {
            let local = LocalSet::new();
            local.block_on(&runtime, live(args, &mut reports));
            // What is left are background tasks of filters.
            drop(local);
            runtime.shutdown_background();
        };
        if let Err(panic) = CaughtPanic::catch(life) {
            counters.worker_died();
            error!(worker = name, %panic, "a worker panicked; its connections were cut");
        }
        // Only now does a host that waits for a report learn that none will come.
        drop(reports);
    };
    thread.spawn(run).map_err(failed)?;
    Ok(WorkerHandle { started, drained })
}

/// From the start of the VMs to their end.
async fn live(args: WorkerArgs, reports: &mut Reports) {
    let phases = args.shared.phases.clone();
    let (worker, listeners) = match begin(args) {
        Ok(begun) => begun,
        Err(error) => {
            reports.started(Err(error));
            return;
        }
    };
    reports.started(Ok(()));
    reached(&phases, Phase::Running).await;
    if *phases.borrow() < Phase::Running {
        // Given up before it began: other workers accept the clients that wait.
        return;
    }
    worker.counters.alive.store(1, Relaxed);
    let mut accepting = JoinSet::new();
    for (socket, listener) in listeners {
        accepting.spawn_local(listener::serve(Rc::clone(&worker), listener, socket));
    }
    while let Some(ended) = accepting.join_next().await {
        if let Err(error) = ended {
            error!(%error, "a listener is no longer served by one of the workers");
        }
    }
    if *phases.borrow() == Phase::Retiring {
        // Sessions accepted last are yet to open in the filters.
        yield_now().await;
        worker.chain.retire();
    }

    #[cfg(test)]
    worker.shared.options.fault.strike(Fault::Drain);
    let open = worker.sessions.count();
    tokio::select! {
        () = worker.sessions.none() => {}
        () = reached(&phases, Phase::Cutting) => {}
    }
    let cut = worker.sessions.count();
    worker.sessions.order_all(CloseCommand::Cut);
    worker.sessions.none().await;
    reports.drained(Drained {
        finished: open.saturating_sub(cut),
        cut,
    });
    // The admin listener is served until the end, or by another worker when this one
    // is retired.
    if *phases.borrow() != Phase::Retiring {
        reached(&phases, Phase::Over).await;
    }
    worker.chain.stop();
    worker.counters.alive.store(0, Relaxed);
}

type Listeners = Vec<(TcpListener, Rc<ListenerContext>)>;

fn begin(args: WorkerArgs) -> Result<(Rc<WorkerContext>, Listeners), StartError> {
    let WorkerArgs {
        index: worker,
        shared,
        sockets,
        admin,
        resolving,
    } = args;
    let failed = |source: io::Error| StartError::Worker { worker, source };
    #[cfg(test)]
    shared.options.fault.strike(Fault::Start);
    let context = WorkerContext::start(shared, worker)?;
    if let Some(socket) = admin {
        let listener = TcpListener::from_std(socket).map_err(failed)?;
        spawn_local(admin::serve(Rc::clone(&context), listener));
    }
    if let Some(resolving) = resolving {
        spawn_local(async move { resolving.resolver.run(resolving.refresh).await });
    }
    let listeners = sockets
        .into_iter()
        .map(|(socket, listener)| {
            let socket = TcpListener::from_std(socket).map_err(failed)?;
            Ok((socket, Rc::new(listener)))
        })
        .collect::<Result<_, StartError>>()?;
    Ok((context, listeners))
}
