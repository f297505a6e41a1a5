//! The host as its owner holds it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::control::lifecycle::{Drained, Phase};
use crate::error::StartError;
use crate::filters::compiled_vm::CompiledVm;
use crate::metrics::Counters;
use crate::net::fd_limit;
use crate::net::forward::DataCallbacks;
use crate::plan::Plan;
use crate::proxy::context::{ListenerContext, listeners};
use crate::proxy::options::HostOptions;
use crate::proxy::shared_state::SharedState;
use crate::proxy::sockets::{BoundListener, open};
use crate::proxy::worker::{self, Resolving, WorkerArgs};
use crate::upstream::cluster::Clusters;
use crate::upstream::resolver::Resolver;
use proxy_wasm_engine::Shared;

/// A running host. Dropping it cuts every connection; [`Host::drain`] does not.
pub struct Host {
    options: HostOptions,
    vm_data: Shared,
    counters: Vec<Arc<Counters>>,
    bound: Vec<BoundListener>,
    admin: Option<BoundListener>,
    current: Generation,
    /// Those whose sessions are not over yet.
    retired: Vec<Generation>,
}

/// Workers that run one plan.
#[derive(Default)]
struct Generation {
    workers: Vec<worker::WorkerHandle>,
    phases: watch::Sender<Phase>,
}

impl Host {
    /// Binds every listener, starts a filter on every worker, and accepts.
    /// Workers log to the caller's subscriber.
    ///
    /// # Errors
    /// When an address can't be bound, the plan names what isn't there, or the
    /// filter doesn't load or refuses its configuration. A DNS name that does
    /// not resolve is no error: it is logged and looked up again.
    pub async fn start(plan: Plan, wasm: &[u8], options: HostOptions) -> Result<Host, StartError> {
        let fit = fd_limit::sessions_that_fit();
        let options = HostOptions {
            max_sessions: options.max_sessions.min(fit),
            ..options
        };
        let mut host = Host {
            options,
            vm_data: Shared::new(),
            counters: Vec::new(),
            bound: Vec::new(),
            admin: None,
            current: Generation::default(),
            retired: Vec::new(),
        };
        host.take_up(plan, wasm).await?;
        Ok(host)
    }

    /// Goes on with another plan, another filter, or both. New workers accept from
    /// the same sockets, so that no client is turned away; the old ones stay until
    /// their last connection is over. What VMs share, orders and verdicts among
    /// it, stays as it is.
    ///
    /// # Errors
    /// As in [`Host::start`]; the host then goes on as before.
    pub async fn reload(&mut self, plan: Plan, wasm: &[u8]) -> Result<(), StartError> {
        self.retired.retain(Generation::is_alive);
        self.take_up(plan, wasm).await
    }

    /// Where connections are accepted, in the order of the plan's listeners.
    pub fn listeners(&self) -> Vec<SocketAddr> {
        self.bound.iter().map(|bound| bound.address).collect()
    }

    /// Where the admin listener is.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|bound| bound.address)
    }

    /// Accepts no more, waits up to `limit` for the open connections to end,
    /// and cuts the rest. The admin listener stays until then; its `/ready`
    /// says 503.
    pub async fn drain(self, limit: Duration) -> Drained {
        self.drain_until(sleep(limit)).await
    }

    /// As [`Host::drain`], but what is left is cut once `limit` is over, whatever
    /// that is: a second signal, say.
    pub async fn drain_until(mut self, limit: impl Future<Output = ()>) -> Drained {
        // Or the kernel would go on to queue clients nobody accepts.
        self.bound.clear();
        let mut generations = std::mem::take(&mut self.retired);
        generations.retain(Generation::is_alive);
        generations.push(std::mem::take(&mut self.current));
        let mut waiting: Vec<_> = generations
            .iter_mut()
            .flat_map(|one| one.workers.drain(..))
            .map(|worker| worker.drained)
            .collect();
        enter(&generations, Phase::Draining);
        let mut total = Drained::default();
        let all = async {
            while let Some(worker) = waiting.last_mut() {
                // A worker that is gone has no sessions.
                total += worker.await.unwrap_or_default();
                waiting.pop();
            }
        };
        let finished = tokio::select! {
            () = all => true,
            () = limit => false,
        };
        if !finished {
            enter(&generations, Phase::Cutting);
            for worker in waiting {
                total += worker.await.unwrap_or_default();
            }
        }
        enter(&generations, Phase::Over);
        if total.cut > 0 {
            tracing::warn!(
                cut = total.cut,
                finished = total.finished,
                "drained; some were cut"
            );
        } else {
            tracing::info!(finished = total.finished, "drained");
        }
        total
    }

    /// Starts workers for a plan and has them accept instead of the current ones.
    async fn take_up(&mut self, plan: Plan, wasm: &[u8]) -> Result<(), StartError> {
        let count = self.options.workers.get();
        let mut resolver = Resolver::new(Arc::clone(&self.options.lookup));
        let clusters = Arc::new(Clusters::of(&plan, &mut resolver)?);
        let listeners = listeners(&plan, &clusters)?;
        let mut bound = Vec::new();
        for listener in &plan.listeners {
            bound.push(open(&self.bound, listener.bind, count)?);
        }
        let admin = match &plan.admin {
            Some(admin) => Some(open(self.admin.as_slice(), admin.bind, 1)?),
            None => None,
        };
        resolver.resolve(self.options.resolve_limit).await;

        let vms = CompiledVm::all(&plan, wasm)?;
        let (phases, watching) = watch::channel(Phase::Starting);
        let known = self.counters.len();
        let mut counters = self.counters.clone();
        counters.resize_with(known + count, Arc::default);
        let shared = Arc::new(SharedState {
            clusters,
            vms,
            data_callbacks: match plan.network_filters.is_empty() {
                true => self.options.data_callbacks,
                // Who knows what they read.
                false => DataCallbacks::All,
            },
            vm_data: self.vm_data.clone(),
            phases: watching,
            counters: counters.clone(),
            options: self.options.clone(),
        });
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let mut resolving = Some(Resolving {
            resolver,
            refresh: plan.dns_refresh,
        });
        let mut sockets = Vec::new();
        for bound in &bound {
            sockets.push(bound.copies()?);
        }
        let mut admin_sockets = admin.as_ref().map(BoundListener::copies).transpose()?;
        let mut next = Generation {
            workers: Vec::new(),
            phases,
        };
        for index in known..known + count {
            let of_worker = sockets.iter_mut().zip(&listeners).zip(&bound);
            let args = WorkerArgs {
                index,
                shared: Arc::clone(&shared),
                sockets: of_worker
                    .filter_map(|((sockets, listener), bound)| {
                        Some((
                            sockets.pop()?,
                            ListenerContext {
                                address: bound.address,
                                ..listener.clone()
                            },
                        ))
                    })
                    .collect(),
                admin: admin_sockets.as_mut().and_then(Vec::pop),
                resolving: resolving.take(),
            };
            next.workers.push(worker::spawn(args, dispatch.clone())?);
        }
        for (worker, running) in next.workers.iter_mut().enumerate() {
            let gone = |_| {
                let source = std::io::Error::other("its thread ended");
                Err(StartError::Worker { worker, source })
            };
            (&mut running.started).await.unwrap_or_else(gone)?;
        }
        // Nothing can fail any more.
        next.phases.send_replace(Phase::Running);
        let last = std::mem::replace(&mut self.current, next);
        last.phases.send_replace(Phase::Retiring);
        if !last.workers.is_empty() {
            self.retired.push(last);
        }
        (self.bound, self.admin, self.counters) = (bound, admin, counters);
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        enter(&self.retired, Phase::Over);
        self.current.phases.send_replace(Phase::Over);
    }
}

impl Generation {
    /// Whether there are threads of it; each holds a receiver.
    fn is_alive(&self) -> bool {
        self.phases.receiver_count() > 0
    }
}

fn enter(generations: &[Generation], phase: Phase) {
    for generation in generations {
        generation.phases.send_replace(phase);
    }
}
