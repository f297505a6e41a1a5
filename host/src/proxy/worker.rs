//! One worker: a thread with its own runtime, sockets and VM.

use std::cell::Cell;
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
use tracing::Dispatch;

use crate::control::CloseCommand;
use crate::control::lifecycle::{Drained, Phase, reached};
use crate::control::sessions::Sessions;
use crate::error::StartError;
use crate::filters::chain::Chain;
use crate::filters::vm_owner::VmResources;
use crate::net::pipe::Buffers;
use crate::proxy::accept;
use crate::proxy::admin;
use crate::proxy::context::{ListenerContext, WorkerContext};
use crate::proxy::shared_state::SharedState;
use crate::upstream::resolver::Resolver;

/// Keeps DNS names up to date.
pub(crate) struct Resolving {
    pub(crate) resolver: Resolver,
    pub(crate) refresh: Duration,
}

/// What a worker needs to begin.
pub(crate) struct WorkerArgs {
    pub(crate) index: usize,
    pub(crate) shared: Arc<SharedState>,
    /// One for each of the plan's listeners.
    pub(crate) sockets: Vec<(StdListener, ListenerContext)>,
    /// The first worker's only: a filter's answers are given on the thread of
    /// its VM, and one VM knows as much as another. So a request costs no hop.
    pub(crate) admin: Option<StdListener>,
    /// The first worker's only.
    pub(crate) resolving: Option<Resolving>,
}

/// A worker's life, as seen from the host.
pub(crate) struct WorkerHandle {
    /// Whether its VM started.
    pub(crate) started: oneshot::Receiver<Result<(), StartError>>,
    /// What became of its sessions.
    pub(crate) drained: oneshot::Receiver<Drained>,
}

/// Starts a worker's thread.
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
    let run = move || {
        let _logs = tracing::dispatcher::set_default(&dispatch);
        let local = LocalSet::new();
        local.block_on(&runtime, run(args, started_sender, drained_sender));
        // What is left belongs to nobody: background tasks of the guest.
        drop(local);
        runtime.shutdown_background();
    };
    thread::Builder::new()
        .name(format!("worker-{worker}"))
        .spawn(run)
        .map_err(failed)?;
    Ok(WorkerHandle { started, drained })
}

async fn run(
    args: WorkerArgs,
    started: oneshot::Sender<Result<(), StartError>>,
    drained: oneshot::Sender<Drained>,
) {
    let phases = args.shared.phases.clone();
    let (worker, listeners) = match begin(args) {
        Ok(begun) => begun,
        Err(error) => {
            // A host that is gone needs no answer; nor below.
            let _ = started.send(Err(error));
            return;
        }
    };
    let _ = started.send(Ok(()));
    reached(&phases, Phase::Running).await;
    if *phases.borrow() < Phase::Running {
        // Given up before it began: what clients wait for is accepted by others.
        return;
    }
    worker.counters.alive.store(1, Relaxed);
    let mut accepting = JoinSet::new();
    for (socket, listener) in listeners {
        accepting.spawn_local(accept::accept(Rc::clone(&worker), listener, socket));
    }
    while accepting.join_next().await.is_some() {}
    if *phases.borrow() == Phase::Retiring {
        // Who was accepted last is yet to ask the guest.
        yield_now().await;
        worker.chain.retire();
    }

    let open = worker.sessions.count();
    tokio::select! {
        () = worker.sessions.none() => {}
        () = reached(&phases, Phase::Cutting) => {}
    }
    let cut = worker.sessions.count();
    worker.sessions.order_all(CloseCommand::Cut);
    worker.sessions.none().await;
    let _ = drained.send(Drained {
        finished: open.saturating_sub(cut),
        cut,
    });
    // Until the end there are questions on the admin listener; others answer them
    // when this worker is retired.
    if *phases.borrow() != Phase::Retiring {
        reached(&phases, Phase::Over).await;
    }
    worker.chain.stop();
    worker.counters.alive.store(0, Relaxed);
}

type Listeners = Vec<(TcpListener, Rc<ListenerContext>)>;

fn begin(args: WorkerArgs) -> Result<(Rc<WorkerContext>, Listeners), StartError> {
    let WorkerArgs {
        index,
        shared,
        sockets,
        admin,
        resolving,
    } = args;
    let failed = |source: io::Error| StartError::Worker {
        worker: index,
        source,
    };
    let counters = Arc::clone(&shared.counters[index]);
    let sessions = Rc::new(Sessions::new(
        shared
            .options
            .max_sessions
            .div_ceil(shared.options.workers.get()),
    ));
    let chain = Chain::start(
        &shared.vms,
        &VmResources {
            clusters: Arc::clone(&shared.clusters),
            vm_data: shared.vm_data.clone(),
            counters: Arc::clone(&counters),
            sessions: Rc::clone(&sessions),
            reload_backoff: shared.options.reload_backoff,
        },
    )?;
    let worker = Rc::new(WorkerContext {
        round_robin: shared.clusters.turns(),
        buffers: Buffers::new(),
        next: Cell::new(index as u64 + 1),
        counters,
        chain,
        sessions,
        shared,
    });
    if let Some(socket) = admin {
        let listener = TcpListener::from_std(socket).map_err(failed)?;
        spawn_local(admin::serve(Rc::clone(&worker), listener));
    }
    if let Some(resolving) = resolving {
        spawn_local(async move { resolving.resolver.run(resolving.refresh).await });
    }
    let listeners = sockets
        .into_iter()
        .map(|(socket, listener)| {
            Ok((
                TcpListener::from_std(socket).map_err(failed)?,
                Rc::new(listener),
            ))
        })
        .collect::<Result<_, StartError>>()?;
    Ok((worker, listeners))
}
