//! One worker: a thread with its own runtime, sockets and VMs.

use std::net::TcpListener as StdListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::{io, thread};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet, spawn_local};
use tokio::time::{Instant, sleep};
use tracing::{Dispatch, error, info};

use crate::caught_panic::CaughtPanic;
use crate::control::all_sessions;
use crate::control::lifecycle::{Drained, Phase, reached};
use crate::control::{CloseCommand, Cutter};
use crate::error::StartError;
#[cfg(test)]
use crate::fault::Fault;
use crate::filters::backoff::Backoff;
use crate::proxy::bound_listener::Succession;
use crate::proxy::context::{ListenerContext, WorkerContext};
use crate::proxy::shared_state::SharedState;
use crate::proxy::{admin, listener};

/// What a worker needs to begin.
pub(crate) struct WorkerArgs {
    /// No other worker of the host ever had this number.
    pub(crate) index: usize,
    pub(crate) shared: Arc<SharedState>,
    pub(crate) listeners: Vec<WorkerListener>,
}

/// One socket of one of the plan's listeners.
pub(crate) struct WorkerListener {
    /// The host's, and that of the worker which accepts: the thread's own copy is made
    /// of it when it begins, and again after a panic.
    pub(crate) socket: Arc<StdListener>,
    pub(crate) context: ListenerContext,
    pub(crate) succession: Arc<Succession>,
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

    fn has_started(&self) -> bool {
        self.started.is_none()
    }

    fn drained(&mut self, drained: Drained) {
        let _ = self.drained.take().map(|host| host.send(drained));
    }
}

/// Starts a worker's thread. A panic cuts the worker's connections and no others; while
/// it is to accept, the worker is then built again on the same sockets.
///
/// # Errors
/// When the system gives no thread or no runtime.
pub(crate) fn spawn(args: WorkerArgs, dispatch: Dispatch) -> Result<WorkerHandle, StartError> {
    let worker = args.index;
    let failed = |source: io::Error| StartError::Worker { worker, source };
    let runtime = runtime().map_err(failed)?;
    let (started_sender, started) = oneshot::channel();
    let (drained_sender, drained) = oneshot::channel();
    let reports = Reports {
        started: Some(started_sender),
        drained: Some(drained_sender),
    };
    let thread = thread::Builder::new().name(format!("worker-{worker}"));
    let run = move || {
        let _logs = tracing::dispatcher::set_default(&dispatch);
        supervise(args, reports, runtime);
    };
    thread.spawn(run).map_err(failed)?;
    Ok(WorkerHandle { started, drained })
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Lives until the host needs the worker no more, in as many lives as it takes.
fn supervise(mut args: WorkerArgs, mut reports: Reports, mut runtime: Runtime) {
    let shared = Arc::clone(&args.shared);
    let worker = format!("worker-{}", args.index);
    let counters = Arc::clone(shared.counters_of(args.index));
    let mut backoff = Backoff::new(shared.options.reload_backoff);
    loop {
        let life = || {
            let local = LocalSet::new();
            let ended = local.block_on(&runtime, live(&mut args, &mut reports));
            // What is left are background tasks of filters.
            drop(local);
            ended
        };
        let ended = CaughtPanic::catch(life);
        let accepting = *shared.phases.borrow() < Phase::Retiring;
        match ended {
            Ok(Ok(())) => break,
            Ok(Err(error)) => error!(worker, %error, "a worker does not start"),
            Err(panic) => {
                counters.worker_died();
                let next = match accepting && reports.has_started() {
                    true => "it is started again",
                    false => "it is not started again: it was to accept no more",
                };
                error!(worker, %panic, "a worker panicked; its connections were cut; {next}");
            }
        }
        if !accepting || !reports.has_started() {
            break;
        }
        let delay = backoff.next(Instant::now());
        runtime = match wait(&shared, delay) {
            Some(next) => next,
            None => break,
        };
        info!(worker, "a worker is started again");
    }
    runtime.shutdown_background();
    // Only now does a host that waits for a report learn that none will come.
    drop(reports);
}

/// A runtime for the next life, after a while; `None`: others accept by now, or nobody.
fn wait(shared: &SharedState, delay: Duration) -> Option<Runtime> {
    loop {
        let Ok(runtime) = runtime() else {
            // It lacks files, probably.
            thread::sleep(delay.min(LOOK));
            if *shared.phases.borrow() >= Phase::Retiring {
                return None;
            }
            continue;
        };
        let may_begin = runtime.block_on(async {
            tokio::select! {
                () = reached(&shared.phases, Phase::Retiring) => false,
                () = sleep(delay) => true,
            }
        });
        return may_begin.then_some(runtime);
    }
}

/// From the start of the VMs to their end.
///
/// # Errors
/// When a worker that has been started before does not start again.
async fn live(args: &mut WorkerArgs, reports: &mut Reports) -> Result<(), StartError> {
    let phases = args.shared.phases.clone();
    let index = args.index;
    let (worker, listeners) = match begin(args) {
        Err(error) if !reports.has_started() => {
            reports.started(Err(error));
            return Ok(());
        }
        begun => begun?,
    };
    // Before the host knows: the first request may come as soon as it does.
    let requests = worker.shared.admin_desk.open(index);
    reports.started(Ok(()));
    reached(&phases, Phase::Running).await;
    if *phases.borrow() < Phase::Running {
        // Given up before it began: other workers accept the clients that wait, and
        // probe.
        worker.chain.stop();
        return Ok(());
    }
    // Not before: one that does not listen yet would count as hung up for ever, and
    // have the worker spin.
    let register = |(socket, listener, succession)| {
        let failed = |source: io::Error| StartError::Worker {
            worker: index,
            source,
        };
        let socket = TcpListener::from_std(socket).map_err(failed)?;
        Ok((socket, listener, succession))
    };
    let listeners = listeners.into_iter().map(register);
    let listeners: Vec<_> = listeners.collect::<Result<_, StartError>>()?;
    worker.counters.alive.store(1, Relaxed);
    spawn_local(admin::answer_all(Rc::clone(&worker), requests));
    let sessions = Rc::clone(&worker.sessions);
    spawn_local(async move { sessions.find_lasting().await });
    spawn_local(all_sessions::answer_all(
        Rc::clone(&worker.sessions),
        worker.shared.services.clone().unwrap_or_default(),
        worker.shared.all_sessions.join(),
    ));
    let mut accepting = JoinSet::new();
    for (socket, listener, succession) in listeners {
        let worker = Rc::clone(&worker);
        accepting.spawn_local(listener::serve(worker, listener, succession, socket));
    }
    #[cfg(test)]
    worker.shared.options.fault.strike(Fault::Life);
    while let Some(ended) = accepting.join_next().await {
        if let Err(error) = ended {
            error!(%error, "a listener is no longer served by one of the workers");
        }
    }
    // Kept by it, a listener that is closed would go on to queue clients.
    args.listeners.clear();
    if *phases.borrow() == Phase::Retiring {
        worker.sessions.all_seen().await;
        worker.chain.retire();
        worker.shared.admin_desk.close(index);
        worker.buffers.shrink();
    }

    #[cfg(test)]
    worker.shared.options.fault.strike(Fault::Drain);
    // A retired worker may have to wait long for a drain to begin.
    tokio::select! {
        () = worker.sessions.none() => {}
        () = reached(&phases, Phase::Draining) => {}
    }
    let open = worker.sessions.count();
    tokio::select! {
        () = worker.sessions.none() => {}
        () = reached(&phases, Phase::Cutting) => {}
    }
    let cut = worker.sessions.count();
    worker.sessions.order_all(CloseCommand::Cut(Cutter::Drain));
    worker.sessions.none().await;
    reports.drained(Drained {
        finished: open.saturating_sub(cut),
        cut,
    });
    // Requests on the admin listener are answered until the end, or by another worker
    // when this one is retired.
    if *phases.borrow() != Phase::Retiring {
        reached(&phases, Phase::Over).await;
    }
    worker.shared.admin_desk.close(index);
    worker.chain.stop();
    worker.counters.alive.store(0, Relaxed);
    Ok(())
}

type Listeners = Vec<(StdListener, Rc<ListenerContext>, Arc<Succession>)>;

fn begin(args: &WorkerArgs) -> Result<(Rc<WorkerContext>, Listeners), StartError> {
    let worker = args.index;
    let shared = Arc::clone(&args.shared);
    let failed = |source: io::Error| StartError::Worker { worker, source };
    #[cfg(test)]
    shared.options.fault.strike(Fault::Start);
    let context = WorkerContext::start(shared, worker)?;
    let listener = |listener: &WorkerListener| {
        let socket = listener.socket.try_clone().map_err(failed)?;
        let context = Rc::new(listener.context.clone());
        Ok((socket, context, Arc::clone(&listener.succession)))
    };
    let listeners = args
        .listeners
        .iter()
        .map(listener)
        .collect::<Result<_, StartError>>()?;
    Ok((context, listeners))
}

/// Between two looks whether a worker that can't begin is still needed.
const LOOK: Duration = Duration::from_millis(100);
