//! The thread of what serves every generation: the admin listener, and DNS.

use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use proxy_wasm_engine::Shared;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep};
use tracing::error;

use crate::caught_panic::CaughtPanic;
#[cfg(test)]
use crate::fault::{Fault, FaultSwitch};
use crate::filters::backoff::Backoff;
use crate::proxy::admin::Admin;
use crate::proxy::cluster_watch::{self, ClusterWatch};
use crate::proxy::order_file::OrderFile;
use crate::proxy::shared_state::{Current, SharedState};
use crate::upstream::resolver::Resolver;

/// The thread of what serves every generation. As in Envoy it is none of the workers:
/// the admin listener answers whatever becomes of them. Dropped, it ends.
pub(super) struct MainThread {
    current: watch::Sender<Option<Arc<SharedState>>>,
    orders: mpsc::UnboundedSender<Order>,
}

enum Order {
    /// Accept admin clients from these, instead of from those before.
    Serve(Vec<StdListener>),
    /// Accept no admin clients, take and keep no orders, and say when none is being carried
    /// out.
    Pause(oneshot::Sender<()>),
    /// Take orders again.
    Resume,
    /// Keep these names up to date, instead of those before.
    Resolve(Resolving),
    /// Keep orders in this file, instead of the one before.
    KeepOrders(Option<Arc<OrderFile>>),
    /// Have these replicas say how their clusters are, instead of those before, and have
    /// the filters forget what is asked no more.
    Watch(Vec<ClusterWatch>, Shared),
}

/// Keeps DNS names up to date.
pub(super) struct Resolving {
    pub(super) resolver: Resolver,
    pub(super) refresh: Duration,
    /// Before it goes on after a panic, at first.
    pub(super) backoff: Duration,
    #[cfg(test)]
    pub(super) fault: FaultSwitch,
}

impl MainThread {
    /// # Errors
    /// When the system gives no thread or no runtime.
    pub(super) fn spawn() -> io::Result<MainThread> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (current, watching) = watch::channel(None);
        let (orders, receiver) = mpsc::unbounded_channel();
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let thread = thread::Builder::new().name("main-thread".to_owned());
        thread.spawn(move || {
            let _logs = tracing::dispatcher::set_default(&dispatch);
            LocalSet::new().block_on(&runtime, live(receiver, watching));
            runtime.shutdown_background();
        })?;
        Ok(MainThread { current, orders })
    }

    /// This generation answers from now on.
    pub(super) fn set_current(&self, generation: Arc<SharedState>) {
        self.current.send_replace(Some(generation));
    }

    /// Accepts admin clients from these sockets only; connections that are open go on.
    pub(super) fn serve_admin(&self, sockets: Vec<StdListener>) {
        // The thread ends after its orders.
        let _ = self.orders.send(Order::Serve(sockets));
    }

    /// Accepts no admin clients from now on, so that they wait in the kernel, and takes no
    /// orders: a process that takes over does. Waits for those that are being carried out.
    pub(super) async fn pause(&self) {
        let (sender, paused) = oneshot::channel();
        let _ = self.orders.send(Order::Pause(sender));
        // An error: the thread is gone, and accepts no clients.
        let _ = paused.await;
        let order_file = |shared: &Arc<SharedState>| shared.order_file.clone();
        let order_file = self.current.borrow().as_ref().and_then(order_file);
        if let Some(order_file) = order_file {
            order_file.written().await;
        }
    }

    /// Answers nothing from now on. Returns the generation that has answered so far, for
    /// [`MainThread::resume`].
    pub(super) fn hand_over(&self) -> Option<Arc<SharedState>> {
        self.current.send_replace(None)
    }

    /// Takes all back, but for the sockets.
    pub(super) fn resume(&self, handed_over: Option<Arc<SharedState>>) {
        let order_file = handed_over.as_ref();
        self.keep_orders(order_file.and_then(|shared| shared.order_file.clone()));
        self.current.send_replace(handed_over);
        let _ = self.orders.send(Order::Resume);
    }

    /// Has these replicas say how their clusters are, from now on, and the filters forget
    /// what is asked no more.
    pub(super) fn watch_clusters(&self, watches: Vec<ClusterWatch>, vm_data: Shared) {
        let _ = self.orders.send(Order::Watch(watches, vm_data));
    }

    /// Keeps orders in this file from now on.
    pub(super) fn keep_orders(&self, order_file: Option<Arc<OrderFile>>) {
        let _ = self.orders.send(Order::KeepOrders(order_file));
    }

    /// Looks these names up from now on, and no others.
    pub(super) fn resolve(&self, resolving: Resolving) {
        let _ = self.orders.send(Order::Resolve(resolving));
    }
}

async fn live(mut orders: mpsc::UnboundedReceiver<Order>, current: Current) {
    let admin = Admin::new(current);
    let mut accepting: Vec<oneshot::Sender<()>> = Vec::new();
    let mut resolving: Option<AbortHandle> = None;
    let mut keeping: Option<AbortHandle> = None;
    let mut watching: Vec<(Option<String>, AbortHandle)> = Vec::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Serve(sockets) => {
                // Dropped, the last ones end.
                accepting.clear();
                for socket in sockets {
                    match TcpListener::from_std(socket) {
                        Ok(listener) => {
                            let (sender, end) = oneshot::channel();
                            spawn_local(admin.serve(listener, end));
                            accepting.push(sender);
                        }
                        Err(error) => error!(%error, "the admin listener can't be served"),
                    }
                }
            }
            Order::Pause(paused) => {
                accepting.clear();
                let carried_out = admin.stop_orders();
                // Their clients come again, to the next process.
                admin.end_idle();
                if let Some(last) = keeping.take() {
                    last.abort();
                }
                spawn_local(async move {
                    carried_out.await;
                    let _ = paused.send(());
                });
            }
            Order::Resume => admin.resume_orders(),
            Order::Resolve(names) => {
                let next = spawn_local(keep_resolving(names)).abort_handle();
                if let Some(last) = resolving.replace(next) {
                    last.abort();
                }
            }
            Order::KeepOrders(order_file) => {
                let next = order_file.map(|file| spawn_local(file.run()).abort_handle());
                if let Some(last) = std::mem::replace(&mut keeping, next) {
                    last.abort();
                }
            }
            Order::Watch(watches, vm_data) => {
                for (service, last) in watching.drain(..) {
                    // First, or it writes once more.
                    last.abort();
                    if watches.iter().all(|next| next.plan.service != service) {
                        cluster_watch::forget(&vm_data, service.as_deref());
                    }
                }
                watching.extend(watches.into_iter().map(|watch| {
                    let service = watch.plan.service.clone();
                    (service, spawn_local(keep_watching(watch)).abort_handle())
                }));
            }
        }
    }
}

async fn keep_watching(watch: ClusterWatch) {
    loop {
        let running = std::pin::pin!(watch.run());
        let Err(panic) = CaughtPanic::catch_async(running).await;
        error!(%panic, "asking for the cluster's status panicked; it goes on");
        sleep(watch.plan.interval).await;
    }
}

async fn keep_resolving(names: Resolving) {
    let mut backoff = Backoff::new(names.backoff);
    loop {
        #[cfg(test)]
        let running = async {
            names.fault.strike(Fault::Resolver);
            names.resolver.run(names.refresh).await;
        };
        #[cfg(not(test))]
        let running = names.resolver.run(names.refresh);
        let Err(panic) = CaughtPanic::catch_async(std::pin::pin!(running)).await else {
            return;
        };
        error!(%panic, "looking up names panicked; it goes on");
        sleep(backoff.next(Instant::now())).await;
    }
}
