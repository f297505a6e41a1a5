//! The host as its owner holds it.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::cluster::Clusters;
use crate::drain::{Drained, Phase};
use crate::error::StartError;
use crate::files;
use crate::forward::DataCallbacks;
use crate::listener::{self, Post};
use crate::metrics::Counters;
use crate::plan::{ADMIN_ROOT, Plan, STREAM_ROOT};
use crate::resolver::{self, Lookup, Resolver};
use crate::vm::{Engine, Module, Plugin, Shared, VmConfig};
use crate::worker::{self, Outfit};

/// A running host. Dropping it cuts every connection; [`Host::drain`] does not.
pub struct Host {
    listeners: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    workers: Vec<worker::Running>,
    phases: watch::Sender<Phase>,
}

/// How a host runs; what it does is the plan's.
#[derive(Clone)]
pub struct HostOptions {
    /// Threads, each with its own sockets and VM. Default: one per core.
    pub workers: NonZeroUsize,
    /// Sessions open at once; clients beyond that wait to be accepted. Fewer when
    /// the process may not open files enough.
    pub max_sessions: usize,
    /// Which chunks of a connection the filter is shown.
    pub data_callbacks: DataCallbacks,
    /// Before the first attempt to replace a filter that failed. Grows to 30 s.
    pub reload_backoff: Duration,
    /// How long the start waits for DNS; what takes longer is learnt later.
    pub resolve_limit: Duration,
    /// Looks up DNS names. Default: the system's resolver.
    pub lookup: Lookup,
}

impl Default for HostOptions {
    fn default() -> Self {
        HostOptions {
            workers: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            max_sessions: 100_000,
            data_callbacks: DataCallbacks::default(),
            reload_backoff: Duration::from_secs(1),
            resolve_limit: Duration::from_secs(2),
            lookup: resolver::system(),
        }
    }
}

/// What all workers of a host share.
pub(crate) struct Site {
    pub(crate) options: HostOptions,
    pub(crate) clusters: Arc<Clusters>,
    pub(crate) module: Module,
    pub(crate) vm_config: VmConfig,
    pub(crate) shared: Shared,
    pub(crate) phases: watch::Receiver<Phase>,
    /// One for each worker.
    pub(crate) counters: Vec<Arc<Counters>>,
}

/// Keeps DNS names up to date.
pub(crate) struct Resolving {
    pub(crate) resolver: Resolver,
    pub(crate) refresh: Duration,
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
        let count = options.workers.get();
        let fit = files::sessions_that_fit();
        let options = HostOptions {
            max_sessions: options.max_sessions.min(fit),
            ..options
        };
        let mut resolver = Resolver::new(Arc::clone(&options.lookup));
        let clusters = Arc::new(Clusters::of(&plan, &mut resolver)?);
        let posts = posts(&plan, &clusters)?;
        let mut sockets = Vec::new();
        let mut addresses = Vec::new();
        for listener in &plan.listeners {
            let bound = listener::bind(listener.bind, count)?;
            addresses.push(address_of(&bound, listener.bind)?);
            sockets.push(bound);
        }
        let mut admin = match &plan.admin {
            Some(admin) => listener::bind(admin.bind, 1)?,
            None => Vec::new(),
        };
        let admin_address = match &plan.admin {
            Some(plan) => Some(address_of(&admin, plan.bind)?),
            None => None,
        };
        resolver.resolve(options.resolve_limit).await;

        let engine = Engine::new().map_err(|error| StartError::Filter(Box::new(error)))?;
        let module =
            Module::compile(&engine, wasm).map_err(|error| StartError::Filter(Box::new(error)))?;
        let (phases, watching) = watch::channel(Phase::Starting);
        let site = Arc::new(Site {
            clusters,
            module,
            vm_config: vm_config(&plan),
            shared: Shared::new(),
            phases: watching,
            counters: (0..count).map(|_| Arc::default()).collect(),
            options,
        });
        let mut host = Host {
            listeners: addresses,
            admin: admin_address,
            workers: Vec::new(),
            phases,
        };
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let mut resolving = Some(Resolving {
            resolver,
            refresh: plan.dns_refresh,
        });
        for index in 0..count {
            let of_worker = sockets.iter_mut().zip(&posts).zip(&host.listeners);
            let outfit = Outfit {
                index,
                site: Arc::clone(&site),
                sockets: of_worker
                    .filter_map(|((sockets, post), address)| {
                        Some((
                            sockets.pop()?,
                            Post {
                                address: *address,
                                ..post.clone()
                            },
                        ))
                    })
                    .collect(),
                admin: admin.pop(),
                resolving: resolving.take(),
            };
            host.workers.push(worker::spawn(outfit, dispatch.clone())?);
        }
        for (worker, running) in host.workers.iter_mut().enumerate() {
            let gone = |_| {
                let source = std::io::Error::other("its thread ended");
                Err(StartError::Worker { worker, source })
            };
            (&mut running.started).await.unwrap_or_else(gone)?;
        }
        host.enter(Phase::Running);
        Ok(host)
    }

    /// Where connections are accepted, in the order of the plan's listeners.
    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// Where the admin listener is.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
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
        self.enter(Phase::Draining);
        let mut total = Drained::default();
        let mut waiting: Vec<_> = self
            .workers
            .drain(..)
            .map(|worker| worker.drained)
            .collect();
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
            self.enter(Phase::Cutting);
            for worker in waiting {
                total += worker.await.unwrap_or_default();
            }
        }
        self.enter(Phase::Over);
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

    fn enter(&self, phase: Phase) {
        self.phases.send_replace(phase);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.enter(Phase::Over);
    }
}

fn posts(plan: &Plan, clusters: &Clusters) -> Result<Vec<Post>, StartError> {
    plan.listeners
        .iter()
        .map(|listener| {
            let missing = || StartError::NoSuchName(listener.fallback.clone());
            Ok(Post {
                address: listener.bind,
                fallback: clusters.target(&listener.fallback).ok_or_else(missing)?,
                metadata: Arc::new(
                    json!({"filter_metadata": {"dtr": {"port": listener.port.to_string()}}}),
                ),
                idle_timeout: listener.idle_timeout,
            })
        })
        .collect()
}

fn vm_config(plan: &Plan) -> VmConfig {
    let plugin = |root: &str| Plugin {
        name: root.to_owned(),
        root_id: root.to_owned(),
        configuration: plan.filter.configuration.to_string().into_bytes(),
    };
    let mut plugins = vec![plugin(STREAM_ROOT)];
    if plan.admin.is_some() {
        plugins.push(plugin(ADMIN_ROOT));
    }
    VmConfig {
        vm_id: plan.filter.vm_id.clone(),
        plugins,
        ..VmConfig::default()
    }
}

fn address_of(
    sockets: &[std::net::TcpListener],
    address: SocketAddr,
) -> Result<SocketAddr, StartError> {
    match sockets.first().map(std::net::TcpListener::local_addr) {
        Some(Ok(bound)) => Ok(bound),
        Some(Err(source)) => Err(StartError::Bind { address, source }),
        None => Ok(address),
    }
}
